package ordering

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/order"
)

// DropReason says why a block carries a bundle without ordering it. A dropped
// bundle is done with: the chain never orders its ID.
type DropReason uint8

// DropFunds says that the payer's balance does not cover the fee, after what it owes
// for its earlier bundles of the block. A proposer cannot rule this out, since an
// ordinary transaction may have moved the money; whatever else is wrong with a
// bundle it can, so that makes the block invalid instead.
const DropFunds DropReason = 1

// String returns the reason in words.
func (r DropReason) String() string {
	switch r {
	case 0:
		return "ordered"
	case DropFunds:
		return "the payer's balance does not cover the fee"
	}
	return fmt.Sprintf("unknown reason %d", uint8(r))
}

// Drop is one bundle of a batch that its block does not order.
type Drop struct {
	Index  int // position in the batch
	ID     order.BundleID
	Reason DropReason
}

// ErrDrops is returned for bytes that are not the canonical list of drops.
var ErrDrops = errors.New("not a list of drops")

// dropSize is the length of an encoded drop: 4 bytes of index, big endian, 1 of reason.
const dropSize = 5

// EncodeDrops returns the canonical list of drops, which is the result data of
// transaction 1. IDs are not in it: they follow from the batch.
func EncodeDrops(drops []Drop) []byte {
	var out []byte
	for _, d := range drops {
		out = append(binary.BigEndian.AppendUint32(out, uint32(d.Index)), byte(d.Reason))
	}
	return out
}

// DecodeDrops decodes a list of drops of a batch with that many bundles. IDs are
// left empty. Errors: ErrDrops.
func DecodeDrops(raw []byte, bundles int) ([]Drop, error) {
	if len(raw)%dropSize != 0 {
		return nil, fmt.Errorf("%d bytes, want a multiple of %d: %w", len(raw), dropSize, ErrDrops)
	}
	var drops []Drop
	next := 0
	for ; len(raw) > 0; raw = raw[dropSize:] {
		d := Drop{Index: int(binary.BigEndian.Uint32(raw)), Reason: DropReason(raw[4])}
		if d.Index < next || d.Index >= bundles {
			return nil, fmt.Errorf("index %d of %d bundles is out of order or out of range: %w", d.Index, bundles, ErrDrops)
		}
		if d.Reason != DropFunds {
			return nil, fmt.Errorf("index %d: unknown reason %d: %w", d.Index, uint8(d.Reason), ErrDrops)
		}
		next = d.Index + 1
		drops = append(drops, d)
	}
	return drops, nil
}

package ordering

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/order"
)

// DropReason says why a block carries a bundle without ordering it. A certified batch
// has to be carried whatever its bundles lack, so that is no fault of the proposer.
type DropReason uint8

// The numbers are part of the chain's results and state.
const (
	// DropFunds: the payer's balance does not cover the fee, after what it owes for its
	// earlier bundles of the block.
	DropFunds DropReason = iota + 1
	// DropExpired: the block's height is past the bundle's expiry.
	DropExpired
	// DropExpiryTooFar: the expiry lies further ahead than the rules allow.
	DropExpiryTooFar
	// DropTooLarge: the bundle has more bytes than the rules allow.
	DropTooLarge
	// DropFee: the fee is above what the payer agreed to pay.
	DropFee
	// DropDuplicate: the chain has ordered this bundle, or dropped it for good.
	DropDuplicate
)

// String returns the reason in words.
func (r DropReason) String() string {
	switch r {
	case 0:
		return "ordered"
	case DropFunds:
		return "the payer's balance does not cover the fee"
	case DropExpired:
		return "it had expired"
	case DropExpiryTooFar:
		return "its expiry was too far ahead"
	case DropTooLarge:
		return "it is too large"
	case DropFee:
		return "the fee is above its fee limit"
	case DropDuplicate:
		return "it was ordered or dropped before"
	}
	return fmt.Sprintf("unknown reason %d", uint8(r))
}

// final reports whether the drop is what has become of the bundle, so that its ID is
// never ordered: the payer's word is used up. Where it is not, either an earlier fate
// stands, or nobody can bring the bundle in too late, or it was brought in too early or
// under rules that it is not for, which whoever holds a signed bundle could do to its
// payer. What is final is kept in the state: attesters see to it that few are
// (Rules.Afford).
func (r DropReason) final() bool { return r == DropFunds }

// Drop is one bundle that its block carries and does not order.
type Drop struct {
	Index  int // position among the bundles that the block carries
	ID     order.BundleID
	Reason DropReason
}

// ErrDrops is returned for bytes that are not the canonical list of drops.
var ErrDrops = errors.New("not a list of drops")

// dropSize is the length of an encoded drop: 4 bytes of index, big endian, 1 of reason.
const dropSize = 5

// EncodeDrops returns the canonical list of drops, which is the result data of
// transaction 1. IDs are not in it: they follow from the manifest.
func EncodeDrops(drops []Drop) []byte {
	var out []byte
	for _, d := range drops {
		out = append(binary.BigEndian.AppendUint32(out, uint32(d.Index)), byte(d.Reason))
	}
	return out
}

// DecodeDrops decodes a list of drops of a block that carries that many bundles. IDs
// are left empty. Errors: ErrDrops.
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
		if d.Reason == 0 || d.Reason > DropDuplicate {
			return nil, fmt.Errorf("index %d: unknown reason %d: %w", d.Index, uint8(d.Reason), ErrDrops)
		}
		next = d.Index + 1
		drops = append(drops, d)
	}
	return drops, nil
}

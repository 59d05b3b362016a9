package astria

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ordo-network/ordo/execution"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	sequencerblockv1 "github.com/ordo-network/ordo/execution/astria/proto/astria/sequencerblock/v1"
	executionv1 "github.com/ordo-network/ordo/execution/astria/proto/ordo/execution/v1"
	"github.com/ordo-network/ordo/execution/terms"
)

// Why legs do not reach the service.
const (
	notApplied = "leg not applied: "
	noTerms    = notApplied + "the rollup's execution client does not keep terms"
	noDomain   = notApplied + "all or nothing over rollups that are not executed together"
	noRoom     = notApplied + "the block holds more than one message to the rollup's execution client"
)

// A request is kept below what gRPC servers read unless told otherwise: a block may hold
// more, and one that the service cannot read would stop the rollup for good. What takes part
// in it is a rule of the chain, and so is counted here, not measured: room for what surrounds
// the block, and at least what its parts take to encode.
const (
	maxSentBytes = 4<<20 - 4<<10

	sentTransaction, sentLeg, sentRollup = 16, 80, 40
)

// noReason stands for a reason that was not told.
const noReason = "the execution client skipped it"

// maxSkipText bounds the reasons of a block that Server tells.
const maxSkipText = 4 << 20

// errVerdict: a rollup behind the API cannot be part of a domain.
var errVerdict = errors.New("a leg has to be applied together with others, which this execution client does not offer")

// packed is a block as the service gets it.
type packed struct {
	request *executionv2.ExecuteBlockRequest
	index   []int               // in the block, of each transaction of the request
	kept    []execution.Skipped // what was kept from the service
}

// pack leaves out legs with terms that cannot be kept. What a service without the
// knowledge of legs would do with them, their user has ruled out. It leaves out legs, too,
// that do not fit into the message beside those before them.
func pack(b execution.Block, keepsTerms bool) (packed, error) {
	p := packed{request: &executionv2.ExecuteBlockRequest{Timestamp: timestamppb.New(b.Time), SequencerBlockHash: hex.EncodeToString(b.Hash[:])}}
	add := func(i int) {
		p.index = append(p.index, i)
		p.request.Transactions = append(p.request.Transactions, &sequencerblockv1.RollupData{
			Value: &sequencerblockv1.RollupData_SequencedData{SequencedData: b.Transactions[i]},
		})
	}
	room := maxSentBytes
	fits := func(size int) bool {
		if size > room {
			return false
		}
		room -= size
		return true
	}
	next := 0
	for _, leg := range b.Legs {
		first := next
		if next += leg.Transactions; leg.Transactions < 0 || next > len(b.Transactions) {
			return packed{}, fmt.Errorf("its legs hold more than its %d transactions", len(b.Transactions))
		}
		why := ""
		if first < next {
			switch t, is, err := terms.Decode(b.Transactions[first]); {
			case leg.Verdict == execution.Apply:
				return packed{}, errVerdict
			case leg.Verdict == execution.Refuse:
				why = notApplied + leg.Reason
			case is && !keepsTerms:
				why = noTerms
			case is && err == nil && t.AllOrNothing && len(leg.Rollups) > 1:
				why = noDomain
			}
		}
		retry := why == "" && !fits(sizeOf(leg, b.Transactions[first:next]))
		if retry {
			why = noRoom
		}
		for i := first; i < next; i++ {
			if why != "" {
				p.kept = append(p.kept, execution.Skipped{Index: i, Reason: why, Retry: retry})
			} else {
				add(i)
			}
		}
		if why == "" {
			p.request.OrdoLegs = append(p.request.OrdoLegs, encodeLeg(leg))
		}
	}
	if b.Legs == nil {
		for i, tx := range b.Transactions {
			if fits(sentTransaction + len(tx)) {
				add(i)
			} else {
				p.kept = append(p.kept, execution.Skipped{Index: i, Reason: noRoom, Retry: true})
			}
		}
	} else if next != len(b.Transactions) {
		return packed{}, fmt.Errorf("its legs hold %d of its %d transactions", next, len(b.Transactions))
	}
	return p, nil
}

// sizeOf returns what a leg counts in a request.
func sizeOf(leg execution.Leg, transactions [][]byte) int {
	size := sentLeg + sentRollup*len(leg.Rollups)
	for _, tx := range transactions {
		size += sentTransaction + len(tx)
	}
	return size
}

func encodeLeg(leg execution.Leg) *executionv1.Leg {
	m := &executionv1.Leg{
		BundleId: leg.Bundle[:], LegIndex: uint32(leg.Index), TransactionCount: uint32(leg.Transactions),
		BundlePosition: uint64(leg.Position), SequencerHeight: leg.Height,
	}
	for _, id := range leg.Rollups {
		m.RollupIds = append(m.RollupIds, id[:])
	}
	return m
}

// skipped returns what was skipped of the block, by index.
func (p packed) skipped(said []*executionv1.Skipped) ([]execution.Skipped, error) {
	out, kept, last := []execution.Skipped(nil), p.kept, -1
	for _, x := range said {
		if int64(x.GetIndex()) >= int64(len(p.index)) || int(x.GetIndex()) <= last {
			return nil, fmt.Errorf("the service skipped transaction %d after %d, of %d: %w", x.GetIndex(), last, len(p.index), ErrProtocol)
		}
		last = int(x.GetIndex())
		at := p.index[last]
		for len(kept) > 0 && kept[0].Index < at {
			out, kept = append(out, kept[0]), kept[1:]
		}
		reason := clip(x.GetReason())
		if reason == "" {
			reason = noReason
		}
		out = append(out, execution.Skipped{Index: at, Reason: reason, Retry: x.GetRetry()})
	}
	return append(out, kept...), nil
}

// encodeSkipped keeps the answer below what a node reads.
func encodeSkipped(skipped []execution.Skipped) (out []*executionv1.Skipped) {
	room := maxSkipText
	for _, x := range skipped {
		m := &executionv1.Skipped{Index: uint32(x.Index), Retry: x.Retry}
		if reason := clip(x.Reason); len(reason) <= room {
			m.Reason, room = reason, room-len(reason)
		}
		out = append(out, m)
	}
	return out
}

// decodeRequest returns the block but for its height. Deposits and prices, which an
// execution.Client does not know, are left out.
func decodeRequest(req *executionv2.ExecuteBlockRequest) (execution.Block, error) {
	if err := req.GetTimestamp().CheckValid(); err != nil {
		return execution.Block{}, fmt.Errorf("the timestamp: %w", err)
	}
	hash, err := hex.DecodeString(strings.TrimPrefix(req.GetSequencerBlockHash(), "0x"))
	if err != nil || len(hash) != len(execution.Hash{}) {
		return execution.Block{}, errors.New("the sequencer block's hash has to be 32 bytes in hexadecimal")
	}
	b := execution.Block{Hash: execution.Hash(hash), Time: req.GetTimestamp().AsTime()}
	for _, data := range req.GetTransactions() {
		if tx, ok := data.GetValue().(*sequencerblockv1.RollupData_SequencedData); ok {
			b.Transactions = append(b.Transactions, tx.SequencedData)
		} else if len(req.GetOrdoLegs()) > 0 {
			return execution.Block{}, errors.New("legs hold transactions alone")
		}
	}
	total := uint64(0)
	for i, m := range req.GetOrdoLegs() {
		leg, err := decodeLeg(m)
		if err != nil {
			return execution.Block{}, fmt.Errorf("leg %d: %w", i, err)
		}
		total += uint64(leg.Transactions)
		b.Legs = append(b.Legs, leg)
	}
	if b.Legs != nil && total != uint64(len(b.Transactions)) {
		return execution.Block{}, fmt.Errorf("legs hold %d transactions, the block %d", total, len(b.Transactions))
	}
	return b, nil
}

func decodeLeg(m *executionv1.Leg) (execution.Leg, error) {
	if len(m.GetBundleId()) != len(execution.Hash{}) || m.GetBundlePosition() > math.MaxInt32 || m.GetLegIndex() > math.MaxInt32 {
		return execution.Leg{}, errors.New("its bundle has an ID of 32 bytes, and it a place in the block")
	}
	leg := execution.Leg{
		Bundle: execution.Hash(m.GetBundleId()), Index: int(m.GetLegIndex()), Transactions: int(m.GetTransactionCount()),
		Position: int(m.GetBundlePosition()), Height: m.GetSequencerHeight(),
	}
	for _, id := range m.GetRollupIds() {
		if len(id) != len(execution.Hash{}) {
			return execution.Leg{}, fmt.Errorf("a rollup ID has %d bytes, want 32", len(id))
		}
		leg.Rollups = append(leg.Rollups, execution.Hash(id))
	}
	return leg, nil
}

// digestOf tells blocks apart.
func digestOf(b execution.Block) (digest [32]byte) {
	h := sha256.New()
	number := func(n uint64) { _, _ = h.Write(binary.BigEndian.AppendUint64(nil, n)) } // never an error
	number(uint64(b.Time.Unix()))
	number(uint64(b.Time.Nanosecond()))
	_, _ = h.Write(b.Hash[:])
	number(uint64(len(b.Transactions)))
	for _, tx := range b.Transactions {
		number(uint64(len(tx)))
		_, _ = h.Write(tx)
	}
	for _, leg := range b.Legs {
		number(uint64(leg.Transactions))
		_, _ = h.Write(leg.Bundle[:])
	}
	return [32]byte(h.Sum(nil))
}

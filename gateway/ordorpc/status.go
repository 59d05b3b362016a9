package ordorpc

import (
	"context"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/gateway"
)

// What a transaction's or a bundle's status says.
const (
	statusHeld      = "held" // bundles alone
	statusReceived  = "received"
	statusCertified = "certified"
	statusOrdered   = "ordered"
	statusSafe      = "safe"
	statusFinalized = "finalized"
	statusDropped   = "dropped"
)

// Status is the answer of ordo_transactionStatus. What is not known is null.
type Status struct {
	Hash             Hash            `json:"hash"`
	Status           string          `json:"status"`   // received, certified, ordered, safe, finalized or dropped
	Executed         *bool           `json:"executed"` // null where it is in a block, and the rollup's client does not say what it skips
	BlockNumber      *hexutil.Uint64 `json:"blockNumber"`
	BlockHash        *Hash           `json:"blockHash"`
	TransactionIndex *hexutil.Uint64 `json:"transactionIndex"`
	SequencerHeight  *hexutil.Uint64 `json:"sequencerHeight"`
	BundleID         *Hash           `json:"bundleId"`
	Reason           string          `json:"reason"`
	Times
}

// Times are in milliseconds since 1970.
type Times struct {
	ReceivedAt  *hexutil.Uint64 `json:"receivedAt"`
	CertifiedAt *hexutil.Uint64 `json:"certifiedAt"`
	OrderedAt   *hexutil.Uint64 `json:"orderedAt"`
	SafeAt      *hexutil.Uint64 `json:"safeAt"`
	FinalizedAt *hexutil.Uint64 `json:"finalizedAt"`
}

// TransactionStatus tells how far a transaction has come; null where it is unknown
// here.
func (a *api) TransactionStatus(ctx context.Context, hash Hash) (*Status, error) {
	s, err := a.status(hash)
	if s == nil || err != nil || s.BlockNumber == nil || s.BundleID != nil {
		return s, err
	}
	// It came through another gateway, or before a restart: the order says more.
	if f, err := a.find(ctx, hash); err == nil {
		s.BundleID, s.SequencerHeight = known(f.leg.BundleID), quantity(f.height)
	}
	return s, nil
}

// status is what this node knows without asking others.
func (a *api) status(hash Hash) (*Status, error) {
	_, st, held := a.Gateway.Get(hash)
	s := &Status{
		Hash: hash, Executed: new(bool), Reason: st.Reason, BundleID: known(st.Bundle),
		Times: Times{ReceivedAt: unixMilli(st.Received), CertifiedAt: unixMilli(st.Certified)},
	}
	place, executed, err := a.Chain.Locate(hash)
	if err != nil {
		return nil, err
	}
	if executed {
		return s, a.executed(s, place, st.Height)
	}
	if !held {
		// It came through another gateway, if anybody has it.
		if certified, err := a.Chain.Pending(hash); err != nil || !certified {
			return nil, err
		}
		s.Status = statusCertified
		return s, nil
	}
	switch {
	case st.Phase == gateway.PhaseDropped:
		s.Status = statusDropped
		if st.Height > 0 {
			s.SequencerHeight = quantity(st.Height)
			if at, ok := a.Order.OrderedAt(st.Height); ok {
				s.OrderedAt = unixMilli(at)
			}
		}
	case !st.Certified.IsZero():
		s.Status = statusCertified
	default:
		s.Status = statusReceived
	}
	return s, nil
}

// executed fills in what follows from the block that holds the transaction. height is
// the sequencer's, where the gateway knows it.
func (a *api) executed(s *Status, at Place, height uint64) error {
	block, ok, err := a.Chain.Block(at.Block)
	if err != nil || !ok {
		return err
	}
	if at.Height > 0 {
		height = at.Height
	}
	if height == 0 || height > block.To {
		height = block.To
	}
	s.Executed, s.Reason = a.applied(true), ""
	s.BlockNumber, s.BlockHash, s.TransactionIndex = quantity(at.Block), known(block.Hash), quantity(at.Index)
	s.SequencerHeight = quantity(height)
	// Blocks count whole seconds: what is not remembered more closely was not ordered
	// before it came in here.
	ordered := block.Time.UnixMilli()
	for _, t := range []*hexutil.Uint64{s.ReceivedAt, s.CertifiedAt} {
		if t != nil {
			ordered = max(ordered, int64(*t))
		}
	}
	s.OrderedAt = quantity(uint64(max(ordered, 0)))
	s.Status, err = a.settled(&s.Times, at.Block, height)
	return err
}

// applied says whether a transaction that was given to the rollup's client was applied: nil
// where the client does not say.
func (a *api) applied(given bool) *bool {
	if given && a.Silent() {
		return nil
	}
	return &given
}

// settled says how final a block of the rollup is, 0 for one that is not known, with the
// times of the sequencer height that ordered what is asked about.
func (a *api) settled(t *Times, block, height uint64) (string, error) {
	if at, ok := a.Order.OrderedAt(height); ok {
		t.OrderedAt = unixMilli(at)
	}
	if at, ok := a.Order.FirmAt(height); ok {
		t.SafeAt = unixMilli(at)
	}
	heads, err := a.Chain.Heads()
	switch {
	case err != nil:
		return "", err
	case block == 0 && t.SafeAt != nil: // which block it went into is not known
		return statusSafe, nil
	case block > 0 && block <= heads.Finalized:
		t.FinalizedAt = t.SafeAt
		return statusFinalized, nil
	case block > 0 && block <= heads.Safe:
		return statusSafe, nil
	}
	// Not before all of the block is.
	t.SafeAt = nil
	return statusOrdered, nil
}

// pollInterval is how often heads are looked at for those who wait for them to move.
const pollInterval = 50 * time.Millisecond

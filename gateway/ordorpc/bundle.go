package ordorpc

import (
	"context"
	"slices"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/order"
)

// BundleStatus is the answer of ordo_bundleStatus. What is not known is null.
type BundleStatus struct {
	Ref             *Hash           `json:"ref"` // null for bundles that were not sent here
	BundleID        *Hash           `json:"bundleId"`
	Status          string          `json:"status"` // held, received, certified, ordered, safe, finalized or dropped
	Reason          string          `json:"reason"`
	SequencerHeight *hexutil.Uint64 `json:"sequencerHeight"`
	BlockNumber     *hexutil.Uint64 `json:"blockNumber"`
	EndedAt         *hexutil.Uint64 `json:"endedAt"`
	Times
	Transactions []LegTransaction `json:"transactions"` // of this rollup's leg
}

// LegTransaction is what became of one transaction of a leg.
type LegTransaction struct {
	Hash     Hash   `json:"hash"`
	Executed *bool  `json:"executed"` // null as in Status
	Reason   string `json:"reason"`   // why it was ordered and not executed
}

// BundleStatus tells how far a bundle has come that was sent here, by its reference or
// by its ID in the order; null where it is unknown.
func (a *api) BundleStatus(name Hash) (*BundleStatus, error) { return a.bundleStatus(name) }

func (a *api) bundleStatus(name Hash) (*BundleStatus, error) {
	st, ok := a.Gateway.Bundle(name)
	if !ok {
		return a.othersBundle(name)
	}
	s := &BundleStatus{
		Ref: known(st.Ref), BundleID: known(st.ID), Reason: st.Reason, EndedAt: unixMilli(st.Ended),
		Times: Times{ReceivedAt: unixMilli(st.Received), CertifiedAt: unixMilli(st.Certified)}, Transactions: []LegTransaction{},
	}
	for _, tx := range st.Txs {
		s.Transactions = append(s.Transactions, LegTransaction{Hash: tx.Hash, Executed: a.applied(tx.Executed), Reason: tx.Reason})
	}
	switch st.Phase {
	case gateway.BundleHeld:
		s.Status = statusHeld
	case gateway.BundleReceived:
		s.Status = statusReceived
	case gateway.BundleCertified:
		s.Status = statusCertified
	case gateway.BundleDropped:
		s.Status = statusDropped
	case gateway.BundleOrdered:
		return s, a.orderedBundle(s, st.Height, st.Block)
	}
	return s, nil
}

// orderedBundle fills in where the bundle was ordered, and how final that is. What is 0 is
// not known yet.
func (a *api) orderedBundle(s *BundleStatus, height, block uint64) (err error) {
	s.Reason = whyNot(s.Transactions)
	if height > 0 {
		s.SequencerHeight = quantity(height)
		made, err := a.blockOf(height)
		if err != nil {
			return err
		}
		if made > 0 {
			block = made
		}
	}
	if block > 0 {
		s.BlockNumber = quantity(block)
	}
	s.Status, err = a.settled(&s.Times, block, height)
	return err
}

// whyNot returns the first reason where it is known that none of the transactions was executed.
func whyNot(txs []LegTransaction) string {
	if slices.ContainsFunc(txs, func(tx LegTransaction) bool { return tx.Executed == nil || *tx.Executed }) {
		return ""
	}
	for _, tx := range txs {
		if tx.Reason != "" {
			return tx.Reason
		}
	}
	return ""
}

// blockOf returns the number of the block that a sequencer height was made into; 0 where
// it was not yet.
func (a *api) blockOf(height uint64) (uint64, error) {
	heads, err := a.Chain.Heads()
	if err != nil {
		return 0, err
	}
	first, end := uint64(1), heads.Latest+1
	for first < end {
		middle := first + (end-first)/2
		block, ok, err := a.Chain.Block(middle)
		if err != nil || !ok {
			return 0, err
		}
		if block.To < height {
			first = middle + 1
		} else {
			end = middle
		}
	}
	if first > heads.Latest {
		return 0, nil
	}
	return first, nil
}

// othersBundle tells of a bundle that came through another gateway.
func (a *api) othersBundle(name Hash) (*BundleStatus, error) {
	if a.Records == nil {
		return nil, nil
	}
	height, ok, err := a.Records.BundleHeight(order.BundleID(name))
	if err != nil || !ok {
		return nil, err
	}
	s := &BundleStatus{BundleID: known(name), Transactions: []LegTransaction{}}
	return s, a.orderedBundle(s, height, 0)
}

// Bundle is the answer of ordo_getBundle.
type Bundle struct {
	BundleStatus
	Legs []BundleLeg `json:"legs"` // this rollup's; each names all others
}

// GetBundle shows a bundle that was ordered, by its ID or its reference; null where this
// node does not know of it.
func (a *api) GetBundle(ctx context.Context, name Hash) (*Bundle, error) {
	s, err := a.bundleStatus(name)
	if s == nil || err != nil {
		return nil, err
	}
	b := &Bundle{BundleStatus: *s, Legs: []BundleLeg{}}
	if s.SequencerHeight == nil || s.BundleID == nil {
		return b, nil
	}
	var record *Record
	if s.BlockNumber != nil {
		if record, err = a.record(uint64(*s.BlockNumber)); err != nil {
			return nil, err
		}
	}
	legs, err := a.legsAt(ctx, uint64(*s.SequencerHeight), record)
	if err != nil {
		return nil, err
	}
	for _, l := range legs {
		if l.BundleID == *s.BundleID {
			b.Legs = append(b.Legs, l)
		}
	}
	if len(b.Transactions) == 0 { // it came through another gateway
		for _, l := range b.Legs {
			b.Transactions = append(b.Transactions, l.Transactions...)
		}
		b.Reason = whyNot(b.Transactions)
	}
	return b, nil
}

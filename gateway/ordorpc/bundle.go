package ordorpc

import (
	"context"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
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
	Executed bool   `json:"executed"`
	Reason   string `json:"reason"` // why it was ordered and not executed
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
		s.Transactions = append(s.Transactions, LegTransaction{Hash: tx.Hash, Executed: tx.Executed, Reason: tx.Reason})
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

// orderedBundle fills in where the bundle was ordered, and how final that is.
func (a *api) orderedBundle(s *BundleStatus, height, block uint64) (err error) {
	if height > 0 {
		s.SequencerHeight = quantity(height)
	}
	for _, tx := range s.Transactions {
		if !tx.Executed {
			continue
		}
		if at, ok, err := a.Chain.Locate(tx.Hash); err == nil && ok {
			block = at.Block
			break
		}
	}
	if block > 0 {
		s.BlockNumber = quantity(block)
	}
	s.Status, err = a.settled(&s.Times, block, height)
	return err
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
	s := &BundleStatus{BundleID: known(name), Status: statusOrdered, SequencerHeight: quantity(height), Transactions: []LegTransaction{}}
	if at, ok := a.Order.OrderedAt(height); ok {
		s.OrderedAt = unixMilli(at)
	}
	if at, ok := a.Order.FirmAt(height); ok {
		s.SafeAt, s.Status = unixMilli(at), statusSafe
	}
	return s, nil
}

// BundleLeg is a leg of a bundle as the rollup's chain has it.
type BundleLeg struct {
	BundleID        Hash           `json:"bundleId"`
	SequencerHeight hexutil.Uint64 `json:"sequencerHeight"`
	LegIndex        hexutil.Uint64 `json:"legIndex"`
	LegCount        hexutil.Uint64 `json:"legCount"`
	// Legs are all legs of the bundle, this one too, as its payer signed them. Null where
	// the node was not told of the others, as by blocks from before they were.
	Legs []LegInfo `json:"legs"`
	// Terms are the conditions that the leg carries; null for none.
	Terms *TermsInfo `json:"terms"`
	// Void says that the leg's batch does not hold what its owner said it would: it has
	// no transactions.
	Void bool `json:"void"`
	// Applied says that the leg did what it could: with terms all of it, without them at
	// least one transaction. Reason says why not.
	Applied      bool             `json:"applied"`
	Reason       string           `json:"reason"`
	Transactions []LegTransaction `json:"transactions"`
}

// LegInfo is what a bundle's payer signed of one leg.
type LegInfo struct {
	RollupID     Hash           `json:"rollupId"`
	Transactions hexutil.Uint64 `json:"transactions"` // how many, terms included
	Length       hexutil.Uint64 `json:"length"`
	Digest       Hash           `json:"digest"`
}

// TermsInfo are the conditions under which a leg is applied; 0 is no bound.
type TermsInfo struct {
	AllOrNothing      bool           `json:"allOrNothing"`
	MinBlock          hexutil.Uint64 `json:"minBlock"`
	MaxBlock          hexutil.Uint64 `json:"maxBlock"`
	MinTimestamp      hexutil.Uint64 `json:"minTimestamp"`
	MaxTimestamp      hexutil.Uint64 `json:"maxTimestamp"`
	RevertingTxHashes []Hash         `json:"revertingTxHashes"`
}

// BlockBundles is the answer of ordo_getBlockBundles.
type BlockBundles struct {
	BlockNumber          hexutil.Uint64 `json:"blockNumber"`
	BlockHash            Hash           `json:"blockHash"`
	FirstSequencerHeight hexutil.Uint64 `json:"firstSequencerHeight"`
	LastSequencerHeight  hexutil.Uint64 `json:"lastSequencerHeight"`
	Bundles              []BundleLeg    `json:"bundles"` // this rollup's legs, in order
}

// GetBlockBundles shows the legs that a block of the rollup was made from, by number or
// by the tags latest, safe, finalized and earliest; null where there is no such block.
func (a *api) GetBlockBundles(ctx context.Context, at BlockTag) (*BlockBundles, error) {
	number, err := at.resolve(a.Chain)
	if err != nil {
		return nil, err
	}
	block, ok, err := a.Chain.Block(number)
	if err != nil || !ok {
		return nil, err
	}
	legs, err := a.legs(ctx, block)
	if err != nil {
		return nil, err
	}
	return &BlockBundles{
		BlockNumber: hexutil.Uint64(number), BlockHash: Hash(block.Hash),
		FirstSequencerHeight: hexutil.Uint64(block.From), LastSequencerHeight: hexutil.Uint64(block.To), Bundles: legs,
	}, nil
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
	height := uint64(*s.SequencerHeight)
	block, err := a.blocks.get(ctx, height)
	if err != nil {
		return nil, err
	}
	for _, leg := range block.GetLegs() {
		if [32]byte(*s.BundleID) != [32]byte(leg.GetRecord().GetBundleId()) {
			continue
		}
		l, err := a.leg(height, leg, nil)
		if err != nil {
			return nil, err
		}
		for i, tx := range l.Transactions { // the gateway knows why, where it is its own
			if k := slices.IndexFunc(s.Transactions, func(x LegTransaction) bool { return x.Hash == tx.Hash }); k >= 0 && !tx.Executed {
				l.Transactions[i] = s.Transactions[k]
			}
		}
		l.judge()
		b.Legs = append(b.Legs, l)
	}
	if len(s.Transactions) > 0 {
		return b, nil
	}
	for _, l := range b.Legs { // it came through another gateway
		b.Transactions = append(b.Transactions, l.Transactions...)
	}
	return b, a.orderedBundle(&b.BundleStatus, height, 0)
}

// legs returns the legs that a block was made from.
func (a *api) legs(ctx context.Context, block Block) ([]BundleLeg, error) {
	heights, err := a.made(block)
	if err != nil {
		return nil, err
	}
	slices.Reverse(heights)
	var skipped []Skipped
	recorded := false
	if a.Records != nil {
		r, ok, err := a.Records.Record(block.Number)
		if err != nil {
			return nil, err
		}
		skipped, recorded = r.Skipped, ok
	}
	legs := []BundleLeg{}
	for _, height := range heights {
		b, err := a.blocks.get(ctx, height)
		if err != nil {
			return nil, err
		}
		why := make(map[int]string)
		for _, s := range skipped {
			if s.Height == height {
				why[s.Index] = s.Reason
			}
		}
		first := 0
		for _, leg := range b.GetLegs() {
			var left func(int) (string, bool)
			if from := first; recorded {
				left = func(i int) (string, bool) { reason, ok := why[from+i]; return reason, ok }
			}
			l, err := a.leg(height, leg, left)
			if err != nil {
				return nil, err
			}
			first += len(leg.GetTransactions())
			legs = append(legs, l)
		}
	}
	return legs, nil
}

// leg shows a leg. left says of its transactions, by index, why they were left out; nil
// where that is not recorded.
func (a *api) leg(height uint64, leg *orderv1.RollupLeg, left func(int) (reason string, ok bool)) (BundleLeg, error) {
	record, err := order.LegRecordFromProto(leg.GetRecord())
	if err != nil {
		return BundleLeg{}, fmt.Errorf("sequencer block %d: %w", height, err)
	}
	l := BundleLeg{
		BundleID: Hash(record.BundleID), SequencerHeight: hexutil.Uint64(height),
		LegIndex: hexutil.Uint64(record.LegIndex), LegCount: hexutil.Uint64(record.LegCount),
		Void: len(leg.GetTransactions()) == 0, Transactions: []LegTransaction{},
	}
	for _, s := range leg.GetBundle().GetLegs() {
		info := LegInfo{Transactions: hexutil.Uint64(s.GetCount()), Length: hexutil.Uint64(s.GetLength())}
		copy(info.RollupID[:], s.GetRollupId())
		copy(info.Digest[:], s.GetDigest())
		l.Legs = append(l.Legs, info)
	}
	if record.LegCount == 1 {
		l.Legs = []LegInfo{{
			RollupID: Hash(a.Order.Info().RollupID), Transactions: hexutil.Uint64(record.Count),
			Length: hexutil.Uint64(record.Length), Digest: Hash(record.Digest),
		}}
	}
	for i, raw := range leg.GetTransactions() {
		if i == 0 && a.Terms {
			if t, is, err := terms.Decode(raw); is {
				if err == nil {
					l.Terms = termsInfo(t)
				}
				continue
			}
		}
		tx := LegTransaction{Hash: a.Hash(raw)}
		if left != nil {
			reason, out := left(i)
			tx.Executed, tx.Reason = !out, reason
		} else if _, st, ok := a.Gateway.Get(tx.Hash); ok && st.Phase == gateway.PhaseDropped {
			tx.Reason = st.Reason
		} else if _, tx.Executed, err = a.Chain.Locate(tx.Hash); err != nil {
			return BundleLeg{}, err
		}
		l.Transactions = append(l.Transactions, tx)
	}
	l.judge()
	return l, nil
}

// judge says of the leg what follows from its transactions.
func (l *BundleLeg) judge() {
	l.Applied, l.Reason = false, ""
	for _, tx := range l.Transactions {
		if tx.Executed {
			l.Applied = true
		} else if l.Reason == "" {
			l.Reason = tx.Reason
		}
	}
	if l.Applied {
		l.Reason = ""
	}
	if l.Void {
		l.Reason = "the leg is void: its batch does not hold what its owner said it would"
	}
}

func termsInfo(t terms.Terms) *TermsInfo {
	info := &TermsInfo{
		AllOrNothing: t.AllOrNothing, MinBlock: hexutil.Uint64(t.MinBlock), MaxBlock: hexutil.Uint64(t.MaxBlock),
		MinTimestamp: hexutil.Uint64(t.MinTime), MaxTimestamp: hexutil.Uint64(t.MaxTime), RevertingTxHashes: []Hash{},
	}
	for _, h := range t.MayRevert {
		info.RevertingTxHashes = append(info.RevertingTxHashes, h)
	}
	return info
}

// BlockTag is a block's number, or a word for one.
type BlockTag struct {
	word   string
	number Number
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *BlockTag) UnmarshalJSON(raw []byte) error {
	switch word := string(raw); word {
	case `"latest"`, `"safe"`, `"finalized"`, `"earliest"`:
		t.word = word[1 : len(word)-1]
		return nil
	case `"pending"`:
		return fmt.Errorf("the pending block is made of no order yet: want a number, latest, safe, finalized or earliest")
	}
	return t.number.UnmarshalJSON(raw)
}

func (t BlockTag) resolve(c Chain) (uint64, error) {
	if t.word == "" || t.word == "earliest" {
		return uint64(t.number), nil
	}
	heads, err := c.Heads()
	switch t.word {
	case "safe":
		return heads.Safe, err
	case "finalized":
		return heads.Finalized, err
	}
	return heads.Latest, err
}

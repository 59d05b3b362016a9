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
	// least one transaction. Reason says why not. Null where none is known to be.
	Applied      *bool            `json:"applied"`
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

// legs returns the legs that a block was made from.
func (a *api) legs(ctx context.Context, block Block) ([]BundleLeg, error) {
	heights, err := a.made(ctx, block)
	if err != nil {
		return nil, err
	}
	record, err := a.record(block.Number)
	if err != nil {
		return nil, err
	}
	legs := []BundleLeg{}
	for _, height := range slices.Backward(heights) {
		at, err := a.legsAt(ctx, height, record)
		if err != nil {
			return nil, err
		}
		legs = append(legs, at...)
	}
	return legs, nil
}

// record returns what is recorded of a block; nil for nothing.
func (a *api) record(number uint64) (*Record, error) {
	if a.Records == nil {
		return nil, nil
	}
	r, ok, err := a.Records.Record(number)
	if err != nil || !ok {
		return nil, err
	}
	return &r, nil
}

// legsAt returns the legs that a sequencer height holds; record is of the block that was
// made of it, nil where there is none.
func (a *api) legsAt(ctx context.Context, height uint64, record *Record) (legs []BundleLeg, err error) {
	block, err := a.blocks.get(ctx, height)
	if err != nil {
		return nil, err
	}
	skipped := make(map[int]string)
	if record != nil {
		for _, s := range record.Skipped {
			if s.Height == height {
				skipped[s.Index] = s.Reason
			}
		}
	}
	first := 0
	for _, leg := range block.GetLegs() {
		var left func(int) (string, bool)
		if record != nil {
			from := first
			left = func(i int) (string, bool) { reason, ok := skipped[from+i]; return reason, ok }
		}
		l, err := a.leg(height, leg, left)
		if err != nil {
			return nil, err
		}
		first += len(leg.GetTransactions())
		legs = append(legs, l)
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
			tx.Executed, tx.Reason = a.applied(!out), reason
		} else if _, executed, err := a.Chain.Locate(tx.Hash); err != nil {
			return BundleLeg{}, err
		} else if tx.Executed = a.applied(executed); !executed {
			if _, st, _ := a.Gateway.Get(tx.Hash); st.Phase == gateway.PhaseDropped {
				tx.Reason = st.Reason
			}
		}
		l.Transactions = append(l.Transactions, tx)
	}
	l.judge()
	return l, nil
}

// judge says of the leg what follows from its transactions.
func (l *BundleLeg) judge() {
	l.Applied = new(bool)
	for _, tx := range l.Transactions {
		if tx.Executed == nil {
			l.Applied = nil
		} else if *tx.Executed {
			l.Applied = tx.Executed
			break
		}
	}
	if l.Reason = whyNot(l.Transactions); l.Void {
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

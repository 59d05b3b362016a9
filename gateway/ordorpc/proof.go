package ordorpc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// maxSearched bounds the sequencer blocks that are read for one answer.
const maxSearched = 64

// InclusionProof is the answer of ordo_getInclusionProof.
type InclusionProof struct {
	RollupID         Hash           `json:"rollupId"`
	Rollup           string         `json:"rollup"`
	TransactionHash  Hash           `json:"transactionHash"`
	SequencerHeight  hexutil.Uint64 `json:"sequencerHeight"`
	Leg              hexutil.Uint64 `json:"leg"`              // index in rollupBlock.legs
	TransactionIndex hexutil.Uint64 `json:"transactionIndex"` // index in that leg
	RollupBlock      hexutil.Bytes  `json:"rollupBlock"`      // ordo.order.v1.RollupBlock
}

// GetInclusionProof returns what proves to anybody who knows the sequencer chain
// that the transaction was ordered, executed or not.
func (a *api) GetInclusionProof(ctx context.Context, hash Hash) (*InclusionProof, error) {
	f, err := a.find(ctx, hash)
	if err != nil {
		return nil, err
	}
	info := a.Order.Info()
	p := &InclusionProof{
		RollupID: Hash(info.RollupID), Rollup: info.Name, TransactionHash: hash, SequencerHeight: hexutil.Uint64(f.height),
		Leg: hexutil.Uint64(f.index), TransactionIndex: hexutil.Uint64(f.tx),
	}
	p.RollupBlock, err = proto.MarshalOptions{Deterministic: true}.Marshal(f.block)
	if err != nil {
		return nil, fmt.Errorf("encode sequencer block %d: %w", f.height, err)
	}
	return p, nil
}

// found is a transaction in the order.
type found struct {
	block  *orderv1.RollupBlock
	height uint64
	leg    order.LegRecord
	index  int // of the leg in the block
	tx     int // of the transaction in the leg
}

var errNotOrdered = errors.New("transaction is not ordered, as far as this node knows")

// find finds a transaction in the order.
func (a *api) find(ctx context.Context, hash Hash) (*found, error) {
	heights, err := a.heights(ctx, hash)
	if err != nil {
		return nil, err
	}
	for _, height := range heights {
		block, err := a.blocks.get(ctx, height)
		if err != nil {
			return nil, err
		}
		for i, leg := range block.GetLegs() {
			for j, raw := range leg.GetTransactions() {
				if a.Hash(raw) != hash {
					continue
				}
				record, err := order.LegRecordFromProto(leg.GetRecord())
				if err != nil {
					return nil, fmt.Errorf("sequencer block %d: %w", height, err)
				}
				return &found{block: block, height: height, leg: record, index: i, tx: j}, nil
			}
		}
	}
	return nil, fmt.Errorf("transaction %s was not found in the sequencer blocks that its block was made from", hash)
}

// heights returns where a transaction may have been ordered, likely ones first.
func (a *api) heights(ctx context.Context, hash Hash) ([]uint64, error) {
	_, st, _ := a.Gateway.Get(hash)
	place, executed, err := a.Chain.Locate(hash)
	switch {
	case err != nil:
		return nil, err
	case executed && place.Height > 0:
		return []uint64{place.Height}, nil
	case !executed && st.Height == 0:
		return nil, errNotOrdered
	case !executed:
		return []uint64{st.Height}, nil
	}
	block, ok, err := a.Chain.Block(place.Block)
	if err != nil || !ok {
		return nil, errors.Join(err, errNotOrdered)
	}
	heights, err := a.made(ctx, block)
	if err != nil {
		return nil, err
	}
	// It may have been ordered before too, and left out then.
	if slices.Contains(heights, st.Height) {
		return []uint64{st.Height}, nil
	}
	return heights, nil
}

// made returns the sequencer heights that a block may hold legs of, the last first.
func (a *api) made(ctx context.Context, block Block) ([]uint64, error) {
	if err := a.blocks.noted(ctx, block.To); err != nil {
		return nil, err
	}
	var heights []uint64
	if a.Records != nil {
		r, ok, err := a.Records.Record(block.Number)
		if err != nil {
			return nil, err
		}
		if ok {
			heights = slices.Clone(r.Heights)
			slices.Reverse(heights)
			return heights, nil
		}
	}
	for h := block.To; h >= block.From && h > 0 && len(heights) < maxSearched; h-- {
		heights = append(heights, h)
	}
	return heights, nil
}

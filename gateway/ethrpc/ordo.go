package ethrpc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Order is what the door cannot know itself. Methods are called concurrently.
type Order interface {
	// RollupBlock returns what a sequencer height holds for the rollup, with its
	// validator set.
	RollupBlock(ctx context.Context, height uint64) (*orderv1.RollupBlock, error)
	// OrderedAt returns when a height was seen to be ordered; ok is false where it is
	// not remembered.
	OrderedAt(height uint64) (at time.Time, ok bool)
	// FirmAt returns when a height became firm; ok is false where it is not firm or
	// that is not remembered.
	FirmAt(height uint64) (at time.Time, ok bool)
	// Info describes the rollup's node.
	Info() Info
}

// Info describes a rollup's node.
type Info struct {
	RollupID         order.RollupID
	Name             string
	SequencerChainID string
	SequencerHeight  uint64 // latest known
	SoftHeight       uint64 // sequencer height executed
	FirmHeight       uint64 // sequencer height read back from DA
	Version          string
}

// ordoAPI is the namespace ordo: what Ethereum's methods have no words for.
type ordoAPI struct {
	bc      *core.BlockChain
	evm     EVM
	gateway *gateway.Gateway
	order   Order
}

// InfoResult is the answer of ordo_info.
type InfoResult struct {
	RollupID         hexutil.Bytes  `json:"rollupId"`
	Name             string         `json:"name"`
	SequencerChainID string         `json:"sequencerChainId"`
	SequencerHeight  hexutil.Uint64 `json:"sequencerHeight"`
	SoftHeight       hexutil.Uint64 `json:"softHeight"`
	FirmHeight       hexutil.Uint64 `json:"firmHeight"`
	Version          string         `json:"version"`
}

// Info describes the rollup and how far its node is.
func (a *ordoAPI) Info() InfoResult {
	i := a.order.Info()
	return InfoResult{
		RollupID: i.RollupID[:], Name: i.Name, SequencerChainID: i.SequencerChainID, Version: i.Version,
		SequencerHeight: hexutil.Uint64(i.SequencerHeight), SoftHeight: hexutil.Uint64(i.SoftHeight), FirmHeight: hexutil.Uint64(i.FirmHeight),
	}
}

// Status is the answer of ordo_transactionStatus. What is not known is null.
type Status struct {
	Hash             common.Hash     `json:"hash"`
	Status           string          `json:"status"` // received, certified, ordered, safe, finalized or dropped
	Executed         bool            `json:"executed"`
	BlockNumber      *hexutil.Uint64 `json:"blockNumber"`
	BlockHash        *common.Hash    `json:"blockHash"`
	TransactionIndex *hexutil.Uint64 `json:"transactionIndex"`
	SequencerHeight  *hexutil.Uint64 `json:"sequencerHeight"`
	BundleID         *hexutil.Bytes  `json:"bundleId"`
	Reason           string          `json:"reason"`
	ReceivedAt       *hexutil.Uint64 `json:"receivedAt"` // unix time in milliseconds, as all times here
	CertifiedAt      *hexutil.Uint64 `json:"certifiedAt"`
	OrderedAt        *hexutil.Uint64 `json:"orderedAt"`
	SafeAt           *hexutil.Uint64 `json:"safeAt"`
	FinalizedAt      *hexutil.Uint64 `json:"finalizedAt"`
}

// TransactionStatus tells how far a transaction has come; null where it is unknown
// here.
func (a *ordoAPI) TransactionStatus(ctx context.Context, hash common.Hash) (*Status, error) {
	_, st, known := a.gateway.Get(hash)
	s := &Status{Hash: hash, Reason: st.Reason, ReceivedAt: unixMilli(st.Received), CertifiedAt: unixMilli(st.Certified)}
	if st.Bundle != (order.BundleID{}) {
		id := hexutil.Bytes(st.Bundle[:])
		s.BundleID = &id
	}
	if at, ok := a.locate(hash); ok {
		a.executed(ctx, s, at)
		return s, nil
	}
	switch {
	case !known:
		// It came through another gateway, if anybody has it.
		pending, _, err := a.evm.Pending()
		if err != nil {
			return nil, err
		}
		if _, _, _, ok := pending.Transaction(hash); !ok {
			return nil, nil
		}
		s.Status = "certified"
	case st.Phase == gateway.PhaseDropped:
		s.Status = "dropped"
		if st.Height > 0 {
			s.SequencerHeight = quantity(st.Height)
			if at, ok := a.order.OrderedAt(st.Height); ok {
				s.OrderedAt = unixMilli(at)
			}
		}
	case !st.Certified.IsZero():
		s.Status = "certified"
	default:
		s.Status = "received"
	}
	return s, nil
}

// executed fills in what follows from the block that holds the transaction.
func (a *ordoAPI) executed(ctx context.Context, s *Status, at place) {
	number, hash := at.header.Number.Uint64(), at.header.Hash()
	s.Status, s.Executed, s.Reason = "ordered", true, ""
	s.BlockNumber, s.BlockHash, s.TransactionIndex = quantity(number), &hash, quantity(at.index)
	s.SequencerHeight = quantity(at.height)
	s.OrderedAt = unixMilli(time.Unix(int64(at.header.Time), 0))
	if t, ok := a.order.OrderedAt(at.height); ok {
		s.OrderedAt = unixMilli(t)
	}
	if t, ok := a.order.FirmAt(at.height); ok {
		s.SafeAt = unixMilli(t)
	}
	if safe := a.bc.CurrentSafeBlock(); safe != nil && number <= safe.Number.Uint64() {
		s.Status = "safe"
	}
	if final := a.bc.CurrentFinalBlock(); final != nil && number <= final.Number.Uint64() {
		s.Status, s.FinalizedAt = "finalized", s.SafeAt
	}
	if s.BundleID == nil { // it came through another gateway, or before a restart
		if leg, _, _, err := a.leg(ctx, at.height, s.Hash); err == nil {
			id := hexutil.Bytes(leg.GetRecord().GetBundleId())
			s.BundleID = &id
		}
	}
}

// place is where the rollup's chain holds a transaction.
type place struct {
	header *types.Header
	height uint64 // of the sequencer chain
	index  uint64
}

func (a *ordoAPI) locate(hash common.Hash) (place, bool) {
	lookup, _ := a.bc.GetCanonicalTransaction(hash)
	if lookup == nil {
		return place{}, false
	}
	header := a.bc.GetHeader(lookup.BlockHash, lookup.BlockIndex)
	if header == nil || len(header.Extra) != 8 {
		return place{}, false
	}
	return place{header: header, height: binary.BigEndian.Uint64(header.Extra), index: lookup.Index}, true
}

// leg finds the transaction in what the sequencer height holds for the rollup.
func (a *ordoAPI) leg(ctx context.Context, height uint64, hash common.Hash) (*orderv1.RollupLeg, *InclusionProof, *orderv1.RollupBlock, error) {
	block, err := a.order.RollupBlock(ctx, height)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read sequencer block %d: %w", height, err)
	}
	for i, leg := range block.GetLegs() {
		for j, raw := range leg.GetTransactions() {
			if crypto.Keccak256Hash(raw) == hash {
				return leg, &InclusionProof{Leg: hexutil.Uint64(i), TransactionIndex: hexutil.Uint64(j)}, block, nil
			}
		}
	}
	return nil, nil, nil, fmt.Errorf("sequencer block %d does not hold transaction %s", height, hash)
}

// InclusionProof is the answer of ordo_getInclusionProof.
type InclusionProof struct {
	RollupID         hexutil.Bytes  `json:"rollupId"`
	Rollup           string         `json:"rollup"`
	TransactionHash  common.Hash    `json:"transactionHash"`
	SequencerHeight  hexutil.Uint64 `json:"sequencerHeight"`
	Leg              hexutil.Uint64 `json:"leg"`              // index in rollupBlock.legs
	TransactionIndex hexutil.Uint64 `json:"transactionIndex"` // index in that leg
	RollupBlock      hexutil.Bytes  `json:"rollupBlock"`      // ordo.order.v1.RollupBlock
}

// GetInclusionProof returns what proves to anybody who knows the sequencer chain
// that the transaction was ordered, executed or not.
func (a *ordoAPI) GetInclusionProof(ctx context.Context, hash common.Hash) (*InclusionProof, error) {
	var height uint64
	if at, ok := a.locate(hash); ok {
		height = at.height
	} else if _, st, _ := a.gateway.Get(hash); st.Height > 0 {
		height = st.Height
	} else {
		return nil, errors.New("transaction is not ordered, as far as this node knows")
	}
	_, proof, block, err := a.leg(ctx, height, hash)
	if err != nil {
		return nil, err
	}
	info := a.order.Info()
	proof.RollupID, proof.Rollup = info.RollupID[:], info.Name
	proof.TransactionHash, proof.SequencerHeight = hash, hexutil.Uint64(height)
	proof.RollupBlock, err = proto.MarshalOptions{Deterministic: true}.Marshal(block)
	if err != nil {
		return nil, fmt.Errorf("encode sequencer block %d: %w", height, err)
	}
	return proof, nil
}

func quantity(n uint64) *hexutil.Uint64 { return (*hexutil.Uint64)(&n) }

func unixMilli(t time.Time) *hexutil.Uint64 {
	if t.IsZero() {
		return nil
	}
	return quantity(uint64(t.UnixMilli()))
}

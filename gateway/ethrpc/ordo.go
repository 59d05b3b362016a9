package ethrpc

import (
	"context"
	"time"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// Order is what the door cannot know itself.
type Order = ordorpc.Order

// Info describes a rollup's node.
type Info = ordorpc.Info

// ledger is the rollup's chain as the namespace ordo sees it.
type ledger struct {
	*Chain
	evm EVM
}

var _ ordorpc.Chain = ledger{}

// Locate implements ordorpc.Chain.
func (l ledger) Locate(hash [32]byte) (p ordorpc.Place, ok bool, err error) {
	lookup, _ := l.bc.GetCanonicalTransaction(hash)
	if lookup == nil {
		return p, false, nil
	}
	return ordorpc.Place{Block: lookup.BlockIndex, Index: lookup.Index}, true, nil
}

// Block implements ordorpc.Chain.
func (l ledger) Block(number uint64) (b ordorpc.Block, ok bool, err error) {
	header := l.bc.GetHeaderByNumber(number)
	if header == nil {
		return b, false, nil
	}
	b = ordorpc.Block{Number: number, Hash: header.Hash(), Time: blockTime(header)}
	if number == 0 {
		return b, true, nil // made of nothing
	}
	b.To = evm.SequencerHeight(header)
	b.From = b.To
	if parent := l.bc.GetHeaderByNumber(number - 1); parent != nil {
		b.From = evm.SequencerHeight(parent) + 1
	}
	return b, true, nil
}

// Heads implements ordorpc.Chain.
func (l ledger) Heads() (ordorpc.Heads, error) {
	number := func(h *types.Header) uint64 {
		if h == nil {
			return 0
		}
		return h.Number.Uint64()
	}
	return ordorpc.Heads{
		Latest: number(l.bc.CurrentBlock()), Safe: number(l.bc.CurrentSafeBlock()), Finalized: number(l.bc.CurrentFinalBlock()),
	}, nil
}

// Pending implements ordorpc.Chain.
func (l ledger) Pending(hash [32]byte) (bool, error) {
	pending, _, err := l.evm.Pending()
	if err != nil {
		return false, err
	}
	_, _, _, ok := pending.Transaction(hash)
	return ok, nil
}

// backend is what the namespace ordo answers from.
func (s *Server) backend(eth *ethAPI) ordorpc.Backend {
	return ordorpc.Backend{
		Gateway: s.cfg.Gateway, Order: s.cfg.Order, Chain: ledger{s.cfg.Chain, s.cfg.EVM}, Records: s.cfg.Records, Terms: true, Places: s.hub.places, Kick: s.hub.kick,
		MaySendBundle: func(ctx context.Context) error { return mayBundle(ctx, s.cfg.Settings.Bundles) },
		Hash:          func(raw []byte) [32]byte { return crypto.Keccak256Hash(raw) },
		Decode:        func(raw []byte) (gateway.Tx, error) { return eth.door.bundled(raw) },
		Submit:        func(ctx context.Context, raw []byte) ([32]byte, error) { return eth.SendRawTransaction(ctx, raw) },
	}
}

// blockTime returns when the order made the block, in whole seconds.
func blockTime(h *types.Header) time.Time { return time.Unix(int64(h.Time), 0) }

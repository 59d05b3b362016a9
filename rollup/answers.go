package rollup

import (
	"context"
	"fmt"
	"time"

	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// RollupBlock implements ordorpc.Order. This node verified the block when it took it
// in, so its hash is what the answer is checked by, however old it is.
func (n *Node) RollupBlock(ctx context.Context, height uint64) (*orderv1.RollupBlock, error) {
	r, ok, err := n.store.record(height)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("sequencer height %d is not among those that this node remembers", height)
	}
	trust, err := follower.TrustHeader(n.trust.ChainID(), height, r.Hash)
	if err != nil {
		return nil, err
	}
	f, err := follower.New(follower.Config{Rollup: n.id, Endpoints: n.cfg.Sequencers, Trust: trust, Logger: n.log})
	if err != nil {
		return nil, err
	}
	b, err := f.Fetch(ctx, height)
	if err != nil {
		return nil, err
	}
	return b.Proto, nil
}

// OrderedAt implements ordorpc.Order.
func (n *Node) OrderedAt(height uint64) (time.Time, bool) {
	r, ok, err := n.store.record(height)
	return r.SeenAt, ok && err == nil
}

// FirmAt implements ordorpc.Order.
func (n *Node) FirmAt(height uint64) (time.Time, bool) { return n.store.firmAt(height) }

// Info implements ordorpc.Order.
func (n *Node) Info() ordorpc.Info {
	_, height, firm := n.driver.state()
	return ordorpc.Info{
		RollupID: n.id, Name: n.cfg.Name, SequencerChainID: n.trust.ChainID(),
		SequencerHeight: max(height, n.gateway.Height()), SoftHeight: height, FirmHeight: firm, Version: n.version,
		Mode: n.cfg.Execution.Mode, BlockTime: time.Duration(n.cfg.Execution.BlockTime), Payer: n.payer, Domain: n.cfg.Domain.Rollups,
	}
}

// Record implements ordorpc.Records.
func (n *Node) Record(number uint64) (r ordorpc.Record, ok bool, err error) {
	m, ok, err := n.store.made(number)
	if !ok || err != nil {
		return r, false, err
	}
	r.Heights = m.Heights
	for _, s := range m.Skipped {
		r.Skipped = append(r.Skipped, ordorpc.Skipped{Height: s.Height, Index: s.Index, Reason: s.Reason})
	}
	return r, true, nil
}

// BundleHeight implements ordorpc.Records.
func (n *Node) BundleHeight(id order.BundleID) (height uint64, ok bool, err error) {
	return n.store.bundleHeight(id)
}

package ethrpc_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ordo-network/ordo/gateway/ethrpc"
	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// RollupBlock, OrderedAt, FirmAt and Info make it an ethrpc.Order.
func (r *rollup) RollupBlock(_ context.Context, height uint64) (*orderv1.RollupBlock, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.blocks[height]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("no block %d", height)
}

// Record and BundleHeight make it ordorpc.Records.
func (r *rollup) Record(number uint64) (ordorpc.Record, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.made[number]
	return rec, ok, nil
}

func (r *rollup) BundleHeight(id order.BundleID) (uint64, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	height, ok := r.placed[id]
	return height, ok, nil
}

func (r *rollup) OrderedAt(height uint64) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.at[height]
	return at, ok
}

func (r *rollup) FirmAt(height uint64) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at[height].Add(time.Second), height <= r.firm
}

func (r *rollup) Info() ethrpc.Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ethrpc.Info{
		RollupID: rollupID, Name: "alpha", SequencerChainID: sequencerChain,
		SequencerHeight: r.height, SoftHeight: r.height, FirmHeight: r.firm, Version: "test",
	}
}

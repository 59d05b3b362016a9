package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// errNoData is returned where neither a batch nor the proof that it is void can be had
// now.
var errNoData = errors.New("the data cannot be had now")

const (
	// contentBytes bounds what the batches that were asked for last hold together.
	contentBytes = 96 << 20
	// contentBatches bounds their number.
	contentBatches = 1 << 12
	// bundleBytes is about what a bundle takes beside its bytes.
	bundleBytes = 512
	// fetching bounds the batches that are rebuilt at the same time for the latest
	// blocks, and, again, for older ones: who reads what nobody keeps any more must not
	// hold up those at the head.
	fetching = 16
	// latestHeights is how far below the head a block is among the latest.
	latestHeights = 600
	// fetchTimeout bounds one try.
	fetchTimeout = 10 * time.Second
	// failedFor is how long a failed try answers for those that follow.
	failedFor = 500 * time.Millisecond
)

// content is what a batch holds, or proof that it does not hold what its owner said.
type content struct {
	batch *order.Batch       // nil where the shards give none
	void  *orderv1.VoidBatch // nil where the batch is all that its header tells
	size  int                // in memory, about
}

func (c *content) bytes() int { return c.size }

// transactions returns a leg's transactions, nil where the leg is void. The batch
// holds it by the same rule that followers apply: at the place that the record names.
func (c *content) transactions(rollup order.RollupID, r order.LegRecord) [][]byte {
	if c.batch == nil || r.BatchIndex >= uint64(len(c.batch.Bundles)) {
		return nil
	}
	legs := c.batch.Bundles[r.BatchIndex].Legs
	if r.LegIndex >= uint64(len(legs)) {
		return nil
	}
	leg := &legs[r.LegIndex]
	// A batch that is all that its header tells needs no look at the legs.
	if c.void != nil && leg.Summary() != (order.LegSummary{RollupID: rollup, Digest: r.Digest, Length: r.Length, Count: r.Count}) {
		return nil
	}
	return leg.Transactions
}

// batches fetches content, each batch once for all who ask at the same time.
type batches struct {
	source     Batches
	committees *committees
	metrics    *metrics

	recent *cache[order.BatchID, *content]
	failed *cache[order.BatchID, *failure]
	flight singleflight.Group
	slots  [2]chan struct{} // of the latest blocks, and of older ones

	stopping context.Context
	open     sync.RWMutex // held for reading while something is fetched
}

// close returns once nothing is fetched any more. The stopping context has ended.
func (b *batches) close() {
	b.open.Lock()
	defer b.open.Unlock()
}

// failure is a failed try, remembered for a moment.
type failure struct {
	err   error
	until time.Time
}

func (*failure) bytes() int { return 1 }

func newBatches(stopping context.Context, opts Options, m *metrics) *batches {
	return &batches{
		source: opts.Batches, committees: &committees{ask: opts.Committee}, metrics: m, stopping: stopping,
		recent: newCache[order.BatchID, *content](contentBatches, contentBytes),
		failed: newCache[order.BatchID, *failure](contentBatches, contentBatches),
		slots:  [2]chan struct{}{make(chan struct{}, fetching), make(chan struct{}, fetching)},
	}
}

// get returns what the batch holds. Errors: errNoData, those of the context.
func (b *batches) get(ctx context.Context, core order.BatchCore, old bool) (*content, error) {
	id := core.ID()
	if c, ok := b.recent.get(id); ok {
		return c, nil
	}
	if f, ok := b.failed.get(id); ok && time.Now().Before(f.until) {
		return nil, f.err
	}
	// The work goes on for the others who wait for it when this caller goes away.
	ch := b.flight.DoChan(string(id[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(b.stopping, fetchTimeout)
		defer cancel()
		c, err := b.fetch(ctx, core, old)
		if err != nil {
			err = fmt.Errorf("batch %s of epoch %d: %w: %w", core.Position, core.Epoch, errNoData, err)
			b.metrics.batches.WithLabelValues("unavailable").Inc()
			b.failed.replace(id, &failure{err, time.Now().Add(failedFor)})
			return nil, err
		}
		b.recent.put(id, c)
		return c, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-ch:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*content), nil
	}
}

func (b *batches) fetch(ctx context.Context, core order.BatchCore, old bool) (*content, error) {
	slots := b.slots[0]
	if old {
		slots = b.slots[1]
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other batches: %w", ctx.Err())
	}
	b.open.RLock()
	defer b.open.RUnlock()
	if b.stopping.Err() != nil {
		return nil, errClosed
	}
	committee, err := b.committees.at(ctx, core.Epoch)
	if err != nil {
		return nil, fmt.Errorf("read the committee: %w", err)
	}
	start := time.Now()
	batch, void, err := b.source.Batch(ctx, core, committee)
	if err != nil {
		return nil, err
	}
	b.metrics.fetchSeconds.Observe(time.Since(start).Seconds())
	c := &content{batch: batch, void: void}
	outcome := "rebuilt"
	switch {
	case void != nil:
		outcome = "void"
		c.batch, err = opened(core, committee, void)
	case !asTold(core, batch):
		outcome = "altered"
		c.void, err = show(core, committee, batch)
	}
	if err != nil {
		return nil, err
	}
	b.metrics.batches.WithLabelValues(outcome).Inc()
	c.size = bundleBytes
	if c.batch != nil {
		c.size += 2*int(core.Length) + bundleBytes*len(c.batch.Bundles)
	}
	for _, s := range c.void.GetShares() {
		c.size += len(s)
	}
	return c, nil
}

// opened returns what followers will make of the proof, nil where the shards give no
// batch: legs that it does hold must come with their data.
func opened(core order.BatchCore, committee *order.Committee, void *orderv1.VoidBatch) (*order.Batch, error) {
	layout, err := lane.Layout(committee)
	if err != nil {
		return nil, err
	}
	var r shard.Rebuilder
	if err := r.Reset(layout, shard.Root(core.Root), int(core.Length)); err != nil {
		return nil, err
	}
	for _, raw := range void.GetShares() {
		share, err := shard.DecodeShare(raw)
		if err != nil {
			return nil, err
		}
		if err := r.Add(share); err != nil {
			return nil, err
		}
	}
	raw, err := r.Batch()
	if errors.Is(err, shard.ErrVoid) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	batch, err := order.DecodeBatch(raw)
	if err != nil {
		return nil, nil // any bytes can be coded: these are no batch
	}
	return batch, nil
}

// asTold reports whether the batch is what its owner put into the header.
func asTold(core order.BatchCore, batch *order.Batch) bool {
	h := order.BatchHeader{Bundles: make([]order.BundleSummary, len(batch.Bundles))}
	for i, b := range batch.Bundles {
		h.Bundles[i] = b.Summary()
	}
	got := h.Core("")
	return got.Count == core.Count && got.Summaries == core.Summaries
}

// show makes the proof of what a batch really holds. As it is the code of something,
// shards made anew are the committee's own.
func show(core order.BatchCore, committee *order.Committee, batch *order.Batch) (*orderv1.VoidBatch, error) {
	layout, err := lane.Layout(committee)
	if err != nil {
		return nil, err
	}
	var coded shard.Coded
	if err := coded.Encode(layout, batch.Encode()); err != nil {
		return nil, err
	}
	if order.Digest(coded.Root()) != core.Root {
		return nil, fmt.Errorf("it was rebuilt as another: root %x, want %s", coded.Root(), core.Root)
	}
	share, err := coded.Share(shard.Range{Count: layout.DataShards()})
	if err != nil {
		return nil, err
	}
	v := &orderv1.VoidBatch{Core: core.Encode(), Shares: [][]byte{share.Append(nil)}}
	for h := range layout.All {
		v.Holders = append(v.Holders, &orderv1.Holder{Owner: h.Key, Stake: h.Stake})
	}
	return v, nil
}

package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/ordo-network/ordo/dispersal"
	"github.com/ordo-network/ordo/order"
)

// errNoData is returned where neither a batch nor the proof that it is void can be had
// now.
var errNoData = errors.New("the data cannot be had now")

const (
	// fetchingOld bounds the batches of older blocks that are asked for at the same time:
	// who reads what nobody keeps any more must not hold up those at the head.
	fetchingOld = 4
	// latestHeights is how far below the head a block is not old yet.
	latestHeights = 600
	// failedFor is how long a failed try answers for those that follow.
	failedFor = 500 * time.Millisecond
	// failedBatches bounds the failed tries that are remembered.
	failedBatches = 1 << 12
)

// content is what a batch holds, and what shows it where that is not what its header tells.
type content struct {
	batch *order.Batch // nil where the shards give none
	void  bool
	shown *dispersal.Void // of a batch that is void, but in what bare returns
}

// bare returns the content without what shows that it is void, and what that takes on
// its way to a client: as a message, and encoded.
func (c *content) bare() (*content, int64) {
	if !c.void {
		return c, 0
	}
	n := int64(len(c.shown.Holders)) * holderBytes
	for _, s := range c.shown.Shares {
		n += 2 * int64(len(s))
	}
	return &content{batch: c.batch, void: true}, n
}

// holderBytes is about what a shard holder takes in a proof, as dataBytes counts.
const holderBytes = 200

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
	if c.void && leg.Summary() != (order.LegSummary{RollupID: rollup, Digest: r.Digest, Length: r.Length, Count: r.Count}) {
		return nil
	}
	return leg.Transactions
}

// batches asks for batches on behalf of all calls.
type batches struct {
	source     Batches
	committees *committees
	metrics    *metrics

	failed *cache[order.BatchID, failure]
	flight singleflight.Group
	old    chan struct{} // holds a token for each batch of an old block that is asked for

	stopping context.Context
	open     sync.RWMutex // held for reading while a batch is asked for
}

// failure is a failed try, remembered for a moment.
type failure struct {
	err   error
	until time.Time
}

func (failure) bytes() int { return 1 }

func newBatches(stopping context.Context, opts Options, m *metrics) *batches {
	return &batches{
		source: opts.Batches, committees: &committees{ask: opts.Committee}, metrics: m, stopping: stopping,
		failed: newCache[order.BatchID, failure](failedBatches, failedBatches), old: make(chan struct{}, fetchingOld),
	}
}

// close returns once nothing is asked for any more. The stopping context has ended.
func (b *batches) close() {
	b.open.Lock()
	defer b.open.Unlock()
}

// get returns what the batch holds. Errors: errNoData, those of the context.
func (b *batches) get(ctx context.Context, core order.BatchCore, old bool) (*content, error) {
	id := core.ID()
	if f, ok := b.failed.get(id); ok && time.Now().Before(f.until) {
		return nil, f.err
	}
	// The work goes on for the others who wait for it when this caller goes away, and
	// holds its place until it is done.
	ch := b.flight.DoChan(string(id[:]), func() (any, error) {
		b.open.RLock()
		defer b.open.RUnlock()
		c, err := b.fetch(b.stopping, core, old)
		if err != nil {
			err = fmt.Errorf("batch %s of epoch %d: %w: %w", core.Position, core.Epoch, errNoData, err)
			b.metrics.unavailable.Inc()
			b.failed.replace(id, failure{err, time.Now().Add(failedFor)})
		}
		return c, err
	})
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case r := <-ch:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*content), nil
	}
}

// ahead returns what a batch holds that a block is yet to order, which is kept for that block.
// Errors: dispersal.ErrAhead where there is no room for that, and others.
func (b *batches) ahead(ctx context.Context, core order.BatchCore) (*content, error) {
	b.open.RLock()
	defer b.open.RUnlock()
	return b.ask(ctx, core, b.source.Ahead)
}

func (b *batches) fetch(ctx context.Context, core order.BatchCore, old bool) (*content, error) {
	if old {
		select {
		case b.old <- struct{}{}:
			defer func() { <-b.old }()
		case <-ctx.Done():
		}
	}
	return b.ask(ctx, core, b.source.Batch)
}

// ask has the source give the batch, unless the server is stopping.
func (b *batches) ask(ctx context.Context, core order.BatchCore, source func(context.Context, order.BatchCore, *order.Committee) (*order.Batch, *dispersal.Void, error)) (*content, error) {
	if b.stopping.Err() != nil {
		return nil, errClosed
	}
	committee, err := b.committees.at(ctx, core.Epoch)
	if err != nil {
		return nil, fmt.Errorf("read the committee: %w", err)
	}
	c := new(content)
	c.batch, c.shown, err = source(ctx, core, committee)
	c.void = c.shown != nil
	return c, err
}

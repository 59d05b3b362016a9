package dispersal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

var (
	// ErrNoShare is returned by a source that cannot give the share.
	ErrNoShare = errors.New("no such share here")
	// ErrUnavailable is returned for a batch of which too few shares could be had now.
	ErrUnavailable = errors.New("too few shares can be had, try again later")
	// ErrAhead is returned for a batch that is wanted ahead of its block, where too many are
	// held that are.
	ErrAhead = errors.New("too many batches wait for the blocks that order them")
)

// ShareSource gives shares of batches.
type ShareSource interface {
	// Share returns, as docs/spec/shards.md encodes it, the share of the batch that the
	// holder has. It may return anything else as well: shares are verified. The bytes stay
	// as they are until release is called, once; it is nil with an error, and where nothing waits
	// for it. Share returns soon after the context has ended. Errors: ErrNoShare, and others.
	Share(ctx context.Context, holder order.Owner, core order.BatchCore) (share []byte, release func(), err error)
}

// Void shows that a batch is not what its header says: whoever has it rebuilds the batch
// from the shares, and sees.
type Void struct {
	Core    order.BatchCore
	Holders []shard.Holder // of the epoch, by key: the erasure root covers them
	Shares  [][]byte       // encoded, verified against the root, of exactly the shards that rebuild
}

// Message returns the proof as followers take it.
func (v *Void) Message() *orderv1.VoidBatch {
	m := &orderv1.VoidBatch{Core: v.Core.Encode(), Shares: v.Shares}
	for _, h := range v.Holders {
		m.Holders = append(m.Holders, &orderv1.Holder{Owner: h.Key, Stake: h.Stake})
	}
	return m
}

// RetrieverOptions are what a Retriever works with.
type RetrieverOptions struct {
	ChainID string
	Self    order.Owner // who is asked first, as this node; zero on a full node
	// Sources are asked in this order for a holder's share, the next one where the one
	// before does not give it.
	Sources    []ShareSource
	CacheBytes int64         // of batches in memory; default 64 MiB
	Concurrent int           // batches rebuilt at a time; default 8
	Hedge      time.Duration // after which, at the soonest, more holders are asked than should be enough; default 150 ms
	Timeout    time.Duration // of one batch; default 30 s

	Logger     *slog.Logger          // may be nil
	Registerer prometheus.Registerer // may be nil
}

// Retriever rebuilds batches from shards. It may be used by many goroutines.
type Retriever struct {
	o       RetrieverOptions
	metrics *metrics
	layouts *layouts
	slots   chan struct{} // holds a token for each batch being rebuilt
	flights singleflight.Group
	memory  sync.Pool // of *shard.Rebuilder
	cache   *cache

	patience patience
}

// NewRetriever makes a retriever for a node that has no lane of its own.
func NewRetriever(o RetrieverOptions) (*Retriever, error) {
	m := newMetrics()
	if err := m.register(o.Registerer); err != nil {
		return nil, err
	}
	return newRetriever(o, m, new(layouts)), nil
}

func newRetriever(o RetrieverOptions, m *metrics, l *layouts) *Retriever {
	if o.CacheBytes == 0 {
		o.CacheBytes = 64 << 20
	}
	if o.Concurrent == 0 {
		o.Concurrent = 8
	}
	if o.Hedge == 0 {
		o.Hedge = 150 * time.Millisecond
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Retriever{
		o: o, metrics: m, layouts: l, slots: make(chan struct{}, o.Concurrent),
		memory: sync.Pool{New: func() any { return new(shard.Rebuilder) }}, cache: newCache(o.CacheBytes),
	}
}

// Batch returns the batch of that core, whose committee is that of its epoch. Where the
// batch is void it also returns the proof, and the batch only if it decodes: some of
// its legs may be what the header says, and those count. Whoever asks for a batch that is
// being rebuilt waits for the same answer. The result is shared: it must not be changed.
// Errors: ErrUnavailable, order.ErrEpoch, shard.ErrLength, the context's.
func (r *Retriever) Batch(ctx context.Context, core order.BatchCore, committee *order.Committee) (*order.Batch, *Void, error) {
	if err := sameEpoch(core, committee); err != nil {
		return nil, nil, err
	}
	id := core.ID()
	if found := r.cache.get(id); found != nil {
		r.metrics.cacheHits.Inc()
		return found.batch, found.void, nil
	}
	return r.fly(ctx, core, committee)
}

// Ahead returns the batch as Batch does, and holds it in memory until Batch is called for it, or
// for three seconds. Who asks is ahead of the block that orders the batch: where memory is full of
// others that wait for their blocks nothing is rebuilt, for it would be forgotten before it is
// needed, and the work done twice. Errors: ErrAhead, those of Batch.
func (r *Retriever) Ahead(ctx context.Context, core order.BatchCore, committee *order.Committee) (*order.Batch, *Void, error) {
	if err := sameEpoch(core, committee); err != nil {
		return nil, nil, err
	}
	found, ok := r.cache.expect(core.ID(), int64(core.Length), time.Now())
	if !ok {
		return nil, nil, fmt.Errorf("batch %s: %w", core.Position, ErrAhead)
	}
	if found != nil {
		r.metrics.cacheHits.Inc()
		return found.batch, found.void, nil
	}
	return r.fly(ctx, core, committee)
}

func sameEpoch(core order.BatchCore, committee *order.Committee) error {
	if core.Epoch != committee.Epoch {
		return fmt.Errorf("batch of epoch %d, committee of epoch %d: %w", core.Epoch, committee.Epoch, order.ErrEpoch)
	}
	return nil
}

// fly rebuilds the batch, or waits for who does.
func (r *Retriever) fly(ctx context.Context, core order.BatchCore, committee *order.Committee) (*order.Batch, *Void, error) {
	id := core.ID()
	done := r.flights.DoChan(string(id[:]), func() (any, error) {
		// It goes on where one of those who wait gives up.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.Timeout)
		defer cancel()
		if found := r.cache.peek(id); found != nil {
			return found, nil // another flight ended between the look into the cache and this one
		}
		found, err := r.rebuild(ctx, core, committee)
		if err != nil {
			// Who asks from now on makes a flight of its own, which gives back the room that it
			// expects to fill; who has joined this one has that given back here.
			r.flights.Forget(string(id[:]))
			r.cache.fail(id)
			return nil, err
		}
		r.cache.add(found, time.Now())
		return found, nil
	})
	select {
	case result := <-done:
		if result.Err != nil {
			return nil, nil, fmt.Errorf("retrieve batch %s: %w", core.Position, result.Err)
		}
		found := result.Val.(*cached)
		return found.batch, found.void, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// Keep puts a batch into memory that this node made itself.
func (r *Retriever) Keep(id order.BatchID, b *order.Batch, size int) {
	r.cache.add(&cached{id: id, batch: b, size: int64(size)}, time.Now())
}

func (r *Retriever) rebuild(ctx context.Context, core order.BatchCore, committee *order.Committee) (*cached, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for other batches: %w", ErrUnavailable)
	}
	layout, err := r.layouts.get(committee)
	if err != nil {
		return nil, err
	}
	memory := r.memory.Get().(*shard.Rebuilder)
	defer func() {
		memory.Clear()
		r.memory.Put(memory)
	}()
	if core.Length > shard.MaxBatchBytes {
		return nil, fmt.Errorf("batch of %d bytes: %w", core.Length, shard.ErrLength)
	}
	if err := memory.Reset(layout, shard.Root(core.Root), int(core.Length)); err != nil {
		return nil, err
	}
	g := &gathering{r: r, core: core, layout: layout, memory: memory}
	defer g.release()
	if err := g.run(ctx); err != nil {
		return nil, err
	}
	r.metrics.retrieved.Inc()
	found := &cached{id: core.ID(), size: int64(core.Length)}
	raw, err := memory.Batch()
	if err == nil {
		found.batch, err = r.open(core, raw)
	} else if !errors.Is(err, shard.ErrVoid) {
		return nil, err
	}
	if err != nil {
		r.metrics.voids.Inc()
		r.o.Logger.Warn("a certified batch is void", "position", core.String(), "reason", err)
		shares, err := g.proof()
		if err != nil {
			return nil, err
		}
		found.void = &Void{Core: core, Shares: shares}
		for holder := range layout.All {
			found.void.Holders = append(found.void.Holders, holder)
		}
		for _, s := range shares {
			found.size += int64(len(s))
		}
	}
	return found, nil
}

// open decodes a batch and holds it against the summaries in its header. A batch that
// decodes is returned in either case.
func (r *Retriever) open(core order.BatchCore, raw []byte) (*order.Batch, error) {
	batch, err := order.DecodeBatch(raw)
	if err != nil {
		return nil, err
	}
	h := order.BatchHeader{Position: core.Position, After: core.After, Epoch: core.Epoch, Root: core.Root, Length: core.Length}
	for _, b := range batch.Bundles {
		h.Bundles = append(h.Bundles, b.Summary())
	}
	if h.Core(r.o.ChainID) != core {
		return batch, fmt.Errorf("its bundles are not those of its header: %w", order.ErrInvalid)
	}
	return batch, nil
}

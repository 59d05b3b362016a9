package follower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Config of a Follower. Rollup, Endpoints and Trust are needed; the rest may be zero.
type Config struct {
	Rollup    order.RollupID
	Endpoints []string // base URLs of SequencerService, the preferred first
	Trust     Trust
	// Checkpoint is a block that was verified before, of the same chain. It is used
	// where it lies below what is asked for, and saves the way from Trust.
	Checkpoint Checkpoint
	Options    Options

	HTTPClient connect.HTTPClient
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
	Random     func() float64 // in [0, 1)

	// StallAfter is how long a stream may be silent before other endpoints are asked
	// whether they are ahead. The chain makes a block each second at least.
	StallAfter time.Duration
	// AvoidLiar is how long an endpoint whose block did not verify is left alone.
	AvoidLiar time.Duration
}

// Defaults of Config.
const (
	DefaultStallAfter = 3 * time.Second
	DefaultAvoidLiar  = 10 * time.Minute
)

const (
	// queueBlocks is how many verified blocks may wait for the handler.
	queueBlocks = 8
	// queueBytes bounds what those that wait hold together, and the one that the handler has.
	queueBytes = 2 * MaxBlockBytes
)

// Follower reads the soft order of one rollup from sequencer nodes.
type Follower struct {
	cfg       Config
	endpoints *endpoints
	metrics   metrics
	head      atomic.Pointer[Checkpoint] // last block that Run verified
}

// New checks the config and returns a Follower. It opens no connection.
func New(cfg Config) (*Follower, error) {
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("follower: no sequencer endpoints are configured; give at least one URL")
	}
	for _, e := range cfg.Endpoints {
		if u, err := url.Parse(e); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return nil, fmt.Errorf("follower: endpoint %q is not a URL like http://127.0.0.1:26670", e)
		}
	}
	if cfg.Rollup == (order.RollupID{}) {
		return nil, errors.New("follower: no rollup is given")
	}
	if cfg.Trust.chainID == "" {
		return nil, errors.New("follower: nothing is trusted; give a genesis, or a height and hash")
	}
	if cp := cfg.Checkpoint; !cp.IsZero() && cp.ChainID() != cfg.Trust.chainID {
		return nil, fmt.Errorf("follower: checkpoint is of chain %q, trusted is %q", cp.ChainID(), cfg.Trust.chainID)
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Float64
	}
	if cfg.StallAfter <= 0 {
		cfg.StallAfter = DefaultStallAfter
	}
	if cfg.AvoidLiar <= 0 {
		cfg.AvoidLiar = DefaultAvoidLiar
	}
	return &Follower{cfg: cfg, endpoints: newEndpoints(cfg), metrics: newMetrics(cfg.Registerer)}, nil
}

// Run reads from the height on and hands each block to handle, in order, without
// gap or repeat, one at a time. It verifies a few blocks ahead of the handler. It
// returns when ctx is done (its error), when handle fails (the handler's error),
// or when no endpoint could help: ErrExpired, or ErrHeight for a height below
// what is trusted.
func (f *Follower) Run(ctx context.Context, from uint64, handle func(context.Context, *Block) error) error {
	v, err := f.verifier(from)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	queue := &queue{blocks: make(chan *Block, queueBlocks), room: semaphore.NewWeighted(queueBytes)}
	g.Go(func() error { return f.read(ctx, v, from, queue) })
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case b := <-queue.blocks:
				if err := handle(ctx, b); err != nil {
					return err
				}
				queue.room.Release(b.weight())
			}
		}
	})
	return g.Wait()
}

// queue is what waits for the handler.
type queue struct {
	blocks chan *Block
	room   *semaphore.Weighted // bytes
}

func (q *queue) put(ctx context.Context, b *Block) error {
	if err := q.room.Acquire(ctx, b.weight()); err != nil {
		return err
	}
	select {
	case q.blocks <- b:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// verifier returns one that starts from the highest trusted block below the height.
func (f *Follower) verifier(height uint64) (*Verifier, error) {
	trust := f.cfg.Trust
	known := []Checkpoint{f.cfg.Checkpoint}
	if head := f.head.Load(); head != nil {
		known = append(known, *head)
	}
	for _, cp := range known {
		if !cp.IsZero() && cp.Height() >= trust.height && cp.Height() < height {
			trust = trustCheckpoint(cp)
		}
	}
	v := NewVerifier(f.cfg.Rollup, trust, f.cfg.Options)
	if height < v.Height() {
		return nil, fmt.Errorf("read from height %d: the lowest that the trusted block leads to is %d: %w", height, v.Height(), ErrHeight)
	}
	return v, nil
}

// read puts verified blocks into the queue, from whichever endpoint gives them.
func (f *Follower) read(ctx context.Context, v *Verifier, from uint64, queue *queue) error {
	for {
		e, wait := f.endpoints.pick(f.cfg.Now())
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		s := &stream{f: f, endpoint: e, verifier: v, queue: queue}
		err := s.run(ctx, from)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, ErrExpired) {
			return err
		}
		f.giveUp(e, err)
	}
}

// giveUp notes, logs and counts why an endpoint is left.
func (f *Follower) giveUp(e *endpoint, err error) {
	wait := f.endpoints.failed(e, err, f.cfg.Now())
	log := f.cfg.Logger.With("endpoint", e.url, "error", err, "avoid_for", wait.Round(time.Millisecond))
	cause := "error"
	switch {
	case errors.Is(err, errLie):
		cause = "lie"
		f.metrics.refused.WithLabelValues(reason(err)).Inc()
		log.Error("sequencer endpoint sent what does not verify", "reason", reason(err))
	case errors.Is(err, ErrFuture):
		cause = "future"
		f.metrics.refused.WithLabelValues(reason(err)).Inc()
		log.Warn("block from the future: is the clock of this machine right?")
	case errors.Is(err, errStalled):
		cause = "stalled"
		log.Warn("sequencer endpoint stalled")
	case errors.Is(err, errEnded):
		cause = "ended"
		log.Warn("sequencer endpoint ended its stream")
	default:
		log.Warn("sequencer endpoint failed")
	}
	f.metrics.failovers.WithLabelValues(cause).Inc()
}

// Fetch returns the verified block at a height, which must not lie below what is
// trusted. It tries each endpoint once, those in bad standing last. Safe to call
// beside Run.
func (f *Follower) Fetch(ctx context.Context, height uint64) (*Block, error) {
	var errs []error
	ready, waiting := f.endpoints.split(f.cfg.Now())
	for _, e := range append(ready, waiting...) {
		v, err := f.verifier(height)
		if err != nil {
			return nil, err
		}
		b, err := f.fetch(ctx, e, v, height)
		if err == nil {
			return b, nil
		}
		if ctx.Err() != nil || errors.Is(err, ErrExpired) {
			return nil, err
		}
		if errors.Is(err, errLie) {
			f.giveUp(e, err)
		}
		errs = append(errs, fmt.Errorf("%s: %w", e.url, err))
	}
	return nil, fmt.Errorf("fetch block %d: %w", height, errors.Join(errs...))
}

func (f *Follower) fetch(ctx context.Context, e *endpoint, v *Verifier, height uint64) (*Block, error) {
	if err := f.skip(ctx, e, v, height); err != nil {
		return nil, err
	}
	rb, err := e.block(ctx, f.cfg.Rollup, height)
	if err != nil {
		return nil, err
	}
	b, err := v.Next(rb, f.cfg.Now())
	return b, lieUnlessOurs(err)
}

// skip moves the verifier up to the height by headers alone.
func (f *Follower) skip(ctx context.Context, e *endpoint, v *Verifier, height uint64) error {
	if v.Height() >= height {
		return nil
	}
	var fetchErr error
	err := v.Skip(ctx, height-1, f.cfg.Now, func(ctx context.Context, h uint64) (rb *orderv1.RollupBlock, err error) {
		rb, fetchErr = e.block(ctx, f.cfg.Rollup, h)
		return rb, fetchErr
	})
	if err != nil && fetchErr != nil {
		return fetchErr
	}
	return lieUnlessOurs(err)
}

// lieUnlessOurs marks an error of verification as the endpoint's lie, but where
// it may be this side's clock or trust that is wrong.
func lieUnlessOurs(err error) error {
	if err == nil || errors.Is(err, ErrFuture) || errors.Is(err, ErrExpired) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", err, errLie)
}

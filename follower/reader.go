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

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/ordo-network/ordo/internal/pause"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

const (
	// queueBlocks is how many verified blocks may wait for the handler.
	queueBlocks = 8
	// queueBytes bounds what those that wait hold together, and the one that the handler has.
	queueBytes = 2 * MaxBlockBytes
)

// reader is what readers of the soft order have in common: whom they ask, and what they
// have verified.
type reader struct {
	cfg       Config
	endpoints *endpoints
	metrics   metrics
	head      atomic.Pointer[Checkpoint] // last block that was verified
}

// init checks the config; who names the reader in errors.
func (r *reader) init(who string, cfg Config) error {
	if len(cfg.Endpoints) == 0 {
		return errors.New(who + ": no sequencer endpoints are configured; give at least one URL")
	}
	for _, e := range cfg.Endpoints {
		if u, err := url.Parse(e); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return fmt.Errorf("%s: endpoint %q is not a URL like http://127.0.0.1:26670", who, e)
		}
	}
	if cfg.Rollup == (order.RollupID{}) {
		return errors.New(who + ": no rollup is given")
	}
	if cfg.Trust.chainID == "" {
		return errors.New(who + ": nothing is trusted; give a genesis, or a height and hash")
	}
	if cp := cfg.Checkpoint; !cp.IsZero() && cp.ChainID() != cfg.Trust.chainID {
		return fmt.Errorf("%s: checkpoint is of chain %q, trusted is %q", who, cp.ChainID(), cfg.Trust.chainID)
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
	r.cfg, r.endpoints, r.metrics = cfg, newEndpoints(cfg), newMetrics(cfg.Registerer)
	return nil
}

// queue is what waits for the handler.
type queue[T any] struct {
	blocks chan queued[T]
	room   *semaphore.Weighted // bytes
}

type queued[T any] struct {
	what   T
	weight int64
}

func (q *queue[T]) put(ctx context.Context, what T, weight int64) error {
	if err := q.room.Acquire(ctx, weight); err != nil {
		return err
	}
	select {
	case q.blocks <- queued[T]{what, weight}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// consume hands to handle what read puts into a queue, one at a time, until one of them fails.
func consume[T any](ctx context.Context, handle func(context.Context, T) error, read func(context.Context, *queue[T]) error) error {
	g, ctx := errgroup.WithContext(ctx)
	q := &queue[T]{blocks: make(chan queued[T], queueBlocks), room: semaphore.NewWeighted(queueBytes)}
	g.Go(func() error { return read(ctx, q) })
	g.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case b := <-q.blocks:
				if err := handle(ctx, b.what); err != nil {
					return err
				}
				q.room.Release(b.weight)
			}
		}
	})
	return g.Wait()
}

// headersBelow starts from the highest trusted block below the height.
func (r *reader) headersBelow(height uint64) (headers, error) {
	trust := r.cfg.Trust
	known := []Checkpoint{r.cfg.Checkpoint}
	if head := r.head.Load(); head != nil {
		known = append(known, *head)
	}
	for _, cp := range known {
		if !cp.IsZero() && cp.Height() >= trust.height && cp.Height() < height {
			trust = trustCheckpoint(cp)
		}
	}
	v := newHeaders(trust, r.cfg.Options)
	if height < v.Height() {
		return v, fmt.Errorf("read from height %d: the lowest that the trusted block leads to is %d: %w", height, v.Height(), ErrHeight)
	}
	return v, nil
}

// read has stream read from one endpoint after the other, until ctx is done or no other
// endpoint would help.
func (r *reader) read(ctx context.Context, stream func(*endpoint) error) error {
	for {
		e, wait := r.endpoints.pick(r.cfg.Now())
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
		err := stream(e)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, ErrExpired) {
			return err
		}
		r.giveUp(e, err)
	}
}

// giveUp notes, logs and counts why an endpoint is left.
func (r *reader) giveUp(e *endpoint, err error) {
	wait := r.endpoints.failed(e, err, r.cfg.Now())
	log := r.cfg.Logger.With("endpoint", e.url, "error", err, "avoid_for", wait.Round(time.Millisecond))
	cause := "error"
	switch {
	case errors.Is(err, errLie):
		cause = "lie"
		r.metrics.refused.WithLabelValues(reason(err)).Inc()
		log.Error("sequencer endpoint sent what does not verify", "reason", reason(err))
	case errors.Is(err, ErrFuture):
		cause = "future"
		r.metrics.refused.WithLabelValues(reason(err)).Inc()
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
	r.metrics.failovers.WithLabelValues(cause).Inc()
}

// skip moves the verifier up to the height by headers alone.
func (r *reader) skip(ctx context.Context, e *endpoint, v *headers, height uint64) error {
	if v.Height() >= height {
		return nil
	}
	var fetchErr error
	err := v.skip(ctx, height-1, r.cfg.Now, func(ctx context.Context, h uint64) (rb *orderv1.RollupBlock, err error) {
		rb, fetchErr = e.block(ctx, r.cfg.Rollup, h)
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

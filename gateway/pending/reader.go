package pending

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/order"
)

// Source is a sequencer node. gateway.Remote is one.
type Source interface {
	// String names the node in logs.
	String() string
	// Subscribe calls opened once the node answers, and yield for each batch that
	// becomes certified from then on. It ends with an error when the node fails, yield
	// does, or ctx ends.
	Subscribe(ctx context.Context, rollup order.RollupID, opened func(), yield func(gateway.Certified) error) error
}

const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// errLeft ends a stream whose node says what does not come true.
var errLeft = errors.New("too much of what it called certified was never ordered")

// reader reads one source at a time, and goes on to the next when that fails. It
// holds no more than one message.
type reader struct {
	rollup  order.RollupID
	sources []Source
	log     *slog.Logger
	metrics *metrics
	random  func() float64
	opened  func()
	yield   func(source int, b gateway.Certified)

	mu      sync.Mutex
	current int
	cancel  context.CancelCauseFunc // of the stream
}

// run reads until ctx ends.
func (r *reader) run(ctx context.Context) {
	failures := 0 // in a row
	for source := 0; ctx.Err() == nil; source = (source + 1) % len(r.sources) {
		err := r.stream(ctx, source, func() {
			failures = 0
			r.opened()
			r.metrics.connected.Set(1)
			r.log.Debug("reads certified bundles", "sequencer", r.sources[source].String())
		})
		r.metrics.connected.Set(0)
		if ctx.Err() != nil {
			return
		}
		r.metrics.failovers.Inc()
		if failures == 0 || errors.Is(err, errLeft) {
			r.log.Warn("no certified bundles from this sequencer: the pending block waits for another", "sequencer", r.sources[source].String(), "err", err)
		}
		failures++
		wait := time.NewTimer(r.backoff(failures - len(r.sources) + 1))
		select {
		case <-ctx.Done():
			wait.Stop()
		case <-wait.C:
		}
	}
}

// backoff returns the wait after that many failures beyond one of each source.
func (r *reader) backoff(failures int) time.Duration {
	wait := min(maxBackoff, minBackoff<<min(max(failures, 0), 10))
	return time.Duration(float64(wait) * (0.5 + r.random())) // spreads those that lost the same node
}

func (r *reader) stream(ctx context.Context, source int, opened func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.mu.Lock()
	r.current, r.cancel = source, cancel
	r.mu.Unlock()
	err := r.sources[source].Subscribe(ctx, r.rollup, opened, func(b gateway.Certified) error {
		r.yield(source, b)
		return nil
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// leave ends the stream of the source, if that is the one being read.
func (r *reader) leave(source int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == source && r.cancel != nil {
		r.cancel(errLeft)
	}
}

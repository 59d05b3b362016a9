package follower

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/internal/pause"
)

const (
	// aheadHeights is how many DA heights are fetched before their turn.
	aheadHeights = 4
	// aheadBytes bounds what they hold together, as far as the last one tells.
	aheadBytes = 64 << 20
	// minRetry and maxRetry bound the wait between two tries to get something from a layer.
	minRetry = 200 * time.Millisecond
	maxRetry = 15 * time.Second
)

// tail fetches what stands under a namespace of a layer. It tries until it gets it.
type tail struct {
	layer da.Layer
	ns    da.Namespace
	retry time.Duration
	log   *slog.Logger
	head  atomic.Uint64 // of the layer, as far as is known

	answered atomic.Bool // head is what the layer said

	mu      sync.Mutex
	failing time.Time // since when the layer does not answer
}

// fetched is what the namespace holds at a height.
type fetched struct {
	height uint64
	blobs  []da.Stored
	gone   bool // the layer answers, but does not give the height
}

func (f fetched) bytes() (n int64) {
	for _, b := range f.blobs {
		n += int64(len(b.Data))
	}
	return n
}

// follow fetches all heights above the one given, as the layer makes them, in order.
func (t *tail) follow(ctx context.Context, after uint64) <-chan fetched {
	return t.fetch(ctx, t.blobs, func(yield func(uint64) bool) {
		if t.greet(ctx, after) != nil {
			return
		}
		for h := after + 1; ; h++ {
			if h > t.head.Load() && t.waitHead(ctx, h-1) != nil {
				return
			}
			if !yield(h) {
				return
			}
		}
	})
}

// lookBack fetches heights that were read before.
func (t *tail) lookBack(ctx context.Context, heights iter.Seq[uint64]) <-chan fetched {
	return t.fetch(ctx, t.oldBlobs, heights)
}

// fetch fetches heights by get, a few at the same time, and hands them over in order. The
// channel is closed after the last, or when ctx is done.
func (t *tail) fetch(ctx context.Context, get func(context.Context, *fetched) error, heights iter.Seq[uint64]) <-chan fetched {
	coming, out := make(chan future, aheadHeights-1), make(chan fetched)
	room, last := semaphore.NewWeighted(aheadBytes), new(atomic.Int64)
	go func() {
		defer close(coming)
		for h := range heights {
			one := future{made: make(chan fetched, 1), weight: min(last.Load(), aheadBytes)}
			if room.Acquire(ctx, one.weight) != nil {
				return
			}
			go func() {
				defer close(one.made)
				if f := (fetched{height: h}); get(ctx, &f) == nil {
					last.Store(f.bytes())
					one.made <- f
				}
			}()
			select {
			case coming <- one:
			case <-ctx.Done():
				<-one.made
				return
			}
		}
	}()
	go func() {
		defer close(out)
		for one := range coming {
			f, ok := <-one.made
			if !ok {
				continue // ctx is done: so will be the others
			}
			select {
			case out <- f:
				room.Release(one.weight)
			case <-ctx.Done():
			}
		}
	}()
	return out
}

// future is a height that is being fetched.
type future struct {
	made   chan fetched
	weight int64 // what it was expected to hold
}

// greet returns when the layer's head is not below what was read.
func (t *tail) greet(ctx context.Context, read uint64) error {
	return t.ask(ctx, "its head", func() error {
		head, err := t.layer.Head(ctx)
		if err != nil {
			return err
		}
		if head < read {
			return fmt.Errorf("its head is %d, but %d was read before: is it another layer?", head, read)
		}
		t.head.Store(head)
		t.answered.Store(true)
		return nil
	})
}

// waitHead returns when the layer's head is above what was read.
func (t *tail) waitHead(ctx context.Context, read uint64) error {
	return t.ask(ctx, "its head", func() error {
		head, err := t.layer.WaitHead(ctx, read)
		if err != nil {
			return err
		}
		if head <= read {
			return da.ErrNotYet
		}
		t.head.Store(head)
		return nil
	})
}

func (t *tail) blobs(ctx context.Context, f *fetched) error {
	return t.ask(ctx, fmt.Sprintf("blobs at height %d", f.height), func() (err error) {
		f.blobs, err = t.layer.Blobs(ctx, f.height, t.ns)
		return err
	})
}

// fill gets the data of a blob that its layer has left out, for there is much at its height.
// It reports whether there is any.
func (t *tail) fill(ctx context.Context, b *da.Stored) bool {
	if b.Data != nil {
		return true
	}
	err := t.ask(ctx, fmt.Sprintf("a blob at height %d", b.Height), func() (err error) {
		b.Data, err = t.layer.Get(ctx, t.ns, b.Ref)
		if errors.Is(err, da.ErrNotFound) {
			return nil
		}
		return err
	})
	return err == nil && b.Data != nil
}

// oldTries is how often a layer that answers is asked for a height that it once gave.
const oldTries = 3

// oldBlobs is blobs for a height that the layer may have forgotten: it is gone where the
// layer tells its head and not what is there, several times.
func (t *tail) oldBlobs(ctx context.Context, f *fetched) error {
	tries := 0
	return t.ask(ctx, fmt.Sprintf("blobs at height %d", f.height), func() (err error) {
		if f.blobs, err = t.layer.Blobs(ctx, f.height, t.ns); err == nil {
			return nil
		}
		if _, headErr := t.layer.Head(ctx); headErr != nil {
			return err
		}
		if tries++; tries < oldTries {
			return err
		}
		f.gone = true
		return nil
	})
}

// ask calls fn until the layer answers. It only fails when ctx is done.
func (t *tail) ask(ctx context.Context, what string, fn func() error) error {
	wait := t.retry
	for {
		err := fn()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			t.answers()
			return nil
		}
		if !errors.Is(err, da.ErrNotYet) { // another node behind the same address may be behind
			t.silent(what, err)
			wait = min(2*wait, maxRetry)
		}
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
}

func (t *tail) silent(what string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failing.IsZero() {
		t.failing = time.Now()
		t.log.Warn("DA layer does not answer", "layer", t.layer.Name(), "asked_for", what, "error", err)
	}
}

func (t *tail) answers() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.failing.IsZero() {
		t.log.Info("DA layer answers again", "layer", t.layer.Name(), "down_for", time.Since(t.failing).Round(time.Millisecond))
		t.failing = time.Time{}
	}
}

package transport

import (
	"context"
	"sync"
	"time"
)

// budget bounds the bytes that are held of one peer.
type budget struct {
	limit int

	mu   sync.Mutex
	held int
	room chan struct{} // holds a token after a release
}

func newBudget(limit int) *budget { return &budget{limit: limit, room: make(chan struct{}, 1)} }

// acquire waits until the bytes fit, or nothing else is held. For one goroutine.
func (b *budget) acquire(ctx context.Context, n int) error {
	for {
		b.mu.Lock()
		if b.held == 0 || b.held+n <= b.limit {
			b.held += n
			b.mu.Unlock()
			return nil
		}
		b.mu.Unlock()
		select {
		case <-b.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (b *budget) release(n int) {
	b.mu.Lock()
	b.held -= n
	b.mu.Unlock()
	select {
	case b.room <- struct{}{}:
	default:
	}
}

// bucket lets through so much a second, and a second's worth at once. For one
// goroutine.
type bucket struct {
	rate float64 // a second
	left float64
	last time.Time
	now  func() time.Time
}

func newBucket(rate float64, now func() time.Time) *bucket {
	return &bucket{rate: rate, left: rate, last: now(), now: now}
}

// take returns how long to wait before going on.
func (b *bucket) take(n float64) time.Duration {
	now := b.now()
	b.left = min(b.rate, b.left+b.rate*now.Sub(b.last).Seconds()) - n
	b.last = now
	if b.left >= 0 {
		return 0
	}
	return time.Duration(-b.left / b.rate * float64(time.Second))
}

// pause waits; a connection that ends does not wait.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

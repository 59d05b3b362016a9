package transport

import (
	"context"
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	b := newBucket(100, func() time.Time { return now })
	if d := b.take(100); d != 0 {
		t.Errorf("a second's worth waits %v", d)
	}
	if d := b.take(50); d != 500*time.Millisecond {
		t.Errorf("half a second's worth more waits %v", d)
	}
	now = now.Add(time.Second)
	if d := b.take(50); d != 0 {
		t.Errorf("after the wait it waits %v", d)
	}
	now = now.Add(time.Hour)
	if d := b.take(101); d == 0 {
		t.Error("an hour's silence saved up more than a second's worth")
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	b := newBudget(100)
	if err := b.acquire(t.Context(), 1000); err != nil {
		t.Errorf("one frame alone: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.acquire(ctx, 1); err == nil {
		t.Error("more than the limit is held")
	}
	got := make(chan error, 1)
	go func() { got <- b.acquire(t.Context(), 100) }()
	b.release(1000)
	if err := <-got; err != nil {
		t.Error(err)
	}
	if b.held != 100 {
		t.Errorf("%d bytes held, want 100", b.held)
	}
}

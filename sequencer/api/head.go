package api

import (
	"context"
	"sync"
)

// head is the latest height that is served. It only rises, and wakes all who wait for it.
type head struct {
	mu     sync.Mutex
	latest uint64
	risen  chan struct{} // closed when latest rises
}

func newHead() *head { return &head{risen: make(chan struct{})} }

func (h *head) height() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latest
}

func (h *head) advance(height uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if height <= h.latest {
		return
	}
	h.latest = height
	close(h.risen)
	h.risen = make(chan struct{})
}

// wait blocks until the head has reached the height.
func (h *head) wait(ctx context.Context, height uint64) error {
	for {
		h.mu.Lock()
		latest, risen := h.latest, h.risen
		h.mu.Unlock()
		if latest >= height {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-risen:
		}
	}
}

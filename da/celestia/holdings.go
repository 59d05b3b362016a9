package celestia

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/ordo-network/ordo/da"
)

// What holdings keep.
const (
	keptPlaces     = 16
	keptPlaceBytes = 64 << 20
)

// place is a namespace at a height.
type place struct {
	height uint64
	ns     namespace
}

// holdings remembers what the last places were proven to hold: several blobs are asked for
// at one place, such as the parts of a claim, and a proof is of the whole place.
type holdings struct {
	flight singleflight.Group

	mu     sync.Mutex
	known  map[place][]found
	oldest []place
	bytes  int
}

// get returns what a place holds, with fetch where that is not known; who asks for the
// same place at the same time waits for one fetch. Nobody may change it.
func (h *holdings) get(ctx context.Context, at place, fetch func(context.Context, place) ([]found, error)) ([]found, error) {
	if blobs, ok := h.look(at); ok {
		return blobs, nil
	}
	// The one that goes ahead does so with a context of its own, lest its end be the end of
	// all; each request has its timeout.
	result := h.flight.DoChan(fmt.Sprintf("%d/%x", at.height, at.ns), func() (any, error) {
		if blobs, ok := h.look(at); ok {
			return blobs, nil
		}
		blobs, err := fetch(context.WithoutCancel(ctx), at)
		if err == nil {
			h.put(at, blobs)
		}
		return blobs, err
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("read height %d: %w: %w", at.height, ctx.Err(), da.ErrUnavailable)
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.([]found), nil
	}
}

func (h *holdings) look(at place) ([]found, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	blobs, ok := h.known[at]
	return blobs, ok
}

func (h *holdings) put(at place, blobs []found) {
	size := memory(blobs)
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.known[at]; ok || size > keptPlaceBytes {
		return
	}
	if h.known == nil {
		h.known = make(map[place][]found)
	}
	h.known[at] = blobs
	h.oldest = append(h.oldest, at)
	h.bytes += size
	for len(h.oldest) > keptPlaces || h.bytes > keptPlaceBytes {
		h.bytes -= memory(h.known[h.oldest[0]])
		delete(h.known, h.oldest[0])
		h.oldest = h.oldest[1:]
	}
}

// memory is what blobs take.
func memory(blobs []found) (n int) {
	for _, b := range blobs {
		n += cap(b.data) + 128
	}
	return n
}

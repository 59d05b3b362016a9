package ordorpc

import (
	"slices"
	"sync"
)

// recent are the last things that were told, for any number of readers. Each of those is
// a place among them: a subscription takes no memory, and who falls behind what is kept
// is left.
type recent[T any] struct {
	most      int         // of them are kept
	mostBytes int         // and no more bytes than that, by size
	size      func(T) int // nil where they are all small

	mu    sync.Mutex
	kept  []T
	bytes int
	told  uint64        // how many there have been
	more  chan struct{} // closed at the next one; nil while nobody waits for it
}

// ready is what is not waited for.
var ready = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// readAtOnce bounds what a reader has in hand while its connection takes no more.
const readAtOnce = 256

// tell does not wait for who reads.
func (r *recent[T]) tell(v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, v)
	r.bytes += r.sizeOf(v)
	for len(r.kept) > r.most || r.bytes > r.mostBytes {
		r.bytes -= r.sizeOf(r.kept[0])
		clear(r.kept[:1]) // what it holds is free at once
		r.kept = r.kept[1:]
	}
	r.told++
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

func (r *recent[T]) sizeOf(v T) int {
	if r.size == nil {
		return 0
	}
	return r.size(v)
}

// place returns where a reader begins who hears of all from now on.
func (r *recent[T]) place() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told
}

// forget lets go of what was told.
func (r *recent[T]) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept, r.bytes = nil, 0
}

// from returns the next ones from a place on or, where there are none, what is closed
// when there is one. ok is false where they are not kept any more.
func (r *recent[T]) from(place uint64) (next []T, more <-chan struct{}, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.told - uint64(len(r.kept))
	if place < first {
		return nil, nil, false
	}
	unread := r.kept[place-first:]
	if len(unread) > 0 {
		return slices.Clone(unread[:min(readAtOnce, len(unread))]), nil, true
	}
	if r.more == nil {
		r.more = make(chan struct{})
	}
	return nil, r.more, true
}

// follow sends what is told from a place on, until that fails, the reader is too far
// behind, or quit is closed or gone says so.
func (r *recent[T]) follow(place uint64, send func(T) error, quit <-chan struct{}, gone <-chan error) {
	for {
		next, more, ok := r.from(place)
		if !ok {
			return
		}
		for _, v := range next {
			if send(v) != nil {
				return // it did not read for too long, or is gone
			}
		}
		if place += uint64(len(next)); more == nil {
			more = ready // there may be others
		}
		select {
		case <-more:
		case <-quit:
			return
		case <-gone: //nolint:errcheck // the end of the subscription, however it came
			return
		}
	}
}

package ordorpc

import (
	"slices"
	"sync"
)

// Recent are the last things that were told, for any number of readers. Each of those is
// a place among them: a subscription or a filter takes no memory, and who falls behind what
// is kept misses it.
type Recent[T any] struct {
	most      int         // of them are kept
	mostBytes int         // and no more bytes than that, by size
	size      func(T) int // nil where they are all small

	mu    sync.Mutex
	kept  []T
	bytes int
	told  uint64        // how many there have been
	more  chan struct{} // closed at the next one; nil while nobody waits for it
}

// NewRecent returns one that keeps so many, and no more bytes by size, which is nil where
// all of them are small.
func NewRecent[T any](most, mostBytes int, size func(T) int) *Recent[T] {
	return &Recent[T]{most: most, mostBytes: mostBytes, size: size}
}

// ready is what is not waited for.
var ready = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// readAtOnce bounds what a reader has in hand while its connection takes no more.
const readAtOnce = 256

// Tell does not wait for who reads.
func (r *Recent[T]) Tell(v T) {
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

func (r *Recent[T]) sizeOf(v T) int {
	if r.size == nil {
		return 0
	}
	return r.size(v)
}

// Place returns where a reader begins who hears of all from now on.
func (r *Recent[T]) Place() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told
}

// Since returns what was told from a place on, the newest of it where that is more than most
// or than is kept, and the place behind it.
func (r *Recent[T]) Since(place uint64, most int) (newest []T, next uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := int(min(r.told-place, uint64(len(r.kept)), uint64(most)))
	return slices.Clone(r.kept[len(r.kept)-n:]), r.told
}

// forget lets go of what was told.
func (r *Recent[T]) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept, r.bytes = nil, 0
}

// from returns the next ones from a place on or, where there are none, what is closed
// when there is one. ok is false where they are not kept any more.
func (r *Recent[T]) from(place uint64) (next []T, more <-chan struct{}, ok bool) {
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

// follow sends what is told from a place on, until quit is closed or gone says so, or until
// that fails or the reader is too far behind: then it is left, and follow returns true.
func (r *Recent[T]) follow(place uint64, send func(T) error, quit <-chan struct{}, gone <-chan error) (left bool) {
	for {
		next, more, ok := r.from(place)
		if !ok {
			return true
		}
		for _, v := range next {
			if send(v) != nil {
				return true
			}
		}
		if place += uint64(len(next)); more == nil {
			more = ready // there may be others
		}
		select {
		case <-more:
		case <-quit:
			return false
		case <-gone: //nolint:errcheck // the end of the subscription, however it came
			return false
		}
	}
}

package ordorpc

import (
	"errors"
	"runtime"
	"testing"
)

// TestRecent: readers have all from where they began, in turn, and one that falls behind
// what is kept is left; what is kept is bounded by number and by bytes.
func TestRecent(t *testing.T) {
	t.Parallel()
	r := NewRecent(400, 1000, func(b []byte) int { return len(b) })
	early := r.Place()
	for i := range 300 {
		r.Tell([]byte{byte(i)})
	}
	enough := errors.New("enough")
	n := 0
	r.follow(early, func(b []byte) error {
		if b[0] != byte(n) {
			t.Fatalf("told of %d, want %d", b[0], byte(n))
		}
		if n++; n == 300 {
			return enough
		}
		return nil
	}, nil, nil)
	late := r.Place()
	if next, more, ok := r.from(late); len(next) > 0 || more == nil || !ok {
		t.Errorf("nothing is new: %v, %v, %v", next, more, ok)
	}
	r.Tell(make([]byte, 999))
	if r.bytes != 1000 || len(r.kept) != 2 {
		t.Errorf("%d bytes are kept of %d", r.bytes, len(r.kept))
	}
	if next, _, ok := r.from(late); len(next) != 1 || !ok {
		t.Errorf("%d are new, %v", len(next), ok)
	}
	if _, _, ok := r.from(early); ok {
		t.Error("who is far behind is told on")
	}
	for range 500 {
		r.Tell(nil)
	}
	if len(r.kept) != 400 {
		t.Errorf("%d are kept", len(r.kept))
	}
	quit, gone := make(chan struct{}), make(chan error)
	close(quit)
	r.follow(r.Place(), nil, quit, gone)
	close(gone)
	r.follow(r.Place(), nil, nil, gone)
}

// TestSubscribersTakeNoMemory: of those that there may be each costs little, whether it
// reads or not.
func TestSubscribersTakeNoMemory(t *testing.T) {
	// Not beside others, whose memory would be counted.
	a := newAccepted()
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	places := make([]uint64, maxSubscriptions)
	for i := range places {
		places[i] = a.Place()
		if _, _, ok := a.from(places[i]); !ok {
			t.Fatal("a new reader is left")
		}
	}
	for i := range 2 * maxUnread {
		a.Tell(Hash{byte(i), byte(i >> 8)})
	}
	if took := heap() - before; took > 8<<20 {
		t.Errorf("%d subscribers take %d MiB", len(places), took>>20)
	}
	runtime.KeepAlive(a)
}

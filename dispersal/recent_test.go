package dispersal

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ordo-network/ordo/order"
)

// newest holds a share at a position, whose release is counted.
func newest(r *recent, seq uint64, size int, released *atomic.Int64) order.Position {
	batch := &order.SignedBatch{}
	batch.Header.Session, batch.Header.Sequence = 1, seq
	r.add(batch, make([]byte, size), size, func() { released.Add(1) })
	return batch.Header.Position
}

func TestRecentHoldsTheLast(t *testing.T) {
	t.Parallel()
	const size = 100 << 10
	r := newRecent(3 * (size + 2*lentBytes))
	var released atomic.Int64
	var at []order.Position
	for seq := range uint64(5) {
		at = append(at, newest(r, seq+1, size, &released))
	}
	for i, p := range at {
		held := r.get(p)
		if (held != nil) != (i >= 2) {
			t.Errorf("share %d is there: %v", i, held != nil)
		}
		if held != nil {
			r.done(held)
		}
	}
	if n := released.Load(); n != 2 {
		t.Errorf("%d shares were released, want those of 2", n)
	}
	newest(r, 5, size, &released) // stored once more: the one that is there does
	if n := released.Load(); n != 3 {
		t.Errorf("%d shares were released, want the one that was there already", n)
	}
	newest(r, 6, 10*size, &released) // larger than all of the room
	if n := released.Load(); n != 7 || r.bytes != 0 || len(r.at) != 0 || len(r.queue) != 0 {
		t.Errorf("%d shares were released, %d bytes, %d and %d shares are left, want 7 and nothing", n, r.bytes, len(r.at), len(r.queue))
	}
}

// TestRecentLends: memory that serves the next share while one of before is still read would be
// answered with.
func TestRecentLends(t *testing.T) {
	t.Parallel()
	const size = 10 << 10
	r := newRecent(4 * (size + 2*lentBytes))
	var released atomic.Int64
	p := newest(r, 1, size, &released)
	held := r.get(p)
	for seq := range uint64(10) {
		newest(r, seq+2, size, &released)
	}
	if r.get(p) != nil {
		t.Error("the share is still found")
	}
	if n := released.Load(); n != 6 {
		t.Errorf("%d shares were released while the first was in use, want 6", n)
	}
	r.done(held)
	if n := released.Load(); n != 7 {
		t.Errorf("%d shares were released, want 7 with the first", n)
	}
	var all sync.WaitGroup
	for worker := range uint64(4) {
		all.Go(func() {
			for i := range uint64(500) {
				p := newest(r, 100+worker*1000+i, size, &released)
				if l := r.get(p); l != nil {
					r.done(l)
				}
			}
		})
	}
	all.Wait()
	if n := released.Load(); n != 11+2000-int64(len(r.at)) || len(r.at) > 4 {
		t.Errorf("%d of 2011 shares were released, and %d are held", n, len(r.at))
	}
}

// TestReadersAtTheHeadNeedNoDisk: what was just certified is rebuilt from memory alone.
func TestReadersAtTheHeadNeedNoDisk(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	w.orderSome()
	hits := func() (n float64) {
		for _, v := range w.validators {
			n += counter(t, v, "ordo_dispersal_recent_shares_total", "")
		}
		return n
	}
	before, reader := hits(), w.validators[3]
	for _, c := range w.ordered {
		w.rebuild(reader, c)
	}
	if n := hits() - before; n < 2*float64(len(w.ordered)) {
		t.Errorf("%d batches were rebuilt with %v shares from memory, want two for each", len(w.ordered), n)
	}
}

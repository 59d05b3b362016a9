package dispersal

import (
	"sync"

	"github.com/ordo-network/ordo/order"
)

// lentBytes is about what a share takes beside its memory and its batch's header.
const lentBytes = 1 << 10

// recent holds the shares that were stored last. Who reads at the head of the order asks
// for them as soon as their batch is certified, and need not wait for the disk, nor the
// disk's other users for that.
type recent struct {
	most int

	mu    sync.Mutex
	bytes int
	queue []*lent // oldest first
	at    map[order.Position]*lent
}

// lent is a share in memory that is given back when nobody uses it any more.
type lent struct {
	batch   *order.SignedBatch
	share   []byte
	release func()

	cost  int
	users int // guarded by recent.mu
}

func newRecent(most int) *recent { return &recent{most: most, at: make(map[order.Position]*lent)} }

// add holds the share, which is in so many bytes of memory, until newer ones have taken its room,
// and then calls release.
func (r *recent) add(batch *order.SignedBatch, share []byte, memory int, release func()) {
	added := &lent{batch: batch, share: share, release: release, cost: memory + 2*batch.Header.Size() + lentBytes, users: 1}
	var free []*lent
	r.mu.Lock()
	if old := r.at[batch.Header.Position]; old != nil {
		// Stored again, with the same bytes: the one that is there does.
		free = append(free, added)
	} else {
		r.at[batch.Header.Position] = added
		r.queue = append(r.queue, added)
		r.bytes += added.cost
	}
	for r.bytes > r.most && len(r.queue) > 0 {
		oldest := r.queue[0]
		r.queue[0], r.queue = nil, r.queue[1:]
		r.bytes -= oldest.cost
		delete(r.at, oldest.batch.Header.Position)
		free = append(free, oldest)
	}
	r.mu.Unlock()
	for _, l := range free {
		r.done(l)
	}
}

// get returns the share at the position, or nil. Whoever has it calls done once.
func (r *recent) get(p order.Position) *lent {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.at[p]
	if l != nil {
		l.users++
	}
	return l
}

func (r *recent) done(l *lent) {
	r.mu.Lock()
	l.users--
	last := l.users == 0
	r.mu.Unlock()
	if last {
		l.release()
	}
}

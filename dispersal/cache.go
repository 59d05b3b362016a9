package dispersal

import (
	"container/list"
	"sync"
	"time"

	"github.com/ordo-network/ordo/order"
)

const (
	// aheadQuarters is how many quarters of a cache batches that are ahead of their block may take.
	aheadQuarters = 3
	// aheadFor is how long a batch counts as ahead: a block orders what is certified within a few
	// seconds, if at all.
	aheadFor = 10 * time.Second
	// cachedOverhead is what a batch takes in memory beside its bytes, roughly.
	cachedOverhead = 1 << 10
)

// cache keeps batches up to a number of bytes. Those that are ahead of the block which orders
// them stay until it was read: they make room for nothing else, and what would take their place is
// refused. Of the others those that were used last stay.
type cache struct {
	limit int64

	mu       sync.Mutex
	bytes    int64
	used     *list.List // of *cached, the last used first
	ahead    *list.List // of *cached, the last added first
	byID     map[order.BatchID]*list.Element
	expected map[order.BatchID]int64 // bytes of those that will be ahead, and are being rebuilt
	reserved int64                   // bytes of what is ahead and of what is expected
}

// cached is a rebuilt batch. But for the cache's own fields it does not change.
type cached struct {
	id    order.BatchID
	batch *order.Batch
	void  *Void
	size  int64

	since   time.Time // zero unless it is ahead
	counted int64     // of reserved
}

func newCache(limit int64) *cache {
	return &cache{
		limit: limit, used: list.New(), ahead: list.New(),
		byID: make(map[order.BatchID]*list.Element), expected: make(map[order.BatchID]int64),
	}
}

// get returns a batch for a block that orders it, or nil: it is not ahead any more.
func (c *cache) get(id order.BatchID) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(id)
	e := c.byID[id]
	if e == nil {
		return nil
	}
	b := e.Value.(*cached)
	c.demote(b)
	c.used.MoveToFront(c.byID[id])
	return b
}

// expect makes room for a batch that is ahead, unless it is here already. It returns false where
// there is no room.
func (c *cache) expect(id order.BatchID, size int64, now time.Time) (b *cached, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.ahead.Back(); e != nil && now.Sub(e.Value.(*cached).since) > aheadFor; e = c.ahead.Back() {
		c.demote(e.Value.(*cached))
	}
	size += cachedOverhead
	e := c.byID[id]
	switch {
	case e != nil && !e.Value.(*cached).since.IsZero():
		return e.Value.(*cached), true
	case c.expected[id] != 0:
		return nil, true
	case c.reserved+size > c.limit/4*aheadQuarters:
		return nil, false
	case e == nil:
		c.expected[id] = size
		c.reserved += size
		return nil, true
	}
	b = e.Value.(*cached)
	c.used.Remove(e)
	c.byID[id] = c.ahead.PushFront(b)
	b.since, b.counted = now, size
	c.reserved += size
	return b, true
}

// forget gives back the room of a batch that was expected.
func (c *cache) forget(id order.BatchID) {
	c.reserved -= c.expected[id]
	delete(c.expected, id)
}

// fail takes in that a batch could not be rebuilt.
func (c *cache) fail(id order.BatchID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(id)
}

// demote puts a batch that is ahead among the others.
func (c *cache) demote(b *cached) {
	if b.since.IsZero() {
		return
	}
	c.reserved -= b.counted
	c.ahead.Remove(c.byID[b.id])
	b.since, b.counted = time.Time{}, 0
	c.byID[b.id] = c.used.PushFront(b)
}

// add takes in a batch: one that was expected is ahead from now on.
func (c *cache) add(b *cached, now time.Time) {
	b.size += cachedOverhead
	c.mu.Lock()
	defer c.mu.Unlock()
	expected := c.expected[b.id]
	if c.byID[b.id] != nil {
		c.forget(b.id)
		return
	}
	if expected > 0 {
		delete(c.expected, b.id)
		b.since, b.counted = now, expected
		c.byID[b.id] = c.ahead.PushFront(b)
	} else {
		c.byID[b.id] = c.used.PushFront(b)
	}
	for c.bytes += b.size; c.bytes > c.limit; {
		e := c.used.Back()
		if e == nil {
			if e = c.ahead.Back(); e == nil {
				return
			}
			c.demote(e.Value.(*cached))
			continue
		}
		old := c.used.Remove(e).(*cached)
		delete(c.byID, old.id)
		c.bytes -= old.size
	}
}

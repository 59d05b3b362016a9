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
	// aheadFor is how long a batch counts as ahead. A block orders what is certified sooner; what
	// no reader asks for after that, or what is ordered later, holds no room for longer.
	aheadFor = 3 * time.Second
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

	read    bool      // by a block: it will not be ahead any more
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
	b.read = true
	c.demote(b)
	c.used.MoveToFront(c.byID[id])
	return b
}

// peek returns a batch that is here, or nil, and changes nothing.
func (c *cache) peek(id order.BatchID) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byID[id]; e != nil {
		return e.Value.(*cached)
	}
	return nil
}

// expect returns a batch that is here, and otherwise makes room for one that will be ahead. It
// returns false where there is none. A batch that is here is ahead from now on, unless there is
// no room for that or a block has read it.
func (c *cache) expect(id order.BatchID, size int64, now time.Time) (b *cached, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.ahead.Back(); e != nil && now.Sub(e.Value.(*cached).since) > aheadFor; e = c.ahead.Back() {
		c.demote(e.Value.(*cached))
	}
	size += cachedOverhead
	room := c.reserved+size <= c.limit/4*aheadQuarters
	if e := c.byID[id]; e != nil {
		if b = e.Value.(*cached); room && !b.read && b.since.IsZero() {
			c.used.Remove(e)
			c.byID[id] = c.ahead.PushFront(b)
			b.since, b.counted = now, size
			c.reserved += size
		}
		return b, true
	}
	if c.expected[id] != 0 {
		return nil, true
	}
	if room {
		c.expected[id] = size
		c.reserved += size
	}
	return nil, room
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

// add takes in a batch. One that was expected is ahead from now on, unless it is larger than was
// said, as one that is void is: what shows that must not push out others.
func (c *cache) add(b *cached, now time.Time) {
	b.size += cachedOverhead
	c.mu.Lock()
	defer c.mu.Unlock()
	expected := c.expected[b.id]
	if c.byID[b.id] != nil || b.size > expected {
		c.forget(b.id)
		expected = 0
	}
	if c.byID[b.id] != nil {
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

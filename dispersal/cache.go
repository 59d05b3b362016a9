package dispersal

import (
	"container/list"
	"sync"

	"github.com/ordo-network/ordo/order"
)

// cache keeps the batches that were used last, up to a number of bytes.
type cache struct {
	limit int64

	mu    sync.Mutex
	bytes int64
	byUse *list.List // of *cached, the last used first
	byID  map[order.BatchID]*list.Element
}

// cached is a rebuilt batch. It does not change.
type cached struct {
	id    order.BatchID
	batch *order.Batch
	void  *Void
	size  int64
}

// cachedOverhead is what a batch takes in memory beside its bytes, roughly.
const cachedOverhead = 1 << 10

func newCache(limit int64) *cache {
	return &cache{limit: limit, byUse: list.New(), byID: make(map[order.BatchID]*list.Element)}
}

func (c *cache) get(id order.BatchID) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[id]
	if e == nil {
		return nil
	}
	c.byUse.MoveToFront(e)
	return e.Value.(*cached)
}

func (c *cache) add(b *cached) {
	b.size += cachedOverhead
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID[b.id] != nil {
		return
	}
	c.byID[b.id] = c.byUse.PushFront(b)
	for c.bytes += b.size; c.bytes > c.limit; {
		e := c.byUse.Back()
		if e == nil {
			return
		}
		old := c.byUse.Remove(e).(*cached)
		delete(c.byID, old.id)
		c.bytes -= old.size
	}
}

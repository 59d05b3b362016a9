package eigenda

import (
	"bytes"
	"container/list"
	"sync"
)

const maxCacheBytes = 32 << 20

// cache keeps the last blobs that were read, by certificate: a height that is asked for
// again while one of its blobs is in doubt, and a certificate that somebody records
// again and again, cost no second transfer.
type cache struct {
	mu     sync.Mutex
	byCert map[string]*list.Element
	lru    *list.List // of cached, the last used in front
	size   int
}

type cached struct {
	commitment string
	data       []byte
}

func newCache() *cache { return &cache{byCert: map[string]*list.Element{}, lru: list.New()} }

// get returns a copy of the blob, or nil.
func (c *cache) get(commitment []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byCert[string(commitment)]
	if !ok {
		return nil
	}
	c.lru.MoveToFront(e)
	return bytes.Clone(e.Value.(cached).data)
}

func (c *cache) put(commitment, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byCert[string(commitment)]; ok || len(data) > maxCacheBytes {
		return
	}
	entry := cached{string(commitment), bytes.Clone(data)}
	c.byCert[entry.commitment] = c.lru.PushFront(entry)
	c.size += len(data)
	for c.size > maxCacheBytes {
		last := c.lru.Remove(c.lru.Back()).(cached)
		delete(c.byCert, last.commitment)
		c.size -= len(last.data)
	}
}

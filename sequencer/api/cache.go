package api

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cache holds what was asked for last, bounded in number and bytes.
type cache[K comparable, V interface{ bytes() int }] struct {
	mu      sync.Mutex
	most    int
	held    int
	entries *simplelru.LRU[K, V]
}

func newCache[K comparable, V interface{ bytes() int }](entries, bytes int) *cache[K, V] {
	c := &cache[K, V]{most: bytes}
	c.entries, _ = simplelru.NewLRU(entries, func(_ K, v V) { c.held -= v.bytes() }) // fails for sizes below 1 only
	return c
}

func (c *cache[K, V]) get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries.Get(key)
}

// replace adds an entry in place of the one that there is.
func (c *cache[K, V]) replace(key K, v V) {
	c.mu.Lock()
	c.entries.Remove(key)
	c.mu.Unlock()
	c.put(key, v)
}

// put adds an entry. The newest stays whatever its size.
func (c *cache[K, V]) put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.entries.Contains(key) {
		return
	}
	c.entries.Add(key, v)
	c.held += v.bytes()
	for c.held > c.most && c.entries.Len() > 1 {
		c.entries.RemoveOldest()
	}
}

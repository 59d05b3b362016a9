package dispersal

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// layouts keeps the shard layouts of the last committees that were asked about. They
// cost much to make, and most epochs have the validators of the one before.
type layouts struct {
	mu     sync.Mutex
	recent []*layout // last used first
}

const keptLayouts = 4

type layout struct {
	key  [32]byte
	once sync.Once
	made *shard.Layout
	err  error
}

func (l *layouts) get(c *order.Committee) (*shard.Layout, error) {
	e := l.entry(c)
	e.once.Do(func() { e.made, e.err = lane.Layout(c) })
	return e.made, e.err
}

func (l *layouts) entry(c *order.Committee) *layout {
	var doc []byte
	for i := range c.Members {
		doc = binary.BigEndian.AppendUint64(append(doc, c.Members[i].Owner[:]...), c.Members[i].Stake)
	}
	key := sha256.Sum256(doc)
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.recent, func(e *layout) bool { return e.key == key })
	e := &layout{key: key}
	if i >= 0 {
		e = l.recent[i]
		l.recent = slices.Delete(l.recent, i, i+1)
	}
	l.recent = slices.Insert(l.recent[:min(len(l.recent), keptLayouts-1)], 0, e)
	return e
}

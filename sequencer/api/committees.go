package api

import (
	"context"
	"sync"

	"github.com/ordo-network/ordo/order"
)

// keptCommittees is how many committees are remembered. Most batches are of two epochs.
const keptCommittees = 8

// committees remembers those that were asked for last. A committee never changes.
type committees struct {
	ask func(ctx context.Context, epoch uint64) (*order.Committee, error)

	mu     sync.Mutex
	recent []*order.Committee // the newest last
}

func (c *committees) at(ctx context.Context, epoch uint64) (*order.Committee, error) {
	if known := c.known(epoch); known != nil {
		return known, nil
	}
	got, err := c.ask(ctx, epoch)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recent = append(c.recent, got); len(c.recent) > keptCommittees {
		c.recent = append(c.recent[:0], c.recent[1:]...)
	}
	return got, nil
}

func (c *committees) known(epoch uint64) *order.Committee {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.recent {
		if k.Epoch == epoch {
			return k
		}
	}
	return nil
}

package ordorpc

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

const (
	// maxReading bounds the sequencer blocks that are read at a time: each is fetched
	// from a sequencer and verified, and anybody may ask for some.
	maxReading = 8
	// notedWithin bounds the wait for a node that was seen to execute a height.
	notedWithin = 3 * time.Second
	// maxKept and maxKeptBytes bound what is kept of them: one of the largest, or many.
	maxKept      = 64
	maxKeptBytes = 32 << 20
)

// blocks reads what sequencer blocks hold for the rollup, and keeps the last ones.
type blocks struct {
	order Order
	slots chan struct{}

	mu      sync.Mutex
	reading map[uint64]*reading
	kept    map[uint64]*orderv1.RollupBlock
	queue   []uint64 // oldest first
	bytes   int
}

func newBlocks(o Order) *blocks {
	return &blocks{
		order: o, slots: make(chan struct{}, maxReading),
		reading: make(map[uint64]*reading), kept: make(map[uint64]*orderv1.RollupBlock),
	}
}

// noted waits until the node has noted what it made of a height: its client shows a block
// a moment before that.
func (b *blocks) noted(ctx context.Context, height uint64) error {
	ctx, cancel := context.WithTimeout(ctx, notedWithin)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for b.order.Info().SoftHeight < height {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("sequencer height %d is not noted yet, try again: %w", height, ctx.Err())
		}
	}
	return nil
}

// reading is a block that somebody reads.
type reading struct {
	done chan struct{} // closed when it is read, or could not be
	err  error         // of the block, not of the one who asked for it
}

// get returns a block, which nobody may change. Who comes while another one reads it waits for
// that.
func (b *blocks) get(ctx context.Context, height uint64) (*orderv1.RollupBlock, error) {
	for {
		block, r, ours := b.enter(height)
		switch {
		case block != nil:
			return block, nil
		case ours:
			block, err := b.read(ctx, height)
			if ctx.Err() == nil {
				r.err = err
			}
			b.leave(height, block, r)
			return block, err
		}
		select {
		case <-r.done:
			if r.err != nil {
				return nil, r.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// enter returns the block where it is kept, or how it is being read: by the caller, who hands
// it to leave, where it is ours.
func (b *blocks) enter(height uint64) (block *orderv1.RollupBlock, r *reading, ours bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if block := b.kept[height]; block != nil {
		return block, nil, false
	}
	if r := b.reading[height]; r != nil {
		return nil, r, false
	}
	r = &reading{done: make(chan struct{})}
	b.reading[height] = r
	return nil, r, true
}

func (b *blocks) leave(height uint64, block *orderv1.RollupBlock, r *reading) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if block != nil {
		b.keep(height, block)
	}
	delete(b.reading, height)
	close(r.done)
}

func (b *blocks) read(ctx context.Context, height uint64) (*orderv1.RollupBlock, error) {
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-b.slots }()
	if err := b.noted(ctx, height); err != nil {
		return nil, err
	}
	block, err := b.order.RollupBlock(ctx, height)
	if err != nil {
		return nil, fmt.Errorf("read sequencer block %d: %w", height, err)
	}
	return block, nil
}

// keep is called under the lock.
func (b *blocks) keep(height uint64, block *orderv1.RollupBlock) {
	b.kept[height], b.queue = block, append(b.queue, height)
	b.bytes += proto.Size(block)
	for len(b.queue) > maxKept || b.bytes > maxKeptBytes {
		b.bytes -= proto.Size(b.kept[b.queue[0]])
		delete(b.kept, b.queue[0])
		b.queue = b.queue[1:]
	}
}

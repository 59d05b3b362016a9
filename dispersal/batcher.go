package dispersal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// batcher makes batches of bundles. While nothing is in flight what there is goes at
// once; otherwise it gathers until there is enough, or the oldest has waited long enough.
type batcher struct {
	node *Node

	session uint64
	bundles []*order.Bundle
	sums    []order.BundleSummary // of bundles
	bytes   int                   // of bundles in a batch
	header  int                   // of their summaries in its header
	since   time.Time             // the oldest came
}

func (b *batcher) run(ctx context.Context) error {
	flush := time.NewTimer(0)
	defer flush.Stop()
	for {
		wait, err := b.step(ctx)
		if err != nil {
			return err
		}
		if wait > 0 {
			flush.Reset(wait)
		}
		select {
		case <-b.node.opts.Source.Ready():
		case <-b.node.owner.changed:
		case <-flush.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// step takes and disperses what can be, and says when to look again if nothing happens;
// 0 for never.
func (b *batcher) step(ctx context.Context) (time.Duration, error) {
	for {
		room, flown := b.node.owner.state()
		if room.Session != b.session && room.Session != 0 {
			// Another session: what was taken before will not be certified. What was taken
			// and not dispersed is handed out again as well.
			b.session = room.Session
			b.clear()
			b.node.opts.Source.Rewind()
		}
		if room.Bytes == 0 {
			return 0, nil // the source fills up and refuses
		}
		most := min(b.node.opts.BatchBytes, room.Bytes)
		b.take(most, room)
		if len(b.bundles) == 0 {
			return 0, nil
		}
		full := b.bytes >= most*7/8 || b.header >= room.HeaderBytes*7/8
		age := b.node.opts.Now().Sub(b.since)
		if flown > 0 && !full && age < b.node.opts.FlushAge {
			return b.node.opts.FlushAge - age, nil
		}
		if err := b.disperse(ctx, room); err != nil {
			return 0, err
		}
	}
}

func (b *batcher) clear() { b.bundles, b.sums, b.bytes, b.header = nil, nil, 0, 0 }

func (b *batcher) take(most int, room lane.Room) {
	source := b.node.opts.Source
	taken := source.Take(most-b.bytes, room.HeaderBytes-b.header)
	if len(taken) == 0 && len(b.bundles) == 0 && room.Bytes > most {
		taken = source.Take(room.Bytes, room.HeaderBytes) // one that is larger than an ordinary batch
	}
	if len(b.bundles) == 0 {
		b.since = b.node.opts.Now()
	}
	for _, bundle := range taken {
		s := bundle.Summary()
		b.sums = append(b.sums, s)
		b.bytes += order.BundleSizeInBatch(s.Size())
		b.header += order.SummarySizeInHeader(s.EncodedSize())
	}
	b.bundles = append(b.bundles, taken...)
}

// disperse codes what was gathered and hands it to the owner.
func (b *batcher) disperse(ctx context.Context, room lane.Room) error {
	v := b.node.chain()
	committee := v.Committee(room.Epoch)
	if committee == nil {
		return sleepOr(ctx, b.node.owner.changed) // the room is of a block that is older than v, or younger
	}
	layout, err := b.node.layouts.get(committee)
	if err != nil {
		return err
	}
	batch := &order.Batch{Bundles: b.bundles}
	p := lane.Payload{Bundles: b.sums, Layout: layout, Coded: b.node.coders.Get().(*shard.Coded)}
	raw := batch.Encode()
	p.Length = len(raw)
	if err := p.Coded.Encode(layout, raw); err != nil {
		return fmt.Errorf("code batch: %w", err)
	}
	err = b.node.owner.disperse(ctx, room, p, batch)
	switch {
	case errors.Is(err, lane.ErrSession), errors.Is(err, order.ErrEpoch):
		// The room is another by now. The next step looks again, and codes again.
		b.node.coders.Put(p.Coded)
		return nil
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("disperse batch: %w", err)
	}
	b.clear()
	return nil
}

// sleepOr waits a little, or for the channel.
func sleepOr(ctx context.Context, c <-chan struct{}) error {
	t := time.NewTimer(time.Millisecond)
	defer t.Stop()
	select {
	case <-c:
	case <-t.C:
	case <-ctx.Done():
	}
	return nil
}

// buffers lends memory for shares.
type buffers struct{ pool sync.Pool }

func (b *buffers) get(size int) *[]byte {
	if buf, ok := b.pool.Get().(*[]byte); ok && cap(*buf) >= size {
		return buf
	}
	buf := make([]byte, 0, size)
	return &buf
}

func (b *buffers) put(buf *[]byte) { b.pool.Put(buf) }

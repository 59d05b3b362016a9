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

// batcher makes batches of bundles. What comes after a pause goes at once; otherwise it gathers
// until there is enough, or some time has passed since the batch before. A batch costs the network
// milliseconds of processors and disks whatever it holds, so the busier this node is, by the time
// that it takes to attest what it is offered, the longer it gathers.
type batcher struct {
	node *Node
	last time.Time // when the last batch was made

	session uint64
	done    map[order.BundleID]bool // certified in earlier sessions, and handed out again
	queue   []queued                // taken and not yet in a batch: about two batches at most
	bytes   int                     // of queue in a batch
	header  int                     // of its summaries in a header
}

// queued is a bundle that was taken.
type queued struct {
	bundle  *order.Bundle
	summary order.BundleSummary
	bytes   int // in a batch
	header  int // in its header
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
		room := b.node.owner.state()
		if room.Session != b.session && room.Session != 0 {
			// Another session: what was in flight will not be certified. It is handed out
			// again, as is what was taken and not dispersed. Certificates of sessions before
			// that the chain can still order are announced by now.
			b.session = room.Session
			b.clear()
			b.done = b.node.library.own()
			b.node.opts.Source.Rewind()
		}
		if room.Bytes == 0 {
			return 0, nil // the source fills up and refuses
		}
		most := min(b.node.opts.BatchBytes, room.Bytes)
		b.take(most, room)
		if len(b.queue) == 0 {
			return 0, nil
		}
		full := b.bytes >= most || b.header >= room.HeaderBytes*7/8 || len(b.queue) >= order.MaxBatchBundles
		if wait := b.pace(room.Epoch) - b.node.opts.Now().Sub(b.last); !full && wait > 0 {
			return wait, nil
		}
		if err := b.disperse(ctx, room, b.cut(most, room.HeaderBytes)); err != nil {
			return 0, err
		}
	}
}

// quickAttest is about how long it takes a node to attest an offer when it has little else to do.
const quickAttest = 1500 * time.Microsecond

func (b *batcher) pace(epoch uint64) time.Duration {
	committee := b.node.chain().Committee(epoch)
	if committee == nil {
		return 0
	}
	return pace(len(committee.Members), b.node.opts.Workers, b.node.attester.attestTime(), b.node.opts.FlushAge)
}

// pace is the time from one batch of a lane to the next, at most longest. Each member attests the batches
// of all lanes, and the others are about as busy as this one. How much longer that takes than on a quiet
// node tells how much of the processors is left (S/(1-ρ), as in a queue), and batches may take up as
// large a part of them: on a node that is half busy few bundles wait for others, on one that is nearly
// full they gather.
func pace(lanes, processors int, attesting, longest time.Duration) time.Duration {
	all := float64(lanes) * float64(attesting) / float64(processors)
	return time.Duration(min(float64(longest), all*float64(attesting)/float64(quickAttest)))
}

func (b *batcher) clear() { b.queue, b.bytes, b.header = nil, 0, 0 }

// take fills the queue. It asks for no less than the largest bundle takes: a source
// passes over what does not fit.
func (b *batcher) take(most int, room lane.Room) {
	for b.bytes < most && b.header < room.HeaderBytes && len(b.queue) < order.MaxBatchBundles {
		taken := b.node.opts.Source.Take(min(room.Bytes, max(most, order.BundleSizeInBatch(order.MaxBundleBytes))), room.HeaderBytes)
		if len(taken) == 0 {
			return
		}
		for _, bundle := range taken {
			s := &bundle.Summary
			if len(b.done) > 0 && b.done[s.ID(b.node.opts.ChainID)] {
				continue
			}
			q := queued{bundle.Bundle, *s, order.BundleSizeInBatch(s.Size()), order.SummarySizeInHeader(s.EncodedSize())}
			b.queue = append(b.queue, q)
			b.bytes, b.header = b.bytes+q.bytes, b.header+q.header
		}
	}
}

// cut says how many bundles from the front make the next batch: as many as fit, one at
// least.
func (b *batcher) cut(most, mostHeader int) int {
	n, bytes, header := 0, 0, 0
	for _, q := range b.queue {
		bytes, header = bytes+q.bytes, header+q.header
		if n > 0 && (bytes > most || header > mostHeader || n == order.MaxBatchBundles) {
			break
		}
		n++
	}
	return n
}

// disperse codes the first n of what was gathered and hands it to the owner.
func (b *batcher) disperse(ctx context.Context, room lane.Room, n int) error {
	committee := b.node.chain().Committee(room.Epoch)
	if committee == nil {
		return sleepOr(ctx, b.node.owner.changed) // the room is of a block that is older than the chain's
	}
	layout, err := b.node.layouts.get(committee)
	if err != nil {
		return err
	}
	batch := &order.Batch{Bundles: make([]*order.Bundle, n)}
	p := lane.Payload{Bundles: make([]order.BundleSummary, n), Layout: layout, Coded: b.node.coders.Get().(*shard.Coded)}
	for i, q := range b.queue[:n] {
		batch.Bundles[i], p.Bundles[i] = q.bundle, q.summary
	}
	buf := b.node.batches.get(batch.Size())
	raw := batch.Append((*buf)[:0])
	p.Length = len(raw)
	err = p.Coded.Encode(layout, raw)
	b.node.batches.put(buf)
	if err != nil {
		return fmt.Errorf("code batch: %w", err)
	}
	err = b.node.owner.disperse(ctx, room, p, batch)
	switch {
	case errors.Is(err, lane.ErrSession), errors.Is(err, order.ErrEpoch):
		// The room is another by now. The next step looks again, and codes again.
		b.node.coders.Put(p.Coded)
		return sleepOr(ctx, b.node.owner.changed)
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("disperse batch: %w", err)
	}
	b.last = b.node.opts.Now()
	for _, q := range b.queue[:n] {
		b.bytes, b.header = b.bytes-q.bytes, b.header-q.header
	}
	b.queue = append([]queued(nil), b.queue[n:]...)
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
	return ctx.Err()
}

// buffers lends memory for what is about as large each time.
type buffers struct{ pool sync.Pool }

func (b *buffers) get(size int) *[]byte {
	if buf, ok := b.pool.Get().(*[]byte); ok && cap(*buf) >= size {
		return buf
	}
	buf := make([]byte, 0, size)
	return &buf
}

func (b *buffers) put(buf *[]byte) { b.pool.Put(buf) }

package relayer

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// stream is one rollup on its way from the order to DA, from one start to the
// next error.
type stream struct {
	r       *Relayer
	rollup  Rollup
	log     *slog.Logger
	metrics rollupMetrics

	blocks  chan read          // from read to collect, without buffer: who is full stops the source
	cutNow  chan chan struct{} // from publish to collect: closed in answer once what has gathered is in the backlog
	backlog backlog            // from collect to publish: what the journal holds

	// Of publish alone.
	daHeight uint64 // of the last blob posted
	unsure   int    // blobs at the front of the backlog that may be on DA
	scanned  uint64 // DA height up to which they were looked for
	failures int    // in a row
	single   bool   // submit one blob at a time: the layer refused several
}

// read is a block that was read, with what it takes of the memory budget.
type read struct {
	block *follower.Block
	size  int64
}

// follow runs a rollup until ctx ends. What fails is logged and started again
// from the journal: nothing but the disk can make it fail for long.
func (r *Relayer) follow(ctx context.Context, rollup Rollup) {
	log := r.log.With("rollup", rollup.Name)
	for failures := 0; ; failures++ {
		started := r.now()
		err := r.runStream(ctx, rollup, log)
		if ctx.Err() != nil {
			return
		}
		if r.now().Sub(started) > r.retryMax {
			failures = 0
		}
		wait := r.backoff(failures)
		log.Error("rollup stopped, going on from the journal", "error", err, "retry_in", wait.Round(time.Millisecond))
		if !sleep(ctx, wait) {
			return
		}
	}
}

func (r *Relayer) runStream(ctx context.Context, rollup Rollup, log *slog.Logger) error {
	p, err := r.journal.progress(rollup.ID)
	if err != nil {
		return err
	}
	checkpoint, err := follower.DecodeCheckpoint(p.checkpoint)
	if err != nil {
		return err
	}
	next := p.next
	if next == 0 {
		next = rollup.Start
	}
	source, err := r.open(rollup, checkpoint)
	if err != nil {
		return err
	}
	s := &stream{
		r: r, rollup: rollup, log: log, metrics: r.metrics.of(rollup.Name),
		blocks: make(chan read), cutNow: make(chan chan struct{}), daHeight: p.daHeight,
		// Whatever stands in the journal may have been submitted before the crash.
		unsure: len(p.backlog),
	}
	s.backlog.init(p.backlog)
	s.metrics.pending.Set(float64(s.backlog.bytes))
	if p.posted > 0 {
		s.metrics.confirmed.Set(float64(p.posted))
	}
	log.Info("reading", "from_height", next, "posted_height", p.posted, "waiting_blobs", len(p.backlog))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return source.Run(ctx, next, s.read) })
	g.Go(func() error { return s.collect(ctx, next) })
	g.Go(func() error { return s.publish(ctx) })
	return g.Wait()
}

// read is the source's handler. It returns when collect has the block, so that
// the source reads no further than there is room for.
func (s *stream) read(ctx context.Context, b *follower.Block) error {
	if err := s.backlog.waitRoom(ctx, s.r.batch); err != nil {
		return err
	}
	// Only what collect holds counts, and that ends within the batch's age: whoever
	// waits here waits for a moment, however long DA is away.
	size := min(int64(proto.Size(b.Proto)), memoryBytes)
	if err := s.r.memory.Acquire(ctx, size); err != nil {
		return err
	}
	select {
	case s.blocks <- read{b, size}:
		return nil
	case <-ctx.Done():
		s.r.memory.Release(size)
		return ctx.Err()
	}
}

// collect makes blobs of blocks: as soon as they are large, when the first of them
// is old, or when a submission is about to leave and can take them along.
func (s *stream) collect(ctx context.Context, next uint64) error {
	var batch gathering
	defer func() { s.r.memory.Release(batch.size) }()
	age := time.NewTimer(0)
	<-age.C
	defer age.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-age.C:
			if err := s.cut(ctx, &batch); err != nil {
				return err
			}
		case done := <-s.cutNow:
			if err := s.cut(ctx, &batch); err != nil {
				return err
			}
			close(done)
		case in := <-s.blocks:
			if in.block.Height != next {
				s.r.memory.Release(in.size)
				return fmt.Errorf("the source gave block %d, want %d", in.block.Height, next)
			}
			next++
			s.metrics.read.Set(float64(in.block.Height))
			if batch.size > 0 && batch.size+in.size > s.r.maxRaw {
				if err := s.cut(ctx, &batch); err != nil {
					s.r.memory.Release(in.size)
					return err
				}
			}
			if len(batch.blocks) == 0 {
				age.Reset(time.Duration(s.r.batch.Age))
			}
			batch.add(in)
			if batch.size >= int64(s.r.batch.BlobBytes) || len(batch.blocks) == follower.DefaultBlobLimits.MaxBlocks {
				if err := s.cut(ctx, &batch); err != nil {
					return err
				}
			}
		}
	}
}

// gathering is the blocks of the blob to come.
type gathering struct {
	blocks []*orderv1.RollupBlock
	last   *follower.Block
	size   int64
}

func (g *gathering) add(in read) {
	g.blocks, g.last, g.size = append(g.blocks, in.block.Proto), in.block, g.size+in.size
}

// cut packs what has gathered and hands it to the journal.
func (s *stream) cut(ctx context.Context, batch *gathering) error {
	if len(batch.blocks) == 0 {
		return nil
	}
	data, err := follower.EncodeBlob(batch.blocks)
	if err != nil {
		return err
	}
	m := blobMeta{
		from: batch.last.Height - uint64(len(batch.blocks)) + 1, to: batch.last.Height,
		noted: s.r.watch.lowerBound(ctx), size: len(data), id: da.ID(data),
	}
	if err := s.r.journal.built(s.rollup.ID, m, data, batch.last.Checkpoint().Encode()); err != nil {
		return err
	}
	s.metrics.rawBytes.Add(float64(batch.size))
	s.metrics.blobBytes.Add(float64(len(data)))
	s.r.memory.Release(batch.size)
	*batch = gathering{}
	s.metrics.pending.Set(float64(s.backlog.push(m)))
	return nil
}

// backlog is what the journal holds of a rollup and DA does not, as far as is known.
type backlog struct {
	mu    sync.Mutex
	blobs []blobMeta
	bytes int

	filled  chan struct{} // a token after a push
	drained chan struct{} // a token after a pop
}

func (b *backlog) init(blobs []blobMeta) {
	b.filled, b.drained = make(chan struct{}, 1), make(chan struct{}, 1)
	b.blobs = blobs
	for _, m := range blobs {
		b.bytes += m.size
	}
}

func (b *backlog) push(m blobMeta) (bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blobs = append(b.blobs, m)
	b.bytes += m.size
	token(b.filled)
	return b.bytes
}

// pop drops the first n blobs.
func (b *backlog) pop(n int) (bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.blobs[:n] {
		b.bytes -= m.size
	}
	b.blobs = append([]blobMeta(nil), b.blobs[n:]...)
	token(b.drained)
	return b.bytes
}

// front returns the first blobs, at most n and together at most maxBytes, but one at least.
func (b *backlog) front(n, maxBytes int) []blobMeta {
	b.mu.Lock()
	defer b.mu.Unlock()
	bytes := 0
	for i, m := range b.blobs {
		if bytes += m.size; i > 0 && (i == n || bytes > maxBytes) {
			return b.blobs[:i:i]
		}
	}
	return b.blobs[:len(b.blobs):len(b.blobs)]
}

// waitFilled returns when there is a blob. It has one caller.
func (b *backlog) waitFilled(ctx context.Context) error {
	return b.wait(ctx, b.filled, func() bool { return len(b.blobs) > 0 })
}

// waitRoom returns when the backlog is within its bounds. It has one caller.
func (b *backlog) waitRoom(ctx context.Context, c BatchConfig) error {
	return b.wait(ctx, b.drained, func() bool { return len(b.blobs) < c.BacklogBlobs && b.bytes < c.BacklogBytes })
}

func (b *backlog) wait(ctx context.Context, changed <-chan struct{}, ok func() bool) error {
	for {
		b.mu.Lock()
		done := ok()
		b.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func token(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sleep reports whether it slept to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Package local is the embedded DA layer: blobs by namespace at heights, in one
// folder on disk. In come blobs; out goes the height at which they are stored,
// and later the blobs.
//
// What always holds: heights have no gap; a height holds at least one blob, so
// that an idle layer grows nothing; once Submit has returned, its blobs are on
// disk, all of them at one height, and never change. A crash loses only blobs whose
// Submit has not returned, and those are either stored whole or not at all.
//
// Layer is the layer itself, in this process. Server offers it over HTTP in the
// JSON-RPC shape of celestia-node, and Client is the da.Layer on the other side.
// Trust ends there: one process keeps the data, nobody samples it. It is for
// development, and for readers that sit with the operator.
package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/semaphore"

	"github.com/ordo-network/ordo/da"
)

// Defaults of Options.
const (
	DefaultBlockTime = time.Second
	// DefaultMaxBlobBytes holds the largest rollup block there can be, not
	// compressed: 32 MiB of batches, and proofs.
	DefaultMaxBlobBytes = 72 << 20
	// maxBlockBytes bounds what one height holds, and what may wait for a height.
	maxBlockBytes = 96 << 20
	// maxBlockBlobs bounds the blobs of one height.
	maxBlockBlobs = 1 << 15
	// entryCost is what a waiting blob takes beside its data.
	entryCost = 512
)

// errClosed is joined with da.ErrUnavailable once Close was called.
var errClosed = errors.New("the layer is closed")

// Options of a layer. Zero values stand for the defaults.
type Options struct {
	// BlockTime is the least time between two blocks. A block is made on the next
	// multiple of it after a blob came in.
	BlockTime time.Duration
	// MaxBlobBytes bounds one blob and all blobs of one Submit together, at most 72 MiB.
	MaxBlobBytes int
	// Now is the clock that stands in block headers.
	Now func() time.Time
	// FS is the disk; nil is the machine's.
	FS vfs.FS
}

// Layer is the DA layer in this process. Its methods may be called from many
// goroutines.
type Layer struct {
	store     *store
	blockTime time.Duration
	maxBlob   int
	now       func() time.Time

	// room bounds the bytes that wait for a block; who finds none waits for it.
	room *semaphore.Weighted

	mu      sync.Mutex
	head    header
	pending []*submission

	wake    chan struct{} // holds a token while something may be pending
	closing chan struct{}
	closed  chan struct{} // closed when produce has ended
	once    sync.Once

	reading sync.RWMutex // held for writing by Close, so that no read meets a closed store
	gone    bool
}

// submission is one Submit that waits for its block.
type submission struct {
	entries []entry
	cost    int64         // bytes of memory
	done    chan struct{} // closed when height or err is set
	height  uint64
	err     error
}

// Open opens the layer in dir, which is made where it is missing.
func Open(dir string, opts Options) (*Layer, error) {
	if opts.BlockTime == 0 {
		opts.BlockTime = DefaultBlockTime
	}
	if opts.MaxBlobBytes == 0 {
		opts.MaxBlobBytes = DefaultMaxBlobBytes
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.BlockTime < 0 {
		return nil, fmt.Errorf("DA block time is %s, want more than 0", opts.BlockTime)
	}
	if opts.MaxBlobBytes < 0 || opts.MaxBlobBytes > DefaultMaxBlobBytes {
		return nil, fmt.Errorf("DA blob limit is %d bytes, want 1 to %d", opts.MaxBlobBytes, DefaultMaxBlobBytes)
	}
	s, err := openStore(dir, opts.FS)
	if err != nil {
		return nil, err
	}
	head, err := s.head()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the head of DA store %s: %w", dir, err), s.db.Close())
	}
	l := &Layer{
		store: s, blockTime: opts.BlockTime, maxBlob: opts.MaxBlobBytes, now: opts.Now,
		room: semaphore.NewWeighted(maxBlockBytes), head: head,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	go l.produce()
	return l, nil
}

// Name implements da.Layer.
func (l *Layer) Name() string { return "local" }

// Limits implements da.Layer.
func (l *Layer) Limits() da.Limits { return da.Limits{MaxBlobBytes: l.maxBlob} }

// Head implements da.Layer.
func (l *Layer) Head(context.Context) (uint64, error) { return l.lastHeader().height, nil }

// Submit implements da.Layer. Where ctx ends first, nothing is stored.
func (l *Layer) Submit(ctx context.Context, ns da.Namespace, blobs [][]byte) (uint64, error) {
	entries := make([]entry, len(blobs))
	for i, data := range blobs {
		entries[i] = entry{ns.V0(), data}
	}
	return l.submit(ctx, entries)
}

// Blobs implements da.Layer.
func (l *Layer) Blobs(_ context.Context, height uint64, ns da.Namespace) ([]da.Blob, error) {
	var out []da.Blob
	err := l.read(height, ns.V0(), func(_ uint32, data []byte) error {
		out = append(out, da.Blob{Height: height, Data: append([]byte(nil), data...)})
		return nil
	})
	return out, err
}

// Close ends the layer. Submissions that have no block yet fail and are not stored.
func (l *Layer) Close() error {
	var err error
	l.once.Do(func() {
		close(l.closing)
		<-l.closed
		l.reading.Lock()
		defer l.reading.Unlock()
		l.gone = true
		err = l.store.db.Close()
	})
	return err
}

// check says whether the entries can go into one block.
func (l *Layer) check(entries []entry) error {
	if len(entries) == 0 {
		return fmt.Errorf("no blobs: %w", da.ErrRejected)
	}
	if len(entries) > maxBlockBlobs {
		return fmt.Errorf("%d blobs, at most %d: %w", len(entries), maxBlockBlobs, da.ErrTooLarge)
	}
	bytes := 0
	for i, e := range entries {
		if len(e.data) == 0 {
			return fmt.Errorf("blob %d is empty: %w", i, da.ErrRejected)
		}
		bytes += len(e.data)
	}
	if bytes > l.maxBlob {
		return fmt.Errorf("%d bytes, at most %d: %w", bytes, l.maxBlob, da.ErrTooLarge)
	}
	return nil
}

func (l *Layer) submit(ctx context.Context, entries []entry) (uint64, error) {
	sub, err := l.enqueue(ctx, entries)
	if err != nil {
		return 0, err
	}
	return l.wait(ctx, sub)
}

// enqueue puts the entries in line for a block, once there is room.
func (l *Layer) enqueue(ctx context.Context, entries []entry) (*submission, error) {
	if err := l.check(entries); err != nil {
		return nil, err
	}
	sub := &submission{entries: entries, done: make(chan struct{})}
	for _, e := range entries {
		sub.cost += int64(len(e.data) + entryCost)
	}
	if err := l.room.Acquire(ctx, sub.cost); err != nil {
		return nil, fmt.Errorf("wait for room: %w: %w", err, da.ErrUnavailable)
	}
	l.mu.Lock()
	l.pending = append(l.pending, sub)
	l.mu.Unlock()
	l.wakeUp()
	return sub, nil
}

// wait returns the height at which the submission is on disk. Whoever stops
// waiting takes the submission back, so that one that is sent again is not stored
// twice; where its block is being written already, the outcome is a moment away.
func (l *Layer) wait(ctx context.Context, sub *submission) (uint64, error) {
	select {
	case <-sub.done:
		return sub.height, sub.err
	case <-ctx.Done():
		if l.withdraw(sub) {
			return 0, fmt.Errorf("wait for a block: %w: %w", ctx.Err(), da.ErrUnavailable)
		}
		<-sub.done
		return sub.height, sub.err
	case <-l.closed:
	}
	// What produce settled on its way out stands; it takes no more.
	select {
	case <-sub.done:
		return sub.height, sub.err
	default:
		return 0, fmt.Errorf("%w: %w", errClosed, da.ErrUnavailable)
	}
}

// withdraw takes a submission out of the line, and reports whether it stood there.
func (l *Layer) withdraw(sub *submission) bool {
	l.mu.Lock()
	i := slices.Index(l.pending, sub)
	if i >= 0 {
		l.pending = slices.Delete(l.pending, i, i+1)
	}
	l.mu.Unlock()
	if i >= 0 {
		l.room.Release(sub.cost)
	}
	return i >= 0
}

func (l *Layer) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default: // a token is there already
	}
}

// produce makes the blocks: it sleeps until something is pending, then until the
// next tick of the block clock.
func (l *Layer) produce() {
	defer close(l.closed)
	for {
		select {
		case <-l.wake:
		case <-l.closing:
			return
		}
		now := l.now()
		tick := time.NewTimer(now.Truncate(l.blockTime).Add(l.blockTime).Sub(now))
		select {
		case <-tick.C:
		case <-l.closing:
			tick.Stop()
			return
		}
		l.makeBlock()
	}
}

// makeBlock stores as much of what is pending as one block may hold, at least one submission.
func (l *Layer) makeBlock() {
	l.mu.Lock()
	n, blobs, cost := 0, 0, int64(0)
	for _, sub := range l.pending {
		if n > 0 && (blobs+len(sub.entries) > maxBlockBlobs || cost+sub.cost > maxBlockBytes) {
			break
		}
		n, blobs, cost = n+1, blobs+len(sub.entries), cost+sub.cost
	}
	take := l.pending[:n:n]
	l.pending = append([]*submission(nil), l.pending[n:]...)
	parent, more := l.head, len(l.pending) > 0
	l.mu.Unlock()
	if n == 0 {
		return
	}
	if more {
		l.wakeUp()
	}
	entries := make([]entry, 0, blobs)
	for _, sub := range take {
		entries = append(entries, sub.entries...)
	}
	h, err := l.store.append(parent, l.now(), entries)
	if err == nil {
		l.mu.Lock()
		l.head = h
		l.mu.Unlock()
	} else {
		err = fmt.Errorf("%w: %w", err, da.ErrUnavailable)
	}
	// The block is on disk before anyone hears of it.
	for _, sub := range take {
		sub.height, sub.err = h.height, err
		close(sub.done)
		l.room.Release(sub.cost)
	}
}

func (l *Layer) lastHeader() header {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// headerAt returns the header of a block. Errors: da.ErrNotYet, da.ErrNotFound, da.ErrUnavailable.
func (l *Layer) headerAt(height uint64) (header, error) {
	if head := l.lastHeader().height; height > head {
		return header{}, notYet(height, head)
	}
	l.reading.RLock()
	defer l.reading.RUnlock()
	if l.gone {
		return header{}, fmt.Errorf("%w: %w", errClosed, da.ErrUnavailable)
	}
	h, err := l.store.headerAt(height)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return header{}, fmt.Errorf("height %d: %w", height, da.ErrNotFound)
	case err != nil:
		return header{}, fmt.Errorf("read DA header %d: %w: %w", height, err, da.ErrUnavailable)
	}
	return h, nil
}

func notYet(height, head uint64) error {
	return fmt.Errorf("height %d, head %d: %w", height, head, da.ErrNotYet)
}

// read calls fn for what the namespace holds at the height. Errors: da.ErrNotYet, da.ErrUnavailable.
func (l *Layer) read(height uint64, ns namespace, fn func(index uint32, data []byte) error) error {
	if head := l.lastHeader().height; height > head {
		return notYet(height, head)
	}
	l.reading.RLock()
	defer l.reading.RUnlock()
	if l.gone {
		return fmt.Errorf("%w: %w", errClosed, da.ErrUnavailable)
	}
	if err := l.store.blobs(height, ns, fn); err != nil {
		return fmt.Errorf("read DA block %d: %w: %w", height, err, da.ErrUnavailable)
	}
	return nil
}

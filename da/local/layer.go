// Package local is the embedded DA layer: blobs by namespace at heights, in one
// folder on disk. In come blobs; out goes where each is stored, and later the blobs.
// A blob's commitment is its Celestia share commitment.
//
// What always holds: heights have no gap; a height holds at least one blob, so
// that an idle layer grows nothing; once Submit has returned, its blobs are on
// disk, all of them at one height, and never change until they are pruned, where that
// is asked for. A crash loses only blobs whose Submit has not returned, and those are
// either stored whole or not at all.
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

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/semaphore"

	"github.com/ordo-network/ordo/da"
)

// Defaults of Options.
const (
	DefaultBlockTime      = time.Second
	DefaultMaxBlobBytes   = 32 << 20
	DefaultMaxSubmitBytes = 64 << 20
	// maxBlockBytes bounds what one height holds, and what may wait for a height.
	maxBlockBytes = 96 << 20
	// maxBlockBlobs bounds the blobs of one height, and so those of one Submit.
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
	// MaxBlobBytes bounds one blob, MaxSubmitBytes all blobs of one Submit together,
	// and neither may be over DefaultMaxSubmitBytes.
	MaxBlobBytes, MaxSubmitBytes int
	// Retain is how long blobs are kept; 0 is for ever. Blocks are never without their
	// header, so that heights go on.
	Retain time.Duration
	// Now is the clock that stands in block headers.
	Now func() time.Time
	// FS is the disk; nil is the machine's.
	FS vfs.FS
}

// limits fills in the defaults and checks the bounds.
func limits(blob, submit int) (da.Limits, error) {
	if blob == 0 {
		blob = DefaultMaxBlobBytes
	}
	if submit == 0 {
		submit = max(blob, DefaultMaxSubmitBytes)
	}
	if blob < 0 || blob > submit {
		return da.Limits{}, fmt.Errorf("DA blob limit is %d bytes, want 1 to %d", blob, submit)
	}
	if submit > DefaultMaxSubmitBytes {
		return da.Limits{}, fmt.Errorf("DA submission limit is %d bytes, want at most %d", submit, DefaultMaxSubmitBytes)
	}
	return da.Limits{MaxBlobBytes: blob, MaxSubmitBytes: submit, MaxSubmitBlobs: maxBlockBlobs}, nil
}

// Layer is the DA layer in this process. Its methods may be called from many
// goroutines.
type Layer struct {
	store     *store
	blockTime time.Duration
	retain    time.Duration
	limits    da.Limits
	now       func() time.Time

	// room bounds the bytes that wait for a block, hashing those whose commitments are
	// being made; who finds none waits for it.
	room, hashing *semaphore.Weighted

	mu      sync.Mutex
	head    header
	newHead chan struct{} // closed, and replaced, with each block
	kept    uint64        // blobs below this height are pruned
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
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.BlockTime < 0 {
		return nil, fmt.Errorf("DA block time is %s, want more than 0", opts.BlockTime)
	}
	if opts.Retain < 0 {
		return nil, fmt.Errorf("DA blobs are kept for %s, want 0 (for ever) or more", opts.Retain)
	}
	limits, err := limits(opts.MaxBlobBytes, opts.MaxSubmitBytes)
	if err != nil {
		return nil, err
	}
	s, err := openStore(dir, opts.FS)
	if err != nil {
		return nil, err
	}
	head, err := s.head()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the head of DA store %s: %w", dir, err), s.db.Close())
	}
	kept, err := s.kept()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read what DA store %s keeps: %w", dir, err), s.db.Close())
	}
	l := &Layer{
		store: s, blockTime: opts.BlockTime, retain: opts.Retain, limits: limits, now: opts.Now,
		room: semaphore.NewWeighted(maxBlockBytes), hashing: semaphore.NewWeighted(maxCommitBytes),
		head: head, newHead: make(chan struct{}), kept: kept,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	go l.produce()
	return l, nil
}

// Name implements da.Layer.
func (l *Layer) Name() string { return "local" }

// Limits implements da.Layer.
func (l *Layer) Limits() da.Limits { return l.limits }

// Price implements da.Layer: there is none.
func (l *Layer) Price(context.Context) (da.Price, error) { return da.Price{}, nil }

// Head implements da.Layer.
func (l *Layer) Head(context.Context) (uint64, error) { return l.lastHeader().height, nil }

// WaitHead implements da.Layer.
func (l *Layer) WaitHead(ctx context.Context, above uint64) (uint64, error) {
	for {
		l.mu.Lock()
		head, changed := l.head.height, l.newHead
		l.mu.Unlock()
		if head > above {
			return head, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for height %d: %w: %w", above+1, ctx.Err(), da.ErrUnavailable)
		case <-l.closed:
			return 0, fmt.Errorf("%w: %w", errClosed, da.ErrUnavailable)
		}
	}
}

// Submit implements da.Layer. Where ctx ends first, nothing is stored.
func (l *Layer) Submit(ctx context.Context, blobs []da.Blob) ([]da.Ref, error) {
	entries := make([]entry, len(blobs))
	for i, b := range blobs {
		entries[i] = entry{ns: b.Namespace.V0(), data: b.Data}
	}
	height, err := l.submit(ctx, entries)
	if err != nil {
		return nil, err
	}
	refs := make([]da.Ref, len(entries))
	for i := range entries {
		refs[i] = da.Ref{Height: height, Commitment: entries[i].commitment[:]}
	}
	return refs, nil
}

// Get implements da.Layer.
func (l *Layer) Get(_ context.Context, ns da.Namespace, ref da.Ref) (data []byte, err error) {
	if len(ref.Commitment) == 0 {
		err = l.read(ref.Height, ns.V0(), func(b blob) error {
			data = append([]byte(nil), b.data...)
			return errEnough
		})
	} else {
		err = l.find(ref.Height, ns.V0(), ref.Commitment, func(b blob) error {
			data = append([]byte(nil), b.data...)
			return nil
		})
	}
	if err == nil && data == nil {
		err = fmt.Errorf("blob %x at height %d: %w", ref.Commitment, ref.Height, da.ErrNotFound)
	}
	return data, err
}

// Blobs implements da.Layer.
func (l *Layer) Blobs(_ context.Context, height uint64, ns da.Namespace) ([]da.Stored, error) {
	var out []da.Stored
	err := l.read(height, ns.V0(), func(b blob) error {
		out = append(out, da.Stored{
			Ref:  da.Ref{Height: height, Commitment: append([]byte(nil), b.commitment...)},
			Data: append([]byte(nil), b.data...),
		})
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

// check says whether n blobs of these sizes may be one Submit.
func check(limits da.Limits, n int, size func(int) int) error {
	if n == 0 {
		return fmt.Errorf("no blobs: %w", da.ErrRejected)
	}
	if n > limits.MaxSubmitBlobs {
		return fmt.Errorf("%d blobs, at most %d: %w", n, limits.MaxSubmitBlobs, da.ErrTooLarge)
	}
	total := 0
	for i := range n {
		switch bytes := size(i); {
		case bytes == 0:
			return fmt.Errorf("blob %d is empty: %w", i, da.ErrRejected)
		case bytes > limits.MaxBlobBytes:
			return fmt.Errorf("blob %d has %d bytes, at most %d: %w", i, bytes, limits.MaxBlobBytes, da.ErrTooLarge)
		}
		total += size(i)
	}
	if total > limits.MaxSubmitBytes {
		return fmt.Errorf("%d bytes, at most %d: %w", total, limits.MaxSubmitBytes, da.ErrTooLarge)
	}
	return nil
}

// submit stores the entries and returns their height. It fills in their commitments.
func (l *Layer) submit(ctx context.Context, entries []entry) (uint64, error) {
	sub, err := l.enqueue(ctx, entries)
	if err != nil {
		return 0, err
	}
	return l.wait(ctx, sub)
}

// enqueue puts the entries in line for a block, once there is room.
func (l *Layer) enqueue(ctx context.Context, entries []entry) (*submission, error) {
	if err := check(l.limits, len(entries), func(i int) int { return len(entries[i].data) }); err != nil {
		return nil, err
	}
	sub := &submission{entries: entries, done: make(chan struct{})}
	for _, e := range entries {
		sub.cost += int64(len(e.data) + entryCost)
	}
	if err := l.room.Acquire(ctx, sub.cost); err != nil {
		return nil, fmt.Errorf("wait for room: %w: %w", err, da.ErrUnavailable)
	}
	if err := l.commit(ctx, entries); err != nil {
		l.room.Release(sub.cost)
		return nil, err
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

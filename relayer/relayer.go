package relayer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

const (
	// memoryBytes bounds the blocks that gather, and, again, the blobs that are being
	// submitted, over all rollups.
	memoryBytes = 128 << 20
	// maxGroup is how many blobs of a rollup one submission takes.
	maxGroup = 256
	// blobOverhead is more than a blob has beside its blocks, where they do not compress.
	blobOverhead = 64 << 10
)

// Rollup is one rollup whose order is relayed.
type Rollup struct {
	Name  string // for logs and metrics
	ID    order.RollupID
	Start uint64 // first height wanted, where the journal knows of none
}

// Source is the verified order of one rollup: follower.Follower.
type Source interface {
	// Run hands each block from the height on to handle, in order, without gap, and
	// waits for it. It returns when ctx is done, when handle fails, or when it
	// cannot go on.
	Run(ctx context.Context, from uint64, handle func(context.Context, *follower.Block) error) error
}

// Options is what a Relayer is made of. Rollups, Open, Layer and Journal are needed.
type Options struct {
	Rollups []Rollup
	// Open returns the source of a rollup; the checkpoint, where it is not zero, is
	// a block that was verified before, below what is asked for.
	Open    func(Rollup, follower.Checkpoint) (Source, error)
	Layer   da.Layer
	Journal string // directory
	Batch   BatchConfig

	FS         vfs.FS // nil is the machine's
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
	Random     func() float64 // in [0, 1)
	// RetryMin and RetryMax bound the wait after a failure.
	RetryMin, RetryMax time.Duration
}

// Relayer relays any number of rollups.
type Relayer struct {
	rollups []Rollup
	open    func(Rollup, follower.Checkpoint) (Source, error)
	layer   da.Layer
	journal *journal
	batch   BatchConfig
	maxRaw  int64 // bytes of blocks of one blob, so that it fits the layer whatever they hold
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	random  func() float64

	retryMin, retryMax time.Duration

	memory   *semaphore.Weighted // bytes of blocks that gather
	sending  *semaphore.Weighted // bytes that are being submitted
	inFlight *semaphore.Weighted // submissions
	watch    *watch
	outage   *outage
}

// New opens the journal. It refuses a layer that could not take the largest block
// that the order may bring: a rollup must not get stuck on one later.
func New(o Options) (*Relayer, error) {
	if need, have := follower.MaxBlockBytes+blobOverhead, o.Layer.Limits().MaxBlobBytes; have < need {
		return nil, fmt.Errorf("the %s DA layer takes blobs of at most %d bytes, but one block of the order may need %d: choose a layer that takes them", o.Layer.Name(), have, need)
	}
	if o.Batch == (BatchConfig{}) {
		o.Batch = DefaultConfig().Batch
	}
	if err := o.Batch.validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.RetryMin <= 0 {
		o.RetryMin = time.Second
	}
	if o.RetryMax <= 0 {
		o.RetryMax = 15 * time.Second
	}
	j, err := openJournal(o.Journal, o.FS)
	if err != nil {
		return nil, err
	}
	return &Relayer{
		rollups: o.Rollups, open: o.Open, layer: o.Layer, journal: j, batch: o.Batch, log: o.Logger, now: o.Now, random: o.Random,
		maxRaw:  int64(min(o.Layer.Limits().MaxBlobBytes, follower.DefaultBlobLimits.MaxBytes) - blobOverhead),
		metrics: newMetrics(o.Registerer), retryMin: o.RetryMin, retryMax: o.RetryMax,
		memory: semaphore.NewWeighted(memoryBytes), sending: semaphore.NewWeighted(memoryBytes),
		inFlight: semaphore.NewWeighted(int64(o.Batch.MaxInFlight)),
		watch:    &watch{layer: o.Layer, now: o.Now}, outage: &outage{log: o.Logger, now: o.Now, layer: o.Layer.Name()},
	}, nil
}

// Close closes the journal, after Run has returned.
func (r *Relayer) Close() error { return r.journal.close() }

// Run relays until ctx ends, which is no error. It returns an error where the DA
// layer is not the one that the journal knows.
func (r *Relayer) Run(ctx context.Context) error {
	if err := r.greet(ctx); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, rollup := range r.rollups {
		wg.Go(func() { r.follow(ctx, rollup) })
	}
	wg.Wait()
	return nil
}

// greet asks the layer for its head, until it answers or ctx ends, and holds the
// head against the journal.
func (r *Relayer) greet(ctx context.Context) error {
	var head uint64
	for failures := 0; ; failures++ {
		var err error
		if head, err = r.layer.Head(ctx); err == nil {
			break
		}
		if errors.Is(err, da.ErrRejected) {
			return fmt.Errorf("ask the %s DA layer for its head: %w", r.layer.Name(), err)
		}
		r.outage.failed(err)
		if !sleep(ctx, r.backoff(failures)) {
			return nil
		}
	}
	r.outage.over()
	r.watch.saw(head)
	for _, rollup := range r.rollups {
		p, err := r.journal.progress(rollup.ID)
		if err != nil {
			return err
		}
		if p.daHeight > head {
			return fmt.Errorf("the head of the %s DA layer is %d, but rollup %s was posted there at height %d: this is not the layer that the journal belongs to; bring that layer back, or start with an empty relayer home",
				r.layer.Name(), head, rollup.Name, p.daHeight)
		}
	}
	return nil
}

// backoff is the wait after so many failures in a row, in fair disorder.
func (r *Relayer) backoff(failures int) time.Duration {
	wait := r.retryMax
	if failures < 20 {
		wait = min(wait, r.retryMin<<failures)
	}
	return wait/2 + time.Duration(r.random()*float64(wait/2))
}

// watch knows a height that the layer's head has reached: whatever is submitted
// later stands above it.
type watch struct {
	layer  da.Layer
	now    func() time.Time
	height atomic.Uint64

	mu sync.Mutex
	at time.Time // when height was last asked for or seen
}

// watchFresh is how old the height may be before the layer is asked again. An old
// height is as right as a new one; searches only take longer from there.
const (
	watchFresh   = 10 * time.Second
	watchTimeout = 3 * time.Second
)

func (w *watch) saw(height uint64) {
	for {
		old := w.height.Load()
		if old >= height || w.height.CompareAndSwap(old, height) {
			break
		}
	}
	w.mu.Lock()
	w.at = w.now()
	w.mu.Unlock()
}

// lowerBound returns the height. Posting goes on and shows new ones, so that the
// layer is asked only after a silence, by one caller.
func (w *watch) lowerBound(ctx context.Context) uint64 {
	w.mu.Lock()
	stale := w.now().Sub(w.at) > watchFresh
	if stale {
		w.at = w.now()
	}
	w.mu.Unlock()
	if stale {
		ctx, cancel := context.WithTimeout(ctx, watchTimeout)
		defer cancel()
		if head, err := w.layer.Head(ctx); err == nil { // otherwise the old height will do
			w.saw(head)
		}
	}
	return w.height.Load()
}

// outage logs that the layer does not answer: once when it begins, now and then
// while it lasts, and once when it is over, however many rollups wait.
type outage struct {
	log   *slog.Logger
	now   func() time.Time
	layer string

	mu     sync.Mutex
	since  time.Time // zero where there is none
	logged time.Time
}

const outageLogEvery = 30 * time.Second

func (o *outage) failed(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if o.since.IsZero() {
		o.since = now
	}
	if now.Sub(o.logged) < outageLogEvery {
		return
	}
	o.logged = now
	o.log.Warn("DA layer does not answer, trying again", "layer", o.layer, "down_for", now.Sub(o.since).Round(time.Second), "error", err)
}

func (o *outage) over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		return
	}
	o.log.Info("DA layer answers again", "layer", o.layer, "down_for", o.now().Sub(o.since).Round(time.Millisecond))
	o.since, o.logged = time.Time{}, time.Time{}
}

// down says whether the layer did not answer the last time.
func (o *outage) down() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero()
}

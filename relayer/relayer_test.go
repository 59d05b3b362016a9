package relayer

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/test/await"
)

func TestMain(m *testing.M) {
	// The encoder of blobs has a channel, which must not come from a bubble of synctest.
	chain := newTestChain()
	chain.growBy(1)
	if _, err := follower.EncodeBlob([]*orderv1.RollupBlock{chain.rollupBlock(1, order.NewRollupID("alpha"))}); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// storing stores what was submitted, and answering is what a layer does with it.
type (
	storing   = func(ctx context.Context) ([]da.Ref, error)
	answering = func(ctx context.Context, blobs []da.Blob, store storing) ([]da.Ref, error)
)

// testLayer is a local layer that fails on demand.
type testLayer struct {
	da.Layer
	name string

	mu       sync.Mutex
	submit   answering
	head     func() error
	limits   da.Limits
	requests int // submissions that came in
}

func newTestLayer(t testing.TB, o local.Options) *testLayer {
	t.Helper()
	if o.BlockTime == 0 {
		o.BlockTime = 2 * time.Millisecond
	}
	o.FS = vfs.NewMem()
	l, err := local.Open("da", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return &testLayer{Layer: l, name: "local", limits: l.Limits()}
}

func (l *testLayer) Name() string { return l.name }

func (l *testLayer) Limits() da.Limits { return l.limits }

// onSubmit makes fn answer submissions; nil: they are stored.
func (l *testLayer) onSubmit(fn answering) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.submit = fn
}

func (l *testLayer) onHead(fn func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = fn
}

func (l *testLayer) Submit(ctx context.Context, blobs []da.Blob) ([]da.Ref, error) {
	l.mu.Lock()
	fn := l.submit
	l.requests++
	l.mu.Unlock()
	if fn == nil {
		return l.Layer.Submit(ctx, blobs)
	}
	return fn(ctx, blobs, func(ctx context.Context) ([]da.Ref, error) { return l.Layer.Submit(ctx, blobs) })
}

func (l *testLayer) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

func (l *testLayer) Head(ctx context.Context) (uint64, error) {
	l.mu.Lock()
	fn := l.head
	l.mu.Unlock()
	if fn != nil {
		if err := fn(); err != nil {
			return 0, err
		}
	}
	return l.Layer.Head(ctx)
}

// Both ways in which a submission can fail.
func notStored(context.Context, []da.Blob, storing) ([]da.Ref, error) {
	return nil, fmt.Errorf("request lost (injected): %w", da.ErrUnavailable)
}

func butStored(ctx context.Context, _ []da.Blob, store storing) ([]da.Ref, error) {
	_, _ = store(ctx)
	return nil, fmt.Errorf("answer lost (injected): %w", da.ErrUnavailable)
}

func rollups(names ...string) []Rollup {
	out := make([]Rollup, len(names))
	for i, name := range names {
		out[i] = Rollup{Name: name, ID: order.NewRollupID(name), Start: 1, Layer: "local"}
	}
	return out
}

func testBatch() BatchConfig {
	b := DefaultConfig().Batch
	b.Age = config.Duration(5 * time.Millisecond)
	return b
}

// running is a relayer that runs until stop.
type running struct {
	*Relayer
	registry *prometheus.Registry
	t        testing.TB
	cancel   context.CancelFunc
	done     chan error
}

// prepare fills in what tests have in common, and one layer where none is given.
func prepare(t testing.TB, chain *testChain, o Options, layers ...da.Layer) Options {
	t.Helper()
	for _, l := range layers {
		o.Layers = append(o.Layers, Layer{Layer: l})
	}
	if o.Open == nil {
		o.Open = chain.open(t)
	}
	if o.Journal == "" {
		o.Journal = "journal"
	}
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	if o.Batch == (BatchConfig{}) {
		o.Batch = testBatch()
	}
	if o.RetryMin == 0 {
		o.RetryMin, o.RetryMax = 2*time.Millisecond, 20*time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func start(t testing.TB, o Options) *running {
	t.Helper()
	registry := prometheus.NewRegistry()
	o.Registerer = registry
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, r, registry)
}

func run(t testing.TB, r *Relayer, registry *prometheus.Registry) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{Relayer: r, registry: registry, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { run.done <- r.Run(ctx) }()
	t.Cleanup(run.stop)
	return run
}

func (r *running) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
}

// metric sums a metric over its labels.
func (r *running) metric(name string) (sum float64) {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// blobsOf returns all blobs of a rollup on the layer, in order.
func blobsOf(t testing.TB, layer da.Layer, id order.RollupID) (out []da.Stored) {
	t.Helper()
	head, err := layer.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for h := uint64(1); h <= head; h++ {
		blobs, err := layer.Blobs(t.Context(), h, da.Namespace(id))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, blobs...)
	}
	return out
}

// postedTo returns the height up to which a rollup is on the layer. It holds that each
// height is there once, in order, without gap, from a height on.
func postedTo(t testing.TB, layer da.Layer, id order.RollupID, from uint64) uint64 {
	t.Helper()
	var set follower.Range
	parts := 0
	next := from
	for _, b := range blobsOf(t, layer, id) {
		r, err := follower.BlobRange(b.Data)
		if err != nil {
			t.Fatal(err)
		}
		if r.From != next {
			t.Fatalf("DA height %d holds blocks %d to %d, want them from %d on: doubled or lost", b.Height, r.From, r.To, next)
		}
		if r.Part != parts || parts > 0 && r.Set != set.Set {
			t.Fatalf("DA height %d holds part %d of %d, want part %d of a set", b.Height, r.Part, r.Parts, parts)
		}
		set = r
		if parts++; parts == r.Parts {
			next, parts = r.To+1, 0
		}
	}
	return next - 1
}

// wantPosted waits until the whole chain is on DA, and holds that each height is
// there once, in order.
func wantPosted(t testing.TB, c *testChain, layer da.Layer, names ...string) {
	t.Helper()
	for _, name := range names {
		id := order.NewRollupID(name)
		await.Until(t, "all blocks of "+name+" are on DA", func() bool {
			return postedTo(t, layer, id, 1) >= uint64(c.height())
		})
	}
}

func TestTheWholeOrderGetsToDA(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	chain.growBy(30)
	start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta", "gamma")}, layer))
	for range 10 {
		chain.growBy(3)
		time.Sleep(3 * time.Millisecond) // lets blobs of several sizes form
	}
	wantPosted(t, chain, layer, "alpha", "beta", "gamma")
}

// The blobs of many rollups go out together.
func TestRollupsShareSubmissions(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	chain.growBy(5)
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprint("rollup-", i))
	}
	batch := testBatch()
	batch.Age = config.Duration(2 * time.Second) // long enough to read the blocks
	start(t, prepare(t, chain, Options{Rollups: rollups(names...), Batch: batch}, layer))
	wantPosted(t, chain, layer, names...)
	if n := layer.count(); n > 10 {
		t.Errorf("%d submissions for 5 blocks of %d rollups", n, len(names))
	}
}

func TestRestartGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	o := prepare(t, chain, Options{Rollups: rollups("alpha", "beta")}, layer)
	for range 5 {
		chain.growBy(7)
		r := start(t, o)
		wantPosted(t, chain, layer, "alpha", "beta")
		chain.growBy(2)
		r.stop()
	}
	start(t, o)
	wantPosted(t, chain, layer, "alpha", "beta")
	if from := chain.opened.Load(); from < 30 {
		t.Errorf("the last start read from height %d of %d again", from, chain.height())
	}
}

func TestLayerThatIsTooSmallIsRefused(t *testing.T) {
	t.Parallel()
	layer := newTestLayer(t, local.Options{})
	layer.limits.MaxBlobBytes = follower.MinBlobLimit - 1
	if _, err := New(prepare(t, newTestChain(), Options{Rollups: rollups("alpha")}, layer)); err == nil {
		t.Fatal("a layer for which blobs cannot be split was accepted")
	}
}

func TestStartHeight(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	chain.growBy(12)
	late := rollups("alpha", "beta")
	late[0].Start = 9
	start(t, prepare(t, chain, Options{Rollups: late}, layer))
	wantPosted(t, chain, layer, "beta")
	await.Until(t, "alpha is posted from its start", func() bool { return postedTo(t, layer, late[0].ID, 9) == 12 })
}

// Two relayers post the same: readers see everything, twice, and drop half of it.
func TestSeveralRelayersAtOnce(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	var both []*running
	for range 2 {
		both = append(both, start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta")}, layer)))
	}
	for range 10 {
		chain.growBy(3)
		time.Sleep(3 * time.Millisecond) // lets their blobs differ
	}
	for _, r := range both {
		await.Until(t, "each has posted everything", func() bool {
			for _, s := range r.Status().Rollups {
				if s.PostedHeight < uint64(chain.height()) {
					return false
				}
			}
			return true
		})
	}
	for _, name := range []string{"alpha", "beta"} {
		wantReadBack(t, chain, order.NewRollupID(name), layer)
	}
}

// Reading is given up for a rollup whose backlog is full, and for no other.
func TestFullBacklogStopsItsRollupAlone(t *testing.T) {
	t.Parallel()
	chain, good, bad := newTestChain(), newTestLayer(t, local.Options{}), newTestLayer(t, local.Options{})
	bad.name = "other"
	bad.onSubmit(notStored)
	both := rollups("alpha", "beta")
	both[0].Layer = "other"
	batch := testBatch()
	batch.BlobBytes, batch.BacklogBlobs = 8<<10, 8
	r := start(t, prepare(t, chain, Options{Rollups: both, Batch: batch}, good, bad))
	chain.growBy(500)
	wantPosted(t, chain, good, "beta")
	time.Sleep(50 * time.Millisecond) // for reading that must not happen
	alpha := r.Status().Rollups[0]
	if alpha.ReadHeight > 200 || alpha.PendingBytes == 0 {
		t.Errorf("alpha was read to %d of %d with its layer down, %d bytes wait", alpha.ReadHeight, chain.height(), alpha.PendingBytes)
	}
	if n := len(r.silent()); n != 1 {
		t.Errorf("%d layers count as silent, want 1", n)
	}
	bad.onSubmit(nil)
	wantPosted(t, chain, bad, "alpha")
	chain.growBy(3)
	wantPosted(t, chain, bad, "alpha")
	wantPosted(t, chain, good, "beta")
	await.Until(t, "both are read by one reader again", func() bool { return chain.sources.Load() == 1 })
}

// A sequencer that fails now and then, or gives the wrong block, is asked again.
func TestReadingThatFailsGoesOn(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	open := chain.open(t)
	rng := rand.New(rand.NewPCG(1, 1))
	o := prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), Open: func(ids []order.RollupID, cp follower.Checkpoint) (Source, error) {
		s, err := open(ids, cp)
		return brokenSource{s, rng}, err
	}}, layer)
	start(t, o)
	chain.growBy(100)
	wantPosted(t, chain, layer, "alpha", "beta")
}

type brokenSource struct {
	Source
	rng *rand.Rand
}

func (s brokenSource) Run(ctx context.Context, from uint64, handle func(context.Context, []*follower.Block) error) error {
	return s.Source.Run(ctx, from, func(ctx context.Context, blocks []*follower.Block) error {
		switch s.rng.IntN(10) {
		case 0:
			return fmt.Errorf("connection lost (injected)")
		case 1:
			return nil // the block is lost, and the next one does not follow
		}
		return handle(ctx, blocks)
	})
}

// metricOf sums those of a metric that have the label.
func (r *running) metricOf(name, label string) (sum float64) {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == label {
					sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

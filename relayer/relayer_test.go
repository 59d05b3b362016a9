package relayer

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/datest"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// remoteLayer is a local layer behind HTTP, with a transport that may fail.
type remoteLayer struct {
	*local.Client
	faults   *datest.Faults
	embedded *local.Layer
}

func newRemoteLayer(t *testing.T) *remoteLayer {
	t.Helper()
	l, err := local.Open(t.TempDir(), local.Options{BlockTime: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- local.NewServer(l, local.ServerOptions{}).Serve(ctx, listener) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	faults := datest.NewFaults(transport)
	c, err := local.NewClient("http://"+listener.Addr().String(), local.ClientOptions{Transport: faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return &remoteLayer{c, faults, l}
}

func rollups(names ...string) []Rollup {
	out := make([]Rollup, len(names))
	for i, name := range names {
		out[i] = Rollup{Name: name, ID: order.NewRollupID(name), Start: 1}
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
	t        *testing.T
	cancel   context.CancelFunc
	done     chan error
}

func start(t *testing.T, o Options) *running {
	t.Helper()
	if o.Journal == "" {
		o.Journal, o.FS = "journal", vfs.NewMem()
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
	registry := prometheus.NewRegistry()
	o.Registerer = registry
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{Relayer: r, registry: registry, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { run.done <- r.Run(ctx) }()
	t.Cleanup(run.stop)
	return run
}

// stop ends the relayer as an interrupt does. It may be called again.
func (r *running) stop() {
	r.t.Helper()
	if r.done == nil {
		return
	}
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Errorf("run: %v", err)
	}
	r.done = nil
	if err := r.Close(); err != nil {
		r.t.Errorf("close: %v", err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 60 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// posted reads a rollup back from DA as any reader may, verifies it from genesis, and
// returns the heights in the order in which they stand there.
func posted(t *testing.T, c *testChain, layer da.Layer, id order.RollupID) []uint64 {
	t.Helper()
	head, err := layer.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var heights []uint64
	verifier := follower.NewVerifier(id, c.trust(t), follower.Options{})
	for h := uint64(1); h <= head; h++ {
		blobs, err := layer.Blobs(t.Context(), h, da.Namespace(id))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blobs {
			blocks, err := follower.DecodeBlob(b.Data, follower.DefaultBlobLimits)
			if err != nil {
				t.Fatal(err)
			}
			for _, rb := range blocks {
				got, err := verifier.Next(rb, time.Now())
				if err != nil {
					t.Fatalf("DA height %d after %d blocks: %v", h, len(heights), err)
				}
				heights = append(heights, got.Height)
			}
		}
	}
	return heights
}

// wantPosted waits until the whole chain is on DA, and holds that each height is
// there once, in order.
func wantPosted(t *testing.T, c *testChain, layer da.Layer, names ...string) {
	t.Helper()
	for _, name := range names {
		id := order.NewRollupID(name)
		var heights []uint64
		eventually(t, "all blocks of "+name+" are on DA", func() bool {
			heights = posted(t, c, layer, id)
			return len(heights) >= c.height()
		})
		if len(heights) != c.height() { // the verifier saw to it that they follow each other
			t.Fatalf("%s: %d blocks on DA, the chain has %d", name, len(heights), c.height())
		}
	}
}

func TestTheWholeOrderGetsToDA(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newRemoteLayer(t)
	chain.growBy(30)
	start(t, Options{Rollups: rollups("alpha", "beta", "gamma"), Open: chain.open(t), Layer: layer})
	for range 10 {
		chain.growBy(3)
		time.Sleep(3 * time.Millisecond) // lets blobs of several sizes form
	}
	wantPosted(t, chain, layer, "alpha", "beta", "gamma")
}

func TestRestartGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newRemoteLayer(t)
	dir := t.TempDir()
	for range 5 {
		chain.growBy(7)
		r := start(t, Options{Rollups: rollups("alpha", "beta"), Open: chain.open(t), Layer: layer, Journal: dir})
		wantPosted(t, chain, layer, "alpha", "beta")
		chain.growBy(2)
		r.stop()
	}
	start(t, Options{Rollups: rollups("alpha", "beta"), Open: chain.open(t), Layer: layer, Journal: dir})
	wantPosted(t, chain, layer, "alpha", "beta")
	if from := chain.opened.Load(); from < 30 {
		t.Errorf("the last start read from height %d of %d again", from, chain.height())
	}
}

func TestLayerThatIsTooSmallIsRefused(t *testing.T) {
	t.Parallel()
	c, err := local.NewClient("http://127.0.0.1:1", local.ClientOptions{MaxBlobBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Layer: c, Journal: t.TempDir()}); err == nil {
		t.Fatal("a layer that cannot take the largest block was accepted")
	}
}

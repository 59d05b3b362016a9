package relayer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/order"
)

// crashLayer is a layer to which nothing gets through any more once the process
// in front of it is taken for dead.
type crashLayer struct {
	da.Layer
	dead atomic.Bool
	// Called around each submission that gets through.
	before, after func()
}

func (l *crashLayer) Submit(ctx context.Context, ns da.Namespace, blobs [][]byte) (uint64, error) {
	if l.before != nil {
		l.before()
	}
	if l.dead.Load() {
		return 0, fmt.Errorf("killed: %w", da.ErrUnavailable)
	}
	height, err := l.Layer.Submit(ctx, ns, blobs)
	if l.after != nil {
		l.after()
	}
	if l.dead.Load() {
		return 0, fmt.Errorf("killed: %w", da.ErrUnavailable)
	}
	return height, err
}

// What is not synced is lost with a machine, and kept, in whole or in part, with a
// process.
var lossOfUnsynced = []int{0, 50, 100}

func crashClone(disk *vfs.MemFS, percentKept int, seed uint64) *vfs.MemFS {
	return disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percentKept, RNG: rand.New(rand.NewPCG(seed, 1))})
}

func TestKilledAtEachStep(t *testing.T) {
	t.Parallel()
	steps := map[string]func(l *crashLayer, kill func()){
		"built, not submitted":     func(l *crashLayer, kill func()) { l.before = kill },
		"stored, answer not heard": func(l *crashLayer, kill func()) { l.after = kill },
	}
	for step, arrange := range steps {
		for nth := 1; nth <= 3; nth++ {
			for _, kept := range lossOfUnsynced {
				t.Run(fmt.Sprintf("%s/submission %d/%d%% of unsynced kept", step, nth, kept), func(t *testing.T) {
					t.Parallel()
					chain, layer := newTestChain(), newRemoteLayer(t)
					chain.growBy(5)
					disk := vfs.NewCrashableMem()
					dying := &crashLayer{Layer: layer}
					crashed := make(chan *vfs.MemFS, 1)
					calls := 0
					arrange(dying, func() {
						if calls++; calls == nth {
							dying.dead.Store(true)
							crashed <- crashClone(disk, kept, uint64(nth))
						}
					})
					o := Options{Rollups: rollups("alpha"), Open: chain.open(t), Layer: dying, Journal: "journal", FS: disk}
					first := start(t, o)
					var after *vfs.MemFS
					eventually(t, "the relayer is killed", func() bool {
						chain.growBy(1)
						select {
						case after = <-crashed:
							return true
						default:
							return false
						}
					})
					first.stop()

					o.Layer, o.FS = layer, after
					start(t, o)
					chain.growBy(5)
					wantPosted(t, chain, layer, "alpha")
				})
			}
		}
	}
}

// Killed again and again, at any moment, it loses nothing and posts nothing twice.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newRemoteLayer(t)
	disk := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 25 {
		l := &crashLayer{Layer: layer}
		r := start(t, Options{Rollups: rollups("alpha", "beta"), Open: chain.open(t), Layer: l, Journal: "journal", FS: disk})
		for range rng.IntN(10) {
			chain.growBy(1)
			time.Sleep(time.Duration(rng.IntN(4)) * time.Millisecond) // any moment
		}
		l.dead.Store(true)
		after := crashClone(disk, lossOfUnsynced[i%3], uint64(i))
		r.stop()
		disk = after
	}
	start(t, Options{Rollups: rollups("alpha", "beta"), Open: chain.open(t), Layer: layer, Journal: "journal", FS: disk})
	wantPosted(t, chain, layer, "alpha", "beta")
}

func TestFailedButStoredIsNotSentAgain(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newRemoteLayer(t)
	chain.growBy(3)
	r := start(t, Options{Rollups: rollups("alpha"), Open: chain.open(t), Layer: layer})
	wantPosted(t, chain, layer, "alpha")
	for range 10 {
		dropped := layer.faults.Dropped()
		layer.faults.DropAnswers(1)
		chain.growBy(2)
		eventually(t, "an answer is lost", func() bool { return layer.faults.Dropped() > dropped })
	}
	wantPosted(t, chain, layer, "alpha")
	if n := counter(t, r, "ordo_relayer_found_blobs_total"); n == 0 {
		t.Error("no blob was found on the layer: the fault did not hit a submission")
	}
}

// Requests and answers are lost at random; the DA layer holds each block once.
func TestTransportThatLosesHalf(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newRemoteLayer(t)
	start(t, Options{Rollups: rollups("alpha", "beta", "gamma"), Open: chain.open(t), Layer: layer})
	rng := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		chain.growBy(1)
		if rng.IntN(2) == 0 {
			layer.faults.DropRequests(1)
		} else {
			layer.faults.DropAnswers(1)
		}
		time.Sleep(time.Duration(rng.IntN(5)) * time.Millisecond) // any moment
	}
	layer.faults.DropRequests(0)
	layer.faults.DropAnswers(0)
	wantPosted(t, chain, layer, "alpha", "beta", "gamma")
}

// While DA is away the relayer reads on until its backlog is full, and no further.
func TestLayerThatIsDownStopsTheReading(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newRemoteLayer(t)
	batch := testBatch()
	batch.BlobBytes, batch.BacklogBlobs = 8<<10, 4
	r := start(t, Options{Rollups: rollups("alpha"), Open: chain.open(t), Layer: layer, Batch: batch})
	chain.growBy(5)
	wantPosted(t, chain, layer, "alpha")

	layer.faults.DropRequests(1 << 30)
	chain.growBy(1000)
	waiting := func() int {
		p, err := r.journal.progress(order.NewRollupID("alpha"))
		if err != nil {
			t.Fatal(err)
		}
		return len(p.backlog)
	}
	eventually(t, "the backlog is full", func() bool { return waiting() >= batch.BacklogBlobs })
	eventually(t, "the outage is known", r.outage.down)
	time.Sleep(100 * time.Millisecond) // for reading that must not happen
	if n := waiting(); n > batch.BacklogBlobs+1 {
		t.Errorf("%d blobs wait, the bound is %d and the one that gathered", n, batch.BacklogBlobs)
	}
	if read := counter(t, r, "ordo_relayer_read_height"); read > 200 {
		t.Errorf("read up to height %v of 1005 with the layer down", read)
	}
	layer.faults.DropRequests(0)
	wantPosted(t, chain, layer, "alpha")
	if r.outage.down() {
		t.Error("the outage is over and still counts")
	}
}

// refusing rejects for good until it changes its mind.
type refusing struct {
	da.Layer
	err      atomic.Pointer[error]
	refusals atomic.Int64
}

func (l *refusing) Submit(ctx context.Context, ns da.Namespace, blobs [][]byte) (uint64, error) {
	if err := l.err.Load(); err != nil && ns == da.Namespace(order.NewRollupID("alpha")) {
		l.refusals.Add(1)
		return 0, *err
	}
	return l.Layer.Submit(ctx, ns, blobs)
}

func TestRefusalOfOneRollupLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	for _, err := range []error{da.ErrRejected, da.ErrTooLarge} {
		chain, layer := newTestChain(), newRemoteLayer(t)
		l := &refusing{Layer: layer}
		l.err.Store(&err)
		chain.growBy(20)
		start(t, Options{Rollups: rollups("alpha", "beta"), Open: chain.open(t), Layer: l})
		wantPosted(t, chain, layer, "beta")
		eventually(t, "alpha is tried again and again", func() bool { return l.refusals.Load() > 3 })
		l.err.Store(nil)
		wantPosted(t, chain, layer, "alpha", "beta")
	}
}

func TestAnotherLayerIsNoticed(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newRemoteLayer(t)
	dir := t.TempDir()
	chain.growBy(3)
	r := start(t, Options{Rollups: rollups("alpha"), Open: chain.open(t), Layer: layer, Journal: dir})
	wantPosted(t, chain, layer, "alpha")
	r.stop()
	empty, err := local.Open(t.TempDir(), local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = empty.Close() }() // nothing was written
	again, err := New(Options{Rollups: rollups("alpha"), Open: chain.open(t), Layer: empty, Journal: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }() // nothing was written
	if err := again.Run(t.Context()); err == nil {
		t.Error("an empty layer passed for the one where blobs were posted")
	}
}

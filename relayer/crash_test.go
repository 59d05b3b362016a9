package relayer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/test/await"
)

// crashLayer is a layer to which nothing gets through any more once the process
// in front of it is taken for dead.
type crashLayer struct {
	da.Layer
	dead atomic.Bool
	// Called around each submission that gets through.
	before, after func()
}

func (l *crashLayer) Submit(ctx context.Context, blobs []da.Blob) ([]da.Ref, error) {
	if l.before != nil {
		l.before()
	}
	if l.dead.Load() {
		return nil, fmt.Errorf("killed: %w", da.ErrUnavailable)
	}
	refs, err := l.Layer.Submit(ctx, blobs)
	if l.after != nil {
		l.after()
	}
	if l.dead.Load() {
		return nil, fmt.Errorf("killed: %w", da.ErrUnavailable)
	}
	return refs, err
}

// What is not synced is lost with a machine, and kept, in whole or in part, with a
// process.
var lossOfUnsynced = []int{0, 50, 100}

func crashClone(disk *vfs.MemFS, percentKept int, seed uint64) *vfs.MemFS {
	return disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percentKept, RNG: rand.New(rand.NewPCG(seed, 1))})
}

// crashChain is a chain whose relaying takes each kind of step: blobs of several sizes,
// some cut because they are large, and one in parts.
func crashChain() *testChain {
	chain := newTestChain()
	chain.growBy(5)
	chain.grow(large(1500 << 10))
	chain.growBy(4)
	chain.grow(large(6 << 10))
	chain.growBy(3)
	return chain
}

func crashOptions(t *testing.T, chain *testChain, disk *vfs.MemFS, layer da.Layer) Options {
	t.Helper()
	batch := testBatch()
	batch.BlobBytes, batch.SubmitBytes = 4<<10, 1<<20
	return prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), FS: disk, Batch: batch, Claimer: new(testClaimer), ClaimInterval: time.Millisecond}, layer)
}

// smallLayer makes blobs be split.
func smallLayer(t *testing.T) *testLayer {
	t.Helper()
	layer := newTestLayer(t, local.Options{})
	layer.limits.MaxBlobBytes = follower.MinBlobLimit
	return layer
}

// Killed after any write to its journal, it goes on without gap and without double, and
// claims all that it posts: with layers that are well, with one that loses answers and
// requests in turn, and with one that the fallback stands in for.
func TestKilledAtEachWrite(t *testing.T) {
	t.Parallel()
	chain := crashChain()
	for name, lose := range map[string][]answering{
		"well": {nil}, "each second lost": {butStored, nil, notStored, nil}, "fallback": {notStored},
	} {
		for _, kept := range lossOfUnsynced {
			t.Run(fmt.Sprintf("%s/%d%% of unsynced kept", name, kept), func(t *testing.T) {
				t.Parallel()
				kills := 0
				for nth := 1; killedAtWrite(t, chain, lose, nth, kept); nth++ {
					kills++
				}
				if kills < 10 {
					t.Errorf("the relayer made %d writes in all: that is not what it does", kills)
				}
				t.Logf("killed after each of %d writes", kills)
			})
		}
	}
}

// killedAtWrite reports whether there was such a write.
func killedAtWrite(t *testing.T, chain *testChain, lose []answering, nth, kept int) bool {
	t.Helper()
	layer, disk, claimer := smallLayer(t), vfs.NewCrashableMem(), new(testClaimer)
	other := smallLayer(t)
	other.name = "other"
	var submissions atomic.Int64
	layer.onSubmit(func(ctx context.Context, blobs []da.Blob, store storing) ([]da.Ref, error) {
		if fault := lose[int(submissions.Add(1)-1)%len(lose)]; fault != nil {
			return fault(ctx, blobs, store)
		}
		return store(ctx)
	})
	options := func(disk *vfs.MemFS, layer, other da.Layer) Options {
		o := crashOptions(t, chain, disk, layer)
		o.Claimer = claimer
		if len(lose) == 1 && lose[0] != nil {
			o.Layers, o.Fallback, o.FallbackAfter = append(o.Layers, Layer{Layer: other}), "other", 10*time.Millisecond
		}
		return o
	}
	dying, dyingOther := &crashLayer{Layer: layer}, &crashLayer{Layer: other}
	o := options(disk, dying, dyingOther)
	registry := prometheus.NewRegistry()
	o.Registerer = registry
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	crashed := make(chan *vfs.MemFS, 1)
	writes := 0
	r.journal.wrote = func() {
		if writes++; writes == nth {
			dying.dead.Store(true)
			dyingOther.dead.Store(true)
			crashed <- crashClone(disk, kept, uint64(nth))
		}
	}
	done := func(r *running) bool {
		s := r.Status()
		return s.WaitingClaims == 0 && s.Rollups[0].PostedHeight == uint64(chain.height()) && s.Rollups[1].PostedHeight == uint64(chain.height())
	}
	first := run(t, r, registry)
	var after *vfs.MemFS
	await.Until(t, "it is killed, or all is posted and claimed", func() bool {
		select {
		case after = <-crashed:
			return true
		default:
			return done(first)
		}
	})
	first.stop()
	if after == nil {
		return false
	}
	second := start(t, options(after, layer, other))
	await.Until(t, "all is posted and claimed", func() bool { return done(second) })
	second.stop()
	for _, rollup := range rollups("alpha", "beta") {
		if o.Fallback == "" {
			if to := postedTo(t, layer, rollup.ID, 1); to != uint64(chain.height()) {
				t.Errorf("write %d: %s is on DA up to %d of %d", nth, rollup.Name, to, chain.height())
			}
		} else {
			wantReadBack(t, chain, rollup.ID, layer, other)
		}
		claimed := uint64(0)
		for _, c := range claimer.of(rollup.ID) {
			if c.From <= claimed+1 {
				claimed = max(claimed, c.To)
			}
		}
		if claimed != uint64(chain.height()) {
			t.Errorf("write %d: %s is claimed without gap up to %d of %d", nth, rollup.Name, claimed, chain.height())
		}
	}
	return true
}

func TestKilledAtEachSubmission(t *testing.T) {
	t.Parallel()
	chain := crashChain()
	steps := map[string]func(l *crashLayer, kill func()){
		"noted, not submitted":     func(l *crashLayer, kill func()) { l.before = kill },
		"stored, answer not heard": func(l *crashLayer, kill func()) { l.after = kill },
	}
	for step, arrange := range steps {
		for nth := 1; nth <= 4; nth++ {
			for _, kept := range lossOfUnsynced {
				t.Run(fmt.Sprintf("%s/submission %d/%d%% of unsynced kept", step, nth, kept), func(t *testing.T) {
					t.Parallel()
					layer, disk := smallLayer(t), vfs.NewCrashableMem()
					dying := &crashLayer{Layer: layer}
					crashed := make(chan *vfs.MemFS, 1)
					var mu sync.Mutex
					calls := 0
					arrange(dying, func() {
						mu.Lock()
						defer mu.Unlock()
						if calls++; calls == nth {
							dying.dead.Store(true)
							crashed <- crashClone(disk, kept, uint64(nth))
						}
					})
					first := start(t, crashOptions(t, chain, disk, dying))
					after := <-crashed
					first.stop()
					start(t, crashOptions(t, chain, after, layer))
					wantPosted(t, chain, layer, "alpha", "beta")
				})
			}
		}
	}
}

// Killed again and again, at any moment, it loses nothing and posts nothing twice.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	disk := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 25 {
		l := &crashLayer{Layer: layer}
		r := start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), FS: disk}, l))
		for range rng.IntN(10) {
			chain.growBy(1)
			time.Sleep(time.Duration(rng.IntN(4)) * time.Millisecond) // any moment
		}
		l.dead.Store(true)
		after := crashClone(disk, lossOfUnsynced[i%3], uint64(i))
		r.stop()
		disk = after
	}
	start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), FS: disk}, layer))
	wantPosted(t, chain, layer, "alpha", "beta")
}

package relayer

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/ordo-network/ordo/order"
)

// counter returns a metric of alpha, or of the first rollup.
func counter(t *testing.T, r *running, name string) float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			if m := f.GetMetric()[0]; m.GetGauge() != nil {
				return m.GetGauge().GetValue()
			}
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// A block that is larger than a blob or a request ought to be goes out by itself.
func TestLargeBlocks(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newRemoteLayer(t)
	large := func(n int) map[string][][]byte {
		tx := make([]byte, n)
		rand.Read(tx) // it never fails
		return map[string][][]byte{"alpha": {tx}}
	}
	chain.growBy(2)
	chain.grow(large(300 << 10))
	chain.growBy(1)
	chain.grow(large(1000 << 10))
	chain.grow(large(1000 << 10))
	chain.growBy(2)
	batch := testBatch()
	batch.SubmitBytes = 500 << 10
	start(t, Options{Rollups: rollups("alpha", "beta"), Open: chain.open(t), Layer: layer, Batch: batch})
	wantPosted(t, chain, layer, "alpha", "beta")
}

//nolint:paralleltest // counts goroutines and memory of the process
func TestAThousandRollups(t *testing.T) {
	const n = 1000
	chain, layer := newTestChain(), newRemoteLayer(t)
	chain.growBy(10)
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("rollup-%d", i)
	}
	before := runtime.NumGoroutine()
	r := start(t, Options{Rollups: rollups(names...), Open: chain.open(t), Layer: layer.embedded})
	began := time.Now()
	wait := func() {
		for _, name := range names {
			eventually(t, name+" is posted", func() bool {
				p, err := r.journal.progress(order.NewRollupID(name))
				if err != nil {
					t.Fatal(err)
				}
				return p.posted >= uint64(chain.height())
			})
		}
	}
	wait()
	t.Logf("%d rollups: 10 blocks in %s", n, time.Since(began))
	// One each to supervise, read, collect, publish, and wait for them.
	if grown := runtime.NumGoroutine() - before; grown > 5*n+50 {
		t.Errorf("%d goroutines for %d rollups", grown, n)
	}
	chain.growBy(10)
	wait()
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("heap %d MiB, stacks %d MiB", mem.HeapAlloc>>20, mem.StackInuse>>20)
	if mem.HeapAlloc > 200<<20 {
		t.Errorf("the heap holds %d MiB for %d rollups", mem.HeapAlloc>>20, n)
	}
	head, err := layer.embedded.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if head == 0 {
		t.Error("nothing is on DA")
	}
	wantPosted(t, chain, layer.embedded, names[0], names[n-1])
}

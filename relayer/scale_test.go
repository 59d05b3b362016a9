package relayer

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/test/await"
)

// residentMiB is what the process has in memory; 0 where the system does not tell.
func residentMiB(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		var kib int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			return kib >> 10
		}
	}
	return 0
}

//nolint:paralleltest // counts goroutines and memory of the process
func TestAThousandRollups(t *testing.T) {
	const n = 1000
	chain, layer := newTestChain(), newTestLayer(t, local.Options{BlockTime: 50 * time.Millisecond})
	chain.growBy(10)
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("rollup-%d", i)
	}
	before := runtime.NumGoroutine()
	batch := testBatch()
	batch.Age = config.Duration(200 * time.Millisecond)
	r := start(t, prepare(t, chain, Options{Rollups: rollups(names...), Batch: batch}, layer))
	began := time.Now()
	goroutines := 0
	wait := func() {
		t.Helper()
		await.Until(t, "all rollups are posted", func() bool {
			goroutines = max(goroutines, runtime.NumGoroutine()-before)
			for _, s := range r.Status().Rollups {
				if s.PostedHeight < uint64(chain.height()) {
					return false
				}
			}
			return true
		})
	}
	wait()
	t.Logf("%d rollups: 10 blocks in %s", n, time.Since(began))
	for range 20 {
		chain.growBy(1)
		time.Sleep(20 * time.Millisecond) // as blocks come
	}
	wait()
	if goroutines > 60 {
		t.Errorf("%d goroutines for %d rollups", goroutines, n)
	}
	resident := residentMiB(t)
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("%d goroutines, heap %d MiB, in memory %d MiB, %d submissions", goroutines, mem.HeapAlloc>>20, resident, layer.count())
	if mem.HeapAlloc > 150<<20 {
		t.Errorf("the heap holds %d MiB for %d rollups", mem.HeapAlloc>>20, n)
	}
	wantPosted(t, chain, layer, names[0], names[n-1])
}

package lane

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	simSeeds = flag.Int("lane.seeds", 0, "how many networks TestSimulation runs; 0: what fits into a test run")
	simSeed  = flag.Uint64("lane.seed", 0, "the one network that TestSimulation runs, with a trace; 0: many")
)

// TestSimulation runs networks of validators, each made and broken from one seed, and
// checks what the package comment and the rules of the order promise.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		w := newWorld(*simSeed)
		w.trace = func(format string, args ...any) { t.Logf("%6d "+format, append([]any{w.now}, args...)...) }
		if err := w.run(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", w.count)
		return
	}
	seeds := *simSeeds
	if seeds == 0 {
		if seeds = 500; testing.Short() {
			seeds = 50
		}
	}
	t.Parallel()
	var (
		next  atomic.Uint64
		mu    sync.Mutex
		total counts
		wg    sync.WaitGroup
	)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1); seed <= uint64(seeds) && !t.Failed(); seed = next.Add(1) {
				w := newWorld(seed)
				if err := w.run(); err != nil {
					t.Errorf("seed %d: %v\nsee it again: go test ./dispersal/lane -run TestSimulation -v -lane.seed=%d", seed, err, seed)
				}
				mu.Lock()
				total.add(&w.count)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("%d networks: %+v", seeds, total)
	if !t.Failed() && seeds >= 500 {
		for what, n := range total.rare() {
			if n == 0 {
				t.Errorf("no %s in %d networks: the simulation does not reach what it should", what, seeds)
			}
		}
	}
}

// TestSimulationIsDeterministic runs networks twice.
func TestSimulationIsDeterministic(t *testing.T) {
	t.Parallel()
	for seed := uint64(1); seed <= 5; seed++ {
		var prints [2]string
		for i := range prints {
			w := newWorld(seed)
			if err := w.run(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			prints[i] = fmt.Sprintf("%d events, %x, %+v", w.serial, w.hash.Sum64(), w.count)
		}
		if prints[0] != prints[1] {
			t.Errorf("seed %d ran as\n%s\nand then as\n%s", seed, prints[0], prints[1])
		}
	}
}

// counts says what the runs went through.
type counts struct {
	Blocks, Rejected, Short                     int
	Batches, Voids, Duplicates, Dead            int
	Crashes, Torn, Cuts, Failures, Lost, Rotten int
	Sessions, Ended, Resent, Refused, Evidence  int
	Rogues, Omissions, Forks, Pulls, Pairs      int
}

func (c *counts) add(d *counts) {
	c.Blocks, c.Rejected, c.Short = c.Blocks+d.Blocks, c.Rejected+d.Rejected, c.Short+d.Short
	c.Batches, c.Voids, c.Duplicates, c.Dead = c.Batches+d.Batches, c.Voids+d.Voids, c.Duplicates+d.Duplicates, c.Dead+d.Dead
	c.Crashes, c.Torn, c.Cuts, c.Failures, c.Lost = c.Crashes+d.Crashes, c.Torn+d.Torn, c.Cuts+d.Cuts, c.Failures+d.Failures, c.Lost+d.Lost
	c.Rotten += d.Rotten
	c.Sessions, c.Ended, c.Resent, c.Refused = c.Sessions+d.Sessions, c.Ended+d.Ended, c.Resent+d.Resent, c.Refused+d.Refused
	c.Evidence, c.Rogues, c.Omissions, c.Forks = c.Evidence+d.Evidence, c.Rogues+d.Rogues, c.Omissions+d.Omissions, c.Forks+d.Forks
	c.Pulls, c.Pairs = c.Pulls+d.Pulls, c.Pairs+d.Pairs
}

// rare is what a run of many seeds must have gone through.
func (c *counts) rare() map[string]int {
	return map[string]int{
		"rejected block": c.Rejected, "full block": c.Short, "void batch": c.Voids, "bundle ordered twice": c.Duplicates,
		"certificate whose epoch was over": c.Dead, "crash": c.Crashes, "torn write": c.Torn, "partition": c.Cuts, "failed write": c.Failures,
		"lost record": c.Lost, "rotten record": c.Rotten, "session given up": c.Ended, "refusal": c.Refused, "evidence": c.Evidence, "censored lane": c.Omissions,
		"double batch": c.Forks, "pulled certificate": c.Pulls, "pair of batches apart in time": c.Pairs,
	}
}

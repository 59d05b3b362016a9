package node_test

import (
	"context"
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/sequencer/node"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/test/await"
)

var (
	loadTime = flag.Duration("load", 3*time.Second, "how long TestPaceUnderLoad keeps the network busy")
	loadRate = flag.Int("rate", 100, "bundles a second that TestPaceUnderLoad hands in")
	loadSize = flag.Int("size", 1000, "bytes of each of them")
	signers  = flag.Int("validators", 4, "validators of TestPaceUnderLoad")
	apart    = flag.Bool("apart", false, "give each validator of TestPaceUnderLoad a process of its own")
)

// arrivals notes when validator i serves each height, and which bundles are in it.
type arrivals struct {
	mu      sync.Mutex
	blocks  []time.Time
	bundles map[string]time.Time
}

func (n *network) watch(ctx context.Context, i int) *arrivals {
	n.t.Helper()
	a := &arrivals{bundles: make(map[string]time.Time)}
	stream, err := n.running[i].client.SubscribeRollup(ctx, connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: n.height(i) + 1}))
	if err != nil {
		n.t.Fatal(err)
	}
	go func() {
		defer func() { _ = stream.Close() }()
		for stream.Receive() {
			if stream.Msg().Block == nil {
				continue // its data is on its way
			}
			a.mu.Lock()
			now := time.Now()
			if !stream.Msg().More {
				a.blocks = append(a.blocks, now)
			}
			for _, l := range stream.Msg().Block.Legs {
				a.bundles[string(l.Record.BundleId)] = now
			}
			a.mu.Unlock()
		}
	}()
	return a
}

func (a *arrivals) at(id [32]byte) (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t, ok := a.bundles[string(id[:])]
	return t, ok
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.blocks)
}

// An idle network makes a block a second.
func TestIdlePace(t *testing.T) {
	n := newNetwork(t, 4)
	n.startAll()
	for i := range n.running {
		n.reach(i, 3)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begin := time.Now()
	seen := n.watch(ctx, 2)
	time.Sleep(4 * time.Second) // what is measured is how few blocks come meanwhile
	blocks, window := seen.count(), time.Since(begin)
	if blocks > int(window/time.Second)+2 {
		t.Errorf("%d blocks in %v of idleness, want about one a second", blocks, window)
	}
	await.Until(t, "blocks come all the same", func() bool { return seen.count() > max(blocks, 2) })
}

// longIdle is between the blocks of an idle network that tells whether a block comes because
// somebody has something to order: it is longer than a slow machine takes for one.
const longIdle = time.Minute

// A bundle does not wait until the next block of an idle network is due.
func TestBundlesWakeAnIdleNetwork(t *testing.T) {
	n := newNetwork(t, 4)
	n.configure(func(c *node.Config) { c.Pacing.IdleInterval = config.Duration(longIdle) })
	n.startAll()
	for i := range n.running {
		n.reach(i, 1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := n.watch(ctx, 2)
	var took []time.Duration
	for i := range 5 {
		time.Sleep(time.Second) // be idle again: blocks that make a state final come without a wait
		b := n.bundle(n.height(0)+100, 200)
		start := time.Now()
		id := n.submit(i%4, b)
		await.Until(t, "the bundle is ordered", func() bool { _, ok := seen.at(id); return ok })
		at, _ := seen.at(id)
		took = append(took, at.Sub(start))
	}
	t.Logf("from submission to another validator's stream, idle network: %v", took)
	slices.Sort(took)
	if median := took[len(took)/2]; median > longIdle/3 {
		t.Fatalf("an idle network takes %v to order a bundle", median)
	}
}

func TestPaceUnderLoad(t *testing.T) {
	n := newNetwork(t, *signers)
	n.configure(func(c *node.Config) { c.Pacing.IdleInterval = config.Duration(longIdle) })
	pids := []string{"self"}
	if *apart {
		pids = nil
		for i := range n.running {
			pids = append(pids, strconv.Itoa(n.spawn(i).Process.Pid))
		}
	} else {
		n.startAll()
	}
	for i := range n.running {
		n.reach(i, 1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := n.watch(ctx, 0)
	first := n.height(0)
	type sent struct {
		id [32]byte
		at time.Time
	}
	var (
		mu    sync.Mutex
		all   []sent
		acks  []time.Duration
		tasks sync.WaitGroup
	)
	t.Logf("resident at first %s", memory(pids))
	tick := time.NewTicker(time.Second / time.Duration(*loadRate))
	defer tick.Stop()
	begin := time.Now()
	for i := 0; time.Since(begin) < *loadTime; i++ {
		<-tick.C
		b := n.bundle(first+550, *loadSize)
		if first+500 < n.height(0) {
			first = n.height(0)
		}
		tasks.Go(func() {
			start := time.Now()
			id := n.submit(i%*signers, b)
			mu.Lock()
			defer mu.Unlock()
			all, acks = append(all, sent{id, start}), append(acks, time.Since(start))
		})
	}
	tasks.Wait()
	blocks := seen.count()
	span := time.Since(begin)
	var took []time.Duration
	for _, s := range all {
		await.Until(t, "every bundle is ordered", func() bool { _, ok := seen.at(s.id); return ok })
		at, _ := seen.at(s.id)
		took = append(took, at.Sub(s.at))
	}
	slices.Sort(took)
	slices.Sort(acks)
	interval := span / time.Duration(max(blocks, 1))
	p := func(d []time.Duration, q float64) time.Duration {
		return d[int(q*float64(len(d)-1))].Round(time.Millisecond)
	}
	t.Logf("%d bundles of %d bytes in %v: a block every %v; submitted to ordered p50 %v p99 %v; to acknowledged p50 %v p99 %v; resident %s",
		len(all), *loadSize, span.Round(time.Millisecond), interval.Round(time.Millisecond), p(took, .5), p(took, .99), p(acks, .5), p(acks, .99), memory(pids))
	if median := p(took, .5); median > longIdle/3 {
		t.Errorf("a network under load takes %v to order a bundle", median)
	}
}

// memory is what the processes use.
func memory(pids []string) string {
	var out []string
	for _, pid := range pids {
		raw, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				out = append(out, strings.TrimSpace(rest))
			}
		}
	}
	return strings.Join(out, ", ")
}

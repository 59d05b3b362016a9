package da

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ordo-network/ordo/bench/figures"
	"github.com/ordo-network/ordo/order"
)

// Memory is that of a relayer of many rollups, each of which has transactions now and
// then. Every block of the chain is in the blobs of all of them.
type Memory struct {
	Rollups int           `json:"rollups"`
	Seconds float64       `json:"seconds"`
	Blocks  uint64        `json:"blocks"` // of the sequencer chain
	Relayer figures.Usage `json:"relayer"`
	// MostOwnMB is the most that the relayer took beside the pages of its program.
	MostOwnMB float64 `json:"most_own_mb"`
}

const (
	// legsAtOnce is how many of the rollups share a bundle.
	legsAtOnce = 16
	// bundleOfManyEvery is how often such a bundle is handed in.
	bundleOfManyEvery = 50 * time.Millisecond
	// legBytes is about what one leg has.
	legBytes = 500
)

// memory starts a relayer of many rollups and looks at what it takes while they are active.
func (s *stage) memory(ctx context.Context) (*Memory, error) {
	names := make([]string, s.o.Many)
	for i := range names {
		names[i] = fmt.Sprintf("bench-da-many-%d", i)
	}
	first := s.network.Height() + 1
	rel, err := s.startRelayer(ctx, "relayer-of-many", names, first)
	if err != nil {
		return nil, err
	}
	defer rel.Stop()
	meter := figures.NewMeter(map[string]int{rel.Label: rel.PID})
	own := watchOwn(ctx, rel.PID)
	defer own()
	began := time.Now()
	height, err := s.spread(ctx, names)
	if err != nil {
		return nil, err
	}
	if err := rel.posted(ctx, height); err != nil {
		return nil, err
	}
	used := meter.Read()
	if len(used) != 1 {
		return nil, fmt.Errorf("the relayer's memory cannot be read: is there no /proc? %w", rel.Ended())
	}
	out := &Memory{Rollups: len(names), Seconds: time.Since(began).Seconds(), Blocks: height - first + 1, Relayer: used[0], MostOwnMB: float64(own()) / 1e6}
	s.o.say("a relayer of %d rollups takes %.0f MB, %.0f MB at most", out.Rollups, out.Relayer.RSSMB, out.Relayer.PeakMB)
	return out, nil
}

// watchOwn looks at a process now and then, and returns what says the most that it took.
func watchOwn(ctx context.Context, pid int) func() int64 {
	ctx, stop := context.WithCancel(ctx)
	most := make(chan int64, 1)
	go func() {
		var top int64
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			if n, err := figures.OwnBytes(pid); err == nil && n > top {
				top = n
			}
			select {
			case <-ctx.Done():
				most <- top
				return
			case <-tick.C:
			}
		}
	}()
	return sync.OnceValue(func() int64 {
		stop()
		return <-most
	})
}

// spread gives the rollups transactions in turn, for the time of a load and until each
// had some, and returns the height that has all of them.
func (s *stage) spread(ctx context.Context, names []string) (uint64, error) {
	w := s.workloads[0]
	var at int
	tick := time.NewTicker(bundleOfManyEvery)
	defer tick.Stop()
	for began := time.Now(); at < len(names) || time.Since(began) < s.o.Duration; {
		legs := make([]order.Leg, min(legsAtOnce, len(names)))
		for i := range legs {
			txs, err := w.next(legBytes)
			if err != nil {
				return 0, err
			}
			legs[i] = order.Leg{RollupID: order.NewRollupID(names[at%len(names)]), Transactions: txs}
			at++
		}
		_, raw, err := s.network.Sign(0, legs)
		if err != nil {
			return 0, err
		}
		if err := s.hand(ctx, 0, raw); err != nil {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
	}
	return s.now(ctx)
}

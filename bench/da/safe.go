package da

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/bench/figures"
	"github.com/ordo-network/ordo/follower"
)

// Safe is the time from ordered to safe, of blocks with transactions: from when a
// follower has verified a block as the network ordered it to when a reader has
// verified it as it was read back from the layer.
type Safe struct {
	OfferedMBps   float64             `json:"offered_mb_per_second"`
	Seconds       float64             `json:"seconds"`
	Blocks        int                 `json:"blocks"`
	OrderedToSafe figures.Percentiles `json:"ordered_to_safe_ms"`
}

// bundleEvery is how often each rollup hands in a bundle.
const bundleEvery = 100 * time.Millisecond

// safe puts a load on the network while a relayer runs. Readers go on from the cursors.
func (s *stage) safe(ctx context.Context, cursors []follower.Cursor) (*Safe, error) {
	loads, err := s.sign()
	if err != nil {
		return nil, err
	}
	out := &Safe{OfferedMBps: s.o.RateMBps, Seconds: s.o.Duration.Seconds()}
	samples := make([][]time.Duration, len(s.workloads))
	group, ctx := errgroup.WithContext(ctx)
	for i, w := range s.workloads {
		count := 0
		for _, txs := range loads[i] {
			count += len(txs)
		}
		group.Go(func() (err error) {
			samples[i], err = s.watch(ctx, w, cursors[i], count, func(ctx context.Context) error { return s.play(ctx, i, w, loads[i]) })
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("take the time to safe: %w", err)
	}
	var all []time.Duration
	for _, d := range samples {
		all = append(all, d...)
	}
	out.Blocks, out.OrderedToSafe = len(all), figures.Of(all)
	s.o.say("ordered to safe: p50 %.0f ms, p99 %.0f ms", out.OrderedToSafe.P50, out.OrderedToSafe.P99)
	return out, nil
}

// sign makes the load of each rollup beforehand, bundle by bundle.
func (s *stage) sign() ([][][][]byte, error) {
	bundles := int(s.o.Duration / bundleEvery)
	each := int(s.o.RateMBps * 1e6 * bundleEvery.Seconds() / float64(len(s.workloads)))
	out := make([][][][]byte, len(s.workloads))
	for i, w := range s.workloads {
		for range bundles {
			txs, err := w.next(min(each, bundleBytes))
			if err != nil {
				return nil, err
			}
			out[i] = append(out[i], txs)
		}
	}
	return out, nil
}

// play hands in a rollup's bundles, each at its time.
func (s *stage) play(ctx context.Context, i int, w *workload, bundles [][][]byte) error {
	began := time.Now()
	for n, txs := range bundles {
		due := began.Add(time.Duration(n) * bundleEvery)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Until(due)):
		}
		if err := s.send(ctx, i, w, txs); err != nil {
			return err
		}
	}
	return nil
}

// watch follows a rollup in the order and on the layer while load puts transactions
// there, until that many are safe.
func (s *stage) watch(ctx context.Context, w *workload, from follower.Cursor, transactions int, load func(context.Context) error) ([]time.Duration, error) {
	l, err := s.open()
	if err != nil {
		return nil, err
	}
	defer l.Close()
	firm, err := s.firmReader(w, l)
	if err != nil {
		return nil, err
	}
	soft, err := s.follower(w.id)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Duration+settleLimit)
	defer cancel()
	ordered, begin := newClock(), s.network.Height()
	var samples []time.Duration
	// Whichever is first to see a block of the load, it is of use only where both have.
	enough := errors.New("all are safe")
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return load(ctx) })
	group.Go(func() error {
		return soft.Run(ctx, begin+1, func(_ context.Context, b *follower.Block) error {
			s.network.Saw(b.Height)
			ordered.note(b.Height)
			return nil
		})
	})
	group.Go(func() error {
		safe := 0
		return firm.Run(ctx, from, func(_ context.Context, b follower.FirmBlock) error {
			now, txs := time.Now(), len(b.Transactions())
			if txs == 0 || b.Height <= begin {
				return nil
			}
			if at, ok := ordered.get(b.Height); ok {
				samples = append(samples, max(now.Sub(at), 0))
			}
			if safe += txs; safe >= transactions {
				return enough
			}
			return nil
		})
	})
	if err := group.Wait(); !errors.Is(err, enough) {
		return nil, fmt.Errorf("%s: %w", w.name, err)
	}
	return samples, nil
}

package pool

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

func TestTakeKeepsArrivalOrder(t *testing.T) {
	p := newPool(t, newFakeChain(), Options{})
	require.False(t, isReady(p))
	var ids []order.BundleID
	for n := range 6 {
		ids = append(ids, submit(t, p, bundle(n%2, n, nil)))
	}
	require.True(t, isReady(p))
	one := order.BundleSizeInBatch(len(bundle(0, 0, nil)))
	require.Equal(t, ids[:2], take(t, p, 2*one))
	require.True(t, isReady(p), "there is more")
	require.Equal(t, ids[2:], take(t, p, 1<<20))
	require.False(t, isReady(p))
	require.Empty(t, take(t, p, 1<<20), "nothing is handed out twice")

	// A bundle that does not fit begins the next batch.
	small := submit(t, p, bundle(0, 6, nil))
	big := submit(t, p, bundle(0, 7, large(5000)))
	after := submit(t, p, bundle(1, 8, nil))
	require.Equal(t, []order.BundleID{small}, take(t, p, 5100))
	require.Equal(t, []order.BundleID{big}, take(t, p, 5300))
	require.Equal(t, []order.BundleID{after}, take(t, p, 1<<20))
}

func TestTakeKeepsTheHeaderSmall(t *testing.T) {
	p := newPool(t, newFakeChain(), Options{})
	for n := range 10 {
		submit(t, p, bundle(0, n, nil))
	}
	b, err := order.DecodeBundle(bundle(0, 0, nil))
	require.NoError(t, err)
	s := b.Summary()
	one := order.SummarySizeInHeader(s.EncodedSize())
	require.Len(t, p.Take(1<<20, 3*one), 3)
	require.Len(t, p.Take(1<<20, 4*one-1), 3)
	require.Len(t, p.Take(1<<20, 1<<20), 4)
}

// One bundle that no batch has room for does not stop the lane.
func TestTakePassesOverWhatNeverFits(t *testing.T) {
	p := newPool(t, newFakeChain(), Options{})
	big := submit(t, p, bundle(0, 0, large(5000)))
	small := submit(t, p, bundle(0, 1, nil))
	require.Equal(t, []order.BundleID{small}, take(t, p, 1000))
	require.Empty(t, take(t, p, 10_000))
	p.Update(10, nil, nil)
	require.True(t, isReady(p), "batches may have become larger")
	require.Equal(t, []order.BundleID{big}, take(t, p, 10_000))
}

func TestRewind(t *testing.T) {
	p := newPool(t, newFakeChain(), Options{})
	p.Rewind()
	require.False(t, isReady(p), "there is nothing")
	var ids []order.BundleID
	for n := range 4 {
		ids = append(ids, submit(t, p, bundle(n, n, nil)))
	}
	require.Equal(t, ids, take(t, p, 1<<20))
	p.Update(10, ids[1:2], nil)
	ids = append(ids[:1:1], append(ids[2:4:4], submit(t, p, bundle(0, 9, nil)))...)
	isReady(p)
	p.Rewind()
	require.True(t, isReady(p))
	require.Equal(t, ids, take(t, p, 1<<20), "all that waits, in order of arrival")
	require.Empty(t, take(t, p, 1<<20))
}

// A payer that takes its money away after it was accepted does not fill the lane: what
// it cannot pay for waits, and what it sent later waits behind that.
func TestUnpaidWait(t *testing.T) {
	c := newFakeChain()
	p := newPool(t, c, Options{})
	var poor []order.BundleID
	for n := range 3 {
		poor = append(poor, submit(t, p, bundle(0, n, large(30_000*(2-n)+1))))
	}
	small := ordering.Fee(uint64(len(bundle(1, 2, nil))), c.params.FeePerKilobyte)
	c.set(func(c *fakeChain) { c.balance = small })
	paid := submit(t, p, bundle(1, 2, nil))
	require.Equal(t, []order.BundleID{paid}, take(t, p, 1<<20))
	p.Update(10, nil, nil)
	require.Empty(t, take(t, p, 1<<20))
	c.set(func(c *fakeChain) { c.balance = 1 << 40 })
	require.Empty(t, take(t, p, 1<<20), "looked at again after a block")
	p.Update(11, nil, nil)
	require.Equal(t, poor, take(t, p, 1<<20))
	// What is in batches counts against the balance until it is ordered.
	again := submit(t, p, bundle(1, 3, nil))
	c.set(func(c *fakeChain) { c.balance = 2*small - 1 })
	require.Empty(t, take(t, p, 1<<20))
	c.set(func(c *fakeChain) { c.balance = small })
	p.Update(12, []order.BundleID{paid}, nil)
	require.Equal(t, []order.BundleID{again}, take(t, p, 1<<20))
}

// Whatever order things happen in, the pool hands out each bundle once in a session,
// and after a rewind all that it has.
func TestTakeFollowsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newFakeChain()
		p, err := New(c, Options{ChainID: chainID, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(rt, err)
		defer func() { require.NoError(rt, p.Close()) }()
		p.SetLane(owner, func() bool { return true })
		var waits []order.BundleID
		taken := map[order.BundleID]bool{}
		n := 0
		rt.Repeat(map[string]func(*rapid.T){
			"submit": func(rt *rapid.T) {
				n++
				id, err := p.Submit(context.Background(), bundle(n%3, n, nil))
				require.NoError(rt, err)
				waits = append(waits, id)
			},
			"take": func(rt *rapid.T) {
				got := take(t, p, rapid.IntRange(300, 2000).Draw(rt, "room"))
				var want []order.BundleID
				for _, id := range waits {
					if !taken[id] && len(want) < max(1, len(got)) {
						want = append(want, id)
						taken[id] = true
					}
				}
				require.Equal(rt, want, got)
			},
			"rewind": func(*rapid.T) { p.Rewind(); clear(taken) },
			"order": func(rt *rapid.T) {
				if len(waits) > 0 {
					i := rapid.IntRange(0, len(waits)-1).Draw(rt, "which")
					id := waits[i]
					c.set(func(c *fakeChain) { c.fates[id] = ordering.Fate{Height: 10} })
					p.Update(10, []order.BundleID{id}, nil)
					waits = slices.Delete(slices.Clone(waits), i, i+1)
				}
			},
			"": func(rt *rapid.T) {
				left := 0
				for _, id := range waits {
					require.True(rt, p.Has(id))
					if !taken[id] {
						left++
					}
				}
				require.Equal(rt, len(waits) == 0, p.Empty())
				if left > 0 {
					require.NotNil(rt, p.taking.next)
				}
			},
		})
	})
}

package pool

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

const chainID = "ordo-test"

func key(i int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Append(nil, i))
	return ed25519.NewKeyFromSeed(seed[:])
}

// fakeChain is a chain whose state the test sets. The real one is in package app.
type fakeChain struct {
	*ordering.Verifier

	mu      sync.Mutex
	height  uint64 // of the next block; 0: none yet
	params  ordering.Params
	balance uint64
	fates   map[order.BundleID]ordering.Fate
	bad     map[string]bool // transactions
	seen    map[string]bool
}

func newFakeChain() *fakeChain {
	return &fakeChain{
		Verifier: ordering.NewVerifier(chainID), height: 10, params: ordering.DefaultParams(), balance: 1 << 40,
		fates: map[order.BundleID]ordering.Fate{}, bad: map[string]bool{}, seen: map[string]bool{},
	}
}

func (f *fakeChain) Rules() (*ordering.Rules, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.height == 0 {
		return nil, ErrNotReady
	}
	balance := f.balance
	return &ordering.Rules{
		Height: f.height, Params: f.params, Verify: f.Verify,
		Balance: func(order.Payer) uint64 { return balance },
		Fate: func(id order.BundleID) (ordering.Fate, bool) {
			f.mu.Lock()
			defer f.mu.Unlock()
			fate, ok := f.fates[id]
			return fate, ok
		},
	}, nil
}

var errTx = errors.New("bad transaction")

func (f *fakeChain) CheckTx(raw []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bad[string(raw)] || f.seen[string(raw)] {
		return errTx
	}
	f.seen[string(raw)] = true
	return nil
}

func (f *fakeChain) Recheck() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.seen)
}

func (f *fakeChain) set(edit func(*fakeChain)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit(f)
}

func newPool(t testing.TB, c Chain, opts Options) *Pool {
	t.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	p, err := New(c, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func bundle(payer, n int, edit func(*order.Bundle)) []byte {
	b := &order.Bundle{Expiry: 100, FeeLimit: 1 << 30, Legs: []order.Leg{{
		RollupID: order.NewRollupID("alpha"), Transactions: [][]byte{fmt.Append(nil, "tx ", n)},
	}}}
	if edit != nil {
		edit(b)
	}
	b.Sign(chainID, key(payer))
	return b.Encode()
}

func large(size int) func(*order.Bundle) {
	return func(b *order.Bundle) { b.Legs[0].Transactions = append(b.Legs[0].Transactions, make([]byte, size)) }
}

func submit(t testing.TB, p *Pool, raw []byte) order.BundleID {
	t.Helper()
	id, err := p.Submit(context.Background(), raw)
	require.NoError(t, err)
	return id
}

// selected returns what the pool would put into the next block.
func selected(t testing.TB, p *Pool, c *fakeChain, room int) []order.BundleID {
	t.Helper()
	rules, err := c.Rules()
	require.NoError(t, err)
	batch := p.Select(rules, room)
	require.LessOrEqual(t, batch.Size(), room)
	result, err := rules.Evaluate(batch)
	require.NoError(t, err)
	return result.IDs
}

func TestRefusals(t *testing.T) {
	c := newFakeChain()
	p := newPool(t, c, Options{})
	raw := bundle(0, 0, nil)
	forged := append([]byte(nil), raw...)
	forged[len(forged)-1] ^= 1
	ordered, dropped := bundle(0, 1, nil), bundle(0, 2, nil)
	for enc, reason := range map[*[]byte]ordering.DropReason{&ordered: 0, &dropped: ordering.DropFunds} {
		b, err := order.DecodeBundle(*enc)
		require.NoError(t, err)
		c.fates[b.ID(chainID)] = ordering.Fate{Height: 5, Reason: reason}
	}
	for _, tc := range []struct {
		name      string
		raw       []byte
		err       error
		temporary bool
	}{
		{"nothing", nil, order.ErrEncoding, false},
		{"junk", []byte("junk"), order.ErrEncoding, false},
		{"signature", forged, order.ErrSignature, false},
		{"expired", bundle(0, 0, func(b *order.Bundle) { b.Expiry = 9 }), ErrExpired, false},
		{"too far", bundle(0, 0, func(b *order.Bundle) { b.Expiry = 611 }), ErrExpiryTooFar, true},
		{"too large", bundle(0, 0, large(256<<10)), ErrTooLarge, false},
		{"fee", bundle(0, 0, func(b *order.Bundle) { b.FeeLimit = 1 }), ErrFee, false},
		{"ordered", ordered, ErrAlreadyOrdered, false},
		{"dropped", dropped, ErrDropped, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := p.Submit(context.Background(), tc.raw)
			require.ErrorIs(t, err, tc.err)
			require.Equal(t, tc.temporary, Temporary(err))
			require.ErrorIs(t, p.Insert(append([]byte{KindBundle}, tc.raw...)), tc.err)
		})
	}
	require.ErrorIs(t, p.Insert(nil), ErrGossip)
	c.set(func(c *fakeChain) { c.balance = 1 })
	_, err := p.Submit(context.Background(), raw)
	require.ErrorIs(t, err, ErrInsufficientFunds)
	c.set(func(c *fakeChain) { c.height = 0 })
	_, err = p.Submit(context.Background(), raw)
	require.ErrorIs(t, err, ErrNotReady)
	require.True(t, p.Empty())
}

func TestSubmitIsIdempotent(t *testing.T) {
	c := newFakeChain()
	p := newPool(t, c, Options{})
	raw := bundle(0, 0, nil)
	require.NoError(t, p.Insert(append([]byte{KindBundle}, raw...)), "first by gossip")
	id := submit(t, p, raw)
	require.Equal(t, id, submit(t, p, raw))
	require.True(t, p.Has(id))
	require.Equal(t, []order.BundleID{id}, selected(t, p, c, 1<<20))
	require.Len(t, p.Reap(0), 1, "offered once")
	require.Empty(t, p.Reap(0))
}

func TestBounds(t *testing.T) {
	c := newFakeChain()
	one := len(bundle(0, 0, large(1000)))
	for name, limits := range map[string]Limits{
		"bundles": {Bundles: 16, PayerShare: 4},
		"bytes":   {Bytes: 16 * (one + 2), PayerShare: 4},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, c, Options{Limits: limits})
			accepted := 0
			for payer := range 6 {
				mine := 0
				for n := range 10 {
					_, err := p.Submit(context.Background(), bundle(payer, n, large(1000)))
					if err == nil {
						mine++
						continue
					}
					require.ErrorIs(t, err, ErrFull)
				}
				require.LessOrEqual(t, mine, 4, "one payer's share")
				accepted += mine
			}
			require.Equal(t, 16, accepted)
		})
	}
	t.Run("fees", func(t *testing.T) {
		p := newPool(t, c, Options{})
		fee := ordering.Fee(uint64(one), c.params.FeePerKilobyte)
		c.set(func(c *fakeChain) { c.balance = 2*fee + fee/2 })
		submit(t, p, bundle(0, 0, large(1000)))
		submit(t, p, bundle(0, 1, large(1000)))
		_, err := p.Submit(context.Background(), bundle(0, 2, large(1000)))
		require.ErrorIs(t, err, ErrInsufficientFunds)
		submit(t, p, bundle(1, 2, large(1000)))
	})
	t.Run("transactions", func(t *testing.T) {
		p := newPool(t, c, Options{Limits: Limits{Txs: 2, TxBytes: 10}})
		require.NoError(t, p.Insert([]byte("first")))
		require.NoError(t, p.Insert([]byte("first")), "again")
		require.ErrorIs(t, p.Insert([]byte("longer")), ErrFull)
		require.NoError(t, p.Insert([]byte("2nd")))
		require.ErrorIs(t, p.Insert([]byte("3")), ErrFull)
		require.Len(t, p.Txs(), 2)
	})
	t.Run("nobody reaps", func(t *testing.T) {
		p := newPool(t, c, Options{Limits: Limits{Bytes: 10_000, PayerShare: 1}})
		for n := range 100 {
			id := submit(t, p, bundle(9, n, large(1000)))
			require.NoError(t, p.Update(10, []order.BundleID{id}, nil))
		}
		size := 0
		for _, wire := range p.Reap(0) {
			size += len(wire)
		}
		require.LessOrEqual(t, size, 10_000)
		require.NotZero(t, size)
	})
}

func TestSelectKeepsArrivalOrder(t *testing.T) {
	c := newFakeChain()
	p := newPool(t, c, Options{})
	var ids []order.BundleID
	for n := range 6 {
		ids = append(ids, submit(t, p, bundle(n%2, n, nil)))
	}
	require.Equal(t, ids, selected(t, p, c, 1<<20))
	require.Empty(t, selected(t, p, c, 10))

	// A bundle that does not fit holds back the later ones of its payer, and only those.
	big := submit(t, p, bundle(0, 6, large(5000)))
	after := submit(t, p, bundle(0, 7, nil))
	other := submit(t, p, bundle(1, 8, nil))
	require.Equal(t, append(ids[:6:6], other), selected(t, p, c, 4000))
	require.Equal(t, append(ids[:6:6], big, after, other), selected(t, p, c, 1<<20))
}

func TestUnpaidComeLastAndAreBounded(t *testing.T) {
	c := newFakeChain()
	p := newPool(t, c, Options{})
	var poor []order.BundleID
	for n := range 4 {
		poor = append(poor, submit(t, p, bundle(0, n, large(30_000))))
	}
	c.set(func(c *fakeChain) { c.balance = 1000 })
	paid := submit(t, p, bundle(1, 0, nil))
	require.Equal(t, append([]order.BundleID{paid}, poor[:2]...), selected(t, p, c, 1<<20))
}

func TestUpdate(t *testing.T) {
	c := newFakeChain()
	r := prometheus.NewRegistry()
	p := newPool(t, c, Options{Registerer: r})
	carried := submit(t, p, bundle(0, 0, nil))
	expired := submit(t, p, bundle(0, 1, func(b *order.Bundle) { b.Expiry = 12 }))
	stays := submit(t, p, bundle(0, 2, nil))
	for _, tx := range []string{"in the block", "goes bad", "stays"} {
		require.NoError(t, p.Insert([]byte(tx)))
	}
	c.set(func(c *fakeChain) { c.bad["goes bad"] = true })
	require.NoError(t, p.Update(12, []order.BundleID{carried, {1}}, [][]byte{[]byte("in the block")}))
	require.False(t, p.Has(carried))
	require.False(t, p.Has(expired))
	require.True(t, p.Has(stays))
	require.Equal(t, [][]byte{[]byte("stays")}, p.Txs())
	var waiting dto.Metric
	require.NoError(t, p.metrics.bundles.Write(&waiting))
	require.EqualValues(t, 1, waiting.GetGauge().GetValue())

	// What has waited for long is offered to peers once more.
	require.Len(t, p.Reap(0), 6)
	require.NoError(t, p.Update(offerAgain, nil, nil))
	require.Empty(t, p.Reap(0), "has not waited for long")
	require.NoError(t, p.Update(2*offerAgain-1, nil, nil))
	require.Empty(t, p.Reap(0), "not at this height")
	require.NoError(t, p.Update(99, []order.BundleID{stays}, [][]byte{[]byte("stays")}))
	require.True(t, p.Empty())
}

// A payer that fills the pool and then moves its money away makes room again.
func TestUnpaidAreEvicted(t *testing.T) {
	c := newFakeChain()
	p := newPool(t, c, Options{})
	var ids []order.BundleID
	for n := range 6 {
		raw := bundle(0, n, nil)
		b, err := order.DecodeBundle(raw)
		require.NoError(t, err)
		ids = append(ids, b.ID(chainID))
		if n%3 == 2 {
			submit(t, p, raw)
		} else {
			require.NoError(t, p.Insert(append([]byte{KindBundle}, raw...)))
		}
	}
	fee := ordering.Fee(uint64(len(bundle(0, 0, nil))), c.params.FeePerKilobyte)
	c.set(func(c *fakeChain) { c.balance = 3 * fee })
	require.NoError(t, p.Update(10, nil, nil))
	require.Len(t, p.byID, 6, "no transaction, no change")
	require.NoError(t, p.Update(11, nil, [][]byte{[]byte("moves money")}))
	var left []order.BundleID
	for _, id := range ids {
		if p.Has(id) {
			left = append(left, id)
		}
	}
	require.Equal(t, []order.BundleID{ids[0], ids[2], ids[5]}, left, "the latest go, but for those on disk")
}

func TestOfferAgain(t *testing.T) {
	c := newFakeChain()
	p := newPool(t, c, Options{})
	mine := bundle(0, 0, func(b *order.Bundle) { b.Expiry = 200 })
	submit(t, p, mine)
	require.NoError(t, p.Insert(append([]byte{KindBundle}, bundle(1, 0, func(b *order.Bundle) { b.Expiry = 200 })...)))
	require.Len(t, p.Reap(0), 2)
	require.NoError(t, p.Update(2*offerAgain, nil, nil))
	require.Equal(t, [][]byte{append([]byte{KindBundle}, mine...)}, p.Reap(0), "only what this node answers for")
}

func TestReapBounds(t *testing.T) {
	p := newPool(t, newFakeChain(), Options{})
	var want [][]byte
	for n := range 5 {
		raw := bundle(0, n, nil)
		submit(t, p, raw)
		want = append(want, append([]byte{KindBundle}, raw...))
	}
	require.Equal(t, want[:1], p.Reap(1), "at least one")
	require.Equal(t, want[1:3], p.Reap(uint64(len(want[1])+len(want[2]))))
	require.Equal(t, want[3:], p.Reap(0))
}

// What Submit has acknowledged is there after the machine lost everything that was
// not synced; what a block carried may come back, and goes once the chain says so.
func TestAcknowledgedSurvivesPowerLoss(t *testing.T) {
	c := newFakeChain()
	fs := vfs.NewCrashableMem()
	require.NoError(t, fs.MkdirAll("/pool", 0o755))
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	var ids []order.BundleID
	var wg sync.WaitGroup
	var mu sync.Mutex
	for n := range 40 {
		wg.Go(func() {
			id, err := p.Submit(context.Background(), bundle(n, n, nil))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				ids = append(ids, id)
			}
		})
	}
	wg.Wait()
	require.Len(t, ids, 40)
	require.NoError(t, p.Insert(append([]byte{KindBundle}, bundle(0, 999, nil)...)))
	before := selected(t, p, c, 1<<20)[:40]
	require.NoError(t, p.Update(10, ids[:5], nil))
	for _, id := range ids[:5] {
		c.fates[id] = ordering.Fate{Height: 10}
	}

	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	q := newPool(t, c, Options{Dir: "/pool", fs: crashed})
	var after []order.BundleID
	for _, id := range before {
		if _, gone := c.fates[id]; !gone {
			after = append(after, id)
		}
	}
	require.Equal(t, after, selected(t, q, c, 1<<20), "the same bundles in the same order")
	next := submit(t, q, bundle(77, 77, nil))
	require.Equal(t, append(after, next), selected(t, q, c, 1<<20), "numbers of arrival go on")
}

func TestAcknowledgedSurvivesChangedRules(t *testing.T) {
	c := newFakeChain()
	fs := vfs.NewMem()
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	id := submit(t, p, bundle(0, 0, func(b *order.Bundle) { b.FeeLimit = 1000 }))
	require.NoError(t, p.Close())
	c.set(func(c *fakeChain) { c.params.FeePerKilobyte = 1 << 30 })
	q := newPool(t, c, Options{Dir: "/pool", fs: fs})
	require.Empty(t, selected(t, q, c, 1<<20))
	require.True(t, q.Has(id))
	c.set(func(c *fakeChain) { c.params = ordering.DefaultParams() })
	require.Equal(t, []order.BundleID{id}, selected(t, q, c, 1<<20))
}

// Between admission and the write, a bundle is not one that may be evicted.
func TestBundleBeingWrittenIsNotEvicted(t *testing.T) {
	c := newFakeChain()
	p := newPool(t, c, Options{})
	raw := append([]byte{KindBundle}, bundle(0, 0, nil)...)
	require.NoError(t, p.Insert(raw))
	e, err := p.admit(raw, true)
	require.NoError(t, err)
	c.set(func(c *fakeChain) { c.balance = 0 })
	require.NoError(t, p.Update(10, nil, [][]byte{[]byte("moves money")}))
	require.NoError(t, p.settle(e))
	p.writers.Done()
	require.True(t, p.Has(e.id))
}

func TestBundleCarriedWhileItIsWritten(t *testing.T) {
	c := newFakeChain()
	fs := vfs.NewMem()
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	e, err := p.admit(append([]byte{KindBundle}, bundle(0, 0, nil)...), true)
	require.NoError(t, err)
	require.NoError(t, p.Update(10, []order.BundleID{e.id}, nil))
	p.writers.Done()
	// The rest of Submit, which comes too late.
	require.NoError(t, p.settle(e))
	require.NoError(t, p.Close())
	q := newPool(t, c, Options{Dir: "/pool", fs: fs})
	require.True(t, q.Empty())
}

func TestCloseWaitsForWriters(t *testing.T) {
	c := newFakeChain()
	fs := vfs.NewMem()
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	acked := make(chan order.BundleID, 1000)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for n := range 250 {
				id, err := p.Submit(context.Background(), bundle(w, n, nil))
				if err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
				acked <- id
			}
		})
	}
	first := <-acked
	require.NoError(t, p.Close())
	wg.Wait()
	close(acked)
	q := newPool(t, c, Options{Dir: "/pool", fs: fs})
	require.True(t, q.Has(first))
	for id := range acked {
		require.True(t, q.Has(id))
	}
}

// Everything at once, for the race detector and for the books.
func TestConcurrentUse(t *testing.T) {
	c := newFakeChain()
	p := newPool(t, c, Options{Limits: Limits{Bundles: 100}})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 0))
			for n := range 100 {
				raw := bundle(r.IntN(6), r.IntN(50), nil)
				if r.IntN(2) == 0 {
					_, _ = p.Submit(context.Background(), raw)
				} else {
					_ = p.Insert(append([]byte{KindBundle}, raw...))
				}
				_ = p.Insert(fmt.Append(nil, "tx", w, n))
				p.Reap(1000)
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			ids := selected(t, p, c, 2000)
			c.set(func(c *fakeChain) {
				for _, id := range ids {
					c.fates[id] = ordering.Fate{Height: 10}
				}
			})
			if err := p.Update(10, ids, p.Txs()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for !p.Empty() {
		ids := selected(t, p, c, 1<<20)
		require.NoError(t, p.Update(10, ids, p.Txs()))
	}
	require.Zero(t, p.bytes)
	require.Empty(t, p.payers)
	require.Zero(t, p.txs.bytes)
}

func FuzzInsert(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{KindBundle})
	f.Add([]byte{0x0a, 0})
	f.Add(append([]byte{KindBundle}, bundle(0, 0, nil)...))
	c := newFakeChain()
	p := newPool(f, c, Options{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := p.Insert(raw); err != nil || len(raw) == 0 || raw[0] != KindBundle {
			return
		}
		b, err := order.DecodeBundle(raw[1:])
		require.NoError(t, err)
		require.True(t, p.Has(b.ID(chainID)))
		require.Equal(t, raw[1:], b.Encode())
	})
}

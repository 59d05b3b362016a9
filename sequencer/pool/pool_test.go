package pool

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

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
		height: 10, params: ordering.DefaultParams(), balance: 1 << 40,
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
		ChainID: chainID, Height: f.height, Params: f.params,
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

// owner is that of the pool's lane.
var owner = order.Owner{1}

func newPool(t testing.TB, c Chain, opts Options) *Pool {
	t.Helper()
	opts.ChainID, opts.Logger = chainID, slog.New(slog.DiscardHandler)
	p, err := New(c, opts)
	require.NoError(t, err)
	require.NoError(t, p.SetLane(owner, func() bool { return true }))
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
	b.Sign(chainID, owner, key(payer))
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

// take returns what the pool hands out for one batch.
func take(t testing.TB, p *Pool, maxBytes int) []order.BundleID {
	t.Helper()
	var ids []order.BundleID
	size := 0
	for _, b := range p.Take(maxBytes, order.MaxHeaderBytes) {
		size += order.BundleSizeInBatch(b.Size())
		ids = append(ids, b.ID(chainID))
	}
	require.LessOrEqual(t, size, maxBytes)
	return ids
}

func isReady(p *Pool) bool {
	select {
	case <-p.Ready():
		return true
	default:
		return false
	}
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
		})
	}
	c.set(func(c *fakeChain) { c.balance = 1 })
	_, err := p.Submit(context.Background(), raw)
	require.ErrorIs(t, err, ErrInsufficientFunds)
	require.NoError(t, p.SetLane(owner, func() bool { return false }))
	_, err = p.Submit(context.Background(), raw)
	require.ErrorIs(t, err, ErrNoLane)
	require.True(t, Temporary(err), "nothing is wrong with the bundle")
	c.set(func(c *fakeChain) { c.height = 0 })
	_, err = p.Submit(context.Background(), raw)
	require.ErrorIs(t, err, ErrNotReady)
	require.True(t, p.Empty())
}

// Who has not said whether there is a lane has none.
func TestNoLaneAtFirst(t *testing.T) {
	p, err := New(newFakeChain(), Options{ChainID: chainID, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	_, err = p.Submit(context.Background(), bundle(0, 0, nil))
	require.ErrorIs(t, err, ErrNoLane)
	require.NoError(t, p.Close())
}

// A bundle is taken in where its payer wants it: whoever only saw the signature for
// another lane does not bring it in here.
func TestAnotherLane(t *testing.T) {
	c := newFakeChain()
	fs := vfs.NewMem()
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	raw := bundle(0, 0, nil)
	b, err := order.DecodeBundle(raw)
	require.NoError(t, err)
	there := order.Owner{2}
	b.Sign(chainID, there, key(0))
	_, err = p.Submit(context.Background(), b.Encode())
	require.ErrorIs(t, err, order.ErrSignature)
	require.ErrorContains(t, err, owner.String(), "it says for which lane the node takes bundles")
	require.True(t, p.Empty())

	id := submit(t, p, raw)
	require.Equal(t, id, b.ID(chainID), "it is the same bundle")
	_, err = p.Submit(context.Background(), b.Encode())
	require.ErrorIs(t, err, order.ErrSignature)
	require.NoError(t, p.Close())

	// The node becomes another validator's.
	q, err := New(c, Options{Dir: "/pool", fs: fs, ChainID: chainID, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.Empty(t, take(t, q, 1<<20), "no lane yet")
	require.NoError(t, q.SetLane(there, func() bool { return true }))
	require.Empty(t, take(t, q, 1<<20), "no attester would take it")
	require.True(t, q.Empty())
	require.Equal(t, id, submit(t, q, b.Encode()))
	require.NoError(t, q.Close())

	q, err = New(c, Options{Dir: "/pool", fs: fs, ChainID: chainID, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, q.SetLane(there, func() bool { return true }))
	require.Equal(t, []order.BundleID{id}, take(t, q, 1<<20))
	require.NoError(t, q.Close())
}

func TestSubmitIsIdempotent(t *testing.T) {
	p := newPool(t, newFakeChain(), Options{})
	raw := bundle(0, 0, nil)
	id := submit(t, p, raw)
	require.Equal(t, id, submit(t, p, raw))
	require.True(t, p.Has(id))
	require.Equal(t, []order.BundleID{id}, take(t, p, 1<<20))
	require.Equal(t, id, submit(t, p, raw))
	require.Empty(t, take(t, p, 1<<20), "it is in a batch already")
	require.Empty(t, p.Reap(0), "bundles do not go to peers")
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
			require.Len(t, take(t, p, 1<<20), 16)
			_, err := p.Submit(context.Background(), bundle(9, 0, large(1000)))
			require.ErrorIs(t, err, ErrFull, "what is in batches still waits to be ordered")
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
		p := newPool(t, c, Options{Limits: Limits{TxBytes: 100}})
		for n := range 100 {
			tx := fmt.Appendf(nil, "transaction %d", n)
			require.NoError(t, p.Insert(tx))
			require.NoError(t, p.Update(10, nil, [][]byte{tx}))
		}
		size := 0
		for _, tx := range p.Reap(0) {
			size += len(tx)
		}
		require.LessOrEqual(t, size, 100)
		require.NotZero(t, size)
		require.NoError(t, p.Insert([]byte("the next one")))
		require.Len(t, p.Reap(0), 1)
	})
}

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
	require.NoError(t, p.Update(10, nil, nil))
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
	require.NoError(t, p.Update(10, ids[1:2], nil))
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
	require.NoError(t, p.Update(10, nil, nil))
	require.Empty(t, take(t, p, 1<<20))
	c.set(func(c *fakeChain) { c.balance = 1 << 40 })
	require.Empty(t, take(t, p, 1<<20), "looked at again after a block")
	require.NoError(t, p.Update(11, nil, nil))
	require.Equal(t, poor, take(t, p, 1<<20))
	// What is in batches counts against the balance until it is ordered.
	again := submit(t, p, bundle(1, 3, nil))
	c.set(func(c *fakeChain) { c.balance = 2*small - 1 })
	require.Empty(t, take(t, p, 1<<20))
	c.set(func(c *fakeChain) { c.balance = small })
	require.NoError(t, p.Update(12, []order.BundleID{paid}, nil))
	require.Equal(t, []order.BundleID{again}, take(t, p, 1<<20))
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
	require.True(t, p.Waiting())
	<-p.Arrived()
	c.set(func(c *fakeChain) { c.bad["goes bad"] = true })
	require.NoError(t, p.Update(12, []order.BundleID{carried, {1}}, [][]byte{[]byte("in the block")}))
	require.False(t, p.Has(carried))
	require.False(t, p.Has(expired))
	require.True(t, p.Has(stays))
	require.Equal(t, [][]byte{[]byte("stays")}, p.Txs())
	require.Equal(t, []order.BundleID{stays}, take(t, p, 1<<20))
	var waiting dto.Metric
	require.NoError(t, p.metrics.bundles.Write(&waiting))
	require.EqualValues(t, 1, waiting.GetGauge().GetValue())
	require.NoError(t, p.Update(99, []order.BundleID{stays}, [][]byte{[]byte("stays")}))
	require.True(t, p.Empty())
	require.False(t, p.Waiting())
}

func TestReapBounds(t *testing.T) {
	p := newPool(t, newFakeChain(), Options{})
	var want [][]byte
	for n := range 5 {
		want = append(want, fmt.Appendf(nil, "transaction %d", n))
		require.NoError(t, p.Insert(want[n]))
	}
	require.Equal(t, want[:1], p.Reap(1), "at least one")
	require.Equal(t, want[1:3], p.Reap(uint64(len(want[1])+len(want[2]))))
	require.Equal(t, want[3:], p.Reap(0))
	require.Empty(t, p.Reap(0))
}

// What Submit has acknowledged is there after the machine lost everything that was
// not synced, and is handed out again; what a block carried may come back, and goes
// once the chain says so.
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
	before := take(t, p, 1<<20)
	require.Len(t, before, 40)
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
	require.True(t, isReady(q))
	require.Equal(t, after, take(t, q, 1<<20), "the same bundles in the same order")
	next := submit(t, q, bundle(77, 77, nil))
	q.Rewind()
	require.Equal(t, append(after, next), take(t, q, 1<<20), "numbers of arrival go on")
}

func TestAcknowledgedSurvivesChangedRules(t *testing.T) {
	c := newFakeChain()
	fs := vfs.NewMem()
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	id := submit(t, p, bundle(0, 0, func(b *order.Bundle) { b.FeeLimit = 1000 }))
	require.NoError(t, p.Close())
	c.set(func(c *fakeChain) { c.params.FeePerKilobyte = 1 << 30 })
	q := newPool(t, c, Options{Dir: "/pool", fs: fs})
	require.Empty(t, take(t, q, 1<<20))
	require.True(t, q.Has(id))
	c.set(func(c *fakeChain) { c.params = ordering.DefaultParams() })
	require.NoError(t, q.Update(10, nil, nil))
	require.Equal(t, []order.BundleID{id}, take(t, q, 1<<20))
}

// A journal that was tampered with brings in nothing that Submit would not have taken.
func TestJournalIsChecked(t *testing.T) {
	c := newFakeChain()
	fs := vfs.NewMem()
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	id := submit(t, p, bundle(0, 0, nil))
	forged := bundle(0, 1, nil)
	forged[len(forged)-1] ^= 1
	for seq, raw := range map[uint64][]byte{100: forged, 101: []byte("junk"), 102: bundle(0, 0, nil)} {
		require.NoError(t, p.journal.put(seq, raw))
	}
	require.NoError(t, p.Close())
	for range 2 {
		q := newPool(t, c, Options{Dir: "/pool", fs: fs})
		require.Equal(t, []order.BundleID{id}, take(t, q, 1<<20))
		require.NoError(t, q.Close())
	}
}

func TestBundleCarriedWhileItIsWritten(t *testing.T) {
	c := newFakeChain()
	fs := vfs.NewMem()
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	e, err := p.admit(bundle(0, 0, nil))
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
				_, _ = p.Submit(context.Background(), bundle(r.IntN(6), r.IntN(50), nil))
				_ = p.Insert(fmt.Append(nil, "tx", w, n))
				p.Reap(1000)
				if r.IntN(20) == 0 {
					p.Rewind()
				}
			}
		})
	}
	ordered := map[order.BundleID]bool{}
	order := func() {
		ids := take(t, p, 2000)
		c.set(func(c *fakeChain) {
			for _, id := range ids {
				ordered[id] = true
				c.fates[id] = ordering.Fate{Height: 10}
			}
		})
		if err := p.Update(10, ids, p.Txs()); err != nil {
			t.Error(err)
		}
	}
	wg.Go(func() {
		for range 50 {
			order()
		}
	})
	wg.Wait()
	p.Rewind()
	for !p.Empty() {
		order()
	}
	require.NotEmpty(t, ordered)
	require.Zero(t, p.bytes)
	require.Empty(t, p.payers)
	require.Zero(t, p.txs.bytes)
	require.Nil(t, p.taking.next)
}

// Whatever order things happen in, the pool hands out each bundle once in a session,
// and after a rewind all that it has.
func TestTakeFollowsTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newFakeChain()
		p, err := New(c, Options{ChainID: chainID, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(rt, err)
		defer func() { require.NoError(rt, p.Close()) }()
		require.NoError(t, p.SetLane(owner, func() bool { return true }))
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
					require.NoError(rt, p.Update(10, []order.BundleID{id}, nil))
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

package pool

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
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

// owner is that of the pool's lane.
var owner = order.Owner{1}

func newPool(t testing.TB, c Chain, opts Options) *Pool {
	t.Helper()
	opts.ChainID, opts.Logger = chainID, slog.New(slog.DiscardHandler)
	p, err := New(c, opts)
	require.NoError(t, err)
	p.SetLane(owner, func() bool { return true })
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
	p.SetLane(owner, func() bool { return false })
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
	q.SetLane(there, func() bool { return true })
	require.Empty(t, take(t, q, 1<<20), "no attester would take it")
	require.True(t, q.Empty())
	require.Equal(t, id, submit(t, q, b.Encode()))
	require.NoError(t, q.Close())

	q, err = New(c, Options{Dir: "/pool", fs: fs, ChainID: chainID, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	q.SetLane(there, func() bool { return true })
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
			p.Update(10, nil, [][]byte{tx})
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
	p.Update(12, []order.BundleID{carried, {1}}, [][]byte{[]byte("in the block")})
	require.False(t, p.Has(carried))
	require.True(t, p.Has(expired), "until whoever tells of it has noted that")
	left := p.Left()
	require.Len(t, left, 1)
	require.Equal(t, expired, left[0].ID)
	require.EqualValues(t, 12, left[0].Expiry)
	p.Forget(left)
	require.False(t, p.Has(expired))
	require.True(t, p.Has(stays))
	require.Equal(t, [][]byte{[]byte("stays")}, p.Txs())
	require.Equal(t, []order.BundleID{stays}, take(t, p, 1<<20))
	var waiting dto.Metric
	require.NoError(t, p.metrics.bundles.Write(&waiting))
	require.EqualValues(t, 1, waiting.GetGauge().GetValue())
	p.Update(99, []order.BundleID{stays}, [][]byte{[]byte("stays")})
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
		p.Update(10, ids, p.Txs())
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

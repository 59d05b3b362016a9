package pending_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/pending"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// What is never ordered is given up after a number of heights, and a node that
// says so again and again is left for another one.
func TestUntrueIsGivenUp(t *testing.T) {
	t.Parallel()
	liar, honest := newSource("liar"), newSource("honest")
	n := start(t, liar, honest)
	for i := range uint64(16) {
		n.say(liar, 1, i+1, 1000, newBundle(transfer(t, 0, i, beef, 1)))
	}
	n.shows(beef, 16)
	for range 101 {
		n.overlay.Ordered(pending.Ordered{Height: n.height + 1, Time: genesis, Head: n.head()})
		n.height++
	}
	n.shows(beef, 0)
	n.counts(0, 16)
	select {
	case <-honest.streams:
	case <-time.After(await.Limit):
		t.Fatal("the liar was not left")
	}
	n.say(honest, 2, 1, 1000, newBundle(transfer(t, 1, 0, beef, 5)))
	n.shows(beef, 5)
}

// When a node fails, the next one is read; when all did, they are tried again. What
// was heard before stays.
func TestFailover(t *testing.T) {
	t.Parallel()
	one, two := newSource("one"), newSource("two")
	n := start(t, one, two)
	n.say(one, 1, 1, 1000, newBundle(transfer(t, 0, 0, beef, 1)))
	n.shows(beef, 1)
	for i, s := range []*source{one, two, one, two} {
		select {
		case <-s.streams:
		case <-time.After(await.Limit):
			t.Fatalf("stream %d was not opened", i)
		}
		s.failure <- errors.New("connection reset")
	}
	n.say(one, 1, 2, 1010, newBundle(transfer(t, 0, 1, beef, 10)))
	n.shows(beef, 11)
	if got := n.metric("ordo_gateway_pending_failovers_total"); got != 4 {
		t.Errorf("%v failovers, want 4", got)
	}
}

// While the rollup catches up with the order, what is certified now is of no use.
func TestBehind(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.lag = time.Hour
	n.order()
	n.certify(1, 1, 1000, newBundle(transfer(t, 0, 0, beef, 1)))
	n.lag = 0
	n.order()
	n.certify(1, 2, 1000, newBundle(transfer(t, 1, 0, beef, 10)))
	n.shows(beef, 10)
}

// A node that lies about a lane spoils what it says itself, and not what the next
// one says.
func TestLaneLiesEndWithTheStream(t *testing.T) {
	t.Parallel()
	liar, honest := newSource("liar"), newSource("honest")
	n := start(t, liar, honest)
	far := uint64(genesis.Add(time.Hour).UnixMilli())
	n.say(liar, 1, 1, far, newBundle(transfer(t, 9, 0, beef, 1)))
	one, two := newBundle(transfer(t, 0, 0, beef, 10)), newBundle(transfer(t, 1, 0, beef, 100))
	n.say(liar, 1, 1<<60, 1000, one)
	n.shows(beef, 10)
	n.order(one) // so the lane seems to have come as far as that
	n.say(liar, 1, 2, 1000, two)
	n.shows(beef, 10)
	liar.failure <- errors.New("connection reset")
	n.say(honest, 1, 2, 1000, two)
	n.shows(beef, 110)
}

// Without a speculator what is certified is told all the same, by its IDs and by its
// transactions.
func TestCertifiedIsToldWithoutPending(t *testing.T) {
	t.Parallel()
	s := newSource("one")
	ids, txs := make(chan []order.BundleID, 10), make(chan [][]byte, 10)
	o, err := pending.New(pending.Config{
		Rollup: rollupID, Sources: []pending.Source{s},
		Certified: func(some ...order.BundleID) { ids <- some }, Transactions: func(some [][]byte) { txs <- some },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { o.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	s.batches <- gateway.Certified{Bundles: []gateway.CertifiedBundle{
		{ID: order.BundleID{1}, Transactions: [][]byte{{1}, {2}}}, {ID: order.BundleID{2}, Index: 1, Transactions: [][]byte{{3}}},
	}}
	if got := <-ids; len(got) != 2 || got[0] != (order.BundleID{1}) {
		t.Errorf("bundles %v", got)
	}
	if a, b := <-txs, <-txs; len(a) != 2 || len(b) != 1 || b[0][0] != 3 {
		t.Errorf("transactions %v and %v", a, b)
	}
}

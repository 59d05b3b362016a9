package pending

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/order"
)

func bundleID(n int) (id order.BundleID) {
	copy(id[:], fmt.Sprintf("bundle %d", n))
	return id
}

func batchID(owner byte, session, sequence uint64) (id order.BatchID) {
	copy(id[:], fmt.Sprintf("batch %d/%d/%d", owner, session, sequence))
	return id
}

// in lists bundles as ordered through that batch.
func in(batch order.BatchID, bundles ...int) (out []OrderedBundle) {
	for _, n := range bundles {
		out = append(out, OrderedBundle{ID: bundleID(n), Batch: batch})
	}
	return out
}

// batch is a certified batch with the bundles, of one transaction each.
func batch(owner byte, session, sequence, time uint64, bundles ...int) gateway.Certified {
	c := gateway.Certified{
		Position: order.Position{Owner: order.Owner{owner}, Mark: order.Mark{Session: session, Sequence: sequence}}, OrderTime: time,
	}
	c.Batch = batchID(owner, session, sequence)
	for i, n := range bundles {
		c.Bundles = append(c.Bundles, gateway.CertifiedBundle{ID: bundleID(n), Index: uint64(i), Transactions: [][]byte{{byte(n)}}})
	}
	return c
}

func add(s *set, batches ...gateway.Certified) {
	for _, b := range batches {
		s.add(b, 0, 1, time.Time{})
	}
}

func (s *set) held() (out []int) {
	for _, e := range s.entries {
		out = append(out, int(e.txs[0][0]))
	}
	return out
}

func want(t *testing.T, s *set, bundles ...int) {
	t.Helper()
	if got := s.held(); !slices.Equal(got, bundles) {
		t.Errorf("holds %v, want %v", got, bundles)
	}
	txs, bytes := 0, 0
	for _, e := range s.entries {
		txs, bytes = txs+len(e.txs), bytes+e.size
	}
	if txs != s.txs || bytes != s.bytes || len(s.byID) != len(s.entries) {
		t.Errorf("counts %d transactions, %d bytes, %d IDs; holds %d, %d, %d", s.txs, s.bytes, len(s.byID), txs, bytes, len(s.entries))
	}
}

// The set stands in the chain's order however its batches come in.
func TestSetOrder(t *testing.T) {
	t.Parallel()
	batches := []gateway.Certified{
		batch(2, 1, 1, 100, 1, 2), batch(1, 1, 1, 101, 3), batch(2, 1, 2, 101, 4), batch(3, 1, 9, 101, 5), batch(1, 2, 1, 103, 6), batch(2, 1, 3, 150, 7),
	}
	for range 50 {
		s := newSet()
		// One lane's batches come in sequence, for certificates are made so.
		at := make(map[order.Owner][]gateway.Certified)
		for _, b := range batches {
			at[b.Position.Owner] = append(at[b.Position.Owner], b)
		}
		owners := []order.Owner{{1}, {2}, {3}}
		for len(at) > 0 {
			o := owners[rand.IntN(len(owners))]
			if lane := at[o]; len(lane) > 0 {
				add(s, lane[0])
				at[o] = lane[1:]
			} else {
				delete(at, o)
			}
		}
		want(t, s, 1, 2, 3, 4, 5, 6, 7)
	}
}

// A lane's order times never fall, so a batch whose own is lower stands behind the
// lane's last one, also when that was ordered meanwhile.
func TestSetRaises(t *testing.T) {
	t.Parallel()
	s := newSet()
	add(s, batch(1, 1, 1, 200, 1), batch(1, 1, 2, 150, 2), batch(2, 1, 1, 160, 3))
	want(t, s, 3, 1, 2)
	s.order(append(in(batchID(2, 1, 1), 3), in(batchID(1, 1, 1), 1)...))
	add(s, batch(1, 1, 3, 100, 4), batch(2, 1, 2, 199, 5))
	want(t, s, 5, 2, 4)
}

func TestSetOrdered(t *testing.T) {
	t.Parallel()
	s := newSet()
	add(s, batch(1, 1, 1, 100, 1, 2), batch(1, 1, 2, 110, 3), batch(2, 1, 1, 105, 4), batch(1, 1, 3, 120, 5))
	want(t, s, 1, 2, 4, 3, 5)
	// The chain has reached batch 2 of lane 1: what it did not order there it dropped.
	ordered, passed := s.order(slices.Concat(in(batchID(1, 1, 1), 1), in(batchID(1, 1, 2), 3), in(batchID(3, 1, 1), 9)))
	if len(ordered) != 2 || ordered[bundleID(1)] == nil || ordered[bundleID(3)] == nil || len(passed) != 1 || passed[0].id != bundleID(2) {
		t.Errorf("ordered %v, passed %v", ordered, passed)
	}
	want(t, s, 4, 5)
	// What is settled does not come back, whoever says it again.
	add(s, batch(1, 1, 2, 110, 2, 3), batch(3, 1, 1, 100, 9), batch(2, 1, 1, 105, 4), batch(2, 1, 2, 106, 4, 1))
	want(t, s, 4, 5)
}

// A bundle that a gateway sent to two validators stands in two lanes. The one that
// orders it says nothing of the other.
func TestSetOtherLane(t *testing.T) {
	t.Parallel()
	s := newSet()
	add(s, batch(1, 1, 1, 100, 1), batch(1, 1, 2, 110, 2))
	ordered, passed := s.order(in(batchID(2, 1, 1), 2))
	if len(ordered) != 1 || len(passed) != 0 {
		t.Errorf("ordered %v, passed %v", ordered, passed)
	}
	add(s, batch(1, 1, 2, 110, 3))
	want(t, s, 1, 3)
}

func TestSetExpires(t *testing.T) {
	t.Parallel()
	s := newSet()
	s.add(batch(1, 1, 1, 100, 1), 0, 10, time.Time{})
	s.add(batch(1, 1, 2, 100, 2), 0, 11, time.Time{})
	if out := s.expire(10 + maxWait); len(out) != 0 {
		t.Errorf("gave up %d too early", len(out))
	}
	if out := s.expire(11 + maxWait); len(out) != 1 || out[0].id != bundleID(1) {
		t.Errorf("gave up %d, want the first", len(out))
	}
	want(t, s, 2)
}

// Whoever says more than fits is not listened to: memory is bounded in bundles, in
// transactions, in bytes, in lanes and in what is remembered.
func TestSetBounds(t *testing.T) {
	t.Parallel()
	fill := func(transactions int, size int) (s *set, taken, refused int) {
		s = newSet()
		for n := range 3 * maxBundles {
			b := batch(1, 1, uint64(n+1), 100, n)
			b.Bundles[0].Transactions = make([][]byte, transactions)
			for i := range b.Bundles[0].Transactions {
				b.Bundles[0].Transactions[i] = make([]byte, size)
			}
			yes, no := s.add(b, 0, 1, time.Time{})
			taken, refused = taken+yes, refused+no
		}
		return s, taken, refused
	}
	for _, c := range []struct{ transactions, size, want int }{
		{1, 1, maxBundles}, {8, 1, maxTransactions / 8}, {1, 4096, maxBytes / 4096},
	} {
		s, taken, refused := fill(c.transactions, c.size)
		if taken != c.want || taken+refused != 3*maxBundles || len(s.entries) != c.want {
			t.Errorf("%d transactions of %d bytes each: took %d, refused %d, want %d taken", c.transactions, c.size, taken, refused, c.want)
		}
	}
	s := newSet()
	for n := range 5 * maxSettled {
		b := batch(0, 1, 1, 100, n)
		copy(b.Position.Owner[:], fmt.Sprint(n))
		add(s, b)
		s.order(in(batchID(0, 1, 1), n))
	}
	if len(s.settled)+len(s.settledBefore) > 2*maxSettled || len(s.lanes) > maxLanes || len(s.entries) != 0 {
		t.Errorf("remembers %d IDs, %d lanes, holds %d bundles", len(s.settled)+len(s.settledBefore), len(s.lanes), len(s.entries))
	}
	if !s.knows(bundleID(5*maxSettled-1)) || !s.knows(bundleID(4*maxSettled)) {
		t.Error("forgot what was ordered just before")
	}
}

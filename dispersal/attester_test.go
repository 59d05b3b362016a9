package dispersal

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// A lane's owner is silent until the records of its batches are pruned and the node has
// restarted. It does not get a second batch attested for the position.
func TestNoSecondAttestationAfterPruning(t *testing.T) {
	t.Parallel()
	w := startOn(t, 4, store.Options{SegmentBytes: 1}, func(o *Options) { o.RetainBlocks = 10 })
	w.connected()
	silent, v := w.validators[0], w.validators[1]
	silent.stop()
	p := order.Position{Owner: silent.owner, Mark: order.Mark{Session: 7, Sequence: 1}}
	s, share := w.batch(silent, p.Mark, v)
	v.take(s, share)
	await.Until(t, "it is attested", func() bool { _, err := v.attester.load(p); return err == nil })
	for range 4 {
		bs := bundles(t, 1, 100)
		v.source.submit(bs...)
		w.settle(bs)
		for range 5 {
			w.commit(1)
		}
		w.epoch()
	}
	w.commit(1)
	await.Until(t, "the record is gone", func() bool { _, err := v.attester.load(p); return errors.Is(err, store.ErrNotFound) })
	w.crash(v)
	s, share = w.batch(silent, p.Mark, v)
	await.Until(t, "it is refused", func() bool {
		v.take(s, share) // until the node has restored its lanes it is busy
		return counter(t, v, "ordo_dispersal_refusals_total", "lost") > 0
	})
	if _, err := v.attester.load(p); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the second batch: %v, want that it is not stored", err)
	}
}

// Only what a node has made itself it takes as it is.
func TestOthersSharesAreVerified(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	silent, v := w.validators[0], w.validators[1]
	silent.stop()
	p := order.Position{Owner: silent.owner, Mark: order.Mark{Session: 7, Sequence: 1}}
	s, share := w.batch(silent, p.Mark, v)
	share[len(share)-1] ^= 1
	await.Until(t, "it is refused", func() bool {
		v.take(s, share)
		return counter(t, v, "ordo_dispersal_refusals_total", "share") > 0
	})
	if _, err := v.attester.load(p); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a share that is not of the batch: %v, want that it is not stored", err)
	}
}

// An owner that signs offers out of sequence, or many for one position, has few of them
// checked, and what it has checked leaves room for others.
func TestFloodOfOffers(t *testing.T) {
	t.Parallel()
	w := start(t, 4, func(o *Options) { o.Workers = 1 })
	w.connected()
	hostile, other, v := w.validators[0], w.validators[1], w.validators[2]
	hostile.stop()
	v.workers <- struct{}{} // nothing is checked while the test holds this
	offer := func(from *validator, sequence uint64) {
		v.take(w.batch(from, order.Mark{Session: 7, Sequence: sequence}, v))
	}
	refused := func(reason string) float64 { return counter(t, v, "ordo_dispersal_refusals_total", reason) }
	underway := func() int {
		v.attester.mu.Lock()
		defer v.attester.mu.Unlock()
		if all := v.attester.offers[hostile.owner]; all != nil {
			return all.count
		}
		return 0
	}
	for i := range uint64(50) {
		offer(hostile, 1)
		offer(hostile, i+3)
	}
	if n := underway(); n != maxOffersAt || refused("sequence") != 50 || refused("busy") != 50-maxOffersAt {
		t.Fatalf("%d offers are under way, %v refused for their sequence, %v as too many", n, refused("sequence"), refused("busy"))
	}
	for i := range uint64(150) {
		offer(hostile, i+2)
	}
	offer(other, 1)
	p := order.Position{Owner: other.owner, Mark: order.Mark{Session: 7, Sequence: 1}}
	await.Until(t, "the other one's is attested", func() bool {
		<-v.workers
		v.workers <- struct{}{} // whoever waits comes before
		_, err := v.attester.load(p)
		return err == nil
	})
	if n := underway(); n < 75 {
		t.Errorf("the other one's was attested when %d of 150 were left", n)
	}
	<-v.workers
	await.Until(t, "what is in sequence is attested", func() bool { return underway() == 0 })
}

// A batch that members would store for nothing is not attested. The lane waits while that
// may pass, and goes on without the bundles where it does not.
func TestUnpaidBatches(t *testing.T) {
	t.Parallel()
	var why atomic.Pointer[error]
	set := func(err error) { why.Store(&err) }
	set(errors.New("the payer has nothing"))
	w := start(t, 4, func(o *Options) {
		o.RetryMin = time.Second
		o.Afford = func([]order.BundleSummary) error { return *why.Load() }
	})
	w.connected()
	v := w.validators[0]
	refused := func(reason string) float64 { return counter(t, v, "ordo_dispersal_refused_total", reason) }
	poor := bundles(t, 1, 100)
	v.source.submit(poor...)
	await.Until(t, "it is refused", func() bool { return refused("unpaid") >= 2 })
	set(nil)
	await.Until(t, "it is attested when it can be paid", func() bool { return certified(w.validators, poor) })
	if n := gauge(t, v, "ordo_dispersal_sessions_ended_total"); n != 0 {
		t.Errorf("%v sessions ended", n)
	}
	set(fmt.Errorf("fee: %w", lane.ErrBundles))
	wrong, right := bundles(t, 1, 100), bundles(t, 1, 100)
	v.source.submit(wrong...)
	await.Until(t, "the session ends", func() bool { return gauge(t, v, "ordo_dispersal_sessions_ended_total") > 0 })
	v.source.ordered(map[order.BundleID]bool{wrong[0].ID(chainID): true}) // what the rules refuse a pool hands out no more
	set(nil)
	v.source.submit(right...)
	await.Until(t, "the lane goes on", func() bool { return certified(w.validators, right) })
	if certified(w.validators[:1], wrong) {
		t.Error("what the rules refuse is certified")
	}
}

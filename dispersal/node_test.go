package dispersal

import (
	"slices"
	"testing"
	"time"

	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

func TestCertifies(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	var all []*order.Bundle
	for _, v := range w.validators {
		bs := bundles(t, 20, 1000)
		all = append(all, bs...)
		v.source.submit(bs...)
	}
	await.Until(t, "everyone knows all bundles certified", func() bool { return certified(w.validators, all) })
	await.Until(t, "everyone reports all lanes", func() bool {
		for _, v := range w.validators {
			if len(v.Tips()) != 4 {
				return false
			}
		}
		return true
	})
	w.settle(all)
	if certified(w.validators[:1], all[:1]) {
		t.Error("an ordered bundle still counts as certified")
	}
	for _, v := range w.validators {
		if len(v.Tips()) != 0 || v.Waiting() {
			t.Errorf("after all is ordered %v still has tips %v", v.owner, v.Tips())
		}
	}
	for id, n := range w.bundles {
		if n != 1 {
			t.Errorf("bundle %v was ordered %d times", id, n)
		}
	}
}

// With one validator gone the others certify; when it is back it learns what it missed.
func TestDeadPeer(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	dead, alive := w.validators[3], w.validators[:3]
	dead.stop()
	bs := bundles(t, 50, 3000)
	alive[0].source.submit(bs...)
	await.Until(t, "the others certify", func() bool { return certified(alive, bs) })
	w.listen(dead)
	w.run(dead)
	await.Until(t, "it learns what it missed", func() bool { return certified([]*validator{dead}, bs) })
	w.settle(bs)
}

// Without enough members nothing is certified, the window fills, the source fills and
// refuses; when they come all goes through.
func TestBackpressure(t *testing.T) {
	t.Parallel()
	w := start(t, 4, func(o *Options) { o.WindowBytes, o.BatchBytes = 64<<10, 16<<10 })
	w.connected()
	away := w.validators[2:]
	for _, v := range away {
		v.stop()
	}
	v := w.validators[0]
	v.source.mu.Lock()
	v.source.limit = 100
	v.source.mu.Unlock()
	var accepted []*order.Bundle
	await.Until(t, "the source refuses", func() bool {
		b := bundle(t, 1000)
		if !v.source.submit(b) {
			return true
		}
		accepted = append(accepted, b)
		return false
	})
	if n := len(accepted) * 1000; n > 100*1000+64<<10+32*(16<<10) {
		t.Errorf("%d bytes were taken in before the source refused", n)
	}
	if certified(w.validators[:1], accepted[:1]) {
		t.Error("certified by half of the stake")
	}
	for _, v := range away {
		w.listen(v)
		w.run(v)
	}
	await.Until(t, "all is certified", func() bool { return certified(w.validators[:1], accepted) })
	w.settle(accepted)
}

// Keys change at an epoch; certificates of both epochs are ordered.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	var all []*order.Bundle
	for epoch := range 4 {
		for i, v := range w.validators {
			v.rotate(testKey(i, epoch+1))
			bs := bundles(t, 5, 400)
			all = append(all, bs...)
			v.source.submit(bs...)
		}
		if epoch == 0 {
			await.Until(t, "batches of the first epoch are certified", func() bool { return certified(w.validators, all) })
		}
		w.epoch()
	}
	w.settle(all)
	w.connected()
	for _, p := range w.validators[0].mesh.Peers() {
		if err := p.Send(transport.TipsOutgoing(nil)); err != nil {
			t.Error(err)
		}
	}
}

// A bundle as large as there may be goes through, between small ones, in order.
func TestLargeBundles(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	var all []*order.Bundle
	for range 3 {
		all = append(all, bundle(t, 100), bundle(t, order.MaxBundleBytes-300), bundle(t, 100))
	}
	w.validators[0].source.submit(all...)
	await.Until(t, "all is certified", func() bool { return certified(w.validators[:1], all) })
	w.settle(all)
	var got []order.BundleID
	slices.SortFunc(w.ordered, func(a, b *order.Certificate) int { return a.Header.Compare(b.Header.Position) })
	for _, c := range w.ordered {
		for i := range c.Header.Bundles {
			got = append(got, c.Header.Bundles[i].ID(chainID))
		}
	}
	for i, b := range all {
		if i >= len(got) || got[i] != b.ID(chainID) {
			t.Fatalf("bundle %d is not where it was taken in", i)
		}
	}
}

// A validator that is in no committee any more is disconnected and certifies nothing;
// once it is in one again it goes on.
func TestMemberLeaves(t *testing.T) {
	t.Parallel()
	w := start(t, 5, nil)
	w.connected()
	gone, rest := w.validators[4], w.validators[:4]
	bs := bundles(t, 5, 100)
	gone.source.submit(bs...)
	await.Until(t, "its batches are certified", func() bool { return certified(w.validators, bs) })
	w.out = gone
	w.epoch() // it is in the committee before
	w.settle(bs)
	w.epoch()
	await.Until(t, "it is disconnected", func() bool {
		return len(gone.mesh.Peers()) == 0 && !slices.ContainsFunc(rest, func(v *validator) bool { return len(v.mesh.Peers()) != 3 })
	})
	late, others := bundles(t, 5, 100), bundles(t, 5, 100)
	gone.source.submit(late...)
	rest[0].source.submit(others...)
	await.Until(t, "the others certify", func() bool { return certified(rest, others) })
	if room := gone.Node.owner.state(); room.Bytes != 0 || certified(rest[:1], late[:1]) {
		t.Error("a lane goes on that nobody shares")
	}
	w.out = nil
	w.epoch()
	await.Until(t, "it certifies again", func() bool { return certified(w.validators, late) })
	w.settle(append(late, others...))
}

// Batches may take up as much of a node as is left of it: where attesting takes twice as long
// twice the work is spread over four times the time.
func TestPace(t *testing.T) {
	const most = 100 * time.Millisecond
	for _, c := range []struct {
		what              string
		lanes, processors int
		attesting, want   time.Duration
	}{
		{"nothing attested yet", 4, 2, 0, 0},
		{"quiet", 4, 2, quickAttest, 2 * quickAttest},
		{"half busy", 4, 2, 2 * quickAttest, 8 * quickAttest},
		{"half busy, twice as many lanes", 8, 2, 2 * quickAttest, 16 * quickAttest},
		{"half busy, twice as many processors", 4, 4, 2 * quickAttest, 4 * quickAttest},
		{"nearly full", 4, 2, 10 * quickAttest, most},
		{"stalled", 150, 1, 1000 * time.Hour, most},
	} {
		if got := pace(c.lanes, c.processors, c.attesting, most); got != c.want {
			t.Errorf("%s: %v between batches, want %v", c.what, got, c.want)
		}
	}
}

// A bundle goes at once after a pause. While attestations take long, those that follow wait until
// they fill a batch, or for as long as may be.
func TestBusyNodeGathers(t *testing.T) {
	t.Parallel()
	w := start(t, 4, func(o *Options) { o.BatchBytes, o.FlushAge = 16<<10, time.Hour })
	w.connected()
	v := w.validators[0]
	takes := func(d time.Duration) {
		v.attester.mu.Lock()
		defer v.attester.mu.Unlock()
		v.attester.took = d
	}
	takes(time.Hour)
	first, few := bundles(t, 1, 1000), bundles(t, 3, 1000)
	v.source.submit(first...)
	await.Until(t, "the first is certified", func() bool { return certified(w.validators[:1], first) })
	v.source.submit(few...)
	rest := bundles(t, 13, 1000)
	v.source.submit(rest...)
	all := slices.Concat(few, rest)
	await.Until(t, "a full batch is certified", func() bool { return certified(w.validators[:1], all[:12]) })
	tips := v.Tips()
	if i := slices.IndexFunc(tips, func(tip order.Tip) bool { return tip.Owner == v.owner }); i < 0 || tips[i].Sequence != 2 {
		t.Errorf("the lane stands at %v, want the first bundle in one batch and those that follow in another", tips)
	}
	late := bundles(t, 1, 1000)
	takes(0)
	v.source.submit(late...)
	await.Until(t, "nothing waits on an idle node", func() bool { return certified(w.validators[:1], late) })
	w.settle(slices.Concat(first, all, late))
}

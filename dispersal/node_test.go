package dispersal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/store"
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

// What was certified before a kill is announced and ordered after it, and nothing that was
// attested is attested otherwise.
func TestRestart(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	var all []*order.Bundle
	submit := func() {
		for _, v := range w.validators {
			bs := bundles(t, 10, 500)
			all = append(all, bs...)
			v.source.submit(bs...)
		}
	}
	submit()
	await.Until(t, "everyone knows all bundles certified", func() bool { return certified(w.validators, all) })
	for _, v := range w.validators { // all of them at once, as after a power cut
		w.crash(v)
	}
	await.Until(t, "all tips are back", func() bool { return len(w.validators[1].Tips()) == len(w.validators) })
	submit()
	w.settle(all)
	for id, n := range w.bundles { // what was certified before is not dispersed again
		if n != 1 {
			t.Errorf("bundle %v was ordered %d times", id, n)
		}
	}
	sessions := map[order.Owner]uint64{}
	for _, c := range w.ordered {
		sessions[c.Header.Owner] = max(sessions[c.Header.Owner], c.Header.Session)
	}
	for _, v := range w.validators {
		if sessions[v.owner] != 2 {
			t.Errorf("validator %v is in session %d, want 2 after one restart", v.owner, sessions[v.owner])
		}
		if len(v.evidence) > 0 {
			t.Errorf("validator %v sees equivocation", v.owner)
		}
	}
}

// Batches go on being certified while validators are killed one after the other.
func TestRollingRestarts(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	var all []*order.Bundle
	for i := range 4 {
		bs := bundles(t, 10, 2000)
		all = append(all, bs...)
		w.validators[(i+1)%4].source.submit(bs...)
		w.crash(w.validators[i])
		bs = bundles(t, 10, 2000)
		all = append(all, bs...)
		w.validators[i].source.submit(bs...)
	}
	w.settle(all)
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

func TestSubscription(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	early := bundles(t, 3, 100)
	w.validators[0].source.submit(early...)
	await.Until(t, "the first are certified", func() bool { return certified(w.validators, early) })
	ctx, cancel := context.WithCancel(t.Context())
	s := w.validators[1].Certified(ctx)
	late := bundles(t, 3, 100)
	w.validators[0].source.submit(late...)
	got := map[order.BundleID]bool{}
	for len(got) < len(early)+len(late) {
		c, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Header.Bundles {
			got[c.Header.Bundles[i].ID(chainID)] = true
		}
	}
	for _, b := range append(early, late...) {
		if !got[b.ID(chainID)] {
			t.Errorf("bundle %v was not told", b.ID(chainID))
		}
	}
	cancel()
	if _, err := s.Next(); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

func TestSlowSubscriber(t *testing.T) {
	t.Parallel()
	s := &Subscription{more: make(chan struct{}, 1)}
	f := feed{subscribers: []*Subscription{s}}
	for range maxBehind + 1 {
		f.publish(&order.Certificate{})
	}
	if _, err := s.Next(); !errors.Is(err, ErrSlow) {
		t.Errorf("next: %v", err)
	}
	if len(f.subscribers) != 0 {
		t.Error("a subscriber that was cut off is still told")
	}
}

func TestSessionFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lane")
	for _, want := range []uint64{0, 1, 2, 1 << 63} {
		if want > 0 {
			if err := writeSession(dir, want); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := readSession(dir); err != nil || got != want {
			t.Errorf("session %d: %v, want %d", got, err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, sessionFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readSession(dir); err == nil {
		t.Error("a damaged number passes")
	}
}

// Every validator rebuilds every batch from what the others hold.
func TestRetrieveFromPeers(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	bs := bundles(t, 30, 2000)
	w.validators[0].source.submit(bs...)
	await.Until(t, "all is certified", func() bool { return certified(w.validators, bs) })
	w.settle(bs)
	for _, v := range w.validators {
		n := 0
		for _, c := range w.ordered {
			batch, void, err := v.Retriever().Batch(t.Context(), c.Header.Core(chainID), w.view.Committee(c.Header.Epoch))
			if err != nil || void != nil {
				t.Fatalf("validator %v, batch %v: void %v, %v", v.owner, c.Header.Position, void != nil, err)
			}
			if err := c.Header.Holds(batch); err != nil {
				t.Error(err)
			}
			n += len(batch.Bundles)
		}
		if n != len(bs) {
			t.Errorf("validator %v rebuilt %d bundles, want %d", v.owner, n, len(bs))
		}
	}
	h := &w.ordered[0].Header
	if _, err := w.validators[1].Share(t.Context(), h.Position, h.Epoch, order.BatchID{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("share of a batch that was not attested: %v", err)
	}
}

// A record that the disk damaged is fetched from peers and written again as it was.
func TestDamagedRecordIsMended(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	bs := bundles(t, 30, 2000)
	w.validators[0].source.submit(bs...)
	await.Until(t, "all is certified", func() bool { return certified(w.validators, bs) })
	c := w.validators[0].Candidates()[0][0]
	var v *validator // one whose attestation is in the certificate
	for _, a := range c.Attestations {
		if a.Member > 0 {
			v = w.validators[a.Member]
		}
	}
	p, id := c.Header.Position, c.Header.ID(chainID)
	await.Until(t, "the certificate is on its disk", func() bool { _, err := v.library.load(p); return err == nil })
	want, err := v.Share(t.Context(), p, 0, id)
	if err != nil {
		t.Fatal(err)
	}
	damage(t, filepath.Join(v.dir, "shards"), want)
	if _, err := v.Share(t.Context(), p, 0, id); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("read the damaged record: %v", err)
	}
	await.Until(t, "the record is whole", func() bool {
		got, err := v.Share(t.Context(), p, 0, id)
		return err == nil && bytes.Equal(got, want)
	})
}

// damage changes a byte of what holds these bytes.
func damage(t *testing.T, dir string, what []byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(raw, what[:len(what)/2])
		if at < 0 {
			continue
		}
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt([]byte{raw[at+10] ^ 1}, int64(at+10))
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("the record is in no file")
}

// What is old goes from the disk, what is not stays.
func TestRetention(t *testing.T) {
	t.Parallel()
	w := startOn(t, 4, store.Options{SegmentBytes: 1}, func(o *Options) { o.RetainBlocks = 10 })
	w.connected()
	v := w.validators[1]
	some := func() {
		bs := bundles(t, 1, 100)
		w.validators[0].source.submit(bs...)
		await.Until(t, "it is certified", func() bool { return certified(w.validators, bs) })
		w.settle(bs)
	}
	for range 20 {
		some()
	}
	first := &w.ordered[0].Header
	for range 3 {
		if _, err := v.Share(t.Context(), first.Position, first.Epoch, first.ID(chainID)); err != nil {
			t.Fatalf("a share of an epoch that counts, in epoch %d: %v", w.view.Epoch, err)
		}
		w.epoch()
		some()
	}
	old, last := &w.ordered[0].Header, &w.ordered[len(w.ordered)-1].Header
	await.Until(t, "the first share is gone", func() bool {
		_, err := v.Share(t.Context(), old.Position, old.Epoch, old.ID(chainID))
		return errors.Is(err, store.ErrNotFound)
	})
	if _, err := v.Share(t.Context(), last.Position, last.Epoch, last.ID(chainID)); err != nil {
		t.Errorf("the last share: %v", err)
	}
}

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

func TestSpentFile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "lane")
	if all, err := readSpent(dir); err != nil || len(all) != 0 {
		t.Fatalf("before there is a file: %v, %v", all, err)
	}
	want := []lane.Spent{
		{Position: order.Position{Owner: order.Owner{1}, Mark: order.Mark{Session: 3, Sequence: 1 << 40}}, Clock: 1 << 63},
		{Position: order.Position{Owner: order.Owner{0xab}, Mark: order.Mark{Session: 1}}},
	}
	if err := writeSpent(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := readSpent(dir)
	if err != nil || len(got) != 2 || got[order.Owner{1}] != want[0] || got[order.Owner{0xab}] != want[1] {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	good, err := os.ReadFile(filepath.Join(dir, spentFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"x", string(good[:len(good)-1]), string(good) + "\n", string(good[2:]), " " + string(good)} {
		if err := os.WriteFile(filepath.Join(dir, spentFile), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readSpent(dir); err == nil {
			t.Errorf("%q passes", bad)
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
	if room, _ := gone.Node.owner.state(); room.Bytes != 0 || certified(rest[:1], late[:1]) {
		t.Error("a lane goes on that nobody shares")
	}
	w.out = nil
	w.epoch()
	await.Until(t, "it certifies again", func() bool { return certified(w.validators, late) })
	w.settle(append(late, others...))
}

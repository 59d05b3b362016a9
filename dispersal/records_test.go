package dispersal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// Shares wait for others of their batch. Those that a connection has brought do not hold up what
// comes over it next.
func TestSharesThatWaitHoldUpNobody(t *testing.T) {
	t.Parallel()
	const most = 1 << 20 // of frames, each of which counts 16 KiB or more
	w := start(t, 4, func(o *Options) { o.Transport.PeerBytes = most })
	w.connected()
	w.orderSome()
	core := w.ordered[0].Header.Core(chainID)
	for range most >> 14 * 2 {
		_, release, err := peerShares{w.validators[3].Node}.Share(t.Context(), w.validators[1].owner, core)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
}

// Every validator rebuilds every batch from what the others hold.
func TestRetrieveFromPeers(t *testing.T) {
	t.Parallel()
	w := start(t, 4, nil)
	w.connected()
	bs := w.orderSome()
	for _, v := range w.validators {
		n := 0
		for _, c := range w.ordered {
			n += len(w.rebuild(v, c).Bundles)
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

// holds tells whether the batch has the bundles that the header tells of.
func holds(h *order.BatchHeader, b *order.Batch) bool {
	return slices.EqualFunc(h.Bundles, b.Bundles, func(s order.BundleSummary, b *order.Bundle) bool {
		return s.ID(chainID) == b.ID(chainID) && s.Signature == b.Signature
	})
}

// A record that the disk damaged is fetched from peers and written again as it was.
func TestDamagedRecordIsMended(t *testing.T) {
	t.Parallel()
	w := start(t, 4, func(o *Options) { o.RecentBytes = -1 })
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
	w := startOn(t, 4, store.Options{SegmentBytes: 1}, func(o *Options) { o.RetainBlocks, o.RecentBytes = 10, -1 })
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

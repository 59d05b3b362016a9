package pool

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

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
	p.Update(10, ids[:5], nil)
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
	q.Update(10, nil, nil)
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
	p.Update(10, []order.BundleID{e.id}, nil)
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

// A bundle that is submitted twice is written twice, and stays for as long as it waits.
func TestSubmittedTwiceSurvivesRestarts(t *testing.T) {
	c, fs := newFakeChain(), vfs.NewMem()
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	id := submit(t, p, bundle(0, 0, nil))
	require.Equal(t, id, submit(t, p, bundle(0, 0, nil)))
	for range 3 {
		require.NoError(t, p.Close())
		p = newPool(t, c, Options{Dir: "/pool", fs: fs})
		require.True(t, p.Has(id))
	}
}

// writeSegment writes a segment of a journal.
func writeSegment(t *testing.T, fs vfs.FS, number uint64, content []byte, sync bool) {
	t.Helper()
	require.NoError(t, fs.MkdirAll("/pool", 0o755))
	f, err := fs.Create("/pool/"+segmentName(number), journalDisk)
	require.NoError(t, err)
	for _, dir := range []string{"/", "/pool"} {
		d, err := fs.OpenDir(dir)
		require.NoError(t, err)
		require.NoError(t, errors.Join(d.Sync(), d.Close()))
	}
	_, err = f.Write(bytes.Clone(content))
	require.NoError(t, err)
	if sync {
		require.NoError(t, f.Sync())
	}
	require.NoError(t, f.Close())
}

func encoded(salt uint32, seq uint64, raw []byte) []byte {
	return append(recordHeader(salt, seq, raw), raw...)
}

// Killed while it moves a bundle to another segment, a process leaves a copy that may not be
// on disk: the one that is does not go before.
func TestMovedBundleSurvivesAKillAndPowerLoss(t *testing.T) {
	c, fs := newFakeChain(), vfs.NewCrashableMem()
	content := append(make([]byte, segmentHead), encoded(0, 1, bundle(0, 0, nil))...)
	writeSegment(t, fs, 1, content, true)
	writeSegment(t, fs, 2, content, false)
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	id := p.bundles.Front().Value.(*entry).id
	submit(t, p, bundle(9, 9, nil)) // with it names are synced, and the want of what was removed
	q := newPool(t, c, Options{Dir: "/pool", fs: fs.CrashClone(vfs.CrashCloneCfg{})})
	require.True(t, q.Has(id))
}

// What a loss of power has cut off does not make other bytes pass for records: whoever wrote
// them into a bundle could take another's place.
func TestNoRecordIsFoundWithinABundle(t *testing.T) {
	c, fs := newFakeChain(), vfs.NewMem()
	content := append([]byte{1, 2, 3, 4}, encoded(0x01020304, 1, bundle(0, 0, nil))...)
	content = append(content, make([]byte, 4096)...) // the first page of a group is not there
	for salt := range uint32(3) {
		content = append(content, encoded(salt, 1, bundle(1, 1, nil))...)
	}
	writeSegment(t, fs, 1, content, true)
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	b, err := order.DecodeBundle(bundle(0, 0, nil))
	require.NoError(t, err)
	require.True(t, p.Has(b.ID(chainID)))
	require.Equal(t, 1, p.bundles.Len())
}

// What left without a block is told of until it is forgotten, whatever crash comes between.
func TestLeftSurvivesACrash(t *testing.T) {
	c, fs := newFakeChain(), vfs.NewCrashableMem()
	p := newPool(t, c, Options{Dir: "/pool", fs: fs})
	id := submit(t, p, bundle(0, 0, func(b *order.Bundle) { b.Expiry = 12 }))
	c.set(func(c *fakeChain) { c.height = 13 })
	p.Update(12, nil, nil)
	require.Len(t, p.Left(), 1)

	q := newPool(t, c, Options{Dir: "/pool", fs: fs.CrashClone(vfs.CrashCloneCfg{})})
	require.True(t, q.Empty(), "no batch may have it any more")
	require.True(t, q.Has(id))
	left := q.Left()
	require.Len(t, left, 1)
	require.Equal(t, id, left[0].ID)
	require.EqualValues(t, 12, left[0].Expiry)
	q.Forget(left)
	require.False(t, q.Has(id))
	require.Zero(t, q.bytes)
	require.Empty(t, q.journal.live)
}

// Who does not take note of what left fills the pool: nothing else bounds it.
func TestLeftCounts(t *testing.T) {
	c := newFakeChain()
	p := newPool(t, c, Options{Limits: Limits{Bundles: 4}})
	for n := range 4 {
		submit(t, p, bundle(n, 0, func(b *order.Bundle) { b.Expiry = 12 }))
	}
	c.set(func(c *fakeChain) { c.height = 13 })
	p.Update(12, nil, nil)
	_, err := p.Submit(context.Background(), bundle(9, 0, nil))
	require.ErrorIs(t, err, ErrFull)
	p.Forget(p.Left())
	submit(t, p, bundle(9, 0, nil))
}

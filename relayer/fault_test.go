package relayer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/internal/pebblelog"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// large is a block's transaction of alpha that does not compress.
func large(n int) map[string][][]byte {
	tx := make([]byte, n)
	rand.Read(tx) // it never fails
	return map[string][][]byte{"alpha": {tx}}
}

func TestFailedButStoredIsNotSentAgain(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	chain.growBy(3)
	r := start(t, prepare(t, chain, Options{Rollups: rollups("alpha")}, layer))
	wantPosted(t, chain, layer, "alpha")
	for range 10 {
		var lost atomic.Bool
		layer.onSubmit(func(ctx context.Context, blobs []da.Blob, store storing) ([]da.Ref, error) {
			defer lost.Store(true)
			layer.onSubmit(nil)
			return butStored(ctx, blobs, store)
		})
		chain.growBy(2)
		await.Until(t, "an answer is lost", lost.Load)
	}
	wantPosted(t, chain, layer, "alpha")
	await.Until(t, "what was stored is found each time", func() bool { return r.metric("ordo_relayer_found_blobs_total") >= 10 })
}

// Requests and answers are lost at random; the DA layer holds each block once.
func TestLayerThatLosesHalf(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), smallLayer(t)
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	var mu sync.Mutex
	layer.onSubmit(func(ctx context.Context, blobs []da.Blob, store storing) ([]da.Ref, error) {
		mu.Lock()
		n := rng.IntN(4)
		mu.Unlock()
		switch n {
		case 0:
			return notStored(ctx, blobs, store)
		case 1:
			return butStored(ctx, blobs, store)
		}
		return store(ctx)
	})
	start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta", "gamma")}, layer))
	for i := range 60 {
		chain.growBy(1)
		if i%20 == 0 {
			chain.grow(large(1200 << 10))
		}
		time.Sleep(2 * time.Millisecond) // lets blobs form
	}
	wantPosted(t, chain, layer, "alpha", "beta", "gamma")
}

// A layer stores what it did not answer for only some of its blocks later. It is not
// sent again meanwhile.
func TestStoredLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	late := make(chan storing, 1)
	layer.onSubmit(func(_ context.Context, _ []da.Blob, store storing) ([]da.Ref, error) {
		layer.onSubmit(nil)
		late <- store
		return nil, da.ErrUnavailable
	})
	chain.growBy(3)
	o := prepare(t, chain, Options{Rollups: rollups("alpha")})
	o.Layers = []Layer{{Layer: layer, SettleBlocks: 4}}
	start(t, o)
	store := <-late
	for range 3 {
		if _, err := layer.Submit(t.Context(), []da.Blob{{Namespace: da.Namespace{1}, Data: []byte("of somebody else")}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // for what must not happen: that it is sent again
	}
	if _, err := store(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantPosted(t, chain, layer, "alpha")
}

// While DA is away the relayer reads on until its backlog is full, and no further.
func TestLayerThatIsDownStopsTheReading(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	batch := testBatch()
	batch.BlobBytes, batch.BacklogBlobs = 8<<10, 8
	r := start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), Batch: batch}, layer))
	chain.growBy(5)
	wantPosted(t, chain, layer, "alpha", "beta")

	layer.onSubmit(notStored)
	chain.growBy(1000)
	await.Until(t, "nothing is read any more", func() bool { return chain.sources.Load() == 0 })
	for _, s := range r.Status().Rollups {
		if s.ReadHeight > 200 {
			t.Errorf("%s was read up to height %d of 1005 with the layer down", s.Name, s.ReadHeight)
		}
	}
	await.Until(t, "the outage is known", func() bool { return len(r.silent()) == 1 })
	layer.onSubmit(nil)
	wantPosted(t, chain, layer, "alpha", "beta")
	await.Until(t, "the outage is over", func() bool { return len(r.silent()) == 0 })
}

// A layer that refuses the blobs of one rollup for good holds up no other.
func TestRefusalOfOneRollupLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	for _, refusal := range []error{da.ErrRejected, da.ErrTooLarge} {
		t.Run(refusal.Error(), func(t *testing.T) {
			t.Parallel()
			chain, layer := newTestChain(), newTestLayer(t, local.Options{})
			alpha := da.Namespace(order.NewRollupID("alpha"))
			var alone atomic.Int64
			layer.onSubmit(func(ctx context.Context, blobs []da.Blob, store storing) ([]da.Ref, error) {
				if slices.ContainsFunc(blobs, func(b da.Blob) bool { return b.Namespace == alpha }) {
					if len(blobs) == 1 {
						alone.Add(1)
					}
					return nil, refusal
				}
				return store(ctx)
			})
			chain.growBy(20)
			names := []string{"beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"}
			start(t, prepare(t, chain, Options{Rollups: rollups(append(names, "alpha")...)}, layer))
			wantPosted(t, chain, layer, names...)
			await.Until(t, "alpha is tried again and again", func() bool { return alone.Load() > 3 })
			layer.onSubmit(nil)
			wantPosted(t, chain, layer, append(names, "alpha")...)
		})
	}
}

// A block over the layer's limit is split, also where the layer takes less than it says.
func TestLargeBlocksAreSplit(t *testing.T) {
	t.Parallel()
	for _, honest := range []bool{true, false} {
		t.Run(fmt.Sprint("honest ", honest), func(t *testing.T) {
			t.Parallel()
			chain, layer := newTestChain(), newTestLayer(t, local.Options{})
			const limit = 700 << 10
			if honest {
				layer.limits.MaxBlobBytes = limit
			}
			layer.onSubmit(func(ctx context.Context, blobs []da.Blob, store storing) ([]da.Ref, error) {
				if slices.ContainsFunc(blobs, func(b da.Blob) bool { return len(b.Data) > limit }) {
					return nil, da.ErrTooLarge
				}
				return store(ctx)
			})
			chain.growBy(2)
			chain.grow(large(300 << 10))
			chain.growBy(1)
			chain.grow(large(3000 << 10))
			chain.grow(large(1000 << 10))
			chain.growBy(2)
			batch := testBatch()
			batch.SubmitBytes = 1000 << 10
			start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), Batch: batch}, layer))
			wantPosted(t, chain, layer, "alpha", "beta")
			wantReadBack(t, chain, order.NewRollupID("alpha"), layer)
		})
	}
}

// What waits in the journal is cut anew where the layer of the next start takes less.
func TestBacklogForASmallerLayer(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	layer.onSubmit(func(context.Context, []da.Blob, storing) ([]da.Ref, error) {
		return nil, da.ErrRejected
	})
	chain.grow(large(2000 << 10))
	o := prepare(t, chain, Options{Rollups: rollups("alpha")}, layer)
	r := start(t, o)
	await.Until(t, "it is in the journal", func() bool { return r.Status().Rollups[0].PendingBytes > 0 })
	r.stop()
	layer.onSubmit(nil)
	layer.limits.MaxBlobBytes = follower.MinBlobLimit
	start(t, o)
	wantPosted(t, chain, layer, "alpha")
	if n := len(blobsOf(t, layer, order.NewRollupID("alpha"))); n < 4 {
		t.Errorf("it is on DA in %d parts", n)
	}
}

func TestAnotherLayerIsNoticed(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	chain.growBy(3)
	o := prepare(t, chain, Options{Rollups: rollups("alpha")}, layer)
	r := start(t, o)
	wantPosted(t, chain, layer, "alpha")
	await.Until(t, "it is confirmed", func() bool { return r.Status().Rollups[0].PostedHeight == 3 })
	r.stop()
	o.Layers = []Layer{{Layer: newTestLayer(t, local.Options{})}}
	var log syncBuffer
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	again := start(t, o)
	chain.growBy(3)
	await.Until(t, "it is said", func() bool { return strings.Contains(log.String(), "not the layer that the journal belongs to") })
	await.Until(t, "the order is read all the same", func() bool { return again.Status().Rollups[0].ReadHeight == 6 })
	if s := again.Status(); s.Layers[0].Answers || s.Rollups[0].PostedHeight != 3 {
		t.Errorf("an empty layer passed for the one where blobs were posted: %+v", s)
	}
}

// lagging is a layer whose node has not come as far as it was.
type lagging struct {
	*testLayer
	behind atomic.Bool
}

func (l *lagging) Head(ctx context.Context) (uint64, error) {
	h, err := l.testLayer.Head(ctx)
	if l.behind.Load() {
		h = 0
	}
	return h, err
}

func (l *lagging) WaitHead(ctx context.Context, _ uint64) (uint64, error) { return l.Head(ctx) }

// A node that catches up holds up what belongs on its layer, and nothing else.
func TestNodeThatCatchesUpIsWaitedFor(t *testing.T) {
	t.Parallel()
	chain, layer, other := newTestChain(), newTestLayer(t, local.Options{}), newTestLayer(t, local.Options{})
	other.name = "other"
	slow := &lagging{testLayer: layer}
	o := prepare(t, chain, Options{Rollups: rollups("alpha", "beta")}, slow, other)
	o.Rollups[1].Layer = "other"
	first := start(t, o)
	chain.growBy(5)
	wantPosted(t, chain, layer, "alpha")
	await.Until(t, "it is confirmed", func() bool { return first.Status().Rollups[0].PostedHeight == 5 })
	first.stop()
	slow.behind.Store(true)
	chain.growBy(5)
	again := start(t, o)
	wantPosted(t, chain, other, "beta")
	if got := postedTo(t, layer, order.NewRollupID("alpha"), 1); got != 5 || again.Status().Layers[0].Answers {
		t.Errorf("alpha is posted up to %d by a node that is behind", got)
	}
	slow.behind.Store(false)
	wantPosted(t, chain, layer, "alpha")
}

// What a layer refused from all rollups goes out together again once it takes something.
func TestRefusalOfAllIsOverAtOnce(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprint("rollup ", i))
	}
	var refuse atomic.Bool
	var alone, calls atomic.Int64
	refuse.Store(true)
	layer.onSubmit(func(ctx context.Context, blobs []da.Blob, store storing) ([]da.Ref, error) {
		if refuse.Load() {
			if len(blobs) == 1 {
				alone.Add(1)
			}
			return nil, fmt.Errorf("no money: %w", da.ErrRejected)
		}
		calls.Add(1)
		return store(ctx)
	})
	chain.growBy(3)
	r := start(t, prepare(t, chain, Options{Rollups: rollups(names...)}, layer))
	await.Until(t, "each was refused alone", func() bool { return alone.Load() > 300 })
	refuse.Store(false)
	await.Until(t, "all is posted", func() bool {
		return !slices.ContainsFunc(r.Status().Rollups, func(s RollupStatus) bool { return s.PostedHeight < 3 })
	})
	if n := calls.Load(); n > 25 {
		t.Errorf("%d submissions of what fits into one", n)
	}
}

func TestLayerThatRefusesUsIsToldAtOnce(t *testing.T) {
	t.Parallel()
	chain, layer := newTestChain(), newTestLayer(t, local.Options{})
	layer.onHead(func() error { return fmt.Errorf("the token is wrong: %w", da.ErrRejected) })
	r, err := New(prepare(t, chain, Options{Rollups: rollups("alpha")}, layer))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // nothing was written
	if err := r.Run(t.Context()); !errors.Is(err, da.ErrRejected) {
		t.Errorf("the error is %v", err)
	}
}

func TestJournalOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	db, err := pebble.Open("journal", &pebble.Options{FS: fs, Logger: pebblelog.Quiet("journal")})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Set([]byte{keyFormat}, []byte{1}, pebble.Sync), db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = New(prepare(t, newTestChain(), Options{Rollups: rollups("alpha"), FS: fs}, newTestLayer(t, local.Options{})))
	if err == nil || !strings.Contains(err.Error(), "format 01") || !strings.Contains(err.Error(), "start_heights") {
		t.Errorf("the error is %v", err)
	}
}

// syncBuffer is what was logged.
type syncBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

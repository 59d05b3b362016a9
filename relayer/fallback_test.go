package relayer

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// inVirtualTime runs a test in a bubble of synctest, in a process of its own: the
// storage engine keeps channels in pools, which must not come from one bubble into another.
func inVirtualTime(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	const alone = "ORDO_TEST_ALONE"
	if os.Getenv(alone) == t.Name() {
		synctest.Test(t, test)
		return
	}
	var pattern []string
	for name := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(name)+"$")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run="+strings.Join(pattern, "/"), "-test.timeout=2m")
	cmd.Env = append(os.Environ(), alone+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// twoLayers returns the ordinary layer of tests, and one that it falls back on.
func twoLayers(t *testing.T) (main, other *testLayer) {
	t.Helper()
	main, other = newTestLayer(t, local.Options{}), newTestLayer(t, local.Options{})
	other.name = "other"
	return main, other
}

// While the first layer confirms nothing, in whichever way, blobs go to the other; readers of both
// see the whole order.
func TestFallbackAndBack(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(context.Context, []da.Blob, storing) ([]da.Ref, error){
		"not stored":      notStored,
		"but stored":      butStored,
		"refused":         refusing,
		"never answering": never,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inVirtualTime(t, func(t *testing.T) { fallbackAndBack(t, fault) })
		})
	}
}

func fallbackAndBack(t *testing.T, fault answering) {
	chain := newTestChain()
	main, other := twoLayers(t)
	r := start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), Fallback: "other", FallbackAfter: 2 * time.Minute}, main, other))
	active := func() bool { return r.Status().Layers[0].FallbackActive }
	// live lets time pass, with a block each 10 seconds, and returns how many submissions each layer got.
	live := func(d time.Duration) (first, second int) {
		first, second = main.count(), other.count()
		for range int(d / (10 * time.Second)) {
			chain.growBy(1)
			time.Sleep(10 * time.Second)
		}
		return main.count() - first, other.count() - second
	}
	wantLag := func(most uint64) {
		t.Helper()
		for _, s := range r.Status().Rollups {
			if s.LagBlocks > most {
				t.Errorf("%s is %d blocks behind", s.Name, s.LagBlocks)
			}
		}
	}
	for range 2 {
		if first, second := live(5 * time.Minute); first == 0 || second > 0 || active() {
			t.Errorf("nothing is wrong: %d submissions to the first layer, %d to the other", first, second)
		}
		wantLag(1)
		main.onHead(func() error { return da.ErrUnavailable }) // what is found there would be confirmed
		main.onSubmit(fault)
		if _, second := live(110 * time.Second); second > 0 || active() {
			t.Errorf("%d submissions to the fallback before its time", second)
		}
		live(20 * time.Second)
		if first, second := live(20 * time.Minute); second == 0 || first == 0 || first > 50 || !active() {
			t.Errorf("the first layer confirms nothing: %d submissions to it, to see whether it does, %d to the other", first, second)
		}
		wantLag(1)
		main.onSubmit(nil)
		main.onHead(nil)
		live(3 * time.Minute)
	}
	live(time.Minute)
	if n := r.metric("ordo_relayer_fallbacks_total"); n != 2 {
		t.Errorf("%v times the fallback took over, want 2", n)
	}
	for _, name := range []string{"alpha", "beta"} {
		wantReadBack(t, chain, order.NewRollupID(name), main, other)
	}
}

func refusing(context.Context, []da.Blob, storing) ([]da.Ref, error) { return nil, da.ErrRejected }

func never(ctx context.Context, _ []da.Blob, _ storing) ([]da.Ref, error) {
	<-ctx.Done()
	return nil, da.ErrUnavailable
}

// A blob that the first layer refuses, while it takes those of others, goes to the fallback
// and holds up nobody, nor what comes after it.
func TestOneBlobThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, both := range map[string]bool{"by one layer": false, "by both for a while": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inVirtualTime(t, func(t *testing.T) { oneBlobRefused(t, both) })
		})
	}
}

func oneBlobRefused(t *testing.T, both bool) {
	chain := newTestChain()
	main, other := twoLayers(t)
	alpha := order.NewRollupID("alpha")
	// refuse makes a layer refuse whatever has the rollup's block of a height.
	refuse := func(height uint64) answering {
		return func(ctx context.Context, blobs []da.Blob, store storing) ([]da.Ref, error) {
			for _, b := range blobs {
				if r, err := follower.BlobRange(b.Data); err != nil || order.RollupID(b.Namespace) == alpha && r.From <= height && height <= r.To {
					return nil, da.ErrRejected
				}
			}
			return store(ctx)
		}
	}
	main.onSubmit(refuse(4))
	if both {
		other.onSubmit(refuse(4))
	}
	r := start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), Fallback: "other", FallbackAfter: 2 * time.Minute}, main, other))
	live := func(d time.Duration) {
		for range int(d / (10 * time.Second)) {
			chain.growBy(1)
			time.Sleep(10 * time.Second)
		}
	}
	live(2 * time.Minute)
	if s := r.Status().Rollups; s[0].PostedHeight != 3 || s[1].LagBlocks > 1 {
		t.Errorf("alpha is posted up to %d, want 3, and beta lags by %d blocks", s[0].PostedHeight, s[1].LagBlocks)
	}
	if both {
		live(5 * time.Minute)
		if s := r.Status().Rollups[0]; s.PostedHeight != 3 {
			t.Errorf("alpha is posted up to %d, want 3", s.PostedHeight)
		}
		main.onSubmit(nil)
	}
	live(5 * time.Minute)
	for _, s := range r.Status().Rollups {
		if s.LagBlocks > 1 || s.FallbackActive {
			t.Errorf("%s lags by %d blocks, on the fallback: %t", s.Name, s.LagBlocks, s.FallbackActive)
		}
	}
	if r.Status().Layers[0].FallbackActive || r.metric("ordo_relayer_fallbacks_total") > 0 {
		t.Error("the fallback took over for all")
	}
	if first, second := postedTo(t, main, order.NewRollupID("beta"), 1), other.count(); int(first) < chain.height()-1 || !both && second > 2 {
		t.Errorf("beta is on its layer up to %d of %d, and the fallback got %d submissions", first, chain.height(), second)
	}
	for _, name := range []string{"alpha", "beta"} {
		wantReadBack(t, chain, order.NewRollupID(name), main, other)
	}
}

// A layer that is down before the relayer has ever heard of it is no different.
func TestFallbackFromTheStart(t *testing.T) {
	t.Parallel()
	chain := newTestChain()
	main, other := twoLayers(t)
	main.onHead(func() error { return da.ErrUnavailable })
	main.onSubmit(notStored)
	chain.growBy(5)
	start(t, prepare(t, chain, Options{Rollups: rollups("alpha"), Fallback: "other", FallbackAfter: 30 * time.Millisecond}, main, other))
	wantPosted(t, chain, other, "alpha")
}

// What was submitted to the fallback before a crash, and has no outcome, does not hold
// up a rollup whose own layer is well.
func TestFallbackThatIsGoneHoldsUpNobody(t *testing.T) {
	t.Parallel()
	chain := newTestChain()
	main, other := twoLayers(t)
	main.onSubmit(notStored)
	other.onSubmit(never)
	chain.growBy(5)
	o := prepare(t, chain, Options{Rollups: rollups("alpha"), Fallback: "other", FallbackAfter: 30 * time.Millisecond}, main, other)
	r := start(t, o)
	await.Until(t, "it is submitted to the fallback", func() bool { return other.count() > 0 })
	r.stop()
	main.onSubmit(nil)
	other.onHead(func() error { return da.ErrUnavailable })
	start(t, o)
	wantPosted(t, chain, main, "alpha")
}

// A layer that takes hours for each submission, and makes no block meanwhile, gets each blob once.
func TestLayerThatIsSlowForHours(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(t *testing.T) {
		chain, layer := newTestChain(), newTestLayer(t, local.Options{BlockTime: 5 * time.Hour})
		o := prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), RetryMin: time.Second, RetryMax: 15 * time.Second})
		o.Layers = []Layer{{Layer: layer, Settle: 20 * time.Second, SettleBlocks: 1}}
		// Whoever stops waiting is not heard: what was submitted is stored.
		layer.onSubmit(func(ctx context.Context, _ []da.Blob, store storing) ([]da.Ref, error) {
			type answer struct {
				refs []da.Ref
				err  error
			}
			done := make(chan answer, 1)
			go func() {
				refs, err := store(t.Context())
				done <- answer{refs, err}
			}()
			select {
			case a := <-done:
				return a.refs, a.err
			case <-ctx.Done():
				return nil, da.ErrUnavailable
			}
		})
		r := start(t, o)
		for range 3 {
			chain.growBy(5)
			time.Sleep(3 * time.Hour)
		}
		time.Sleep(24 * time.Hour)
		for _, name := range []string{"alpha", "beta"} {
			if to := postedTo(t, layer, order.NewRollupID(name), 1); to != 15 {
				t.Errorf("%s is posted up to %d, want 15", name, to)
			}
		}
		r.stop()
	})
}

// A rollup whose blob one layer refuses, while the fallback is not there, goes on when
// either of them takes the blob.
func TestOneBlobThatIsRefusedWithoutAFallback(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(t *testing.T) {
		chain := newTestChain()
		main, other := twoLayers(t)
		alpha := order.NewRollupID("alpha")
		main.onSubmit(func(ctx context.Context, blobs []da.Blob, store storing) ([]da.Ref, error) {
			for _, b := range blobs {
				if r, err := follower.BlobRange(b.Data); err != nil || order.RollupID(b.Namespace) == alpha && r.From <= 4 && 4 <= r.To {
					return nil, da.ErrRejected
				}
			}
			return store(ctx)
		})
		r := start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), Fallback: "other", FallbackAfter: 2 * time.Minute}, main, other))
		live := func(d time.Duration) {
			for range int(d / (10 * time.Second)) {
				chain.growBy(1)
				time.Sleep(10 * time.Second)
			}
		}
		other.onHead(func() error { return da.ErrUnavailable })
		other.onSubmit(never)
		live(10 * time.Minute)
		if s := r.Status().Rollups; s[0].PostedHeight != 3 || s[1].LagBlocks > 1 {
			t.Errorf("alpha is posted up to %d, want 3, and beta lags by %d blocks", s[0].PostedHeight, s[1].LagBlocks)
		}
		main.onSubmit(nil)
		live(5 * time.Minute)
		for _, s := range r.Status().Rollups {
			if s.LagBlocks > 1 || s.FallbackActive {
				t.Errorf("%s lags by %d blocks, on the fallback: %t", s.Name, s.LagBlocks, s.FallbackActive)
			}
		}
	})
}

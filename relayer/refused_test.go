package relayer

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// A rollup that went to its fallback with a blob is there after a crash too, and comes back
// when the blob is posted, for good.
func TestRefusedBlobAfterACrash(t *testing.T) {
	t.Parallel()
	inVirtualTime(t, func(t *testing.T) {
		chain, disk := newTestChain(), vfs.NewCrashableMem()
		main, other := twoLayers(t)
		alpha := order.NewRollupID("alpha")
		var refused atomic.Int64
		main.onSubmit(func(ctx context.Context, blobs []da.Blob, store storing) ([]da.Ref, error) {
			for _, b := range blobs {
				if r, err := follower.BlobRange(b.Data); err != nil || order.RollupID(b.Namespace) == alpha && r.From <= 4 && 4 <= r.To {
					refused.Add(1)
					return nil, da.ErrRejected
				}
			}
			return store(ctx)
		})
		other.onSubmit(never)
		relay := func() *running {
			return start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), Fallback: "other", FallbackAfter: 2 * time.Minute, FS: disk}, main, other))
		}
		live := func(d time.Duration) {
			for range int(d / (10 * time.Second)) {
				chain.growBy(1)
				time.Sleep(10 * time.Second)
			}
		}
		crash := func(r *running) {
			left := crashClone(disk, 0, 1)
			r.stop()
			disk = left
		}
		r := relay()
		live(3 * time.Minute)
		if s := r.Status().Rollups[0]; !s.FallbackActive || s.PostedHeight != 3 || other.count() == 0 {
			t.Fatalf("alpha has not gone to the fallback: %+v", s)
		}
		crash(r)
		before := refused.Swap(0)
		other.onSubmit(nil)
		r = relay()
		live(time.Minute)
		if s := r.Status().Rollups[0]; refused.Load() > 0 || s.LagBlocks > 1 || s.FallbackActive {
			t.Errorf("after the crash the layer refuses the blob %d times more, %d before it: %+v", refused.Load(), before, s)
		}
		live(time.Minute)
		crash(r)
		sent := other.count()
		r = relay()
		live(time.Minute)
		if s := r.Status().Rollups[0]; s.LagBlocks > 1 || s.FallbackActive || other.count() > sent {
			t.Errorf("alpha goes to the fallback again: %+v", s)
		}
		wantReadBack(t, chain, alpha, main, other)
	})
}

package relayer

import (
	"io"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// A rollup that is relayed no more keeps what it has in the journal: when it is relayed
// again, it goes on there, from a block that was verified.
func TestRollupThatComesBack(t *testing.T) {
	t.Parallel()
	chain, layer, fs := newTestChain(), newTestLayer(t, local.Options{}), vfs.NewMem()
	var genesis atomic.Bool
	open := chain.open(t)
	relay := func(log io.Writer, names ...string) *running {
		return start(t, prepare(t, chain, Options{
			Rollups: rollups(names...), FS: fs, Logger: slog.New(slog.NewTextHandler(log, nil)),
			Open: func(ids []order.RollupID, cp follower.Checkpoint) (Source, error) {
				if cp.IsZero() {
					genesis.Store(true)
				}
				return open(ids, cp)
			},
		}, layer))
	}
	layer.onSubmit(notStored)
	chain.growBy(10)
	r := relay(io.Discard, "alpha", "beta")
	await.Until(t, "both wait", func() bool {
		waiting := 0
		for _, s := range r.Status().Rollups {
			if s.PendingBytes > 0 && s.ReadHeight == 10 {
				waiting++
			}
		}
		return waiting == 2
	})
	r.stop()
	layer.onSubmit(nil)
	genesis.Store(false)
	log := new(said)
	r = relay(log, "alpha")
	chain.growBy(300)
	wantPosted(t, chain, layer, "alpha")
	r.stop()
	if !log.has("rollup_id=" + order.NewRollupID("beta").String()) {
		t.Error("what waits of beta is not told")
	}
	r = relay(io.Discard, "alpha", "beta")
	chain.growBy(10)
	wantPosted(t, chain, layer, "alpha", "beta")
	if genesis.Load() {
		t.Error("blocks are verified from genesis again")
	}
	r.stop()
}

// A rollup that cannot be begun, since genesis is trusted no more, does not hold up those
// that are under way.
func TestRollupThatCannotBegin(t *testing.T) {
	t.Parallel()
	chain, layer, fs := newTestChain(), newTestLayer(t, local.Options{}), vfs.NewMem()
	chain.growBy(10)
	r := start(t, prepare(t, chain, Options{Rollups: rollups("alpha"), FS: fs}, layer))
	wantPosted(t, chain, layer, "alpha")
	r.stop()
	open := chain.open(t)
	r = start(t, prepare(t, chain, Options{
		Rollups: rollups("beta", "alpha"), FS: fs,
		Open: func(ids []order.RollupID, cp follower.Checkpoint) (Source, error) {
			if cp.IsZero() {
				return nil, follower.ErrExpired
			}
			return open(ids, cp)
		},
	}, layer))
	chain.growBy(10)
	wantPosted(t, chain, layer, "alpha")
	r.stop()
}

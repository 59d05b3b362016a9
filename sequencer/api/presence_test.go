package api_test

import (
	"testing"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
)

// Where nothing asks whom blocks were for, what is old is forgotten all the same, run by run.
func TestPresenceIsForgotten(t *testing.T) {
	t.Parallel()
	const run = 1024
	c := newTestChain(t, 1)
	url, _ := serve(t, c, func(o *api.Options) { o.IndexDir, o.RetainPresence = t.TempDir(), 2*run+10 })
	s := c.serving[len(c.serving)-1]
	to := func(height uint64) {
		for c.height() < height {
			c.commit(nil)
		}
		indexed(t, url, alpha, height)
	}
	first := func(want uint64) {
		t.Helper()
		got, err := s.NextPresence(0)
		if err != nil || got.First != want || len(got.Rollups) != 1 {
			t.Fatalf("%+v, %v, want the run from %d", got, err, want)
		}
	}
	c.commit([]*order.Bundle{newBundle(100, alpha)})
	to(run + 5)
	c.commit([]*order.Bundle{newBundle(2*run, alpha)})
	to(3 * run) // the first run is not old enough: one more block would be missing
	first(1)
	to(3*run + 2*256)
	first(run)
}

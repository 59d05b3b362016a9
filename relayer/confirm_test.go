package relayer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/order"
	chainclaims "github.com/ordo-network/ordo/sequencer/claims"
	"github.com/ordo-network/ordo/test/await"
)

// claimChain is the sequencer chain as far as claims go: it lets some wait, loses some, and
// confirms the others.
type claimChain struct {
	mu      sync.Mutex
	height  uint64
	room    int                 // claims about a rollup that may wait; 0: any number
	lose    func(da.Claim) bool // drops the claim, as if its time were over
	waiting map[order.RollupID][]da.Claim
	done    map[order.RollupID]map[uint64]bool // heights that are confirmed
	most    int                                // that waited about one rollup
}

func newClaimChain() *claimChain {
	return &claimChain{height: 1, waiting: map[order.RollupID][]da.Claim{}, done: map[order.RollupID]map[uint64]bool{}}
}

func (c *claimChain) Claim(_ context.Context, list []da.Claim) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := map[order.RollupID]int{}
	for _, claim := range list {
		id := order.RollupID(claim.Rollup)
		if of[id]++; c.room > 0 && len(c.waiting[id])+of[id] > c.room {
			return 0, fmt.Errorf("%w: %w", da.ErrUnavailable, chainclaims.ErrNoRoom)
		}
	}
	for _, claim := range list {
		id := order.RollupID(claim.Rollup)
		if slices.ContainsFunc(c.waiting[id], func(w da.Claim) bool { return w.From == claim.From }) {
			continue // it keeps its place
		}
		c.waiting[id] = append(c.waiting[id], claim)
		c.most = max(c.most, len(c.waiting[id]))
	}
	c.height++
	return c.height, nil
}

// settle confirms what waits, or loses it.
func (c *claimChain) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.height += denialRest << 2
	for id, list := range c.waiting {
		for _, claim := range list {
			if c.lose != nil && c.lose(claim) {
				continue
			}
			if c.done[id] == nil {
				c.done[id] = map[uint64]bool{}
			}
			for h := claim.From; h <= claim.To; h++ {
				c.done[id][h] = true
			}
		}
		delete(c.waiting, id)
	}
}

// confirmed is Options.Confirmed: the lowest range alone.
func (c *claimChain) confirmed(_ context.Context, rollups []order.RollupID) (map[order.RollupID]Availability, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[order.RollupID]Availability{}
	for _, id := range rollups {
		a := Availability{Height: c.height, Pending: len(c.waiting[id])}
		for h := range c.done[id] {
			if a.From == 0 || h < a.From {
				a.From, a.To = h, h
			}
		}
		for c.done[id][a.To+1] {
			a.To++
		}
		out[id] = a
	}
	return out, nil
}

func (c *claimChain) confirmedTo(id order.RollupID) uint64 {
	all, _ := c.confirmed(context.Background(), []order.RollupID{id})
	if a := all[id]; a.From == 1 {
		return a.To
	}
	return 0
}

// keepsSettling lets the chain settle until the test ends.
func (c *claimChain) keepsSettling(t *testing.T) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(3 * time.Millisecond); ; {
			select {
			case <-tick.C:
				c.settle()
			case <-stop:
				tick.Stop()
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

// small makes many claims.
func small(o Options) Options {
	o.Batch = testBatch()
	o.Batch.BlobBytes = 1 << 10
	o.ClaimInterval = time.Millisecond
	return o
}

// Of what is recorded most is lost, several times, and the chain takes few at a time: all is confirmed in
// the end, over a restart, and nothing is kept then.
func TestClaimsAreMadeUntilTheyAreConfirmed(t *testing.T) {
	t.Parallel()
	chain, layer, claims := newTestChain(), newTestLayer(t, local.Options{}), newClaimChain()
	lost := map[string]int{}
	claims.room, claims.lose = 20, func(c da.Claim) bool {
		key := fmt.Sprintf("%x %d", c.Rollup, c.From)
		lost[key]++
		return c.From%3 < 2 && lost[key] < 4
	}
	o := prepare(t, chain, small(Options{Rollups: rollups("alpha", "beta"), Claimer: claims, Confirmed: claims.confirmed, FS: vfs.NewMem()}), layer)
	chain.growBy(40)
	first := start(t, o)
	await.Until(t, "claims are recorded", func() bool { return first.Status().UnconfirmedClaims > 10 })
	first.stop()
	if claims.most > maxOpen {
		t.Errorf("%d claims about a rollup waited at once", claims.most)
	}
	claims.keepsSettling(t)
	chain.growBy(20)
	again := start(t, o)
	for _, r := range o.Rollups {
		await.Until(t, "all of "+r.Name+" is confirmed", func() bool { return claims.confirmedTo(r.ID) == 60 })
	}
	await.Until(t, "no claim is kept", func() bool {
		s := again.Status()
		return s.WaitingClaims == 0 && s.UnconfirmedClaims == 0
	})
	again.stop()
	if last := start(t, o).Status(); last.WaitingClaims > 0 {
		t.Errorf("%d claims are in the journal", last.WaitingClaims)
	}
}

// A rollup about which the chain takes no claims, others having filled its room, does
// not hold up the others.
func TestRollupWithoutRoomHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	chain, layer, claims := newTestChain(), newTestLayer(t, local.Options{}), newClaimChain()
	beta := order.NewRollupID("beta")
	claims.room, claims.waiting[beta] = 100, make([]da.Claim, 100)
	o := prepare(t, chain, small(Options{Rollups: rollups("alpha", "beta", "gamma"), Claimer: claims, Confirmed: claims.confirmed}), layer)
	chain.growBy(10)
	r := start(t, o)
	await.Until(t, "the others are recorded", func() bool {
		claims.mu.Lock()
		defer claims.mu.Unlock()
		to := func(name string) uint64 {
			list := claims.waiting[order.NewRollupID(name)]
			if len(list) == 0 {
				return 0
			}
			return list[len(list)-1].To
		}
		return to("alpha") == 10 && to("gamma") == 10
	})
	if r.Status().WaitingClaims == 0 {
		t.Error("the claims about beta are gone")
	}
	claims.keepsSettling(t)
	await.Until(t, "beta is confirmed", func() bool { return claims.confirmedTo(beta) == 10 })
}

// A claim that is denied each time is given up, and those after it are confirmed.
func TestDeniedClaimIsGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	chain, layer, claims := newTestChain(), newTestLayer(t, local.Options{}), newClaimChain()
	claims.lose = func(c da.Claim) bool { return c.From <= 3 && c.To >= 3 }
	claims.keepsSettling(t)
	o := prepare(t, chain, small(Options{Rollups: rollups("alpha"), Claimer: claims, Confirmed: claims.confirmed}), layer)
	r := start(t, o)
	for range 20 {
		chain.growBy(1)
		time.Sleep(time.Millisecond) // lets several blobs form
	}
	await.Until(t, "it is given up", func() bool { return r.metricOf("ordo_relayer_claims_total", "denied") > 0 })
	await.Until(t, "what comes after it is confirmed", func() bool {
		claims.mu.Lock()
		defer claims.mu.Unlock()
		return claims.done[o.Rollups[0].ID][20]
	})
}

// What cannot be recorded for long is given up from the oldest, and counted.
func TestClaimsInTheJournalAreBounded(t *testing.T) {
	t.Parallel()
	chain, layer, claimer := newTestChain(), newTestLayer(t, local.Options{}), new(testClaimer)
	down := true // guarded by the claimer
	claimer.fail = func([]da.Claim) error {
		if down {
			return da.ErrUnavailable
		}
		return nil
	}
	o := prepare(t, chain, small(Options{Rollups: rollups("alpha"), Claimer: claimer}), layer)
	registry := prometheus.NewRegistry()
	o.Registerer = registry
	rel, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	rel.core.claims.most = 5
	r := run(t, rel, registry)
	for i := range 30 {
		chain.growBy(1)
		await.Until(t, "it is posted", func() bool { return r.Status().Rollups[0].PostedHeight == uint64(i+1) })
	}
	if n := r.Status().WaitingClaims; n != 5 {
		t.Errorf("%d claims are kept, want 5", n)
	}
	if n := r.metricOf("ordo_relayer_claims_total", "dropped"); n != 25 {
		t.Errorf("%v claims are counted as dropped, want 25", n)
	}
	claimer.mu.Lock()
	down = false
	claimer.mu.Unlock()
	await.Until(t, "the newest are recorded", func() bool { return r.Status().WaitingClaims == 0 })
	got := claimer.of(o.Rollups[0].ID)
	if i := slices.IndexFunc(got, func(c da.Claim) bool { return c.From == 26 }); i != 0 || len(got) != 5 {
		t.Errorf("recorded are %d claims, the first from block %d", len(got), got[0].From)
	}
}

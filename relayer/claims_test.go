package relayer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// testClaimer records claims.
type testClaimer struct {
	mu     sync.Mutex
	claims []da.Claim
	fail   func(claims []da.Claim) error
}

func (c *testClaimer) Claim(_ context.Context, claims []da.Claim) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(claims) == 0 || len(claims) > maxClaims {
		return 0, fmt.Errorf("%d claims at once", len(claims))
	}
	if c.fail != nil {
		if err := c.fail(claims); err != nil {
			return 0, err
		}
	}
	c.claims = append(c.claims, claims...)
	return 1, nil
}

func (c *testClaimer) of(id order.RollupID) (out []da.Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, claim := range c.claims {
		if claim.Rollup == da.Namespace(id) {
			out = append(out, claim)
		}
	}
	return out
}

// What is claimed is what is on DA: each block once, and each part where the claim says.
func TestWhatIsPostedIsClaimed(t *testing.T) {
	t.Parallel()
	chain, layer, claimer := newTestChain(), smallLayer(t), new(testClaimer)
	calls := 0
	claimer.fail = func([]da.Claim) error {
		if calls++; calls%3 == 1 {
			return da.ErrUnavailable
		}
		return nil
	}
	r := start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta"), Claimer: claimer, ClaimInterval: time.Millisecond}, layer))
	for range 10 {
		chain.growBy(2)
		time.Sleep(3 * time.Millisecond) // lets several blobs form
	}
	chain.grow(large(1200 << 10))
	chain.growBy(2)
	wantPosted(t, chain, layer, "alpha", "beta")
	await.Until(t, "all is claimed", func() bool {
		s := r.Status()
		return s.WaitingClaims == 0 && s.Rollups[0].PostedHeight == uint64(chain.height()) && s.Rollups[1].PostedHeight == uint64(chain.height())
	})
	split := false
	for _, rollup := range rollups("alpha", "beta") {
		next := uint64(1)
		for _, c := range claimer.of(rollup.ID) {
			if c.From != next || c.Layer != "local" {
				t.Fatalf("%s: claimed are blocks %d to %d on %q, want them from %d on", rollup.Name, c.From, c.To, c.Layer, next)
			}
			next = c.To + 1
			split = split || len(c.Parts) > 1
			for _, p := range c.Parts {
				stored, err := layer.Blobs(t.Context(), p.Height, c.Rollup)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(stored, func(s da.Stored) bool { return da.ID(s.Data) == p.ID }) {
					t.Errorf("%s: DA height %d does not hold a part of blocks %d to %d", rollup.Name, p.Height, c.From, c.To)
				}
			}
		}
		if next != uint64(chain.height())+1 {
			t.Errorf("%s: claimed up to %d of %d", rollup.Name, next-1, chain.height())
		}
	}
	if !split {
		t.Error("no blob was claimed in parts")
	}
}

// A claim that the chain refuses for good is given up; the others are not.
func TestRefusedClaimIsGivenUpAlone(t *testing.T) {
	t.Parallel()
	chain, layer, claimer := newTestChain(), newTestLayer(t, local.Options{}), new(testClaimer)
	beta := da.Namespace(order.NewRollupID("beta"))
	claimer.fail = func(claims []da.Claim) error {
		if slices.ContainsFunc(claims, func(c da.Claim) bool { return c.Rollup == beta }) {
			return da.ErrRejected
		}
		return nil
	}
	r := start(t, prepare(t, chain, Options{Rollups: rollups("alpha", "beta", "gamma"), Claimer: claimer, ClaimInterval: time.Millisecond}, layer))
	chain.growBy(20)
	wantPosted(t, chain, layer, "alpha", "beta", "gamma")
	await.Until(t, "nothing waits", func() bool {
		s := r.Status()
		return s.WaitingClaims == 0 && s.Rollups[0].PostedHeight == 20 && s.Rollups[1].PostedHeight == 20 && s.Rollups[2].PostedHeight == 20
	})
	for name, want := range map[string]uint64{"alpha": 20, "beta": 0, "gamma": 20} {
		got := uint64(0)
		for _, c := range claimer.of(order.NewRollupID(name)) {
			got = max(got, c.To)
		}
		if got != want {
			t.Errorf("%s is claimed up to %d, want %d", name, got, want)
		}
	}
}

// A layer that records by itself what it stores needs no claims.
func TestLayerThatRecordsNeedsNoClaims(t *testing.T) {
	t.Parallel()
	chain, layer, claimer := newTestChain(), newTestLayer(t, local.Options{}), new(testClaimer)
	o := prepare(t, chain, Options{Rollups: rollups("alpha"), Claimer: claimer, ClaimInterval: time.Millisecond})
	o.Layers = []Layer{{Layer: layer, Recorded: true}}
	r := start(t, o)
	chain.growBy(5)
	await.Until(t, "all is posted", func() bool { return r.Status().Rollups[0].PostedHeight == 5 })
	if n := len(claimer.of(order.NewRollupID("alpha"))); n > 0 || r.Status().WaitingClaims > 0 {
		t.Errorf("%d claims", n)
	}
}

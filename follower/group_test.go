package follower

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	eventually "github.com/ordo-network/ordo/test/await" // await is something else here
)

// groupRollups have legs, have none but stand between those that do, or are not known at all.
func groupRollups() []order.RollupID {
	return []order.RollupID{gamma, between, alpha, order.NewRollupID("nobody"), delta}
}

func (c *testChain) groupConfig(t testing.TB, nodes ...*testNode) GroupConfig {
	t.Helper()
	cfg := GroupConfig{
		Rollups: groupRollups(), Trust: c.trust(t), Now: c.now, Random: func() float64 { return 0 }, HTTPClient: &http.Client{},
		Logger: slog.New(slog.DiscardHandler), AvoidLiar: time.Hour,
	}
	for _, n := range nodes {
		cfg.Endpoints = append(cfg.Endpoints, n.url)
	}
	t.Cleanup(cfg.HTTPClient.CloseIdleConnections)
	return cfg
}

func newGroup(t testing.TB, cfg GroupConfig) *Group {
	t.Helper()
	g, err := NewGroup(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// followGroup reads heights and checks that each comes once, in order, with what a follower
// of each rollup reads.
func followGroup(t testing.TB, g *Group, c *testChain, from, to int) (last []*Block) {
	t.Helper()
	next := from
	err := g.Run(eventually.Context(t), uint64(from), func(_ context.Context, blocks []*Block) error {
		if len(blocks) != len(g.rollups) {
			t.Errorf("%d blocks for %d rollups", len(blocks), len(g.rollups))
			return errEnough
		}
		b, _ := c.at(next)
		for i, id := range g.rollups {
			want, err := verifierAt(t, c, id, next).Next(b.rollupBlock(id), c.now())
			if err != nil {
				t.Error(err)
				return errEnough
			}
			got := blocks[i]
			if got.Height != want.Height || got.Hash != want.Hash || !got.Time.Equal(want.Time) || fmt.Sprint(got.Legs) != fmt.Sprint(want.Legs) ||
				fmt.Sprint(got.Void) != fmt.Sprint(want.Void) || !proto.Equal(got.Proto, want.Proto) || !bytes.Equal(got.Checkpoint().Encode(), want.Checkpoint().Encode()) {
				t.Errorf("height %d, rollup %d: %+v, want %+v", next, i, got, want)
				return errEnough
			}
		}
		last = blocks
		if next++; next > to {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || next <= to {
		t.Fatalf("stopped before block %d of %d: %v", next, to, err)
	}
	return last
}

func TestGroupReads(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(5)
	c.append(nil, testValidators(3, 4)...)
	c.grow(5)
	n := c.serve(t)
	g := newGroup(t, c.groupConfig(t, n))
	growing := time.AfterFunc(50*time.Millisecond, func() { c.grow(9) })
	defer growing.Stop()
	followGroup(t, g, c, 1, 20)
	if got := n.streams.Load(); got != 1 {
		t.Errorf("%d streams, want 1", got)
	}
	// On from anywhere, by what was verified before or by headers alone.
	last := followGroup(t, g, c, 12, 14)
	cfg := c.groupConfig(t, n)
	cfg.Checkpoint = last[0].Checkpoint()
	fetches := n.fetches.Load()
	followGroup(t, newGroup(t, cfg), c, 15, 16)
	if n.fetches.Load() != fetches {
		t.Error("headers were fetched although the block before is known")
	}
	followGroup(t, newGroup(t, c.groupConfig(t, n)), c, 9, 9)
}

func TestGroupReadsVoids(t *testing.T) {
	t.Parallel()
	c, _ := voidChain()
	n := c.serve(t)
	last := followGroup(t, newGroup(t, c.groupConfig(t, n)), c, 1, 2)
	if a, b := last[0].Proto.VoidBatches, last[2].Proto.VoidBatches; len(a) == 0 || len(b) == 0 || !slices.ContainsFunc(a, func(v *orderv1.VoidBatch) bool { return slices.Contains(b, v) }) {
		t.Error("two rollups have no proof in common")
	}
	// Without the proof nothing is void, and it comes once: to rebuild a batch takes time.
	good := c.serve(t)
	for name, fault := range map[string]func(first, third *sequencerv1.RollupPart){
		"none": func(first, _ *sequencerv1.RollupPart) { first.VoidBatches = first.VoidBatches[1:] },
		"again": func(first, third *sequencerv1.RollupPart) {
			third.VoidBatches = append(third.VoidBatches, first.VoidBatches...)
		},
	} {
		n.groupFault = func(_ context.Context, height int, m []*sequencerv1.SubscribeBlocksResponse) ([]*sequencerv1.SubscribeBlocksResponse, error) {
			if height == 2 {
				fault(m[0].Parts[0], m[1].Parts[0])
			}
			return m, nil
		}
		g := newGroup(t, c.groupConfig(t, n, good))
		followGroup(t, g, c, 1, 3)
		if value(t, g.metrics.refused.WithLabelValues("void")) != 1 {
			t.Errorf("%s: a leg is void by such a proof", name)
		}
	}
}

// TestGroupFailsOver puts a node with a fault at height 4 before a good one.
func TestGroupFailsOver(t *testing.T) {
	t.Parallel()
	type messages = []*sequencerv1.SubscribeBlocksResponse
	part := func(m messages, i int) *sequencerv1.RollupPart { return m[i/2].Parts[i%2] }
	for name, tc := range map[string]struct {
		fault         func(c *testChain, m messages) (messages, error)
		cause, reason string
	}{
		"altered leg": {func(_ *testChain, m messages) (messages, error) {
			part(m, 2).Legs[1].Transactions = txs(99, 3)
			return m, nil
		}, "lie", "altered_leg"},
		"hidden legs":    {func(_ *testChain, m messages) (messages, error) { part(m, 0).Legs = nil; return m, nil }, "lie", "missing_leg"},
		"legs elsewhere": {func(_ *testChain, m messages) (messages, error) { part(m, 1).Legs = part(m, 0).Legs; return m, nil }, "lie", "proof"},
		"swapped": {func(_ *testChain, m messages) (messages, error) {
			m[0].Parts[0], m[0].Parts[1] = m[0].Parts[1], m[0].Parts[0]
			return m, nil
		}, "lie", "malformed"},
		"left out": {func(_ *testChain, m messages) (messages, error) { m[1].Parts = m[1].Parts[1:]; return m, nil }, "lie", "malformed"},
		"one too many": {func(_ *testChain, m messages) (messages, error) {
			m[2].Parts = append(m[2].Parts, &sequencerv1.RollupPart{Index: 5})
			return m, nil
		}, "lie", "malformed"},
		"cut short":     {func(_ *testChain, m messages) (messages, error) { return m[:2], nil }, "lie", "malformed"},
		"without block": {func(_ *testChain, m messages) (messages, error) { return m[1:], nil }, "lie", "malformed"},
		"another height": {func(c *testChain, m messages) (messages, error) {
			b, _ := c.at(5)
			m[0].Block = b.rollupBlock(alpha)
			return m, nil
		}, "lie", "height"},
		"forged commit": {func(c *testChain, m messages) (messages, error) {
			b, _ := c.at(4)
			h := *b.header
			h.AppHash = hash32("evil")
			m[0].Block.SignedHeader = signedHeader(&h, b.commit)
			return m, nil
		}, "lie", "commit"},
		"a bomb": {func(_ *testChain, m messages) (messages, error) {
			for range 5000 {
				m[1].Parts = append(m[1].Parts, new(sequencerv1.RollupPart))
			}
			return m, nil
		}, "lie", "malformed"},
		"error in the middle": {func(*testChain, messages) (messages, error) {
			return nil, connect.NewError(connect.CodeUnavailable, errors.New("shutting down"))
		}, "error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestChain(testValidators(0, 4))
			c.grow(6)
			bad, good := c.serve(t), c.serve(t)
			bad.groupFault = func(_ context.Context, height int, m []*sequencerv1.SubscribeBlocksResponse) ([]*sequencerv1.SubscribeBlocksResponse, error) {
				if height != 4 {
					return m, nil
				}
				return tc.fault(c, m)
			}
			g := newGroup(t, c.groupConfig(t, bad, good))
			followGroup(t, g, c, 1, 6)
			if good.streams.Load() != 1 || value(t, g.metrics.failovers.WithLabelValues(tc.cause)) < 1 {
				t.Errorf("%d streams of the good node", good.streams.Load())
			}
			if tc.reason != "" && value(t, g.metrics.refused.WithLabelValues(tc.reason)) != 1 {
				t.Errorf("nothing was refused for %q", tc.reason)
			}
		})
	}
}

func TestGroupStops(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(3)
	n := c.serve(t)
	broken := errors.New("disk full")
	if err := newGroup(t, c.groupConfig(t, n)).Run(t.Context(), 1, func(context.Context, []*Block) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a failing handler: %v", err)
	}
	cfg := c.groupConfig(t, n)
	cfg.Now = func() time.Time { return c.now().Add(DefaultTrustingPeriod) }
	if err := newGroup(t, cfg).Run(t.Context(), 1, nil); !errors.Is(err, ErrExpired) {
		t.Errorf("trust has expired: %v", err)
	}
	many := make([]order.RollupID, MaxGroup+1)
	for i := range many {
		many[i] = order.NewRollupID(fmt.Sprint(i))
	}
	for name, alter := range map[string]func(*GroupConfig){
		"none": func(c *GroupConfig) { c.Rollups = nil }, "too many": func(c *GroupConfig) { c.Rollups = many },
		"twice": func(c *GroupConfig) { c.Rollups = []order.RollupID{alpha, beta, alpha} }, "zero": func(c *GroupConfig) { c.Rollups = []order.RollupID{{}} },
		"no endpoints": func(c *GroupConfig) { c.Endpoints = nil }, "no trust": func(c *GroupConfig) { c.Trust = Trust{} },
	} {
		cfg := c.groupConfig(t, n)
		alter(&cfg)
		if g, err := NewGroup(cfg); err == nil || g != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

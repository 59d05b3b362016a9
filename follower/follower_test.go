package follower

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	orderv1 "github.com/ordo-network/ordo/order/v1"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	eventually "github.com/ordo-network/ordo/test/await" // await is something else here
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func (c *testChain) config(t testing.TB, nodes ...*testNode) Config {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := Config{
		Rollup: alpha, Trust: c.trust(t), HTTPClient: &http.Client{Transport: transport}, Now: c.now,
		Logger: slog.New(slog.DiscardHandler), Random: func() float64 { return 0.5 }, StallAfter: time.Minute,
	}
	for _, n := range nodes {
		cfg.Endpoints = append(cfg.Endpoints, n.url)
	}
	return cfg
}

func newFollower(t testing.TB, cfg Config) *Follower {
	t.Helper()
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var errEnough = errors.New("enough")

// follow runs the follower from one height to another and checks that each block
// comes once, in order, with the chain's content.
func follow(t testing.TB, f *Follower, c *testChain, from, to int) (last *Block) {
	t.Helper()
	next := from
	err := f.Run(eventually.Context(t), uint64(from), func(_ context.Context, b *Block) error {
		want, _ := c.at(next)
		if b.Height != uint64(next) || string(b.Hash[:]) != string(want.header.Hash()) {
			t.Errorf("got block %d %X, want %d %X", b.Height, b.Hash, next, want.header.Hash())
			return errEnough
		}
		last = b
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

func TestFollowerReadsLive(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(5)
	c.append(nil, testValidators(3, 4)...)
	c.grow(5)
	n := c.serve(t)
	reg := prometheus.NewRegistry()
	cfg := c.config(t, n)
	cfg.Registerer = reg
	growing := time.AfterFunc(50*time.Millisecond, func() { c.grow(20) })
	defer growing.Stop()
	follow(t, newFollower(t, cfg), c, 1, 31)
	if got := n.streams.Load(); got != 1 {
		t.Errorf("%d streams, want 1", got)
	}
	if families, err := reg.Gather(); err != nil || len(families) < 3 {
		t.Errorf("%d metrics: %v", len(families), err)
	}
}

// failOver has a follower read all blocks from a bad node and then a good one: it leaves the bad one
// once, for the cause, and refuses one block for the reason, if there is one.
func (c *testChain) failOver(t *testing.T, bad, good *testNode, cause, reason string) *Follower {
	t.Helper()
	cfg := c.config(t, bad, good)
	if cause == "stalled" {
		cfg.StallAfter = 2 * time.Second // the good node must not seem stalled as well
	}
	f := newFollower(t, cfg)
	follow(t, f, c, 1, c.height())
	if got := value(t, f.metrics.failovers.WithLabelValues(cause)); got != 1 {
		t.Errorf("%v failovers of cause %q, want 1", got, cause)
	}
	if reason != "" {
		if got := value(t, f.metrics.refused.WithLabelValues(reason)); got != 1 {
			t.Errorf("%v blocks refused for %q, want 1", got, reason)
		}
	}
	return f
}

// TestFollowerFailsOver puts a node with a fault before a good one.
func TestFollowerFailsOver(t *testing.T) {
	t.Parallel()
	type response = sequencerv1.SubscribeRollupResponse
	type serverStream = connect.ServerStream[response]
	lie := func(alter func(c *testChain, resp *response)) func(*testChain, context.Context, *response, *serverStream) (bool, error) {
		return func(c *testChain, _ context.Context, resp *response, _ *serverStream) (bool, error) {
			alter(c, resp)
			return false, nil
		}
	}
	for name, tc := range map[string]struct {
		fault         func(*testChain, context.Context, *response, *serverStream) (bool, error)
		cause, reason string
	}{
		"altered leg":    {lie(func(_ *testChain, r *response) { r.Block.Legs[0].Transactions = txs(99, 2) }), "lie", "altered_leg"},
		"hidden legs":    {lie(func(_ *testChain, r *response) { r.Block.Legs, r.Block.NamespaceProof = nil, nil }), "lie", "absence"},
		"repeat":         {lie(func(c *testChain, r *response) { b, _ := c.at(5); r.Block = b.rollupBlock(alpha) }), "lie", "height"},
		"gap":            {lie(func(c *testChain, r *response) { b, _ := c.at(7); r.Block = b.rollupBlock(alpha) }), "lie", "height"},
		"skips a block":  {lie(func(_ *testChain, r *response) { r.Block = nil }), "lie", "height"},
		"100 MB":         {lie(func(_ *testChain, r *response) { r.Block.OrderingHeader = make([]byte, 100<<20) }), "lie", "malformed"},
		"a bomb":         {lie(func(_ *testChain, r *response) { r.Block.OrderingHeader = make([]byte, 20<<20) }), "lie", "malformed"},
		"a leg too many": {lie(func(_ *testChain, r *response) { r.Block.Legs = append(r.Block.Legs, r.Block.Legs...) }), "lie", "extra_leg"},
		"270,000 legs": {lie(func(_ *testChain, r *response) {
			r.Block.Legs = make([]*orderv1.RollupLeg, 270_000)
			for i := range r.Block.Legs {
				r.Block.Legs[i] = new(orderv1.RollupLeg)
			}
		}), "lie", "malformed"},
		"stall": {func(_ *testChain, ctx context.Context, _ *response, _ *serverStream) (bool, error) {
			<-ctx.Done()
			return true, nil
		}, "stalled", ""},
		"end": {func(*testChain, context.Context, *response, *serverStream) (bool, error) { return true, nil }, "ended", ""},
		"error": {func(*testChain, context.Context, *response, *serverStream) (bool, error) {
			return true, connect.NewError(connect.CodeResourceExhausted, errors.New("too many streams"))
		}, "error", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestChain(testValidators(0, 4))
			c.grow(12)
			var opts []connect.HandlerOption
			if name == "a bomb" {
				opts = append(opts, connect.WithCompressMinBytes(0))
			}
			bad, good := c.serve(t, opts...), c.serve(t)
			bad.fault = func(ctx context.Context, h int, r *response, st *serverStream) (bool, error) {
				if h == 6 {
					return tc.fault(c, ctx, r, st)
				}
				return false, nil
			}
			f := c.failOver(t, bad, good, tc.cause, tc.reason)
			if bad, good := bad.streams.Load(), good.streams.Load(); bad != 1 || good != 1 && tc.cause != "stalled" {
				t.Errorf("%d streams at the bad node and %d at the good, want 1 and 1", bad, good)
			}
			wait := f.endpoints.list[0].until.Sub(c.now())
			if lied := tc.cause == "lie"; lied != (wait > maxBackoff) {
				t.Errorf("left alone for %s after %s", wait, tc.cause)
			}
		})
	}
}

// TestFollowerSurvivesItsOnlyEndpoint: with nobody to fail over to, the same node
// is tried again, and each block still comes once.
func TestFollowerSurvivesItsOnlyEndpoint(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(12)
	n := c.serve(t)
	var faults atomic.Int64
	n.fault = func(context.Context, int, *sequencerv1.SubscribeRollupResponse, *connect.ServerStream[sequencerv1.SubscribeRollupResponse]) (bool, error) {
		return faults.Add(1)%4 == 0, nil // ends each fourth message
	}
	cfg, started := c.config(t, n), time.Now()
	cfg.Now = func() time.Time { return c.now().Add(time.Since(started)) } // back-off needs a clock that runs
	follow(t, newFollower(t, cfg), c, 1, 12)
}

// TestFollowerStaysWhileTheChainStands: silence is no fault of an endpoint where
// no other is ahead.
func TestFollowerStaysWhileTheChainStands(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(3)
	nodes := []*testNode{c.serve(t), c.serve(t)}
	cfg := c.config(t, nodes...)
	cfg.StallAfter = 500 * time.Millisecond
	streams := func() int64 { return nodes[0].streams.Load() + nodes[1].streams.Load() }
	var before, after int64
	err := newFollower(t, cfg).Run(eventually.Context(t), 1, func(_ context.Context, b *Block) error {
		if b.Height == 3 {
			before = streams()
			asked := nodes[0].asked.Load() // both are asked how far they are, again and again
			eventually.Until(t, "the nodes were asked", func() bool { return nodes[0].asked.Load() > asked+2 })
			after = streams() // from here on one may seem to be ahead of the other
			c.grow(1)
		}
		if b.Height == 4 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || after != before {
		t.Errorf("%d streams opened while the chain stood, want none: %v", after-before, err)
	}
}

// TestFollowerStaysWhileDataIsOnItsWay: an endpoint that waits for the next block's data
// and says so is not left, though the others have the block, unless it is for good.
func TestFollowerStaysWhileDataIsOnItsWay(t *testing.T) {
	t.Parallel()
	const stall = time.Second
	for name, tc := range map[string]struct {
		waits  time.Duration
		latest uint64
		left   bool
	}{
		"for a while": {waits: 4 * stall, latest: 3}, "for good": {waits: time.Minute, latest: 3, left: true},
		"behind": {waits: time.Minute, latest: 2, left: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestChain(testValidators(0, 4))
			c.grow(3)
			slow, other := c.serve(t), c.serve(t)
			slow.fault = func(ctx context.Context, height int, _ *sequencerv1.SubscribeRollupResponse, st *connect.ServerStream[sequencerv1.SubscribeRollupResponse]) (bool, error) {
				for start := time.Now(); height == 3 && time.Since(start) < tc.waits && ctx.Err() == nil; time.Sleep(stall / 10) {
					if err := st.Send(&sequencerv1.SubscribeRollupResponse{LatestHeight: tc.latest}); err != nil {
						return true, err
					}
				}
				return false, ctx.Err()
			}
			cfg := c.config(t, slow, other)
			cfg.StallAfter = stall
			f := newFollower(t, cfg)
			follow(t, f, c, 1, 3)
			if left := other.streams.Load() > 0; left != tc.left {
				t.Errorf("left: %v, want %v", left, tc.left)
			}
		})
	}
}

func TestFollowerResumes(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(8)
	c.append(nil, testValidators(30, 4)...) // resuming right across a change of all validators
	c.grow(8)
	n := c.serve(t)
	last := follow(t, newFollower(t, c.config(t, n)), c, 1, 9)
	cp, err := DecodeCheckpoint(last.Checkpoint().Encode())
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.config(t, n)
	cfg.Checkpoint = cp
	follow(t, newFollower(t, cfg), c, 10, 17)
	if got := n.fetches.Load(); got != 0 {
		t.Errorf("%d headers fetched to resume right after the checkpoint, want 0", got)
	}
	// Below the checkpoint the way leads from genesis, above it from the checkpoint.
	follow(t, newFollower(t, cfg), c, 5, 17)
	if got := n.fetches.Load(); got != 1 {
		t.Errorf("%d headers fetched to resume below the checkpoint, want 1", got)
	}
	follow(t, newFollower(t, cfg), c, 15, 17)
}

func TestFollowerSkipsToAHeight(t *testing.T) {
	t.Parallel()
	c := skipChain()
	bad, good := c.serve(t), c.serve(t)
	bad.blockFault = func(_ uint64, resp *sequencerv1.GetRollupBlockResponse) error {
		resp.Block.Validators = encodeSet(validatorSet(testValidators(80, 4)))
		return nil
	}
	f := newFollower(t, c.config(t, bad, good))
	follow(t, f, c, 32, 33)
	if bad.streams.Load() != 0 || value(t, f.metrics.refused.WithLabelValues("validators")) != 1 {
		t.Error("the node that lied about validators was used")
	}
}

func TestFollowerFetches(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(20)
	bad, good := c.serve(t), c.serve(t)
	bad.blockFault = func(h uint64, resp *sequencerv1.GetRollupBlockResponse) error {
		if h == 13 {
			resp.Block.Legs[0].Transactions = txs(99, 2)
		}
		return nil
	}
	f := newFollower(t, c.config(t, bad, good))
	for _, h := range []uint64{1, 2, 13, 20} {
		b, err := f.Fetch(t.Context(), h)
		if err != nil || b.Height != h || len(b.Legs) != 3 {
			t.Fatalf("block %d: %+v, %v", h, b, err)
		}
	}
	if got := value(t, f.metrics.refused.WithLabelValues("altered_leg")); got != 1 {
		t.Errorf("%v altered legs refused, want 1", got)
	}
	if _, err := f.Fetch(t.Context(), 21); err == nil || !strings.Contains(err.Error(), "no such block") {
		t.Errorf("block above the chain: %v", err)
	}
	if _, err := f.Fetch(t.Context(), 0); !errors.Is(err, ErrHeight) {
		t.Errorf("block 0: %v", err)
	}
}

func TestFollowerStops(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(5)
	n := c.serve(t)
	f := newFollower(t, c.config(t, n))
	broken := errors.New("disk full")
	if err := f.Run(t.Context(), 1, func(context.Context, *Block) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a failing handler: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := f.Run(ctx, 1, func(context.Context, *Block) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := f.Run(t.Context(), 0, nil); !errors.Is(err, ErrHeight) {
		t.Errorf("from height 0: %v", err)
	}
	cfg := c.config(t, n)
	cfg.Now = func() time.Time { return c.now().Add(DefaultTrustingPeriod) }
	if err := newFollower(t, cfg).Run(t.Context(), 1, nil); !errors.Is(err, ErrExpired) {
		t.Errorf("trust has expired: %v", err)
	}
}

// TestFollowerReadsAheadOnlySoFar holds the handler and sees what is taken from the node.
func TestFollowerReadsAheadOnlySoFar(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(60)
	n := c.serve(t)
	cfg := c.config(t, n)
	told := make(chan uint64, 60)
	cfg.Ahead = func(b *Block) { told <- b.Height }
	f := newFollower(t, cfg)
	verified := func() int { return int(value(t, f.metrics.blocks)) }
	err := f.Run(t.Context(), 1, func(context.Context, *Block) error {
		eventually.Until(t, "the queue is full", func() bool { return len(told) >= queueBlocks+2 })
		return errEnough
	})
	if !errors.Is(err, errEnough) || verified() != queueBlocks+2 {
		t.Errorf("%d blocks verified while the first was handled: %v", verified(), err)
	}
	for height := uint64(1); len(told) > 0; height++ {
		if got := <-told; got != height {
			t.Errorf("told ahead of block %d, want %d", got, height)
		}
	}
}

func value(t testing.TB, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue() + out.GetGauge().GetValue()
}

// TestFollowerTellsHowFarItIs reads the log of a follower that has to catch up.
func TestFollowerTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(3 * farBehind)
	cfg := c.config(t, c.serve(t))
	var log bytes.Buffer
	var blocks atomic.Int64
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	cfg.Now = func() time.Time { return c.now().Add(time.Duration(blocks.Load()) * 100 * time.Millisecond) }
	n := 0
	err := newFollower(t, cfg).Run(t.Context(), 1, func(context.Context, *Block) error {
		blocks.Add(1)
		if n++; n == 3*farBehind {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	for _, want := range []string{"catching up with the sequencer", "height=", "of=300", "blocks_per_second=", "caught up with the sequencer"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, &log)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	c := newTestChain(testValidators(0, 4))
	c.grow(1)
	other, err := TrustHeader("another chain", 1, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	cp := verifierAt(t, c, alpha, 2).Checkpoint()
	for name, cfg := range map[string]Config{
		"no endpoint":             {Rollup: alpha, Trust: c.trust(t)},
		"endpoint without scheme": {Rollup: alpha, Trust: c.trust(t), Endpoints: []string{"127.0.0.1:26670"}},
		"no rollup":               {Trust: c.trust(t), Endpoints: []string{"http://127.0.0.1:1"}},
		"no trust":                {Rollup: alpha, Endpoints: []string{"http://127.0.0.1:1"}},
		"checkpoint of another":   {Rollup: alpha, Trust: other, Checkpoint: cp, Endpoints: []string{"http://127.0.0.1:1"}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

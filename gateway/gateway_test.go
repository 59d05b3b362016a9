package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
	"github.com/ordo-network/ordo/test/killed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a sequencer that orders what it takes as soon as the test says so, and the
// rollup behind it.
type node struct {
	mu       sync.Mutex
	lane     order.Owner
	forged   int   // bundles that were not signed for the lane
	fail     error // answer of SubmitBundle
	store    bool  // and whether the bundle is stored all the same
	height   uint64
	pool     []*order.Bundle
	ids      map[order.BundleID]bool
	nonces   map[string]uint64
	executed map[[32]byte]bool
	sends    int
}

func newNode() *node {
	return &node{lane: order.Owner{1}, height: 1, ids: make(map[order.BundleID]bool), nonces: make(map[string]uint64), executed: make(map[[32]byte]bool)}
}

func (n *node) String() string { return "node" }

func (n *node) Info(context.Context) (Info, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Info{ChainID: simChain, Height: n.height, FeePerKilobyte: 10, MaxExpiryBlocks: 1000, MaxBundleBytes: 1 << 20}, nil
}

func (n *node) SubmitBundle(_ context.Context, sign SignFor) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sends++
	if n.fail != nil && !n.store {
		return n.fail
	}
	b, err := order.DecodeBundle(sign(n.lane))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	id, signed := verify(b, n.lane)
	if !signed {
		n.forged++
		return fmt.Errorf("%w: %w", ErrRefused, order.ErrSignature)
	}
	if !n.ids[id] {
		n.ids[id] = true
		n.pool = append(n.pool, b)
	}
	return n.fail
}

func (n *node) NextNonce(sender string) (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nonces[sender], nil
}

func (n *node) Executed(h [32]byte) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.executed[h], nil
}

func (n *node) set(fail error, store bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fail, n.store = fail, store
}

// order makes a block of what is in the pool.
func (n *node) order() Observed {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.height++
	o := Observed{Height: n.height}
	for _, b := range n.pool {
		o.Bundles = append(o.Bundles, b.ID(simChain))
		for _, raw := range b.Legs[0].Transactions {
			sender, nonce := parseSim(raw)
			h := simTx(sender, nonce, raw[len(raw)-1]).Hash
			if nonce != n.nonces[sender] {
				o.Skipped = append(o.Skipped, Skipped{Hash: h, Reason: "nonce", Retry: nonce > n.nonces[sender]})
				continue
			}
			n.nonces[sender]++
			n.executed[h] = true
			o.Executed = append(o.Executed, h)
		}
	}
	n.pool = nil
	return o
}

// open starts a gateway in dir, and orders what comes in until stop, which
// returns once the gateway is closed.
func open(t testing.TB, dir string, n *node, ordering bool) (g *Gateway, stop func()) {
	t.Helper()
	return openAs(t, dir, n, simKey, ordering)
}

func openAs(t testing.TB, dir string, n *node, key ed25519.PrivateKey, ordering bool) (g *Gateway, stop func()) {
	t.Helper()
	g, err := New(Config{
		RollupID: simRollup, ChainID: simChain, Key: key, Dir: dir, Sequencers: []Sequencer{n}, Chain: n,
		ResendAfter: 50 * time.Millisecond, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	if ordering {
		wg.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					if err := g.Observe(ctx, n.order()); err != nil && ctx.Err() == nil && !errors.Is(err, ErrStopped) {
						t.Error(err)
					}
				}
			}
		})
	}
	stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return g, stop
}

func TestSubmittedIsExecuted(t *testing.T) {
	t.Parallel()
	n := newNode()
	g, _ := open(t, t.TempDir(), n, true)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for nonce := range uint64(50) {
				if err := g.Submit(t.Context(), simTx(fmt.Sprint(i), nonce, 0)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	await.Until(t, "all executed", func() bool { c := g.Counts(); return c.Queued+c.InFlight == 0 })
	for i := range 8 {
		if n.nonces[fmt.Sprint(i)] != 50 {
			t.Errorf("sender %d: %d executed, want 50", i, n.nonces[fmt.Sprint(i)])
		}
	}
	tx := simTx("0", 49, 0)
	if _, st, ok := g.Get(tx.Hash); !ok || st.Phase != PhaseExecuted || st.Height == 0 || st.Bundle == (order.BundleID{}) || st.Ended.Before(st.Received) {
		t.Errorf("state of an executed transaction: %+v", st)
	}
	if err := g.Submit(t.Context(), tx); !errors.Is(err, ErrKnown) {
		t.Errorf("executed transaction again: %v, want ErrKnown", err)
	}
}

// TestKilled copies the journal's files from under a working gateway, which is what
// kill -9 leaves, and goes on from there.
func TestKilled(t *testing.T) {
	t.Parallel()
	n := newNode()
	n.set(errors.New("connection refused"), true) // stored, and the answer is lost
	dir := t.TempDir()
	g, _ := open(t, dir, n, false)
	for nonce := range uint64(20) {
		if err := g.Submit(t.Context(), simTx("a", nonce, 0)); err != nil {
			t.Fatal(err)
		}
	}
	await.Until(t, "something sent", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return len(n.ids) > 0 })
	copied := killed.Copy(t, dir)
	n.set(nil, true)
	again, _ := open(t, copied, n, true)
	if got := again.Pending("a"); len(got) != 20 {
		t.Fatalf("%d transactions after the crash, want 20", len(got))
	}
	await.Until(t, "all executed", func() bool { c := again.Counts(); return c.Queued+c.InFlight == 0 })
	if n.nonces["a"] != 20 {
		t.Errorf("%d executed, want 20", n.nonces["a"])
	}
}

// What another payer's key has made cannot be signed any more. It may still be ordered,
// so that its transactions wait until it has expired; others do not wait for them.
func TestAnotherPayer(t *testing.T) {
	t.Parallel()
	n, dir := newNode(), t.TempDir()
	n.set(errors.New("connection refused"), false)
	g, stop := open(t, dir, n, false)
	for nonce := range uint64(3) { // each in a bundle of its own, as far as there may be several
		if err := g.Submit(t.Context(), simTx("a", nonce, 0)); err != nil {
			t.Fatal(err)
		}
	}
	await.Until(t, "something sent", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.sends > 0 })
	stop()
	n.set(nil, false)
	g, _ = openAs(t, dir, n, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)), true)
	if _, st, _ := g.Get(simTx("a", 0, 0).Hash); st.Phase != PhaseInFlight || st.Reason == "" {
		t.Errorf("state does not say what it waits for: %+v", st)
	}
	if err := g.Submit(t.Context(), simTx("b", 0, 0)); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "another's executed", func() bool { _, st, _ := g.Get(simTx("b", 0, 0).Hash); return st.Phase == PhaseExecuted })
	if _, st, _ := g.Get(simTx("a", 0, 0).Hash); st.Phase != PhaseInFlight {
		t.Errorf("before its bundle has expired: %+v", st)
	}
	await.Until(t, "all executed", func() bool { c := g.Counts(); return c.Queued+c.InFlight == 0 })
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nonces["a"] != 3 || n.forged > 0 {
		t.Errorf("%d executed, want 3; %d sent with a signature that does not verify", n.nonces["a"], n.forged)
	}
}

func TestUnfunded(t *testing.T) {
	t.Parallel()
	n := newNode()
	n.set(fmt.Errorf("%w: balance 3uordo, needs 5uordo", ErrUnfunded), false)
	g, _ := open(t, t.TempDir(), n, true)
	if err := g.Submit(t.Context(), simTx("a", 0, 0)); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "unfunded", func() bool { return g.Counts().Unfunded != "" })
	if err := g.Submit(t.Context(), simTx("a", 1, 0)); !errors.Is(err, ErrUnfunded) {
		t.Errorf("while unfunded: %v, want ErrUnfunded", err)
	}
	if _, st, _ := g.Get(simTx("a", 0, 0).Hash); st.Reason == "" {
		t.Errorf("state does not say what is wrong: %+v", st)
	}
	n.set(nil, false)
	await.Until(t, "executed", func() bool { _, st, _ := g.Get(simTx("a", 0, 0).Hash); return st.Phase == PhaseExecuted })
	if err := g.Submit(t.Context(), simTx("a", 1, 0)); err != nil {
		t.Errorf("after funding: %v", err)
	}
}

// TestBounds: each bound refuses with its own error, and what waits behind a nonce
// gap makes room for what can be executed.
func TestBounds(t *testing.T) {
	t.Parallel()
	n := newNode()
	cfg := Config{
		RollupID: simRollup, ChainID: simChain, Key: simKey, Dir: t.TempDir(), Sequencers: []Sequencer{n}, Chain: n,
		MaxTxs: 10, MaxTxsPerSender: 4, MaxBytes: 400,
	}
	if err := cfg.check(); err != nil {
		t.Fatal(err)
	}
	c, err := newCore(&cfg, new(loaded))
	if err != nil {
		t.Fatal(err)
	}
	admit := func(sender string, nonce uint64) error { return c.admit(simTx(sender, nonce, 0), simStart) }
	for nonce := range uint64(4) {
		if err := admit("a", nonce); err != nil {
			t.Fatal(err)
		}
	}
	if err := admit("a", 4); !errors.Is(err, ErrFull) {
		t.Errorf("fifth of a sender: %v, want ErrFull", err)
	}
	if err := admit("a", 0); !errors.Is(err, ErrKnown) {
		t.Errorf("again: %v, want ErrKnown", err)
	}
	large := simTx("b", 0, 0)
	large.Raw = make([]byte, order.MaxBundleBytes)
	if err := c.admit(large, simStart); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v, want ErrTooLarge", err)
	}
	large.Raw = make([]byte, 400)
	if err := c.admit(large, simStart); !errors.Is(err, ErrFull) {
		t.Errorf("over the bound on bytes: %v, want ErrFull", err)
	}
	if err := c.admit(Tx{Hash: [32]byte{1}, Sender: "b"}, simStart); err == nil {
		t.Error("without bytes: no error")
	}
	for nonce := uint64(1); nonce <= 3; nonce++ { // wait for nonce 0
		if err := errors.Join(admit("b", nonce), admit("c", nonce)); err != nil {
			t.Fatal(err)
		}
	}
	c.setInfo(Info{ChainID: simChain, Height: 1, MaxExpiryBlocks: 100, MaxBundleBytes: 1 << 20}, simStart)
	c.step(simStart) // finds that they are held
	if err := admit("d", 0); err != nil {
		t.Errorf("eleventh: %v", err)
	}
	if r := c.history.get(simTx("b", 2, 0).Hash); r == nil || r.Phase != PhaseDropped {
		t.Errorf("held longest: %+v, want it to have made room", r)
	}
	if c.txs[simTx("c", 2, 0).Hash] == nil {
		t.Error("more than needed was dropped")
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	g, stop := open(t, t.TempDir(), newNode(), false)
	stop()
	if err := g.Submit(t.Context(), simTx("a", 0, 0)); !errors.Is(err, ErrStopped) {
		t.Errorf("Submit: %v, want ErrStopped", err)
	}
	if err := g.Observe(t.Context(), Observed{Height: 1}); !errors.Is(err, ErrStopped) {
		t.Errorf("Observe: %v, want ErrStopped", err)
	}
	if err := g.Run(t.Context()); err == nil {
		t.Error("Run twice: no error")
	}
}

func TestJournalOfAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, stop := open(t, dir, newNode(), false)
	stop()
	n := newNode()
	cfg := Config{RollupID: simRollup, ChainID: "other", Key: simKey, Dir: dir, Sequencers: []Sequencer{n}, Chain: n}
	if g, err := New(cfg); err == nil {
		t.Errorf("journal of another chain: no error, close: %v", g.Close())
	}
}

// BenchmarkSubmit is a crowd of clients, each waiting for its answer, with a disk
// under the journal and a sequencer that orders every 5 ms.
func BenchmarkSubmit(b *testing.B) {
	n := newNode()
	g, _ := open(b, b.TempDir(), n, true)
	var next atomic.Uint64
	b.SetParallelism(64)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		sender := fmt.Sprint(next.Add(1))
		for nonce := uint64(0); pb.Next(); nonce++ {
			if err := g.Submit(context.Background(), simTx(sender, nonce, 0)); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

package gateway

import (
	"crypto/sha256"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// userBundle is one of n transactions of a sender of its own.
func userBundle(name string, n int) Bundle {
	b := Bundle{Ref: sha256.Sum256([]byte(name))}
	for i := range n {
		b.Txs = append(b.Txs, simTx(name, uint64(i), 0))
	}
	return b
}

// newTestCore is a core whose chain and rollup have begun.
func newTestCore(t testing.TB, change func(*Config)) *core {
	t.Helper()
	n := newNode()
	cfg := &Config{RollupID: simRollup, ChainID: simChain, Key: simKey, Dir: t.TempDir(), Sequencers: []Sequencer{n}, Chain: n}
	if change != nil {
		change(cfg)
	}
	if err := cfg.check(); err != nil {
		t.Fatal(err)
	}
	c, err := newCore(cfg, new(loaded))
	if err != nil {
		t.Fatal(err)
	}
	c.setInfo(Info{ChainID: simChain, Height: 1, MaxExpiryBlocks: 100, MaxBundleBytes: 1 << 20}, simStart)
	c.observe(Observed{Height: 1, Block: 1, Time: simStart}, simStart)
	return c
}

// submitBundle hands in a bundle and waits until it is on disk.
func submitBundle(t *testing.T, g *Gateway, b Bundle) {
	t.Helper()
	a, err := g.AdmitBundle(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestBundleIsSentWhole(t *testing.T) {
	t.Parallel()
	n := newNode()
	g, _ := open(t, t.TempDir(), n, false)
	if err := g.Observe(t.Context(), n.order()); err != nil {
		t.Fatal(err)
	}
	for nonce := range uint64(5) {
		if err := g.Submit(t.Context(), simTx("a", nonce, 0)); err != nil {
			t.Fatal(err)
		}
	}
	b := userBundle("u", 3)
	b.Others = []order.Leg{{RollupID: order.RollupID{1}, Transactions: [][]byte{{1}, {2}}}, {RollupID: order.RollupID{2}, Transactions: [][]byte{{3}}}}
	b.Position = 1
	submitBundle(t, g, b)
	var sent *order.Bundle
	await.Until(t, "sent", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, x := range n.pool {
			if len(x.Legs) == 3 {
				sent = x
			}
		}
		return sent != nil
	})
	want := []order.Leg{b.Others[0], {RollupID: simRollup, Transactions: [][]byte{b.Txs[0].Raw, b.Txs[1].Raw, b.Txs[2].Raw}}, b.Others[1]}
	if !reflect.DeepEqual(sent.Legs, want) {
		t.Errorf("sent with legs %q, want %q", sent.Legs, want)
	}
	id := sent.ID(simChain)
	if st, ok := g.Bundle(id); !ok || st.Ref != b.Ref || st.Phase != BundleReceived || st.ID != id {
		t.Errorf("by its ID: %+v", st)
	}
	if err := g.CancelBundle(t.Context(), b.Ref); !errors.Is(err, ErrTooLate) {
		t.Errorf("cancel of what was sent: %v, want ErrTooLate", err)
	}
	tx := b.Txs[2].Hash
	if got, st, ok := g.Get(tx); !ok || st.Phase != PhaseInFlight || st.Bundle != id || got.Raw != nil {
		t.Errorf("state of its transaction: %+v %+v", got, st)
	}
	if got := g.Pending("u"); len(got) != 0 {
		t.Errorf("others see %d of its transactions", len(got))
	}
	g.Certified(id)
	if st, _ := g.Bundle(b.Ref); st.Phase != BundleCertified || st.Certified.IsZero() {
		t.Errorf("certified: %+v", st)
	}
	err := g.Observe(t.Context(), Observed{
		Height: 3, Block: 7, Bundles: []order.BundleID{id}, Executed: [][32]byte{b.Txs[0].Hash, b.Txs[1].Hash},
		Skipped: []Skipped{{Hash: tx, Bundle: id, Reason: strings.Repeat("no gas ", 100)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	st, _ := g.Bundle(b.Ref)
	if st.Phase != BundleOrdered || st.Height != 3 || st.Block != 7 || st.Ended.IsZero() || !st.Txs[0].Executed || !st.Txs[1].Executed || st.Txs[2].Executed {
		t.Errorf("ordered: %+v", st)
	}
	if reason := st.Txs[2].Reason; !strings.HasPrefix(reason, "no gas") || len(reason) > maxReason {
		t.Errorf("why it was not executed, in %d bytes: %q", len(reason), reason)
	}
	if _, st, _ := g.Get(tx); st.Phase != PhaseDropped || st.Reason == "" || st.Height != 3 {
		t.Errorf("its transaction: %+v", st)
	}
	n.mu.Lock()
	n.executed[tx] = true
	n.mu.Unlock()
	if _, st, _ := g.Get(tx); st.Phase != PhaseExecuted || st.Reason != "" || st.Bundle != (order.BundleID{}) {
		t.Errorf("its transaction, executed by way of another bundle: %+v", st)
	}
	if err := g.Submit(t.Context(), b.Txs[0]); !errors.Is(err, ErrKnown) {
		t.Errorf("one of its transactions again: %v, want ErrKnown", err)
	}
	if _, err := g.AdmitBundle(b); !errors.Is(err, ErrKnown) {
		t.Errorf("the bundle again: %v, want ErrKnown", err)
	}
}

// A bundle is held until its block and its time have come, and no longer than its last
// ones; the clock alone wakes it.
func TestBundleWaits(t *testing.T) {
	t.Parallel()
	now := simStart
	c := newTestCore(t, nil)
	hold := func(name string, change func(*Bundle)) [32]byte {
		b := userBundle(name, 1)
		change(&b)
		if err := c.admitBundle(b, now); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return b.Ref
	}
	state := func(ref [32]byte) BundleState { return c.parcelState(c.parcels.byRef[ref], now) }
	expect := func(what string, ref [32]byte, phase BundlePhase, reason string) {
		t.Helper()
		if st := state(ref); st.Phase != phase || !strings.Contains(st.Reason, reason) || (st.Reason == "") != (reason == "") {
			t.Errorf("%s: %s, %q, want %s, %q", what, st.Phase, st.Reason, phase, reason)
		}
	}
	block := hold("block", func(b *Bundle) { b.FromBlock, b.UntilBlock = 5, 6 })
	late := hold("late", func(b *Bundle) { b.FromBlock, b.UntilBlock = 3, 4 })
	clock := hold("clock", func(b *Bundle) { b.NotBefore = now.Add(50 * time.Millisecond) })
	brief := hold("brief", func(b *Bundle) {
		b.FromBlock = 100
		b.NotAfter = now.Add(70 * time.Millisecond)
	})
	distant := hold("distant", func(b *Bundle) { b.FromBlock = math.MaxUint64 })

	w := c.step(now)
	expect("before its block", block, BundleHeld, "first is 5 and the rollup's head 1")
	expect("before its time", clock, BundleHeld, "waits until")
	if want := now.Add(50 * time.Millisecond); !w.deadline.Equal(want) || w.send != nil {
		t.Errorf("next step at %s, want %s", w.deadline, want)
	}
	now = w.deadline
	if w = c.step(now); w.send == nil || w.send.parcel.ref != clock {
		t.Fatalf("at its time, %+v is sent", w.send)
	}
	c.sent(w.send, 0, nil, now)
	expect("at its time", clock, BundleReceived, "")
	if w = c.step(now); !w.deadline.Equal(now.Add(20*time.Millisecond + 1)) {
		t.Errorf("next step at %s, want just after %s", w.deadline, now.Add(20*time.Millisecond))
	}
	now = w.deadline
	c.step(now)
	expect("after its time", brief, BundleDropped, "last time was")

	c.observe(Observed{Height: 2, Block: 4}, now)
	if w = c.step(now); w.send == nil || w.send.parcel.ref != block {
		t.Fatalf("one before its block, %+v is sent", w.send)
	}
	expect("its last block is there", late, BundleDropped, "last block was 4 and the rollup's head is 4")
	c.sent(w.send, 0, errors.New("connection refused"), now)
	c.observe(Observed{Height: 3, Block: 6}, now) // it was sent, and may be ordered all the same
	for range 5 {
		now = now.Add(time.Second)
		if w = c.step(now); w.send != nil && w.send.parcel.ref == block {
			t.Fatal("sent again where it can no longer be applied")
		} else if w.send != nil {
			c.sent(w.send, 0, nil, now)
		}
	}
	expect("in doubt", block, BundleReceived, "")
	c.observe(Observed{Height: c.byID[state(block).ID].expiry - 1, Block: 6}, now)
	if st := state(block); st.Phase != BundleReceived {
		t.Errorf("before it has expired: %+v", st)
	}
	now = now.Add(c.cfg.HoldFor)
	c.step(now)
	expect("held for too long", distant, BundleDropped, "did not come within 30m0s")
}

// What expired before it was ordered is sent again, unless some height was not observed.
func TestBundleExpires(t *testing.T) {
	t.Parallel()
	for _, gap := range []bool{false, true} {
		c := newTestCore(t, nil)
		b := userBundle("u", 1)
		if err := c.admitBundle(b, simStart); err != nil {
			t.Fatal(err)
		}
		first := c.step(simStart).send
		c.sent(first, 0, nil, simStart)
		for h := uint64(2); h <= first.expiry; h++ {
			if gap && h == 3 {
				continue
			}
			if c.observe(Observed{Height: h}, simStart); h < first.expiry && c.byID[first.id] == nil {
				t.Fatalf("gone at height %d, expiry %d", h, first.expiry)
			}
		}
		again := c.step(simStart).send
		st := c.parcelState(c.parcels.byRef[b.Ref], simStart)
		switch {
		case gap && (again != nil || st.Phase != BundleDropped || !strings.Contains(st.Reason, "may have been") || st.ID != first.id):
			t.Errorf("a height was not observed: %+v, sent %v", st, again)
		case !gap && (again == nil || again.id == first.id || again.expiry <= first.expiry || st.ID != again.id):
			t.Errorf("expired: %+v, sent %+v", st, again)
		}
	}
}

// The same transactions under two references are two bundles: their IDs differ.
func TestBundleTwice(t *testing.T) {
	t.Parallel()
	c := newTestCore(t, nil)
	b := userBundle("u", 2)
	for ref := byte(1); ref <= 2; ref++ {
		b.Ref = [32]byte{ref}
		if err := c.admitBundle(b, simStart); err != nil {
			t.Fatal(err)
		}
	}
	w := c.step(simStart)
	c.sent(w.send, 0, nil, simStart)
	if w2 := c.step(simStart); w2.send != nil {
		t.Fatalf("%s is sent beside %s", w2.send.id, w.send.id)
	}
	c.observe(Observed{Height: 2}, simStart)
	w2 := c.step(simStart)
	if w2.send == nil || w2.send.id == w.send.id {
		t.Fatalf("at the next height %+v is sent", w2.send)
	}
	if err := errors.Join(c.cancel(c.parcels.byRef[[32]byte{1}], simStart), c.cancel(c.parcels.byRef[[32]byte{2}], simStart)); !errors.Is(err, ErrTooLate) {
		t.Error(err)
	}
	c.observe(Observed{Height: 3, Bundles: []order.BundleID{w2.send.id, w.send.id}, Executed: [][32]byte{b.Txs[0].Hash, b.Txs[1].Hash},
		Skipped: []Skipped{{Hash: b.Txs[0].Hash, Bundle: w.send.id, Reason: "nonce"}, {Hash: b.Txs[1].Hash, Bundle: w.send.id, Reason: "nonce"}}}, simStart)
	first, second := c.parcelState(c.parcels.byRef[[32]byte{1}], simStart), c.parcelState(c.parcels.byRef[[32]byte{2}], simStart)
	if first.Txs[0].Executed || !second.Txs[0].Executed {
		t.Errorf("only the second was applied: %+v, %+v", first, second)
	}
}

// Sequencers that say that the chain dropped a bundle may lie: a user's is never made anew
// before it has expired.
func TestBundleSaidToBeDropped(t *testing.T) {
	t.Parallel()
	c := newTestCore(t, nil)
	b := userBundle("u", 1)
	if err := c.admitBundle(b, simStart); err != nil {
		t.Fatal(err)
	}
	now := simStart
	first := c.step(now).send
	for range 20 {
		c.sent(first, 0, ErrDropped, now)
		now = now.Add(maxBackoff)
		c.setInfo(c.info, now)
		if again := c.step(now).send; again != first {
			t.Fatalf("sent is %+v, want the same bundle as before, %s", again, first.id)
		}
	}
	if st := c.parcelState(c.parcels.byRef[b.Ref], now); st.Phase != BundleReceived || st.ID != first.id || !strings.Contains(st.Reason, ErrDropped.Error()) {
		t.Errorf("state %+v", st)
	}
}

// Before a node has observed anything, a bundle could not be sent again: it waits.
func TestBundleWaitsForTheOrder(t *testing.T) {
	t.Parallel()
	n := newNode()
	cfg := &Config{RollupID: simRollup, ChainID: simChain, Key: simKey, Dir: t.TempDir(), Sequencers: []Sequencer{n}, Chain: n}
	if err := cfg.check(); err != nil {
		t.Fatal(err)
	}
	c, err := newCore(cfg, new(loaded))
	if err != nil {
		t.Fatal(err)
	}
	c.setInfo(Info{ChainID: simChain, Height: 900, MaxExpiryBlocks: 100, MaxBundleBytes: 1 << 20}, simStart)
	b := userBundle("u", 1)
	if err := c.admitBundle(b, simStart); err != nil {
		t.Fatal(err)
	}
	w := c.step(simStart)
	if st := c.parcelState(c.parcels.byRef[b.Ref], simStart); w.send != nil || st.Phase != BundleHeld || st.Reason == "" {
		t.Errorf("before a height was observed: %+v, sent %v", st, w.send)
	}
	c.observe(Observed{Height: 900}, simStart)
	if w = c.step(simStart); w.send == nil || w.send.unsure {
		t.Errorf("after one was, %+v is sent", w.send)
	}
}

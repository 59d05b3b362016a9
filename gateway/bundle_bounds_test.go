package gateway

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

func TestBundleReplaced(t *testing.T) {
	t.Parallel()
	c := newTestCore(t, nil)
	named := func(ref string, from uint64) Bundle {
		b := userBundle(ref, 1)
		b.Replacement, b.FromBlock = "name", from
		return b
	}
	for _, b := range []Bundle{named("1", 9), named("2", 9), named("3", 1)} {
		if err := c.admitBundle(b, simStart); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.counts(); n.Users != 1 {
		t.Errorf("%d bundles are held under one name", n.Users)
	}
	for i := 1; i <= 2; i++ {
		b := named(fmt.Sprint(i), 9)
		next := named(fmt.Sprint(i+1), 9)
		if st := c.parcelState(c.parcels.byRef[b.Ref], simStart); st.Phase != BundleDropped || st.Reason != fmt.Sprintf("replaced by bundle 0x%x", next.Ref) {
			t.Errorf("bundle %d: %+v", i, st)
		}
		if err := c.cancel(c.parcels.byRef[b.Ref], simStart); err != nil {
			t.Errorf("cancel of what was dropped: %v", err)
		}
	}
	if w := c.step(simStart); w.send == nil {
		t.Fatal("nothing is sent")
	}
	if err := c.admitBundle(named("4", 9), simStart); !errors.Is(err, ErrTooLate) {
		t.Errorf("instead of what was sent: %v, want ErrTooLate", err)
	}
	if err := c.cancel(c.parcels.byName["name"], simStart); !errors.Is(err, ErrTooLate) {
		t.Errorf("cancel of what was sent: %v, want ErrTooLate", err)
	}
	if err := c.cancel(c.parcels.byName["other"], simStart); !errors.Is(err, ErrUnknown) {
		t.Errorf("cancel of nothing: %v, want ErrUnknown", err)
	}
}

func TestBundleBounds(t *testing.T) {
	t.Parallel()
	c := newTestCore(t, func(cfg *Config) { cfg.MaxUserBundles, cfg.MaxUserBytes = 3, 8<<10 })
	for name, x := range map[string]struct {
		change func(*Bundle)
		want   error // nil: any
	}{
		"no reference":        {change: func(b *Bundle) { b.Ref = [32]byte{} }},
		"no transaction":      {change: func(b *Bundle) { b.Txs = nil }},
		"empty transaction":   {change: func(b *Bundle) { b.Txs[0].Raw = nil }},
		"transaction twice":   {change: func(b *Bundle) { b.Txs = append(b.Txs, b.Txs[0]) }},
		"position":            {change: func(b *Bundle) { b.Position = 1 }},
		"negative position":   {change: func(b *Bundle) { b.Position = -1 }},
		"two legs for itself": {change: func(b *Bundle) { b.Others = []order.Leg{{RollupID: simRollup, Transactions: [][]byte{{1}}}} }},
		"empty leg":           {change: func(b *Bundle) { b.Others = []order.Leg{{RollupID: order.RollupID{1}}} }},
		"long name":           {change: func(b *Bundle) { b.Replacement = strings.Repeat("x", maxReplacementLen+1) }},
		"no block":            {change: func(b *Bundle) { b.FromBlock, b.UntilBlock = 9, 8 }},
		"no time":             {change: func(b *Bundle) { b.NotBefore, b.NotAfter = simStart.Add(2), simStart.Add(1) }},
		"distant time":        {change: func(b *Bundle) { b.NotBefore = simStart.Add(c.cfg.HoldFor + 1) }},
		"past block":          {func(b *Bundle) { b.UntilBlock = 1 }, ErrPast},
		"past time":           {func(b *Bundle) { b.NotAfter = simStart.Add(-1) }, ErrPast},
		"too many":            {func(b *Bundle) { b.Txs = userBundle("many", maxParcelTxs+1).Txs }, ErrTooLarge},
		"too large":           {func(b *Bundle) { b.Terms = make([]byte, 1<<20) }, ErrTooLarge},
		"no room":             {func(b *Bundle) { b.Terms = make([]byte, 8<<10) }, ErrFull},
	} {
		b := userBundle(name, 1)
		x.change(&b)
		if err := c.admitBundle(b, simStart); err == nil || x.want != nil && !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want an error, %v", name, err, x.want)
		}
	}
	if n := c.counts(); n.Users != 0 || n.UserBytes != 0 || len(c.changes) != 2 { // the height and the rollup's head
		t.Errorf("what was refused left something: %+v, %d changes", n, len(c.changes))
	}
	for i := range 3 {
		if err := c.admitBundle(userBundle(fmt.Sprint(i), 1), simStart); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.admitBundle(userBundle("3", 1), simStart); !errors.Is(err, ErrFull) {
		t.Errorf("fourth: %v, want ErrFull", err)
	}
}

// A bundle that another payer's key has made cannot be signed; once it has expired, it is
// made anew.
func TestBundleOfAnotherPayer(t *testing.T) {
	t.Parallel()
	n, dir := newNode(), t.TempDir()
	n.set(errors.New("connection refused"), false)
	g, stop := open(t, dir, n, false)
	if err := g.Observe(t.Context(), n.order()); err != nil {
		t.Fatal(err)
	}
	submitBundle(t, g, userBundle("u", 2))
	await.Until(t, "something sent", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.sends > 0 })
	stop()
	n.set(nil, false)
	g, _ = openAs(t, dir, n, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)), true)
	ref := userBundle("u", 2).Ref
	await.Until(t, "ordered", func() bool { st, _ := g.Bundle(ref); return st.Phase == BundleOrdered })
	if n.forged > 0 || n.nonces["u"] != 2 {
		t.Errorf("%d executed, %d sent with a signature that does not verify", n.nonces["u"], n.forged)
	}
}

// A bundle that the payer cannot pay for says nothing of the others.
func TestBundleUnfunded(t *testing.T) {
	t.Parallel()
	c := newTestCore(t, nil)
	b := userBundle("u", 1)
	if err := c.admitBundle(b, simStart); err != nil {
		t.Fatal(err)
	}
	w := c.step(simStart)
	c.sent(w.send, 0, fmt.Errorf("%w: balance 3uordo, needs 5uordo", ErrUnfunded), simStart)
	if st := c.parcelState(c.parcels.byRef[b.Ref], simStart); c.send.unfunded != "" || !strings.Contains(st.Reason, "needs 5uordo") {
		t.Errorf("unfunded %q, state %+v", c.send.unfunded, st)
	}
	if err := c.admit(simTx("a", 0, 0), simStart); err != nil {
		t.Fatal(err)
	}
	if w = c.step(simStart); w.send == nil || w.send.parcel != nil {
		t.Errorf("the transaction is not sent: %+v", w.send)
	}
}

// BenchmarkStep is a step of a gateway that holds as many users' bundles as it may.
func BenchmarkStep(b *testing.B) {
	c := newTestCore(b, nil)
	for i := range c.cfg.MaxUserBundles {
		x := userBundle(fmt.Sprint(i), 1)
		x.FromBlock = 100
		if err := c.admitBundle(x, simStart); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		c.step(simStart)
	}
}

// Whoever hands in bundles need not be able to pay: over time the payer pays for so much and no
// more, whatever became of what was handed in.
func TestBundlesAreBoundedOverTime(t *testing.T) {
	t.Parallel()
	const perSecond = order.MaxBundleBytes / 4 // the bound on what may be used at once is 8 s of it
	c := newTestCore(t, func(cfg *Config) { cfg.UserBytesPerSecond = perSecond })
	send := func(name string, at time.Time) error {
		b := userBundle(name, 1)
		b.Terms = make([]byte, order.MaxBundleBytes/2)
		return c.admitBundle(b, at)
	}
	taken := 0
	var err error
	for err == nil {
		if err = send(fmt.Sprint("bundle ", taken), simStart); err == nil {
			taken++
		}
	}
	if !errors.Is(err, ErrFull) || taken != 3 {
		t.Fatalf("%d bundles of half the bound were taken, then %v, want 3 and ErrFull", taken, err)
	}
	if err := send("later", simStart.Add(time.Second)); err != nil {
		t.Errorf("after a second: %v", err)
	}
	if err := send("as late", simStart.Add(time.Second)); !errors.Is(err, ErrFull) {
		t.Errorf("once more: %v, want ErrFull", err)
	}
}

// That the payer cannot pay is seen by what waits. When nothing does any more, as where it was
// all executed by way of others, the next transaction has to be taken for it to be seen.
func TestUnfundedIsForgottenWithWhatShowedIt(t *testing.T) {
	t.Parallel()
	c := newTestCore(t, nil)
	tx := simTx("a", 0, 0)
	if err := c.admit(tx, simStart); err != nil {
		t.Fatal(err)
	}
	w := c.step(simStart)
	for range c.cfg.Sequencers {
		c.sent(w.send, 0, fmt.Errorf("%w: balance 3uordo, needs 5uordo", ErrUnfunded), simStart)
	}
	c.observe(Observed{Height: 2, Executed: [][32]byte{tx.Hash}}, simStart)
	c.step(simStart)
	if err := c.admit(simTx("a", 1, 0), simStart); !errors.Is(err, ErrUnfunded) {
		t.Fatalf("while a bundle waits: %v, want ErrUnfunded", err)
	}
	c.observe(Observed{Height: w.send.expiry}, simStart)
	c.step(simStart)
	if err := c.admit(simTx("a", 1, 0), simStart); err != nil {
		t.Errorf("when nothing waits any more: %v", err)
	}
}

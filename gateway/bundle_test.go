package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/order"
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
	waitFor(t, "sent", func() bool {
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

// Outcomes are kept for a while and up to a number, on disk too.
func TestBundleHistory(t *testing.T) {
	t.Parallel()
	c := newTestCore(t, nil)
	kept := make(map[string]bool)
	write := func() {
		for _, ch := range c.step(simStart).changes {
			kept[string(ch.key)] = ch.value != nil
		}
	}
	const n = 80
	for i := range n {
		b := userBundle(fmt.Sprint(i), maxParcelTxs)
		if err := c.admitBundle(b, simStart); err != nil {
			t.Fatal(err)
		}
		if err := c.cancel(c.parcels.byRef[b.Ref], simStart); err != nil {
			t.Fatal(err)
		}
		write()
	}
	count := func() (records int) {
		for k, there := range kept {
			if there && k[0] == 'w' || there && k[0] == 'u' {
				records++
			}
		}
		return records
	}
	if want := 4 * maxHistory / maxParcelTxs; len(c.parcels.ended) != want || count() != want || len(c.parcels.byRef) != want || len(c.parcels.byTx) != want*maxParcelTxs {
		t.Errorf("%d outcomes, %d on disk, of %d transactions, want %d", len(c.parcels.ended), count(), len(c.parcels.byTx), want)
	}
	c.expireOutcomes(simStart.Add(c.cfg.KeepEnded + 1))
	write()
	if len(c.parcels.byRef)+len(c.parcels.byTx)+len(c.parcels.byName)+len(c.parcels.byID)+c.parcels.kept+count() != 0 {
		t.Errorf("after a while %d are left, %d on disk", len(c.parcels.byRef), count())
	}
}

// TestBundleSurvives copies the journal's files from under a working gateway.
func TestBundleSurvives(t *testing.T) {
	t.Parallel()
	n := newNode()
	n.set(errors.New("connection refused"), false)
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "journal")
	g, _ := open(t, dir, n, false)
	if err := g.Observe(t.Context(), Observed{Height: 1, Block: 4, Time: simStart}); err != nil {
		t.Fatal(err)
	}
	held := userBundle("held", 2)
	held.FromBlock, held.UntilBlock, held.Replacement, held.Terms = 6, 9, "name", []byte{0xff}
	held.NotBefore, held.NotAfter = time.UnixMilli(time.Now().UnixMilli()), time.Now().Add(time.Hour)
	held.Others, held.Position = []order.Leg{{RollupID: order.RollupID{1}, Transactions: [][]byte{{1}}}}, 1
	gone, live := userBundle("gone", 1), userBundle("live", 3)
	gone.FromBlock = 6
	for _, b := range []Bundle{held, gone, live} {
		submitBundle(t, g, b)
	}
	if err := g.CancelBundle(t.Context(), gone.Ref); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "one sent", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.sends > 0 })
	before, _ := g.Bundle(live.Ref)
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	n.set(nil, true)
	again, _ := openAs(t, copied, n, simKey, false)
	if st, ok := again.Bundle(live.Ref); !ok || st.Phase != BundleReceived || st.ID != before.ID || len(st.Txs) != 3 {
		t.Errorf("live: %+v, before: %+v", st, before)
	}
	if st, ok := again.Bundle(gone.Ref); !ok || st.Phase != BundleDropped || st.Reason != "cancelled" || st.Ended.IsZero() || st.Txs[0].Hash != gone.Txs[0].Hash {
		t.Errorf("cancelled: %+v", st)
	}
	if st, ok := again.Bundle(held.Ref); !ok || st.Phase != BundleHeld || !strings.Contains(st.Reason, "head 4") {
		t.Errorf("held: %+v", st)
	}
	for _, b := range []Bundle{held, gone, live} {
		if _, err := again.AdmitBundle(b); !errors.Is(err, ErrKnown) {
			t.Errorf("again: %v, want ErrKnown", err)
		}
	}
	p, q := g.core.parcels.byName["name"], again.core.parcels.byName["name"]
	if !reflect.DeepEqual(p.legs, q.legs) || p.fromBlock != q.fromBlock || p.untilBlock != q.untilBlock || !p.notBefore.Equal(q.notBefore) || p.size() != q.size() {
		t.Errorf("held bundle %+v, was %+v", q, p)
	}
	if ref, err := again.CancelReplacement(t.Context(), "name"); err != nil || ref != held.Ref {
		t.Errorf("cancelled %x, %v, want %x", ref, err, held.Ref)
	}
	waitFor(t, "the live one sent", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.ids[before.ID] })
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
	waitFor(t, "something sent", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.sends > 0 })
	stop()
	n.set(nil, false)
	g, _ = openAs(t, dir, n, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)), true)
	ref := userBundle("u", 2).Ref
	waitFor(t, "ordered", func() bool { st, _ := g.Bundle(ref); return st.Phase == BundleOrdered })
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

func TestWatch(t *testing.T) {
	t.Parallel()
	g := &Gateway{cfg: Config{Now: time.Now}}
	c := newTestCore(t, nil)
	g.core, c.touch = c, g.watches.tell
	b, tx := userBundle("u", 1), simTx("a", 0, 0)
	watch := func(name [32]byte) <-chan struct{} {
		changes, stop, err := g.Watch(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
		return changes
	}
	told := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		default:
			t.Errorf("%s: nobody was told", what)
		}
		select {
		case <-c:
			t.Errorf("%s: told twice", what)
		default:
		}
	}
	bundle, inBundle, single := watch(b.Ref), watch(b.Txs[0].Hash), watch(tx.Hash)
	all := func(what string) {
		t.Helper()
		told(what+", bundle", bundle)
		told(what+", its transaction", inBundle)
		told(what+", transaction", single)
	}
	if err := errors.Join(c.admitBundle(b, simStart), c.admit(tx, simStart)); err != nil {
		t.Fatal(err)
	}
	all("admitted")
	c.step(simStart)
	all("in flight")
	ids := []order.BundleID{c.live[0].id, c.live[1].id}
	for _, id := range ids {
		c.certify(id, simStart)
	}
	all("certified")
	c.observe(Observed{Height: 2, Bundles: ids, Executed: [][32]byte{b.Txs[0].Hash, tx.Hash}}, simStart)
	all("ordered")

	var stops []func()
	for range maxWatches - 3 {
		_, stop, err := g.Watch(tx.Hash)
		if err != nil {
			t.Fatal(err)
		}
		stops = append(stops, stop)
	}
	if _, _, err := g.Watch(tx.Hash); !errors.Is(err, ErrFull) {
		t.Errorf("one too many: %v, want ErrFull", err)
	}
	for _, stop := range stops {
		stop()
		stop() // twice is once
	}
	if g.watches.n != 3 || len(g.watches.byName[tx.Hash]) != 1 {
		t.Errorf("%d watches are left, want 3", g.watches.n)
	}
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	n := newNode()
	n.set(errors.New("connection refused"), false)
	dir := t.TempDir()
	g, stop := open(t, dir, n, false)
	single, b := simTx("a", 0, 0), userBundle("u", 2)
	if err := g.Submit(t.Context(), single); err != nil {
		t.Fatal(err)
	}
	submitBundle(t, g, b)
	first, err := g.Receipt(t.Context(), single.Hash)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Verify(); err != nil || first.TxHash != single.Hash || first.RollupID != simRollup || first.ChainID != simChain || first.Bundle != [32]byte{} ||
		!bytes.Equal(first.Payer[:], simKey.Public().(ed25519.PublicKey)) || time.Since(time.UnixMilli(int64(first.Received))) > time.Minute {
		t.Errorf("receipt %+v, verify: %v", first, err)
	}
	if r, err := g.Receipt(t.Context(), b.Txs[1].Hash); err != nil || r.Verify() != nil || r.Bundle != b.Ref {
		t.Errorf("of a bundle's transaction: %+v, %v", r, err)
	}
	if _, err := g.Receipt(t.Context(), [32]byte{1}); !errors.Is(err, ErrUnknown) {
		t.Errorf("of an unknown one: %v, want ErrUnknown", err)
	}
	stop()
	if _, err := g.Receipt(context.Background(), single.Hash); !errors.Is(err, ErrStopped) {
		t.Errorf("stopped: %v, want ErrStopped", err)
	}
	g, _ = open(t, dir, n, false)
	if again, err := g.Receipt(t.Context(), single.Hash); err != nil || *again != *first {
		t.Errorf("after a restart %+v, %v, before %+v", again, err, first)
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

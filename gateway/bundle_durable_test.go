package gateway

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
	"github.com/ordo-network/ordo/test/killed"
)

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
	dir := t.TempDir()
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
	await.Until(t, "one sent", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.sends > 0 })
	before, _ := g.Bundle(live.Ref)
	copied := killed.Copy(t, dir)
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
	await.Until(t, "the live one sent", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return n.ids[before.ID] })
}

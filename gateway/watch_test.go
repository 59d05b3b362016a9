package gateway

import (
	"errors"
	"testing"
	"time"

	"github.com/ordo-network/ordo/order"
)

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

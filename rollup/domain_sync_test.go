package rollup

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// What is executed together goes as far as the data of all: where beta has none on the layer,
// alpha waits for it at the domain's first block, and the sync ends there.
func TestSyncDomainEndsWithTheShorter(t *testing.T) {
	t.Parallel()
	p := publish(t)
	p.put(t, p.blob(t, 1, 20))
	home := func(name string) string {
		return p.home(t, func(o *InitOptions) { o.Name, o.Domain, o.DomainStart = name, domainNames, 10 })
	}
	alpha, beta := home("alpha"), home("beta")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sync := func(homes ...string) ([]SyncProgress, error) {
		return SyncDomain(ctx, homes, "test", slog.New(slog.DiscardHandler), SyncOptions{}, func(SyncProgress) {})
	}
	if _, err := sync(alpha); err == nil || !strings.Contains(err.Error(), "ordo rollup sync --from-da --home "+alpha+" --home HOME-OF-BETA") {
		t.Errorf("alpha alone: %v", err)
	}
	for i, blocks := range []uint64{9, 0} { // the second time there is nothing to do
		got, err := sync(beta, alpha)
		if err != nil {
			t.Fatal(err)
		}
		if a := got[0]; a.Rollup != "alpha" || a.Head.Height < 8 || a.Head.Height > 9 || a.Blocks != blocks || a.CaughtUp() {
			t.Errorf("time %d: alpha, which waits for beta, is synced to %+v", i, a)
		}
		if b := got[1]; b.Rollup != "beta" || b.Blocks != 0 || !b.CaughtUp() {
			t.Errorf("time %d: beta, of which nothing is on the layer, is synced to %+v", i, b)
		}
	}
}

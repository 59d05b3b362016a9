package rollup

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

const day = 24 * time.Hour

// publishOld is a chain of 40 blocks in 60 days, the last of today, on a DA layer.
func publishOld(t *testing.T) (p *published, hashes [][32]byte) {
	t.Helper()
	c := newSignedChain()
	c.step = 36 * time.Hour
	c.doc.GenesisTime = time.Now().Add(-40*c.step - time.Hour).UTC()
	p = publishOn(t, c)
	p.put(t, p.blob(t, 1, 40))
	verifier := follower.NewVerifier(order.NewRollupID("alpha"), mustTrust(t, p), follower.Options{TrustingPeriod: 100 * day})
	for _, rb := range p.blocks {
		b, err := verifier.Next(rb, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, b.Hash)
	}
	return p, hashes
}

func (p *published) sync(t *testing.T, home string, o SyncOptions) (SyncProgress, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	return Sync(ctx, home, "test", slog.New(slog.DiscardHandler), o, func(SyncProgress) {})
}

func TestSyncOldChain(t *testing.T) {
	t.Parallel()
	p, hashes := publishOld(t)
	home := p.home(t, nil)
	_, err := p.sync(t, home, SyncOptions{})
	if !errors.Is(err, follower.ErrExpired) || !strings.Contains(err.Error(), "--home "+home+" --trust-height") || !strings.Contains(err.Error(), "--trusting-period") {
		t.Fatalf("from genesis: %v", err)
	}
	if err := Run(t.Context(), home, "test", slog.New(slog.DiscardHandler)); !errors.Is(err, follower.ErrExpired) || !strings.Contains(err.Error(), "--trust-height") {
		t.Errorf("start: %v", err)
	}
	want, err := p.sync(t, home, SyncOptions{TrustingPeriod: 100 * day})
	if err != nil || want.Height != 40 || want.Head.Number == 0 {
		t.Fatalf("with a longer period: %+v, %v", want, err)
	}
	home = p.home(t, nil)
	if got, err := p.sync(t, home, SyncOptions{Trusted: &follower.TrustedBlock{Height: 40, Hash: hashes[39]}}); err != nil || got.Head != want.Head {
		t.Fatalf("to a trusted block: %+v, %v", got, err)
	}
	// The node starts from there: genesis is of no use to it any more.
	cfg, err := LoadConfig(home)
	if err != nil {
		t.Fatal(err)
	}
	n, err := open(t.Context(), home, cfg, Options{Version: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := n.checkpoint(); err != nil || c.Height() != 40 {
		t.Errorf("follows the order from block %d: %v", c.Height(), err)
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
	// On from there, with the same block, an older one, and one that it did not come by.
	for name, tc := range map[string]struct {
		trusted follower.TrustedBlock
		ok      bool
	}{"the same": {follower.TrustedBlock{Height: 40, Hash: hashes[39]}, true}, "before": {follower.TrustedBlock{Height: 30, Hash: hashes[29]}, true}, "another": {follower.TrustedBlock{Height: 40, Hash: hashes[38]}, false}} {
		if _, err := p.sync(t, home, SyncOptions{Trusted: &tc.trusted}); (err == nil) != tc.ok || err != nil && !errors.Is(err, follower.ErrNotTrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSyncLeadsToTheTrustedBlock(t *testing.T) {
	t.Parallel()
	p, hashes := publishOld(t)
	home := p.home(t, nil)
	got, err := p.sync(t, home, SyncOptions{Trusted: &follower.TrustedBlock{Height: 39, Hash: hashes[39]}})
	if !errors.Is(err, follower.ErrNotTrusted) || got.Blocks != 38 {
		t.Errorf("another block: %v, executed up to %d", err, got.Blocks)
	}
	if _, err := p.sync(t, p.home(t, nil), SyncOptions{Trusted: &follower.TrustedBlock{Height: 20, Hash: hashes[19]}}); !errors.Is(err, follower.ErrExpired) {
		t.Errorf("a block of a month ago: %v", err)
	}
	if _, err := p.sync(t, p.home(t, func(o *InitOptions) { o.StartHeight = 30 }), SyncOptions{Trusted: &follower.TrustedBlock{Height: 20, Hash: hashes[19]}}); err == nil || !strings.Contains(err.Error(), "start_height") {
		t.Errorf("a block before the rollup: %v", err)
	}
	// Its blob is not there yet.
	p.step = (40*p.step + time.Minute) / 41
	p.order(t)
	last := follower.TrustedBlock{Height: 41, Hash: [32]byte(p.last.Hash)}
	home = p.home(t, nil)
	if got, err := p.sync(t, home, SyncOptions{Trusted: &last}); !errors.Is(err, follower.ErrNotTrusted) || got.Height != 40 {
		t.Errorf("not there yet: %v, at %d", err, got.Height)
	}
	p.put(t, p.blob(t, 41, 41))
	if got, err := p.sync(t, home, SyncOptions{Trusted: &last}); err != nil || got.Height != 41 {
		t.Errorf("there: %v, at %d", err, got.Height)
	}
}

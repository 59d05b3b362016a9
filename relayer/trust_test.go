package relayer

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// oldChain has 40 blocks of 60 days, the last of today.
func oldChain() *testChain {
	chain := newTestChain()
	chain.step = 36 * time.Hour
	chain.genesis.GenesisTime = time.Now().Add(-40*chain.step - time.Hour).UTC()
	chain.growBy(40)
	chain.step = time.Millisecond
	return chain
}

// hash is the one of a block, as settings have it.
func (c *testChain) hash(height uint64) string {
	b, _ := c.at(height)
	return b.header.Hash().String()
}

// The chain's genesis is trusted no more, and another block is: rollups begin above it, at it
// and below it, also those that are added to the settings of a relayer that runs.
func TestRollupsBeginOnAnOldChain(t *testing.T) {
	t.Parallel()
	chain := oldChain()
	home, cfg := chain.home(t)
	begins := map[string]uint64{"above": 40, "at": 39, "below": 20}
	cfg.Rollups, cfg.StartHeights = nil, begins
	for name := range begins {
		cfg.Rollups = append(cfg.Rollups, name)
	}
	path := filepath.Join(home, configFile)
	if err := config.Write(path, cfg); err != nil {
		t.Fatal(err)
	}
	log := new(said)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- RunHome(ctx, home, func(Config) (Claimer, error) { return nil, nil }, slog.New(slog.NewTextHandler(log, nil)))
	}()
	await.Until(t, "what helps is told", func() bool { return log.has("set trust_height and trust_hash in config.toml") })
	cfg.TrustHeight, cfg.TrustHash = 39, chain.hash(39)
	if err := config.Write(path, cfg); err != nil {
		t.Fatal(err)
	}
	layer, err := layers.Open("local", layers.Config{Endpoint: "http://" + cfg.Layers["local"].Listen}, layers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the relayer goes on", func() bool { return log.has("config.toml has changed: the relayer goes on with it") })
	chain.growBy(5)
	for name, from := range begins {
		await.Until(t, name+" is posted", func() bool {
			_, err := layer.Head(ctx)
			return err == nil && postedTo(t, layer, order.NewRollupID(name), from) == 45
		})
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Each rollup is read no farther than to a block that is not the trusted one, also after
// another start.
func TestOrderThatDoesNotLeadToTheTrustedBlock(t *testing.T) {
	t.Parallel()
	for name, begins := range map[string]uint64{"above": 40, "below": 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chain := oldChain()
			home, cfg := chain.home(t)
			cfg.Rollups, cfg.StartHeights = []string{"alpha"}, map[string]uint64{"alpha": begins}
			cfg.TrustHeight, cfg.TrustHash = 39, chain.hash(38)
			want := "trust_hash is " + cfg.TrustHash
			if begins > cfg.TrustHeight {
				want = "trusted is " + cfg.TrustHash
			}
			for range 2 {
				log := new(said)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- Run(ctx, home, cfg, nil, slog.New(slog.NewTextHandler(log, nil))) }()
				await.Until(t, "the other block is told", func() bool { return log.has(want) })
				layer, err := layers.Open("local", layers.Config{Endpoint: "http://" + cfg.Layers["local"].Listen}, layers.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if to := postedTo(t, layer, order.NewRollupID("alpha"), begins); to >= max(begins, cfg.TrustHeight) {
					t.Errorf("alpha is posted up to %d", to)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A relayer that was off for longer than validators are believed goes on where it was.
func TestRelayerThatWasOffForLong(t *testing.T) {
	t.Parallel()
	chain := newTestChain()
	chain.genesis.GenesisTime = time.Now().Add(-20 * 24 * time.Hour).UTC()
	chain.growBy(10)
	home, cfg := chain.home(t)
	run := func(cfg Config, check func(log *said)) {
		t.Helper()
		log := new(said)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- Run(ctx, home, cfg, nil, slog.New(slog.NewTextHandler(log, nil))) }()
		await.Until(t, "the relayer runs", func() bool { return log.has("relayer started") })
		check(log)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	posted := func(*said) {
		t.Helper()
		layer, err := layers.Open("local", layers.Config{Endpoint: "http://" + cfg.Layers["local"].Listen}, layers.Options{})
		if err != nil {
			t.Fatal(err)
		}
		wantPosted(t, chain, layer, "alpha", "beta")
	}
	believed := cfg
	believed.TrustingPeriod = config.Duration(100 * 24 * time.Hour) // as it was then
	run(believed, posted)
	chain.growBy(10)
	chain.step = 19*24*time.Hour + 23*time.Hour
	chain.growBy(1)
	chain.step = time.Millisecond
	chain.growBy(3)
	run(cfg, func(log *said) {
		await.Until(t, "block 10 is believed no more", func() bool { return log.has("block 10 of") && log.has("trust_height") })
	})
	cfg.TrustHeight, cfg.TrustHash = 22, chain.hash(22)
	run(cfg, posted)
}

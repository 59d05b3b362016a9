package relayer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// said is a log that is read while it is written.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *said) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.buf.String(), text)
}

// A relayer that runs takes up a rollup that is added to its settings, and lets settings
// that are wrong be.
func TestRollupIsAddedWhileItRuns(t *testing.T) {
	t.Parallel()
	chain := newTestChain()
	chain.growBy(10)
	home, cfg := chain.home(t)
	path := filepath.Join(home, configFile)
	settings, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := strings.Replace(string(settings), order.NewRollupID("beta").String(), order.NewRollupID("gamma").String(), 1)
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	log := new(said)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- RunHome(ctx, home, func(Config) (Claimer, error) { return nil, nil }, slog.New(slog.NewTextHandler(log, nil)))
	}()
	relayed := func() (ids []order.RollupID) {
		var status Status
		if _, body := get(t, "http://"+cfg.Metrics.Listen+"/status"); json.Unmarshal([]byte(body), &status) == nil {
			for _, r := range status.Rollups {
				ids = append(ids, rollupID(r.Name))
			}
		}
		return ids
	}
	await.Until(t, "the relayer runs", func() bool { return len(relayed()) == 2 })

	if err := os.WriteFile(path, []byte("rollups = []"), 0o600); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the wrong settings are told", func() bool { return log.has("config.toml has changed and is wrong") })
	if len(relayed()) != 2 {
		t.Error("wrong settings are taken")
	}
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is there
		if err := AddRollup(home, Rollup{Name: "beta", Layer: "local", Start: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := AddRollup(home, Rollup{Name: "delta", Layer: "celestia", Start: 1}); err == nil {
		t.Error("a rollup is added on a layer that the relayer does not reach")
	}
	await.Until(t, "the added rollup is relayed", func() bool {
		ids := relayed()
		return len(ids) == 3 && ids[2] == order.NewRollupID("beta")
	})
	layer, err := layers.Open("local", layers.Config{Endpoint: "http://" + cfg.Layers["local"].Listen}, layers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	chain.growBy(10)
	wantPosted(t, chain, layer, "alpha", "beta")
	cancel()
	if err := errors.Join(<-done, layer.Close()); err != nil {
		t.Error(err)
	}
}

// Settings that cannot be run, as where another program has a port, do not end a relayer
// that runs: it goes on with those before, and takes up what comes after.
func TestSettingsThatCannotBeRun(t *testing.T) {
	t.Parallel()
	chain := newTestChain()
	chain.growBy(10)
	home, cfg := chain.home(t)
	path := filepath.Join(home, configFile)
	settings, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	log := new(said)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- RunHome(ctx, home, func(Config) (Claimer, error) { return nil, nil }, slog.New(slog.NewTextHandler(log, nil)))
	}()
	await.Until(t, "the relayer runs", func() bool { return log.has("relayer started") })
	taken, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	write := func(metrics string) {
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(settings), cfg.Metrics.Listen, metrics)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	answers := func(address string) bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		return err == nil && resp.Body.Close() == nil
	}
	write(taken.Addr().String())
	await.Until(t, "the port that is taken is told", func() bool { return log.has("cannot run with what config.toml says now") })
	await.Until(t, "the relayer runs as before", func() bool { return answers(cfg.Metrics.Listen) })
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	other := freeAddress(t)
	write(other)
	await.Until(t, "the next settings are taken up", func() bool { return answers(other) })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

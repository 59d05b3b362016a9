package rollup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/internal/jsonrpc"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// published is a chain with 40 blocks, on a DA layer that serves them.
type published struct {
	*signedChain
	layer *local.Layer
	url   string
}

func publish(t *testing.T) *published { return publishOn(t, newSignedChain()) }

func publishOn(t *testing.T, c *signedChain) *published {
	t.Helper()
	layer, err := local.Open(t.TempDir(), local.Options{BlockTime: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = layer.Close() })
	server := httptest.NewServer(local.NewServer(layer, local.ServerOptions{}))
	t.Cleanup(server.Close)
	p := &published{c, layer, server.URL}
	for h := uint64(0); h < 40; h++ {
		if h%7 == 0 {
			p.order(t, transferTx(t, h/7), []byte("garbage"))
		} else {
			p.order(t)
		}
	}
	return p
}

func (p *published) put(t *testing.T, blobs ...[]byte) {
	t.Helper()
	for _, b := range blobs {
		if _, err := p.layer.Submit(t.Context(), []da.Blob{{Namespace: da.Namespace(order.NewRollupID("alpha")), Data: b}}); err != nil {
			t.Fatal(err)
		}
	}
}

// nobody is a URL where nothing listens.
func nobody(t *testing.T) string {
	t.Helper()
	port, err := freeport.Claim(1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

// home lays out a node whose sequencers do not answer.
func (p *published) home(t *testing.T, change func(*InitOptions)) string {
	t.Helper()
	dir := t.TempDir()
	genesis := filepath.Join(dir, "sequencer-genesis.json")
	if err := p.doc.SaveAs(genesis); err != nil {
		t.Fatal(err)
	}
	o := InitOptions{
		Name: "alpha", ChainID: 31337, SequencerGenesis: genesis, Sequencers: []string{nobody(t)}, Listen: "127.0.0.1:0",
		DA: DAConfig{Layer: "local", Config: layers.Config{Endpoint: p.url}},
	}
	if change != nil {
		change(&o)
	}
	home := filepath.Join(dir, "node")
	if err := Init(home, o); err != nil {
		t.Fatal(err)
	}
	return home
}

func syncNode(t *testing.T, home string) SyncProgress {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Limit)
	defer cancel()
	p, err := Sync(ctx, home, "test", slog.New(slog.DiscardHandler), SyncOptions{}, func(SyncProgress) {})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSyncFromDA: a node without history, and without a sequencer that answers, comes to the state
// of one that executed the order as it was made, in one go or in several.
func TestSyncFromDA(t *testing.T) {
	t.Parallel()
	p := publish(t)
	want := openNode(t, t.TempDir())
	defer want.close(t)
	verifier := follower.NewVerifier(order.NewRollupID("alpha"), mustTrust(t, p), follower.Options{})
	for _, rb := range p.blocks {
		b, err := verifier.Next(rb, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := want.onSoft(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	head, height, _ := want.state()
	p.put(t, p.blob(t, 1, 9), []byte("garbage"), p.blob(t, 25, 40), p.blob(t, 10, 24), p.blob(t, 3, 12))
	home := p.home(t, nil)
	got := syncNode(t, home)
	if got.Head != head || got.Height != height || got.Blocks != 40 || got.Bytes == 0 || !got.CaughtUp() {
		t.Fatalf("synced to %+v, want block %d %x at height %d", got, head.Number, head.Hash, height)
	}
	// Again, with nothing to do, and after more has come.
	if again := syncNode(t, home); again.Head != head || again.Blocks != 0 {
		t.Errorf("a second time: %+v", again)
	}
	p.order(t, transferTx(t, 6))
	p.put(t, p.blob(t, 41, 41))
	if more := syncNode(t, home); more.Blocks != 1 || more.Head.Number != head.Number+1 {
		t.Errorf("one block more: %+v", more)
	}
	// In several goes: what was read when it stops is the beginning of the next.
	q := publish(t)
	other := q.home(t, nil)
	for h := 1; h <= 40; h += 8 {
		q.put(t, q.blob(t, h, h+7))
		if part := syncNode(t, other); part.Height != uint64(h+7) || part.Blocks != 8 {
			t.Fatalf("up to %d: %+v", h+7, part)
		}
	}
}

func mustTrust(t *testing.T, p *published) follower.Trust {
	t.Helper()
	trust, err := follower.TrustGenesis(p.doc)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func TestSyncRefuses(t *testing.T) {
	t.Parallel()
	p := publish(t)
	home := p.home(t, func(o *InitOptions) { o.DA = DAConfig{} })
	if _, err := Sync(t.Context(), home, "test", slog.New(slog.DiscardHandler), SyncOptions{}, nil); err == nil || !strings.Contains(err.Error(), "da.layer is empty") {
		t.Errorf("no layer: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	home = p.home(t, func(o *InitOptions) { o.DA.Endpoint = nobody(t) }) // it waits for the layer
	done := make(chan error, 1)
	told := make(chan SyncProgress, 100)
	go func() {
		_, err := Sync(ctx, home, "test", slog.New(slog.DiscardHandler), SyncOptions{}, func(p SyncProgress) { told <- p })
		done <- err
	}()
	if p := <-told; p.CaughtUp() || len(p.Layers) != 1 || p.Layers[0].Head != 0 {
		t.Errorf("told %+v of a layer that does not answer", p)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestRunsWithoutSequencers: a node follows its DA layer while no sequencer answers.
func TestRunsWithoutSequencers(t *testing.T) {
	t.Parallel()
	p := publish(t)
	p.put(t, p.blob(t, 1, 20))
	rpc := nobody(t)
	home := p.home(t, func(o *InitOptions) { o.Listen = strings.TrimPrefix(rpc, "http://") })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, home, "test", slog.New(slog.DiscardHandler)) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	client := jsonrpc.New(rpc, 5*time.Second)
	safe := func(want uint64) {
		t.Helper()
		await.Until(t, fmt.Sprintf("block %d is safe", want), func() bool {
			var block struct{ Number jsonrpc.Quantity }
			err := client.Call(t.Context(), &block, "eth_getBlockByNumber", "safe", false)
			return err == nil && uint64(block.Number) == want
		})
	}
	p.put(t, p.blob(t, 21, 40))
	head := syncNode(t, p.home(t, nil)).Head
	safe(head.Number)
}

func TestDAConfig(t *testing.T) {
	t.Parallel()
	p := publish(t)
	home := p.home(t, func(o *InitOptions) {
		o.DA = DAConfig{Layer: "celestia", StartHeight: 77, Config: layers.Config{Endpoint: "http://127.0.0.1:26658", Token: "secret", Namespace: "6f72646f2d7465737431"}}
		o.Fallback = DAConfig{Layer: "avail", Config: layers.Config{Endpoint: "http://127.0.0.1:7007", AppID: 42}}
	})
	cfg, err := LoadConfig(home)
	if err != nil || cfg.DA.Layer != "celestia" || cfg.DA.StartHeight != 77 || cfg.DA.Token != "secret" || cfg.DA.Namespace == "" || cfg.Fallback.AppID != 42 {
		t.Fatalf("%+v: %v", cfg, err)
	}
	for want, change := range map[string]func(*Config){
		"da.endpoint is empty":   func(c *Config) { c.DA.Endpoint = "" },
		"unknown DA layer":       func(c *Config) { c.DA.Layer = "ftp" },
		"fallback.app_id is 0":   func(c *Config) { c.Fallback.AppID = 0 },
		"da.layer is not":        func(c *Config) { c.DA.Layer = "" },
		"stand in for itself":    func(c *Config) { c.Fallback = c.DA },
		"not ten bytes in hex":   func(c *Config) { c.DA.Namespace = "x" },
		"sequencers is empty":    func(c *Config) { c.Sequencers = nil },
		"fallback.endpoint is e": func(c *Config) { c.Fallback.Endpoint = "" },
	} {
		c := cfg
		change(&c)
		if err := c.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, name := range layers.Names {
		c := cfg
		c.DA = DAConfig{Layer: name, Config: layers.Config{Endpoint: "http://127.0.0.1:1", AppID: 1}}
		c.Fallback = DAConfig{}
		if err := c.validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if fmt.Sprint(DefaultConfig().DA) != fmt.Sprint(DAConfig{}) {
		t.Error("a node has a DA layer before anybody named one")
	}
}

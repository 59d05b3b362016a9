package relayer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	cmtjson "github.com/cometbft/cometbft/libs/json"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/internal/freeport"
	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
	"github.com/ordo-network/ordo/test/await"
)

// testNode serves a chain as a sequencer node does.
type testNode struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	chain *testChain
}

func (n *testNode) SubscribeBlocks(ctx context.Context, req *connect.Request[sequencerv1.SubscribeBlocksRequest], st *connect.ServerStream[sequencerv1.SubscribeBlocksResponse]) error {
	for h := req.Msg.GetFromHeight(); ; h++ {
		for b, grown := n.chain.at(h); b == nil; b, grown = n.chain.at(h) {
			select {
			case <-grown:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		out := &sequencerv1.SubscribeBlocksResponse{LatestHeight: uint64(n.chain.height())}
		for i, raw := range req.Msg.GetRollupIds() {
			id, err := order.RollupIDFromBytes(raw)
			if err != nil {
				return connect.NewError(connect.CodeInvalidArgument, err)
			}
			b := n.chain.rollupBlock(h, id)
			out.Parts = append(out.Parts, &sequencerv1.RollupPart{Index: uint32(i), NamespaceProof: b.GetNamespaceProof(), Legs: b.GetLegs()})
			b.RollupId, b.NamespaceProof, b.Legs = nil, nil, nil
			out.Block = b
		}
		head := &sequencerv1.SubscribeBlocksResponse{Block: out.GetBlock(), LatestHeight: out.GetLatestHeight()}
		out.Block = nil
		if err := errors.Join(st.Send(head), st.Send(out)); err != nil {
			return err
		}
	}
}

func (n *testNode) GetRollupBlock(_ context.Context, req *connect.Request[sequencerv1.GetRollupBlockRequest]) (*connect.Response[sequencerv1.GetRollupBlockResponse], error) {
	id, err := order.RollupIDFromBytes(req.Msg.GetRollupId())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	if b, _ := n.chain.at(req.Msg.GetHeight()); b == nil {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no such block"))
	}
	return connect.NewResponse(&sequencerv1.GetRollupBlockResponse{Block: n.chain.rollupBlock(req.Msg.GetHeight(), id)}), nil
}

func (n *testNode) GetInfo(context.Context, *connect.Request[sequencerv1.GetInfoRequest]) (*connect.Response[sequencerv1.GetInfoResponse], error) {
	return connect.NewResponse(&sequencerv1.GetInfoResponse{ChainId: testChainID, LatestHeight: uint64(n.chain.height()), EarliestHeight: 1}), nil
}

func (c *testChain) serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle(sequencerv1connect.NewSequencerServiceHandler(&testNode{chain: c}))
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// genesisFile writes the chain's genesis in the form of the Cosmos SDK.
func (c *testChain) genesisFile(t *testing.T) string {
	t.Helper()
	validators, err := cmtjson.Marshal(c.genesis.Validators)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(map[string]any{
		"app_name": "ordod", "genesis_time": c.genesis.GenesisTime, "chain_id": c.genesis.ChainID, "initial_height": 1,
		"consensus": map[string]any{"validators": json.RawMessage(validators)}, "app_state": map[string]any{},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "genesis.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := freeport.Claim(1)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// home lays out a relayer for the chain and returns its home and its config.
func (c *testChain) home(t *testing.T) (string, Config) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Sequencers, cfg.SequencerGenesis = []string{c.serve(t)}, c.genesisFile(t)
	cfg.Rollups = []string{"alpha", order.NewRollupID("beta").String()}
	cfg.Layers["local"] = LayerConfig{Listen: freeAddress(t), Dir: "da", BlockTime: config.Duration(10 * time.Millisecond)}
	cfg.Metrics.Listen, cfg.Batch.Age = freeAddress(t), config.Duration(5*time.Millisecond)
	home := filepath.Join(t.TempDir(), "relayer")
	if err := Init(home, cfg); err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(home)
	if err != nil {
		t.Fatal(err)
	}
	return home, cfg
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// The whole of it, from a home directory: config, follower, journal, embedded DA, metrics.
func TestRunFromAHome(t *testing.T) {
	t.Parallel()
	chain := newTestChain()
	chain.growBy(10)
	home, cfg := chain.home(t)
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- Run(ctx, home, cfg, nil, slog.New(slog.DiscardHandler)) }()
		await.Until(t, "the relayer is healthy", func() bool {
			status, body := get(t, "http://"+cfg.Metrics.Listen+"/health")
			return status == http.StatusOK && strings.Contains(body, `"status":"ok"`)
		})
		layer, err := layers.Open("local", layers.Config{Endpoint: "http://" + cfg.Layers["local"].Listen}, layers.Options{})
		if err != nil {
			t.Fatal(err)
		}
		chain.growBy(10)
		wantPosted(t, chain, layer, "alpha", "beta")
		want := fmt.Sprintf("ordo_relayer_confirmed_height{rollup=\"alpha\"} %d", chain.height())
		await.Until(t, want, func() bool {
			_, body := get(t, "http://"+cfg.Metrics.Listen+"/metrics")
			return strings.Contains(body, want)
		})
		var status Status
		_, body := get(t, "http://"+cfg.Metrics.Listen+"/status")
		if err := json.Unmarshal([]byte(body), &status); err != nil {
			t.Fatal(err)
		}
		if len(status.Layers) != 1 || len(status.Rollups) != 2 || status.Rollups[0].PostedHeight != uint64(chain.height()) || !status.Layers[0].Answers {
			t.Errorf("the status is %s", body)
		}
		if err := layer.Close(); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// What the embedded layer has kept for long enough is gone, where the settings say so.
func TestEmbeddedLayerForgets(t *testing.T) {
	t.Parallel()
	_, cfg := newTestChain().home(t)
	l := cfg.Layers["local"]
	l.Retain = config.Duration(50 * time.Millisecond)
	cfg.Layers["local"] = l
	opened, err := cfg.openLayers(t.TempDir(), nil, layers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.close() }()
	layer, ns := opened.layers[0], da.Namespace{1}
	refs, err := layer.Submit(t.Context(), []da.Blob{{Namespace: ns, Data: []byte("old")}})
	if err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the blob is gone", func() bool {
		if _, err := layer.Submit(t.Context(), []da.Blob{{Namespace: da.Namespace{2}, Data: []byte("young")}}); err != nil {
			t.Fatal(err)
		}
		_, err := layer.Get(t.Context(), ns, refs[0])
		return err != nil && strings.Contains(err.Error(), "pruned")
	})
}

func TestABusyPortIsNamed(t *testing.T) {
	t.Parallel()
	chain := newTestChain()
	home, cfg := chain.home(t)
	for purpose, address := range map[string]string{"DA layer": cfg.Layers["local"].Listen, "metrics": cfg.Metrics.Listen} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		err = Run(t.Context(), home, cfg, nil, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), address+" is in use") || !strings.Contains(err.Error(), purpose) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the error is %v", purpose, err)
		}
		l.Close()
	}
}

func TestInitKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	home, cfg := newTestChain().home(t)
	cfg.SequencerGenesis = filepath.Join(home, cfg.SequencerGenesis)
	if err := Init(home, cfg); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a second Init: %v", err)
	}
	if _, err := LoadConfig(t.TempDir()); err == nil || !strings.Contains(err.Error(), "ordo relayer init") {
		t.Errorf("a home without config: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := DefaultConfig()
	good.Sequencers, good.Rollups = []string{"http://127.0.0.1:26602"}, []string{"alpha"}
	if err := good.validate(); err != nil {
		t.Fatal(err)
	}
	id := order.NewRollupID("alpha").String()
	local := func(change func(l *LayerConfig)) func(c *Config) {
		return func(c *Config) {
			l := c.Layers["local"]
			change(&l)
			c.Layers = map[string]LayerConfig{"local": l}
		}
	}
	for want, change := range map[string]func(c *Config){
		"sequencers is empty":      func(c *Config) { c.Sequencers = nil },
		`"127.0.0.1:26602" is not`: func(c *Config) { c.Sequencers = []string{"127.0.0.1:26602"} },
		"rollups is empty":         func(c *Config) { c.Rollups = nil },
		"are the same rollup":      func(c *Config) { c.Rollups = []string{"alpha", id} },
		"a name is empty":          func(c *Config) { c.Rollups = []string{""} },
		`start_heights: "beta" is`: func(c *Config) { c.StartHeights = map[string]uint64{"beta": 3} },
		`rollup_layers: "beta" is`: func(c *Config) { c.RollupLayers = map[string]string{"beta": "local"} },
		"rollup_namespaces: \"be":  func(c *Config) { c.RollupNamespaces = map[string]string{"beta": "00"} },
		"ten bytes in hex":         func(c *Config) { c.RollupNamespaces = map[string]string{"alpha": "00"} },
		"starts at 0":              func(c *Config) { c.StartHeights = map[string]uint64{"alpha": 0} },
		"unknown DA layer":         func(c *Config) { c.Layer = "moon" },
		"[layers.celestia] is":     func(c *Config) { c.RollupLayers = map[string]string{"alpha": "celestia"} },
		"[layers.avail] is":        func(c *Config) { c.Fallback = "avail" },
		"is the layer itself":      func(c *Config) { c.Fallback = "local" },
		"fallback_after":           func(c *Config) { c.FallbackAfter = 0 },
		"claim_interval":           func(c *Config) { c.ClaimInterval = 0 },
		"only the local layer": func(c *Config) {
			c.Layer, c.Layers = "celestia", map[string]LayerConfig{"celestia": {Listen: "127.0.0.1:1"}}
		},
		"local.endpoint is empty":  local(func(l *LayerConfig) { l.Listen = "" }),
		"are both set":             local(func(l *LayerConfig) { l.Endpoint = "http://127.0.0.1:1" }),
		`local.endpoint is "here"`: local(func(l *LayerConfig) { l.Listen, l.Endpoint = "", "here" }),
		"layers.local.dir":         local(func(l *LayerConfig) { l.Dir = "" }),
		"layers.local.block_time":  local(func(l *LayerConfig) { l.BlockTime = 0 }),
		"layers.local.retain":      local(func(l *LayerConfig) { l.Retain = -1 }),
		"layers.local.listen":      local(func(l *LayerConfig) { l.Listen = "26760" }),
		"name both":                func(c *Config) { c.TrustHash = id },
		`trust_hash is ""`:         func(c *Config) { c.TrustHeight = 7 },
		`trust_hash is "7"`:        func(c *Config) { c.TrustHeight, c.TrustHash = 7, "7" },
		"metrics.listen":           func(c *Config) { c.Metrics.Listen = "x" },
		"batch.blob_bytes":         func(c *Config) { c.Batch.BlobBytes = 1 },
		"batch.age":                func(c *Config) { c.Batch.Age = 0 },
		"batch.max_in_flight":      func(c *Config) { c.Batch.MaxInFlight = 0 },
	} {
		c := good
		change(&c)
		if err := c.validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: the error is %v", want, err)
		}
	}
}

func TestRollupsByNameAndID(t *testing.T) {
	t.Parallel()
	beta := order.NewRollupID("beta")
	c := Config{
		Rollups: []string{"alpha", beta.String()}, StartHeights: map[string]uint64{beta.String(): 7},
		Layer: "local", RollupLayers: map[string]string{"alpha": "celestia"},
	}
	got, err := c.rollups()
	if err != nil {
		t.Fatal(err)
	}
	want := []Rollup{{"alpha", order.NewRollupID("alpha"), 1, "celestia"}, {beta.String(), beta, 7, "local"}}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("rollup %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

// What Init writes is what LoadConfig reads, for layers of any kind.
func TestConfigSurvivesItsFile(t *testing.T) {
	t.Parallel()
	chain := newTestChain()
	cfg := DefaultConfig()
	cfg.Sequencers, cfg.SequencerGenesis, cfg.Rollups = []string{"http://127.0.0.1:26602"}, chain.genesisFile(t), []string{"alpha", "beta"}
	cfg.Layer, cfg.Fallback, cfg.RollupLayers = "celestia", "local", map[string]string{"beta": "eigenda"}
	cfg.RollupNamespaces = map[string]string{"alpha": "6f72646f2d7465737431"}
	cfg.TrustHeight, cfg.TrustHash = 7, order.NewRollupID("any").String()
	cfg.Layers["celestia"] = LayerConfig{Config: layers.Config{Endpoint: "http://127.0.0.1:26658", Token: "secret", GasPrice: 0.004}}
	cfg.Layers["eigenda"] = LayerConfig{Config: layers.Config{Endpoint: "http://127.0.0.1:3100"}}
	home := filepath.Join(t.TempDir(), "relayer")
	if err := Init(home, cfg); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(home)
	if err != nil {
		t.Fatal(err)
	}
	cfg.SequencerGenesis = genesisFile
	if !reflect.DeepEqual(got, cfg) {
		t.Errorf("read back is %+v, written was %+v", got, cfg)
	}
	if raw, err := os.ReadFile(filepath.Join(home, configFile)); err == nil {
		t.Logf("%s", raw)
	}
	if used := got.used(); !slices.Equal(used, []string{"celestia", "eigenda", "local"}) {
		t.Errorf("used are %v", used)
	}
}

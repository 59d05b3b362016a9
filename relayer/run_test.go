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
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	cmtjson "github.com/cometbft/cometbft/libs/json"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// testNode serves a chain as a sequencer node does.
type testNode struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	chain *testChain
}

func (n *testNode) SubscribeRollup(ctx context.Context, req *connect.Request[sequencerv1.SubscribeRollupRequest], st *connect.ServerStream[sequencerv1.SubscribeRollupResponse]) error {
	id, err := order.RollupIDFromBytes(req.Msg.GetRollupId())
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	for h := req.Msg.GetFromHeight(); ; {
		b, grown := n.chain.at(h)
		if b == nil {
			select {
			case <-grown:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		err := st.Send(&sequencerv1.SubscribeRollupResponse{Block: n.chain.rollupBlock(h, id), LatestHeight: uint64(n.chain.height())})
		if err != nil {
			return err
		}
		h++
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// home lays out a relayer for the chain and returns its home and its config.
func (c *testChain) home(t *testing.T) (string, Config) {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Sequencers, cfg.SequencerGenesis = []string{c.serve(t)}, c.genesisFile(t)
	cfg.Rollups = []string{"alpha", order.NewRollupID("beta").String()}
	cfg.DA.Listen, cfg.Metrics.Listen = freeAddress(t), freeAddress(t)
	cfg.DA.BlockTime, cfg.Batch.Age = config.Duration(10*time.Millisecond), config.Duration(5*time.Millisecond)
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
		go func() { done <- Run(ctx, home, cfg, slog.New(slog.DiscardHandler)) }()
		eventually(t, "the relayer is healthy", func() bool {
			status, body := get(t, "http://"+cfg.Metrics.Listen+"/health")
			return status == http.StatusOK && strings.Contains(body, `"status":"ok"`)
		})
		layer, err := local.NewClient("http://"+cfg.DA.Listen, local.ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		chain.growBy(10)
		wantPosted(t, chain, layer, "alpha", "beta")
		want := fmt.Sprintf("ordo_relayer_confirmed_height{rollup=\"alpha\"} %d", chain.height())
		eventually(t, want, func() bool {
			_, body := get(t, "http://"+cfg.Metrics.Listen+"/metrics")
			return strings.Contains(body, want)
		})
		if err := layer.Close(); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func TestABusyPortIsNamed(t *testing.T) {
	t.Parallel()
	chain := newTestChain()
	home, cfg := chain.home(t)
	for purpose, address := range map[string]string{"DA layer": cfg.DA.Listen, "metrics": cfg.Metrics.Listen} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		err = Run(t.Context(), home, cfg, slog.New(slog.DiscardHandler))
		_, port, _ := net.SplitHostPort(address)
		if err == nil || !strings.Contains(err.Error(), "port "+port) || !strings.Contains(err.Error(), purpose) || strings.Contains(err.Error(), "\n") {
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
	for want, change := range map[string]func(c *Config){
		"sequencers is empty":         func(c *Config) { c.Sequencers = nil },
		`"127.0.0.1:26602" is not`:    func(c *Config) { c.Sequencers = []string{"127.0.0.1:26602"} },
		"rollups is empty":            func(c *Config) { c.Rollups = nil },
		"are the same rollup":         func(c *Config) { c.Rollups = []string{"alpha", id} },
		"a name is empty":             func(c *Config) { c.Rollups = []string{""} },
		`"beta" is not among`:         func(c *Config) { c.StartHeights = map[string]uint64{"beta": 3} },
		"starts at 0":                 func(c *Config) { c.StartHeights = map[string]uint64{"alpha": 0} },
		"da.layer":                    func(c *Config) { c.DA.Layer = "moon" },
		"da.listen and da.endpoint a": func(c *Config) { c.DA.Listen = "" },
		"are both set":                func(c *Config) { c.DA.Endpoint = "http://127.0.0.1:1" },
		"da.endpoint":                 func(c *Config) { c.DA.Listen, c.DA.Endpoint = "", "here" },
		"da.dir":                      func(c *Config) { c.DA.Dir = "" },
		"da.block_time":               func(c *Config) { c.DA.BlockTime = 0 },
		"da.listen":                   func(c *Config) { c.DA.Listen = "26760" },
		"metrics.listen":              func(c *Config) { c.Metrics.Listen = "x" },
		"batch.blob_bytes":            func(c *Config) { c.Batch.BlobBytes = 1 },
		"batch.age":                   func(c *Config) { c.Batch.Age = 0 },
		"batch.max_in_flight":         func(c *Config) { c.Batch.MaxInFlight = 0 },
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
	c := Config{Rollups: []string{"alpha", beta.String()}, StartHeights: map[string]uint64{beta.String(): 7}}
	got, err := c.rollups()
	if err != nil {
		t.Fatal(err)
	}
	want := []Rollup{{"alpha", order.NewRollupID("alpha"), 1}, {beta.String(), beta, 7}}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("rollup %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

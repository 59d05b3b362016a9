package node_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/sequencer/node"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

func open(home string) error {
	_, err := node.Open(context.Background(), node.Options{Home: home, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	return err
}

func TestHomesAreNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	o := node.HomeOptions{Dir: dir, Moniker: "one", Ports: freePorts(t)}
	if _, err := node.InitHome(o, "", chainID); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "config", "priv_validator_key.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.InitHome(o, "", chainID); !errors.Is(err, node.ErrExists) {
		t.Fatalf("got %v, want ErrExists", err)
	}
	after, err := os.ReadFile(filepath.Join(dir, "config", "priv_validator_key.json"))
	if err != nil || string(after) != string(before) {
		t.Fatal("the validator's key has changed")
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	n := newNetwork(t, 1)
	home := node.ValidatorHome(n.dir, 0)
	for _, c := range []struct{ file, old, new, want string }{
		{"ordo.toml", "block_time = '100ms'", "block_time = '1ms'", "pacing.block_time is 1ms, want 20ms"},
		{"ordo.toml", "block_time", "blok_time", "settings that do not exist"},
		{"ordo.toml", "client_share = 4", "client_share = 0", "must be 1 or more"},
		{"ordo.toml", "flush_age = '100ms'", "flush_age = '0s'", "dispersal.flush_age is 0s"},
		{"ordo.toml", "operator = ''", "operator = 'cosmos1xyz'", "dispersal.operator is"},
		{"ordo.toml", "shard_heights = 864000", "shard_heights = 100", "retention.shard_heights is 100, want 0, or 1800"},
		{"attestation_keys.json", `"private_key"`, `"key"`, "unknown field"},
		{"ordo.toml", "bytes_per_second = 16777216", "bytes_per_second = 1", "da.workers must be 1 or more"},
		{"ordo.toml", "[da.layers]", "[da.layers.foo]\nendpoint = 'http://127.0.0.1:1'", `da.layers.foo: unknown DA layer "foo"`},
		{"ordo.toml", "[da.layers]", "[da.layers.celestia]", "da.layers.celestia.endpoint is empty"},
		{"config.toml", `type = "app"`, `type = "flood"`, "the pool of bundles is in the application"},
		{"config.toml", "discard_abci_responses = false", "discard_abci_responses = true", "want false"},
		{"config.toml", "create_empty_blocks = true", "create_empty_blocks = false", "want true"},
		{"config.toml", `timeout_propose = "300ms"`, `timeout_propose = "200ms"`, "consensus.timeout_propose is 200ms, want 240ms"},
		{"config.toml", "prometheus = false", "prometheus = true", "metrics.listen in ordo.toml"},
		{"genesis.json", `"chain_id"`, `"chain_idd"`, "chain_id"},
	} {
		path := filepath.Join(home, "config", c.file)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(good), c.old) {
			t.Fatalf("%s does not contain %q", c.file, c.old)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(good), c.old, c.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(home); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s with %s: %v, want an error with the file and %q", c.file, c.new, err, c.want)
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "ordo sequencer init") {
		t.Errorf("an empty home: %v, want a hint at what to do", err)
	}
}

// A full node needs no more than the genesis and one peer.
func TestFullNodeJoins(t *testing.T) {
	n := newNetwork(t, 1)
	n.start(0)
	n.reach(0, 2)
	id := n.submit(0, n.bundle(n.height(0)+100, 50))
	at := n.ordered(0, id)

	n.ports = append(n.ports, freePorts(t))
	n.running = append(n.running, nil)
	genesis := filepath.Join(node.ValidatorHome(n.dir, 0), "config", "genesis.json")
	_, err := node.InitHome(node.HomeOptions{
		Dir: node.ValidatorHome(n.dir, 1), Moniker: "full", Ports: n.ports[1], Local: true, Peers: []string{n.peer(0)},
	}, genesis, "")
	if err != nil {
		t.Fatal(err)
	}
	n.start(1)
	if got := n.ordered(1, id); got != at || n.hash(0, at) != n.hash(1, at) {
		t.Fatalf("the full node has the bundle at height %d, the validator at %d", got, at)
	}
	// It has no shards, and reads those of the validator.
	if n.content(0, 1, at) != n.content(1, 1, at) {
		t.Fatal("the full node tells other transactions")
	}
	// It has no lane either, and says who has.
	b := n.bundle(n.height(1)+100, 50)
	_, err = n.running[1].client.SubmitBundle(t.Context(), connect.NewRequest(&v1.SubmitBundleRequest{Bundle: n.signed(0, b)}))
	if connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "API of a validator") {
		t.Fatalf("a bundle at a full node: %v", err)
	}
}

func TestMetricsAreServed(t *testing.T) {
	n := newNetwork(t, 1)
	metrics := freePorts(t).API
	path := filepath.Join(node.ValidatorHome(n.dir, 0), "config", "ordo.toml")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	listen := strings.Replace(string(raw), "listen = ''", "listen = '"+address(metrics)+"'", 1)
	if listen == string(raw) {
		t.Fatal("no empty metrics.listen to replace")
	}
	if err := os.WriteFile(path, []byte(listen), 0o600); err != nil {
		t.Fatal(err)
	}
	n.spawn(0) // alone in its process, with all metrics
	n.reach(0, 2)
	body := get(t, "http://"+address(metrics)+"/metrics")
	for _, name := range []string{
		"ordo_api_latest_height", "ordo_pool_", "cometbft_consensus_height", "go_goroutines",
		"ordo_dispersal_", "ordo_transport_", `ordo_store_disk_bytes{store="shards"}`, `ordo_store_disk_bytes{store="certificates"}`,
	} {
		if !strings.Contains(body, name) {
			t.Errorf("no %s among the metrics", name)
		}
	}
	res, err := http.Post("http://"+address(metrics)+"/metrics", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST to /metrics gives %d", res.StatusCode)
	}
}

// What is left of a network whose making was cut short does not stand in the way.
func TestInitNetworkGoesOn(t *testing.T) {
	dir, ports := t.TempDir(), []node.Ports{freePorts(t), freePorts(t)}
	o := node.NetworkOptions{Dir: dir, ChainID: chainID, Validators: 2, Ports: func(i int) node.Ports { return ports[i] }}
	if err := node.InitNetwork(o); err != nil {
		t.Fatal(err)
	}
	for i := range ports { // written last
		if err := os.Remove(filepath.Join(node.ValidatorHome(dir, i), "config", "ordo.toml")); err != nil {
			t.Fatal(err)
		}
	}
	if err := node.InitNetwork(o); err != nil {
		t.Fatal(err)
	}
	if err := node.InitNetwork(o); !errors.Is(err, node.ErrExists) {
		t.Fatalf("got %v, want ErrExists", err)
	}
}

// A consensus key signs nothing twice only where what it last signed came with it. What is
// missing or damaged of the two is named.
func TestAKeyComesWithWhatItSigned(t *testing.T) {
	dir := t.TempDir()
	o := node.HomeOptions{Dir: dir, Moniker: "one", Ports: freePorts(t)}
	if _, err := node.InitHome(o, "", chainID); err != nil {
		t.Fatal(err)
	}
	key, state := filepath.Join(dir, "config", "priv_validator_key.json"), filepath.Join(dir, "data", "priv_validator_state.json")
	for _, file := range []string{key, state} {
		good, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, content := range []string{"", "{", `{"address":"","height":7}`, `{}`} {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := open(dir); err == nil || !strings.Contains(err.Error(), file) {
				t.Errorf("%q in %s: %v, want an error with the file", content, file, err)
			}
		}
		if err := os.WriteFile(file, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// As where init was killed, or where the key alone was brought from another machine.
	for _, file := range []string{filepath.Join(dir, "config", "ordo.toml"), state} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := node.InitHome(o, "", chainID); err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), state) {
		t.Errorf("a key without what it signed: %v, want an error with both files", err)
	}
	if err := os.WriteFile(state, []byte(`{"height":"0","round":0,"step":0}`), 0o600); err != nil { // as the error says
		t.Fatal(err)
	}
	if _, err := node.InitHome(o, "", chainID); err != nil {
		t.Error(err)
	}
	// The other way round nothing is written over what was signed.
	for _, file := range []string{filepath.Join(dir, "config", "ordo.toml"), key} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(state, []byte(`{"height":"7","round":0,"step":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := node.InitHome(o, "", chainID); err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), state) {
		t.Errorf("what a key signed without the key: %v, want an error with both files", err)
	}
}

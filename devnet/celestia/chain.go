package celestia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// chainID of every network here. It is celestia-node's name for networks that nobody
// knows, which need no hash of a genesis block.
const chainID = "private"

// bridgeKey is the name that celestia-node gives to its key.
const bridgeKey = "my_celes_key"

// Funds, in utia (10^-6 TIA), and what one validator stakes of it. The bridge can post
// for years: a megabyte costs about 34,000 utia.
const (
	bridgeFunds    = "1000000000000000utia"
	validatorFunds = "1000000000000utia"
	stake          = "5000000000utia"
)

// What mainnet's parameters are since version 9 of the application: blocks of 32 MiB.
const (
	appVersion    = "9"
	maxBlockBytes = "33554432"
)

// chain is the data of a network in its folder.
type chain struct {
	root string
}

func (c chain) app() string    { return filepath.Join(c.root, "app") }
func (c chain) bridge() string { return filepath.Join(c.root, "bridge") }

// openChain returns the chain in dir, which it makes where there is none. It appears
// whole or not at all: what a kill left behind has another name and is removed.
func openChain(ctx context.Context, dir, app, node string) (chain, error) {
	c := chain{root: filepath.Join(dir, "chain")}
	if _, err := os.Stat(c.root); err == nil {
		return c, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return chain{}, fmt.Errorf("open the chain: %w", err)
	}
	fresh := chain{root: filepath.Join(dir, "chain.new")}
	if err := os.RemoveAll(fresh.root); err != nil {
		return chain{}, fmt.Errorf("make a chain: %w", err)
	}
	if err := fresh.make(ctx, app, node); err != nil {
		return chain{}, fmt.Errorf("make a chain: %w", err)
	}
	if err := os.Rename(fresh.root, c.root); err != nil {
		return chain{}, fmt.Errorf("make a chain: %w", err)
	}
	return c, nil
}

// make makes the keys of the validator and the bridge, and a genesis that funds them.
func (c chain) make(ctx context.Context, app, node string) error {
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		return err
	}
	home := []string{"--home", c.app()}
	appd := func(args ...string) (string, error) { return output(ctx, app, append(args, home...)...) }

	if _, err := output(ctx, node, "bridge", "init", "--p2p.network", chainID, "--node.store", c.bridge()); err != nil {
		return err
	}
	if err := configureBridge(filepath.Join(c.bridge(), "config.toml")); err != nil {
		return err
	}
	if _, err := appd("init", "validator", "--chain-id", chainID); err != nil {
		return err
	}
	if err := setParams(filepath.Join(c.app(), "config", "genesis.json")); err != nil {
		return err
	}
	if _, err := appd("keys", "add", "validator", "--keyring-backend", "test"); err != nil {
		return err
	}
	validator, err := appd("keys", "show", "validator", "--address", "--keyring-backend", "test")
	if err != nil {
		return err
	}
	bridge, err := appd("keys", "show", bridgeKey, "--address", "--keyring-backend", "test", "--keyring-dir", filepath.Join(c.bridge(), "keys"))
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"genesis", "add-genesis-account", validator, validatorFunds},
		{"genesis", "add-genesis-account", bridge, bridgeFunds},
		{"genesis", "gentx", "validator", stake, "--fees", "500utia", "--chain-id", chainID, "--keyring-backend", "test"},
		{"genesis", "collect-gentxs"},
	} {
		if _, err := appd(args...); err != nil {
			return err
		}
	}
	return nil
}

// token returns a token that lets its bearer read and submit.
func (c chain) token(ctx context.Context, node string) (string, error) {
	return output(ctx, node, "bridge", "auth", "write", "--p2p.network", chainID, "--node.store", c.bridge())
}

// output runs a command to its end and returns what it printed.
func output(ctx context.Context, binary string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = environment()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(binary), strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// setParams gives a genesis the application's version and block size.
func setParams(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var genesis map[string]json.RawMessage
	var consensus struct {
		Validators json.RawMessage                       `json:"validators,omitempty"`
		Params     map[string]map[string]json.RawMessage `json:"params"`
	}
	if err := errors.Join(json.Unmarshal(raw, &genesis), json.Unmarshal(genesis["consensus"], &consensus)); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if consensus.Params["version"] == nil || consensus.Params["block"] == nil {
		return fmt.Errorf("read %s: no consensus parameters", path)
	}
	consensus.Params["version"]["app"] = json.RawMessage(`"` + appVersion + `"`)
	consensus.Params["block"]["max_bytes"] = json.RawMessage(`"` + maxBlockBytes + `"`)
	if genesis["consensus"], err = json.Marshal(consensus); err != nil {
		return err
	}
	if raw, err = json.MarshalIndent(genesis, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}

// bridgeSettings are those that differ from celestia-node's defaults and have no flag:
// one address for peers, on loopback, in place of eight on all interfaces, and fewer
// blocks in memory than ten, which are 134 MB each where they are full.
var bridgeSettings = map[string]string{
	"ListenAddresses":       `["/ip4/127.0.0.1/tcp/0"]`,
	"RecentBlocksCacheSize": "2",
}

// configureBridge gives the bridge its settings, each of which its file has once.
func configureBridge(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lines, found := strings.Split(string(raw), "\n"), 0
	for i, line := range lines {
		name, _, _ := strings.Cut(line, " = ")
		if value, ok := bridgeSettings[strings.TrimSpace(name)]; ok {
			lines[i], found = name+" = "+value, found+1
		}
	}
	if found != len(bridgeSettings) {
		return fmt.Errorf("%s has %d of the %d settings that are changed", path, found, len(bridgeSettings))
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644)
}

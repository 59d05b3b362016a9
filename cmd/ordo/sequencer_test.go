package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func runSequencer(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := newRootCmd()
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{"sequencer"}, args...))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func mustSequencer(t *testing.T, args ...string) string {
	t.Helper()
	out, err := runSequencer(t, args...)
	if err != nil {
		t.Fatalf("ordo sequencer %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func TestSequencerInitNetwork(t *testing.T) {
	dir := t.TempDir()
	out := mustSequencer(t, "init-network", dir, "--validators", "2", "--base-port", "31000")
	if !strings.Contains(out, "http://127.0.0.1:31012") {
		t.Fatalf("the second validator's API is not shown:\n%s", out)
	}
	if _, err := runSequencer(t, "init-network", dir, "--validators", "2"); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Fatalf("a network is overwritten: %v", err)
	}
	operator := mustSequencer(t, "keys", "show", "operator", "--home", filepath.Join(dir, "validator-1"), "--keyring-backend", "test")
	if !strings.Contains(operator, "ordovaloper1") {
		t.Fatalf("keys show: %s", operator)
	}
	if _, err := runSequencer(t, "init-network", t.TempDir(), "--account", "ordo1xyz"); err == nil || !strings.Contains(err.Error(), "whole number of uordo") {
		t.Fatalf("an account without an amount: %v", err)
	}
}

// The steps by which operators make a chain together.
func TestSequencerGenesis(t *testing.T) {
	home := t.TempDir()
	in := func(args ...string) string {
		return mustSequencer(t, append(args, "--home", home)...)
	}
	in("init", "--moniker", "alice", "--chain-id", "ordo-new")
	in("keys", "add", "operator", "--keyring-backend", "test")
	in("genesis", "add-genesis-account", "operator", "2000000000000uordo", "--keyring-backend", "test")
	if _, err := runSequencer(t, "genesis", "seal", "--home", home); err == nil || !strings.Contains(err.Error(), "no validators") {
		t.Fatalf("a genesis without validators is sealed: %v", err)
	}
	in("genesis", "gentx", "operator", "1000000000000uordo", "--keyring-backend", "test")
	in("genesis", "collect-gentxs")
	if _, err := runSequencer(t, "genesis", "seal", "--home", home); err == nil || !strings.Contains(err.Error(), "genesis add-attester") {
		t.Fatalf("a genesis without attesters is sealed: %v", err)
	}
	record := in("attester", "record", "operator", "--keyring-backend", "test")
	alice, forged := filepath.Join(home, "alice.json"), filepath.Join(home, "forged.json")
	for path, content := range map[string]string{alice: record, forged: strings.Replace(record, `"attestation_key":"`, `"attestation_key":"AAAA`, 1)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := runSequencer(t, "genesis", "add-attester", forged, "--home", home); err == nil || !strings.Contains(err.Error(), "proof") {
		t.Fatalf("another's key is taken in: %v", err)
	}
	in("genesis", "add-attester", alice)
	in("genesis", "add-attester", alice) // again, to no effect
	in("genesis", "seal")
	in("genesis", "validate")

	other := t.TempDir()
	genesis := filepath.Join(home, "config", "genesis.json")
	if raw, err := os.ReadFile(genesis); err != nil || strings.Count(string(raw), `"api": "http://127.0.0.1:26602"`) != 1 {
		t.Errorf("the genesis does not say once where the validator's API is: %v\n%s", err, raw)
	}
	if out := mustSequencer(t, "init", "--home", other, "--moniker", "bob", "--genesis", genesis); !strings.Contains(out, "node ID") {
		t.Fatal(out)
	}
}

func TestSequencerQueryLists(t *testing.T) {
	home := t.TempDir()
	if out := mustSequencer(t, "query", "--home", home); !strings.Contains(out, "staking\n") || !strings.Contains(out, "ordering\n") {
		t.Fatalf("modules: %s", out)
	}
	if out := mustSequencer(t, "query", "bank", "--home", home); !strings.Contains(out, "Balance {address, denom}") {
		t.Fatalf("methods: %s", out)
	}
	for _, args := range [][]string{{"query", "nothing"}, {"query", "bank", "Nothing"}, {"query", "bank", "Balance", `{"nobody":"x"}`}} {
		if _, err := runSequencer(t, append(args, "--home", home)...); err == nil {
			t.Errorf("%v succeeds", args)
		}
	}
}

func TestSequencerCommandsHaveExamples(t *testing.T) {
	var check func(*cobra.Command)
	check = func(c *cobra.Command) {
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			// The commands below these are the Cosmos SDK's own.
			if p := c.CommandPath(); p != "ordo sequencer tx" && p != "ordo sequencer genesis" {
				check(sub)
			}
		}
	}
	root := newRootCmd()
	cmd, _, err := root.Find([]string{"sequencer"})
	if err != nil {
		t.Fatal(err)
	}
	check(cmd)
}

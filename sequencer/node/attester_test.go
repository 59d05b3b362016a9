package node_test

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/sequencer/node"
)

func attester(t *testing.T, dir string) *node.Attester {
	t.Helper()
	a, err := node.LoadAttester(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func publics(a *node.Attester) []string {
	var out []string
	for _, key := range a.Keys {
		out = append(out, string(key.Public().(ed25519.PublicKey)))
	}
	return out
}

// A new key is in the home before the chain hears of it, and old ones stay for as long
// as they are in use.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	if _, err := node.InitHome(node.HomeOptions{Dir: dir, Moniker: "one", Ports: freePorts(t)}, "", chainID); err != nil {
		t.Fatal(err)
	}
	rotate := func(registered, inUse []string) []string {
		t.Helper()
		is := func(list []string) func(ed25519.PublicKey) bool {
			return func(key ed25519.PublicKey) bool { return slices.Contains(list, string(key)) }
		}
		a := attester(t, dir)
		if err := a.Rotate(is(registered), is(inUse)); err != nil {
			t.Fatal(err)
		}
		if stored := publics(attester(t, dir)); !slices.Equal(stored, publics(a)) {
			t.Fatal("the home holds other keys than were returned")
		}
		return publics(a)
	}
	first := publics(attester(t, dir))
	if len(first) != 1 {
		t.Fatalf("a new home has %d keys", len(first))
	}
	if got := rotate(nil, nil); !slices.Equal(got, first) {
		t.Fatal("there is a second key although the chain does not know the first")
	}
	second := rotate(first, first)
	if len(second) != 2 || second[0] != first[0] {
		t.Fatalf("after a rotation there are %d keys, or the first is gone", len(second))
	}
	if got := rotate(first, first); !slices.Equal(got, second) {
		t.Fatal("a rotation that was cut short is begun anew")
	}
	third := rotate(second[1:], first)
	if len(third) != 3 {
		t.Fatalf("a key in use is gone: %d are left", len(third))
	}
	if got := rotate(third[2:], second[1:]); len(got) != 3 || got[0] != second[1] || got[1] != third[2] {
		t.Fatal("the key that nobody uses is not the one that went")
	}
}

func TestNobodyIsToldToConnectToEverywhere(t *testing.T) {
	dir := t.TempDir()
	if _, err := node.InitHome(node.HomeOptions{Dir: dir, Moniker: "one", Host: "0.0.0.0", Ports: freePorts(t)}, "", chainID); err != nil {
		t.Fatal(err)
	}
	if _, err := node.LoadAttester(dir); err == nil || !strings.Contains(err.Error(), "dispersal.advertise is empty") {
		t.Errorf("got %v, want a hint at dispersal.advertise", err)
	}
	if err := os.Remove(filepath.Join(dir, "config", "ordo.toml")); err != nil {
		t.Fatal(err)
	}
	if _, err := node.InitHome(node.HomeOptions{Dir: dir, Moniker: "one", Host: "0.0.0.0", Advertise: "alice.example", Ports: node.Ports{P2P: 1, RPC: 2, API: 3, Dispersal: 5}}, "", chainID); err != nil {
		t.Fatal(err)
	}
	if a := attester(t, dir); a.Address != "alice.example:5" || a.API != "http://alice.example:3" {
		t.Errorf("others are told %s and %s", a.Address, a.API)
	}
}

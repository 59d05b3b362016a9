package devnet

import (
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/relayer"
	"github.com/ordo-network/ordo/rollup"
	"github.com/ordo-network/ordo/sequencer/node"
)

// What the processes are told to listen on and to connect to is what the plan says
// and what users are told.
func TestEveryProcessIsToldThePlan(t *testing.T) {
	t.Parallel()
	home, shape := t.TempDir(), DefaultShape()
	shape.BasePort = 30000
	if err := build(home, shape); err != nil {
		t.Fatal(err)
	}
	e := newPlan(shape).endpoints(home)
	r := loadRelayer(t, home)
	if !slices.Equal(r.Sequencers, e.Sequencers) || !slices.Equal(r.Rollups, []string{"alpha", "beta"}) || "http://"+r.Layers["local"].Listen != e.DAURL("local") {
		t.Errorf("the relayer is told %+v", r)
	}
	for i, want := range e.Rollups {
		c := loadRollup(t, home, i)
		if c.Name != want.Name || "http://"+c.RPC.Listen != want.RPC || c.DA.Layer != "local" || c.DA.Endpoint != e.DAURL("local") || c.Fallback.Layer != "" {
			t.Errorf("rollup %s is told %+v", want.Name, c)
		}
		if c.Sequencers[0] != e.Sequencers[i] || len(c.Sequencers) != len(e.Sequencers) {
			t.Errorf("rollup %s is told of the sequencers %v", want.Name, c.Sequencers)
		}
	}
	for _, c := range (Options{Home: home}).children(shape) {
		at := slices.Index(c.args, "--home") + 1
		if at == 0 || filepath.Dir(c.args[at]) != home {
			t.Errorf("%s is started with %q, not with a home in %s", c.name, c.args, home)
		}
	}
	for _, u := range append([]string{e.DAURL("local"), e.CometRPC}, e.Metrics...) {
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		port, err := strconv.Atoi(parsed.Port())
		if err != nil || port < 30000 || port > newPlan(shape).last() {
			t.Errorf("%s is outside the network's ports", u)
		}
	}
}

func loadRelayer(t *testing.T, home string) relayer.Config {
	t.Helper()
	c, err := relayer.LoadConfig(relayerHome(home))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func loadRollup(t *testing.T, home string, i int) rollup.Config {
	t.Helper()
	c, err := rollup.LoadConfig(rollupHome(home, i))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func loadValidator(t *testing.T, home string, i int) node.Config {
	t.Helper()
	var c node.Config
	if err := config.Load(filepath.Join(node.ValidatorHome(home, i), "config", "ordo.toml"), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

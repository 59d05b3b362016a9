package e2e

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/devnet/celestia"
	"github.com/ordo-network/ordo/devnet/eigenda"
)

// envLayers makes the tests with real DA layers run: they take gigabytes of memory and
// minutes, and `make test-celestia` and `make test-eigenda` ask for them.
const envLayers = "ORDO_E2E_LAYERS"

// TestCelestia runs alpha on a real Celestia network, and beta on the embedded layer.
func TestCelestia(t *testing.T) {
	_, _, err := celestia.Binaries(t.Context())
	n := onLayers(t, err, celestia.ErrNotBuilt, "make test-celestia", "--da", "alpha=celestia,beta=local")
	publishing(t, n, nowhere(t))
	if t.Failed() || testing.Short() {
		return
	}
	t.Run("Ctrl-C and resume", func(t *testing.T) {
		restart(t, n, func() { n.stop(t) }, "celestia-app", "celestia-node")
		testAvailability(t, n)
	})
	t.Run("kill -9 of the devnet and resume", func(t *testing.T) {
		restart(t, n, func() { n.killAll(t) }, "celestia-app", "celestia-node")
		testAvailability(t, n)
	})
	t.Run("kill -9 of the layer's processes", func(t *testing.T) {
		n.kill(t, "celestia-app", "celestia-node")
		for _, r := range n.endpoints.Rollups {
			transfer(t, newWallet(t, r, dial(t, r.RPC), 0))
		}
	})
}

// TestEigenDA runs alpha on the real EigenDA proxy with its backend in memory.
func TestEigenDA(t *testing.T) {
	_, err := eigenda.Binary(t.Context())
	n := onLayers(t, err, eigenda.ErrNotBuilt, "make test-eigenda", "--da", "alpha=eigenda,beta=local")
	publishing(t, n, n.endpoints.Sequencers)
	n.stop(t)
	// What was in the proxy's memory is gone, and the network says so.
	out, err := ordo(t.Context(), "devnet", "--home", n.home)
	if err == nil || !strings.Contains(out, "cannot go on") || !strings.Contains(out, "--fresh") || strings.Count(out, "\n") != 1 {
		t.Errorf("it said (%v):\n%s", err, out)
	}
}

// onLayers starts a network on layers whose programs were looked for.
func onLayers(t *testing.T, err, notBuilt error, command string, args ...string) *network {
	t.Helper()
	if os.Getenv(envLayers) == "" {
		t.Skipf("it runs by `%s`", command)
	}
	if errors.Is(err, notBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	n := newHome(t)
	n.start(t, args...)
	return n
}

// publishing is the life of what was ordered on its way to the layers and back: the
// relayer dies under load, nothing is lost or doubled, validators confirm, and a new
// node makes the chain from the first rollup's layer, while it can reach these sequencers.
func publishing(t *testing.T, n *network, sequencers []string) {
	t.Helper()
	run := func(name string, test func(*testing.T)) {
		if !t.Failed() {
			t.Run(name, test)
		}
	}
	run("transfers", func(t *testing.T) {
		for _, r := range n.endpoints.Rollups {
			transfer(t, newWallet(t, r, dial(t, r.RPC), 0))
		}
	})
	run("kill -9 of the relayer under load", func(t *testing.T) {
		l := startLoad(t, n)
		l.more(t, 50)
		n.kill(t, "relayer")
		l.more(t, 100)
		n.kill(t, "relayer")
		l.more(t, 50)
		l.settle(t, n)
	})
	run("validators confirm availability", func(t *testing.T) { testAvailability(t, n) })
	run("rebuild from DA alone", func(t *testing.T) { rebuilt(t, n, n.endpoints.Rollups[0], sequencers) })
}

package node_test

import (
	"context"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/follower"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/sequencer/claims"
	"github.com/ordo-network/ordo/sequencer/claims/account"
	"github.com/ordo-network/ordo/sequencer/node"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/test/await"
)

// posted puts a blob with the rollup's blocks on the layer, in parts of so many bytes,
// and returns the claim of it.
func (n *network) posted(layer da.Layer, from, to uint64, limit int) da.Claim {
	n.t.Helper()
	var blocks []*orderv1.RollupBlock
	for h := from; h <= to; h++ {
		res, err := n.running[0].client.GetRollupBlock(n.t.Context(), connect.NewRequest(&v1.GetRollupBlockRequest{RollupId: alpha[:], Height: h}))
		if err != nil {
			n.t.Fatal(err)
		}
		blocks = append(blocks, res.Msg.Block)
	}
	blob, err := follower.EncodeBlob(blocks)
	if err != nil {
		n.t.Fatal(err)
	}
	parts, err := follower.SplitBlob(blob, limit)
	if err != nil {
		n.t.Fatal(err)
	}
	c := da.Claim{Rollup: da.Namespace(alpha), Layer: layer.Name(), From: from, To: to}
	for _, p := range parts {
		refs, err := layer.Submit(n.t.Context(), []da.Blob{{Namespace: c.Rollup, Data: p}})
		if err != nil {
			n.t.Fatal(err)
		}
		c.Parts = append(c.Parts, da.Part{Ref: refs[0], ID: da.ID(p)})
	}
	return c
}

func (n *network) available(i int) *v1.RollupAvailability {
	n.t.Helper()
	res, err := n.running[i].client.GetAvailability(n.t.Context(), connect.NewRequest(&v1.GetAvailabilityRequest{RollupIds: [][]byte{alpha[:]}}))
	if err != nil {
		n.t.Fatal(err)
	}
	return res.Msg.Rollups[0]
}

// What a relayer claims becomes part of the chain's state once validators have looked at
// it, and whoever claims what is not so is ignored.
func TestClaimsAreChecked(t *testing.T) {
	store, err := local.Open(t.TempDir(), local.Options{BlockTime: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	server := httptest.NewServer(local.NewServer(store, local.ServerOptions{}))
	t.Cleanup(server.Close)
	layer, err := local.NewClient(server.URL, local.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = layer.Close() })
	n := newNetworkOf(t, 4, map[string]layers.Config{"local": {Endpoint: server.URL}})
	// One of four has no access to the layer. It says nothing, and the others are enough.
	settings := filepath.Join(node.ValidatorHome(n.dir, 3), "config", "ordo.toml")
	c := node.DefaultConfig()
	if err := config.Load(settings, &c); err != nil {
		t.Fatal(err)
	}
	clear(c.DA.Layers)
	if err := config.Write(settings, &c); err != nil {
		t.Fatal(err)
	}
	n.startAll()
	n.reach(0, 3)
	acc, err := account.New(account.Options{Endpoints: []string{"http://127.0.0.1:1", "http://" + address(n.ports[1].API)}, Key: n.payer})
	if err != nil {
		t.Fatal(err)
	}
	index := claims.NewIndex([]string{"http://127.0.0.1:1", "http://" + address(n.ports[2].API)}, server.Client(), nil)
	within := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	claim := func(list ...da.Claim) (uint64, error) {
		return acc.Claim(within(time.Minute), list)
	}

	last := n.ordered(0, n.submit(0, n.bundle(n.height(0)+200, 1<<10)))
	whole := n.posted(layer, 1, last, 1<<20)
	height, err := claim(whole)
	if err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the blocks are available", func() bool { return n.available(0).To == last })
	if a := n.available(0); a.From != 1 || a.Layer != "local" {
		t.Fatalf("available: %v", a)
	}
	n.reach(2, height)
	await.Until(t, "the claim is listed", func() bool {
		found, to, err := index.Claims(within(10*time.Second), whole.Rollup, "", 1)
		if err != nil {
			t.Fatal(err)
		}
		if to < height {
			return false
		}
		if len(found) != 1 || found[0].Height != height || found[0].Relayer != acc.Address() || found[0].Claim.Parts[0].ID != whole.Parts[0].ID {
			t.Fatalf("claims up to %d: %+v", to, found)
		}
		return true
	})

	// What stands there is the rollup's blob, but not of these blocks.
	next := last + 1
	n.reach(0, next+2)
	lie := whole
	lie.From, lie.To = next, next+1
	if height, err = claim(lie); err != nil {
		t.Fatal(err)
	}
	n.reach(1, height+1) // a node that answers before has not heard of it
	await.Until(t, "the false claim is gone", func() bool { return n.available(1).Pending == 0 })
	// The relayer is ignored now: what it claims is recorded, and true or not, nobody looks.
	height, err = claim(n.posted(layer, next, next+1, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	n.reach(1, height+1)
	if a := n.available(1); a.Pending != 0 {
		t.Fatalf("a claim of a relayer that is ignored waits: %v", a)
	}
	if a := n.available(1); a.To != last {
		t.Fatalf("available: %v", a)
	}
}

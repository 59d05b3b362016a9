package rollup

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ethrpc"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// takesAll is a sequencer that takes every bundle and orders none.
type takesAll struct{ bundles chan []byte }

func (takesAll) String() string { return "takes-all" }

func (s takesAll) SubmitBundle(_ context.Context, sign gateway.SignFor) error {
	select {
	case s.bundles <- sign(order.Owner{1}):
	default:
	}
	return nil
}

func (takesAll) Info(context.Context) (gateway.Info, error) {
	return gateway.Info{ChainID: "ordo-test", Height: 1, MaxExpiryBlocks: 600, MaxBundleBytes: order.MaxBundleBytes}, nil
}

// A crash right after a block was executed must not leave its transactions waiting
// for a bundle that was ordered already.
func TestGatewayHearsOfWhatItMissed(t *testing.T) {
	node := openNode(t, t.TempDir())
	defer node.close(t)
	seq := takesAll{bundles: make(chan []byte, 1)}
	chain := ethrpc.NewChain(node.evm.BlockChain())
	g, err := gateway.New(gateway.Config{
		RollupID: order.NewRollupID("alpha"), ChainID: "ordo-test", Key: ed25519.NewKeyFromSeed(make([]byte, 32)),
		Dir: t.TempDir(), Sequencers: []gateway.Sequencer{seq}, Chain: chain, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}()
	raw := transferTx(t, 0)
	hash := [32]byte(crypto.Keccak256Hash(raw))
	err = g.Submit(t.Context(), gateway.Tx{Hash: hash, Sender: "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266", Raw: raw})
	if err != nil {
		t.Fatal(err)
	}
	var bundle *order.Bundle
	select {
	case sent := <-seq.bundles:
		if bundle, err = order.DecodeBundle(sent); err != nil {
			t.Fatal(err)
		}
	case <-time.After(await.Limit):
		t.Fatal("no bundle was sent")
	}
	b := testBlock(1, raw)
	b.Legs = []follower.Leg{{LegRecord: order.LegRecord{BundleID: bundle.ID("ordo-test")}, Transactions: [][]byte{raw}}}
	if err := node.onSoft(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if _, st, ok := g.Get(hash); !ok || st.Phase != gateway.PhaseInFlight {
		t.Fatalf("before it hears of the block: %+v, %v", st, ok)
	}
	n := &Node{gateway: g, machine: &embedded{evm: node.evm, heads: chain}}
	if err := n.observeMissed(t.Context(), newBlock(order.NewRollupID("alpha"), b)); err != nil {
		t.Fatal(err)
	}
	if _, st, ok := g.Get(hash); !ok || st.Phase != gateway.PhaseExecuted {
		t.Fatalf("after it heard of the block: %+v, %v", st, ok)
	}
}

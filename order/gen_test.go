package order_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

const chainID = "ordo-test"

// key returns the ed25519 key of a seed of 32 equal bytes.
func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func rollup(i int) order.RollupID { return order.NewRollupID(fmt.Sprintf("rollup-%d", i)) }

// drawBundle draws a valid bundle, signed, over up to four of the rollups.
func drawBundle(t *rapid.T, rollups int) *order.Bundle {
	b := &order.Bundle{
		Expiry:   rapid.Uint64().Draw(t, "expiry"),
		FeeLimit: rapid.Uint64().Draw(t, "fee_limit"),
	}
	tx := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 1, 200), rapid.Map(rapid.IntRange(1, 300), func(n int) []byte { return make([]byte, n) }))
	for _, r := range rapid.SliceOfNDistinct(rapid.IntRange(0, rollups-1), 1, min(4, rollups), rapid.ID[int]).Draw(t, "rollups") {
		b.Legs = append(b.Legs, order.Leg{RollupID: rollup(r), Transactions: rapid.SliceOfN(tx, 1, 6).Draw(t, "transactions")})
	}
	b.Sign(chainID, owner(1), key(rapid.Byte().Draw(t, "key")))
	return b
}

func drawBlock(t *rapid.T, rollups, maxBundles int) *order.Block {
	var bundles []*order.Bundle
	for range rapid.IntRange(0, maxBundles).Draw(t, "bundles") {
		bundles = append(bundles, drawBundle(t, rollups))
	}
	times := order.Times{First: rapid.Uint64().Draw(t, "first"), Last: rapid.Uint64().Draw(t, "last")}
	return order.NewBlock(rapid.Uint64().Draw(t, "height"), ordered(bundles...), rapid.Uint64().Draw(t, "dropped"), times)
}

// ordered returns the bundles as a block has them that got two of them with each batch.
func ordered(bundles ...*order.Bundle) []order.Ordered {
	var out []order.Ordered
	for i, b := range bundles {
		s := b.Summary()
		out = append(out, order.Ordered{ID: s.ID(chainID), Summary: &s, Batch: order.BatchID{1, byte(i / 2)}, BatchIndex: uint64(i % 2)})
	}
	return out
}

// records returns what the block holds for the rollup, as a follower reads it.
func records(t rapid.TB, blk *order.Block, id order.RollupID) ([]order.LegRecord, *orderv1.NamespaceProof) {
	t.Helper()
	out, proof := blk.Rollup(id)
	for _, r := range out {
		if again, err := order.LegRecordFromProto(r.Proto()); err != nil || again != r {
			t.Fatalf("%+v reads as %+v, %v", r, again, err)
		}
	}
	return out, proof
}

// wire returns the generated type with the bundle's content.
func wire(b *order.Bundle) *orderv1.Bundle {
	w := &orderv1.Bundle{Payer: b.Payer[:], Expiry: b.Expiry, FeeLimit: b.FeeLimit, Signature: b.Signature[:]}
	for i := range b.Legs {
		w.Legs = append(w.Legs, &orderv1.Leg{RollupId: b.Legs[i].RollupID[:], Transactions: b.Legs[i].Transactions})
	}
	return w
}

// clone copies all that a test may alter.
func clone(b *order.Bundle) *order.Bundle {
	c := *b
	c.Legs = slices.Clone(b.Legs)
	for i := range c.Legs {
		c.Legs[i].Transactions = slices.Clone(b.Legs[i].Transactions)
		for j := range c.Legs[i].Transactions {
			c.Legs[i].Transactions[j] = bytes.Clone(b.Legs[i].Transactions[j])
		}
	}
	return &c
}

func mustBlock(t testing.TB, height uint64, bundles ...*order.Bundle) *order.Block {
	t.Helper()
	return order.NewBlock(height, ordered(bundles...), 0, order.Times{First: 1, Last: 2})
}

// bundle returns a signed bundle of the legs.
func bundle(t testing.TB, legs ...order.Leg) *order.Bundle {
	t.Helper()
	b := &order.Bundle{Expiry: 10, FeeLimit: 5, Legs: legs}
	b.Sign(chainID, owner(1), key(0))
	return b
}

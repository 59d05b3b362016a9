package order_test

import (
	"crypto/ed25519"
	"testing"

	"github.com/ordo-network/ordo/order"
)

func bundle(t testing.TB, legs ...order.Leg) *order.Bundle {
	t.Helper()
	b := &order.Bundle{Expiry: 10, FeeLimit: 5, Legs: legs}
	b.Sign("ordo-test", ed25519.NewKeyFromSeed(make([]byte, 32)))
	return b
}

func TestBlockProvesPresenceAndAbsence(t *testing.T) {
	a, b, c := order.NewRollupID("alpha"), order.NewRollupID("beta"), order.NewRollupID("gamma")
	x := bundle(t, order.Leg{RollupID: a, Transactions: [][]byte{{1}, {2, 3}}}, order.Leg{RollupID: b, Transactions: [][]byte{{4}}})
	id, err := x.Verify("ordo-test")
	if err != nil {
		t.Fatal(err)
	}
	raw := x.Encode()
	y, err := order.DecodeBundle(raw)
	if err != nil {
		t.Fatal(err)
	}
	if y.ID("ordo-test") != id {
		t.Fatal("ID changed by encoding")
	}
	for _, bundles := range [][]order.Ordered{nil, {{ID: id, Bundle: x}}} {
		blk, err := order.NewBlock(7, bundles, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []order.RollupID{a, b, c} {
			legs, proof, err := blk.Rollup(r)
			if err != nil {
				t.Fatal(err)
			}
			var records []order.LegRecord
			for _, l := range legs {
				rec, err := order.LegRecordFromProto(l.Record)
				if err != nil {
					t.Fatal(err)
				}
				records = append(records, rec)
			}
			if err := blk.Commitment().VerifyNamespace(r, records, proof); err != nil {
				t.Fatalf("%d bundles, rollup %s: %v", len(bundles), r, err)
			}
			if len(records) > 0 {
				if err := blk.Commitment().VerifyNamespace(r, nil, proof); err == nil {
					t.Fatal("missing leg accepted")
				}
			}
		}
		h, err := order.DecodeHeader(blk.Header().Encode())
		if err != nil || h != blk.Header() {
			t.Fatalf("header: %v %v", h, err)
		}
	}
}

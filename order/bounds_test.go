package order_test

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// A refusal must not cost memory in proportion to what the input claims or repeats.
func TestBoundsHoldBeforeMemory(t *testing.T) {
	field := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	id, payer := field(1, alpha[:]), field(1, make([]byte, 32))
	crowded := func(legs, txs int) []byte {
		leg := field(4, append(bytes.Clone(id), bytes.Repeat(field(2, []byte{1}), txs)...))
		return append(bytes.Clone(payer), bytes.Repeat(leg, legs)...)
	}
	manyLegs := append(bytes.Clone(payer), bytes.Repeat(field(4, id), 20_000)...)
	claims := append(bytes.Clone(payer), append([]byte{4<<3 | 2}, protowire.AppendVarint(nil, math.MaxUint64)...)...)
	for name, raw := range map[string][]byte{
		"one leg with 300,000 transactions": crowded(1, 300_000),
		"20,000 legs":                       manyLegs,
		"bundle of 3 MB":                    crowded(order.MaxLegs, order.MaxLegTransactions),
		"length of 2^64-1":                  claims,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := order.DecodeBundle(raw)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, order.ErrInvalid) && !errors.Is(err, order.ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
			t.Errorf("%s: refused after %d bytes of memory", name, n)
		}
	}
}

// Each bound of a proof speaks for itself, before any hashing.
func TestHostileProofsAreRefusedByName(t *testing.T) {
	blk := mustBlock(t, 1,
		bundle(t, order.Leg{RollupID: order.RollupID{2}, Transactions: [][]byte{{1}}}),
		bundle(t, order.Leg{RollupID: order.RollupID{4}, Transactions: [][]byte{{1}}}))
	recs, good := records(t, blk, order.RollupID{2})
	node := good.Nodes[0]
	for _, tc := range []struct {
		name string
		recs []order.LegRecord
		p    *orderv1.NamespaceProof
		want string
	}{
		{"nodes", recs, &orderv1.NamespaceProof{End: 1, Nodes: slices.Repeat([][]byte{node}, 61)}, "61 nodes, at most 60"},
		{"backwards", recs, &orderv1.NamespaceProof{Start: 2, End: 1}, "leaves 2 to 1"},
		{"far end", recs, &orderv1.NamespaceProof{Start: 1 << 30, End: 1<<30 + 1}, "leaves 1073741824 to"},
		{"farthest end", recs, &orderv1.NamespaceProof{Start: math.MaxUint64 - 1, End: math.MaxUint64}, "leaves 18446744073709551614 to"},
		{"wide range", recs, &orderv1.NamespaceProof{Start: 0, End: 1 << 30, Nodes: good.Nodes}, "leaves 0 to 1073741824, want 1"},
		{"empty range beside legs", recs, &orderv1.NamespaceProof{}, "leaves 0 to 0, want 1"},
		{"range without legs", nil, good, "leaves 0 to 1, want 0"},
		{"wide absence", nil, &orderv1.NamespaceProof{Start: 0, End: 2, LeafHash: node}, "leaves 0 to 2, want 1"},
		{"absence beside legs", recs, &orderv1.NamespaceProof{End: 1, LeafHash: node}, "absence proof beside 1 legs"},
		{"empty proof with nodes", nil, &orderv1.NamespaceProof{Nodes: good.Nodes}, "empty namespace proof"},
		{"empty proof elsewhere", nil, &orderv1.NamespaceProof{Start: 3, End: 3}, "empty namespace proof"},
	} {
		err := blk.Commitment().VerifyNamespace(order.RollupID{2}, tc.recs, tc.p)
		if !errors.Is(err, order.ErrProof) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	// An empty proof is one way to say that a rollup is absent, and has one form.
	for _, p := range []*orderv1.NamespaceProof{{Start: 3, End: 3}, {Nodes: good.Nodes}} {
		if err := blk.Commitment().VerifyNamespace(order.RollupID{9}, nil, p); !errors.Is(err, order.ErrProof) {
			t.Errorf("absent rollup, proof %v: %v", p, err)
		}
	}
	txs := numbered(1)
	long := &orderv1.MerkleProof{Total: order.MaxLegTransactions + 1, Aunts: slices.Repeat([][]byte{make([]byte, 32)}, 15)}
	digest := order.LegDigest(txs)
	if err := order.VerifyTransaction(digest, long.Total, txs[0], long); !errors.Is(err, order.ErrProof) || !strings.Contains(err.Error(), "in a leg of") {
		t.Errorf("leg past its bound: %v", err)
	}
}

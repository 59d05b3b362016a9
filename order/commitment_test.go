package order_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"

	"github.com/celestiaorg/nmt"
	"github.com/celestiaorg/nmt/namespace"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// extremes are rollup IDs at the ends of the namespaces; hashes of names lie between.
var extremes = []order.RollupID{
	{31: 1},
	order.RollupID(bytes.Repeat([]byte{0xff}, 32)),
	order.RollupID(append(bytes.Repeat([]byte{0xff}, 31), 0xfe)),
}

func TestCommitmentHoldsEveryRollupsLegs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blk := drawBlock(t, 6, 12)
		legs := 0
		for i := range 8 { // two more than any bundle names
			recs, proof := records(t, blk, rollup(i))
			if err := blk.Commitment().VerifyNamespace(rollup(i), recs, proof); err != nil {
				t.Fatalf("rollup %d with %d legs: %v", i, len(recs), err)
			}
			for j := 1; j < len(recs); j++ {
				if recs[j-1].BundleIndex >= recs[j].BundleIndex {
					t.Fatal("legs of a rollup are not in the order of the block")
				}
			}
			for _, r := range recs {
				o := blk.Bundles[r.BundleIndex]
				s := o.Summary.Legs[r.LegIndex]
				if r.BundleID != o.ID || r.LegCount != uint64(len(o.Summary.Legs)) || s.RollupID != rollup(i) || r.Batch != o.Batch || r.BatchIndex != o.BatchIndex ||
					r.Digest != s.Digest || r.Length != s.Length || r.Count != s.Count {
					t.Fatalf("record %+v is not of the leg that it names", r)
				}
			}
			legs += len(recs)
		}
		h := blk.Header()
		if h.Legs != uint64(legs) || h.Bundles != uint64(len(blk.Bundles)) || h.Commitment != blk.Commitment() ||
			h.Height != blk.Height || h.Dropped != blk.Dropped || (legs == 0) != (h.Commitment == order.EmptyCommitment()) {
			t.Fatalf("header %+v of a block of %d bundles and %d legs", h, len(blk.Bundles), legs)
		}
	})
}

// nmtTree returns the tree of the library over the same leaves, and all of its vertices.
func nmtTree(t rapid.TB, blk *order.Block, ids []order.RollupID) (*nmt.NamespacedMerkleTree, [][]byte) {
	t.Helper()
	var vertices [][]byte
	tree := nmt.New(sha256.New(), nmt.NamespaceIDSize(32), nmt.IgnoreMaxNamespace(false),
		nmt.NodeVisitor(func(hash []byte, _ ...[]byte) { vertices = append(vertices, hash) }))
	sorted := slices.Clone(ids)
	slices.SortFunc(sorted, func(x, y order.RollupID) int { return bytes.Compare(x[:], y[:]) })
	for _, id := range slices.Compact(sorted) {
		recs, _ := records(t, blk, id)
		for _, r := range recs {
			if err := tree.Push(append(id[:], r.Encode()...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := tree.Root(); err != nil {
		t.Fatal(err)
	}
	return tree, vertices
}

func TestTreeIsThatOfTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ids []order.RollupID
		for i := range 8 {
			ids = append(ids, rollup(i))
		}
		blk := drawBlock(t, 6, 20)
		tree, _ := nmtTree(t, blk, ids)
		root, err := tree.Root()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(root, blk.Commitment().Bytes()) {
			t.Fatalf("commitment %x, library %x", blk.Commitment(), root)
		}
		for _, id := range append(ids, extremes...) {
			_, proof := records(t, blk, id)
			want, err := tree.ProveNamespace(namespace.ID(id[:]))
			if err != nil {
				t.Fatal(err)
			}
			if proof.Start != uint64(want.Start()) || proof.End != uint64(want.End()) ||
				!bytes.Equal(proof.LeafHash, want.LeafHash()) || !slices.EqualFunc(proof.Nodes, want.Nodes(), bytes.Equal) {
				t.Fatalf("proof %v, library %v", proof, want)
			}
		}
	})
}

func TestAbsenceInEveryPlace(t *testing.T) {
	tx := [][]byte{{1}}
	ids := []order.RollupID{{0x20}, {0x40}, {0x60}, {0x80}, {0xa0}}
	for n := range len(ids) + 1 {
		var bundles []*order.Bundle
		for _, id := range ids[:n] {
			bundles = append(bundles, bundle(t, order.Leg{RollupID: id, Transactions: tx}))
		}
		blk := mustBlock(t, 1, bundles...)
		for _, id := range append([]order.RollupID{{0x10}, {0x30}, {0x50}, {0x70}, {0x90}, {0xb0}, {}}, extremes...) {
			recs, proof := records(t, blk, id)
			if len(recs) > 0 {
				t.Fatalf("%d legs of absent rollup %s", len(recs), id)
			}
			if err := blk.Commitment().VerifyNamespace(id, nil, proof); err != nil {
				t.Errorf("%d rollups: absence of %s: %v", n, id, err)
			}
			for _, present := range ids[:n] {
				if err := blk.Commitment().VerifyNamespace(present, nil, proof); !errors.Is(err, order.ErrProof) {
					t.Errorf("%d rollups: proof for %s makes %s absent: %v", n, id, present, err)
				}
			}
		}
	}
}

// The largest namespace is a rollup like any other.
func TestExtremeNamespacesArePresent(t *testing.T) {
	var legs []order.Leg
	for _, id := range extremes {
		legs = append(legs, order.Leg{RollupID: id, Transactions: [][]byte{{1}}})
	}
	blk := mustBlock(t, 1, bundle(t, legs...), bundle(t, legs[1]))
	for _, id := range extremes {
		recs, proof := records(t, blk, id)
		if err := blk.Commitment().VerifyNamespace(id, recs, proof); err != nil || len(recs) == 0 {
			t.Errorf("%s: %d legs, %v", id, len(recs), err)
		}
		for _, hostile := range []*orderv1.NamespaceProof{nil, {}, proof} {
			if err := blk.Commitment().VerifyNamespace(id, nil, hostile); !errors.Is(err, order.ErrProof) {
				t.Errorf("%s made absent: %v", id, err)
			}
		}
	}
}

func TestCommitmentRefusesAnyOtherLegs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blk := drawBlock(t, 4, 12)
		i := rapid.IntRange(0, 3).Draw(t, "rollup")
		recs, proof := records(t, blk, rollup(i))
		other, otherProof := records(t, blk, rollup((i+1)%4))
		root := blk.Commitment()
		refuse := func(what string, id order.RollupID, recs []order.LegRecord, proof *orderv1.NamespaceProof) {
			t.Helper()
			if err := root.VerifyNamespace(id, recs, proof); !errors.Is(err, order.ErrProof) {
				t.Fatalf("%s: %v", what, err)
			}
		}
		fitted := func(n int) *orderv1.NamespaceProof { // the proof with its range made to fit n legs
			p := proto.Clone(proof).(*orderv1.NamespaceProof)
			p.End = p.Start + uint64(n)
			return p
		}
		forged := order.LegRecord{BundleIndex: 1, LegCount: 1, Length: 1, Count: 1}
		for at := range len(recs) + 1 {
			more := slices.Insert(slices.Clone(recs), at, forged)
			refuse("addition", rollup(i), more, proof)
			refuse("addition", rollup(i), more, fitted(len(more)))
		}
		if len(recs) == 0 {
			return
		}
		for at := range recs {
			less := slices.Delete(slices.Clone(recs), at, at+1)
			refuse("omission", rollup(i), less, proof)
			refuse("omission", rollup(i), less, fitted(len(less)))
			for _, change := range []func(*order.LegRecord){
				func(r *order.LegRecord) { r.BundleID[0] ^= 1 }, func(r *order.LegRecord) { r.Digest[31] ^= 1 },
				func(r *order.LegRecord) { r.BundleIndex++ }, func(r *order.LegRecord) { r.LegIndex++ },
				func(r *order.LegRecord) { r.LegCount++ }, func(r *order.LegRecord) { r.Batch[31] ^= 1 }, func(r *order.LegRecord) { r.BatchIndex++ },
				func(r *order.LegRecord) { r.Length++ }, func(r *order.LegRecord) { r.Count++ },
			} {
				altered := slices.Clone(recs)
				change(&altered[at])
				refuse("alteration", rollup(i), altered, proof)
			}
			if at > 0 {
				swapped := slices.Clone(recs)
				swapped[0], swapped[at] = swapped[at], swapped[0]
				refuse("reordering", rollup(i), swapped, proof)
			}
		}
		refuse("legs of another rollup", rollup(i), other, otherProof)
		refuse("legs under another rollup", rollup((i+1)%4), recs, proof)
		refuse("proof of another rollup", rollup(i), recs, otherProof)
		refuse("no proof", rollup(i), recs, nil)
		refuse("no legs", rollup(i), nil, nil)
		refuse("no legs", rollup(i), nil, proof)
		if c := order.EmptyCommitment(); c.VerifyNamespace(rollup(i), recs, proof) == nil {
			t.Fatal("legs in the empty block")
		}
	})
}

// Every proof that can be put together from the vertices of a small tree, at any
// place of it: none hides a leg.
func TestNoProofHidesALeg(t *testing.T) {
	tx := [][]byte{{1}}
	leg := func(id byte) order.Leg { return order.Leg{RollupID: order.RollupID{id}, Transactions: tx} }
	for name, blk := range map[string]*order.Block{
		"one leaf":     mustBlock(t, 1, bundle(t, leg(2))),
		"two leaves":   mustBlock(t, 1, bundle(t, leg(2), leg(4))),
		"three leaves": mustBlock(t, 1, bundle(t, leg(2), leg(4)), bundle(t, leg(2))),
		"four leaves":  mustBlock(t, 1, bundle(t, leg(2), leg(4)), bundle(t, leg(4), leg(6))),
	} {
		_, vertices := nmtTree(t, blk, []order.RollupID{{2}, {4}, {6}})
		lists := [][][]byte{nil}
		for from, length := 0, 1; length <= 3; length++ {
			to := len(lists)
			for _, l := range lists[from:to] {
				for _, v := range vertices {
					lists = append(lists, append(slices.Clone(l), v))
				}
			}
			from = to
		}
		for _, id := range []order.RollupID{{2}, {4}, {6}} {
			recs, _ := records(t, blk, id)
			for _, nodes := range lists {
				for start := range uint64(4) {
					for end := start; end <= 5; end++ {
						p := &orderv1.NamespaceProof{Start: start, End: end, Nodes: nodes}
						for shown := range recs { // any part of the legs from the front, none first
							if blk.Commitment().VerifyNamespace(id, recs[:shown], p) == nil {
								t.Fatalf("%s: %d of %d legs pass for all, by %v", name, shown, len(recs), p)
							}
						}
						for _, p.LeafHash = range vertices {
							if len(recs) > 0 && blk.Commitment().VerifyNamespace(id, nil, p) == nil {
								t.Fatalf("%s: rollup %s made absent by %v", name, id, p)
							}
						}
					}
				}
			}
		}
	}
}

// The same for larger trees, by chance.
func TestHostileProofsHideNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blk := drawBlock(t, 5, 10)
		var ids []order.RollupID
		for i := range 5 {
			ids = append(ids, rollup(i))
		}
		_, vertices := nmtTree(t, blk, ids)
		vertex := rapid.SampledFrom(vertices)
		for range 50 {
			id := rapid.SampledFrom(ids).Draw(t, "rollup")
			recs, proof := records(t, blk, id)
			if len(recs) == 0 {
				continue
			}
			p := proto.Clone(proof).(*orderv1.NamespaceProof)
			for range rapid.IntRange(1, 3).Draw(t, "edits") {
				switch rapid.IntRange(0, 4).Draw(t, "edit") {
				case 0:
					p.LeafHash = vertex.Draw(t, "leaf")
					p.End = p.Start + 1
				case 1:
					p.Start = rapid.Uint64Range(0, 20).Draw(t, "start")
				case 2:
					p.End = p.Start + rapid.Uint64Range(0, 3).Draw(t, "width")
				case 3:
					at := rapid.IntRange(0, len(p.Nodes)).Draw(t, "at")
					p.Nodes = slices.Insert(slices.Clone(p.Nodes), at, vertex.Draw(t, "node"))
				case 4:
					if len(p.Nodes) > 0 {
						at := rapid.IntRange(0, len(p.Nodes)-1).Draw(t, "at")
						p.Nodes = slices.Delete(slices.Clone(p.Nodes), at, at+1)
					}
				}
			}
			shown := recs[:rapid.IntRange(0, len(recs)-1).Draw(t, "shown")]
			if blk.Commitment().VerifyNamespace(id, shown, p) == nil {
				t.Fatalf("%d of %d legs pass for all, by %v", len(shown), len(recs), p)
			}
		}
	})
}

// Streams of many rollups read one block at the same time. The race detector
// finds shared state; without it, so do wrong proofs.
func TestBlockIsReadByMany(t *testing.T) {
	var bundles []*order.Bundle
	for i := range 40 {
		bundles = append(bundles, bundle(t, order.Leg{RollupID: rollup(i % 16), Transactions: [][]byte{{byte(i)}}}))
	}
	blk := mustBlock(t, 1, bundles...)
	for i := range 8 {
		t.Run("reader", func(t *testing.T) {
			t.Parallel()
			for j := range 50 {
				id := rollup((i + j) % 20)
				recs, proof := records(t, blk, id)
				if err := blk.Commitment().VerifyNamespace(id, recs, proof); err != nil {
					t.Errorf("rollup %s: %v", id, err)
				}
			}
		})
	}
}

package order_test

import (
	"errors"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// TestDocumentsOpen: each leg's record opens the document of its bundle, as the wire has it, to
// the summary that the payer signed, and no document of another bundle.
func TestDocumentsOpen(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		blk := drawBlock(t, 5, 6)
		for i := range 5 {
			legs, _ := records(t, blk, rollup(i))
			for _, r := range legs {
				s := *blk.Bundles[r.BundleIndex].Summary
				raw, err := proto.Marshal(s.Doc(chainID))
				if err != nil {
					t.Fatal(err)
				}
				doc := new(orderv1.BundleDoc)
				if err := proto.Unmarshal(raw, doc); err != nil {
					t.Fatal(err)
				}
				if r.LegCount == 1 {
					if _, err := r.OpenDoc(rollup(i), doc); !errors.Is(err, order.ErrProof) {
						t.Fatalf("a document beside one leg: %v", err)
					}
					if got, err := r.OpenDoc(rollup(i), nil); got != nil || err != nil {
						t.Fatalf("one leg: %v, %v", got, err)
					}
					continue
				}
				got, err := r.OpenDoc(rollup(i), doc)
				if err != nil || !slices.Equal(got.Legs, s.Legs) || got.Payer != s.Payer || got.Expiry != s.Expiry || got.FeeLimit != s.FeeLimit {
					t.Fatalf("opened %+v of %+v: %v", got, s, err)
				}
				for _, other := range blk.Bundles {
					if _, err := r.OpenDoc(rollup(i), other.Summary.Doc(chainID)); (err == nil) != (other.ID == r.BundleID) {
						t.Fatalf("the document of bundle %s for a leg of %s: %v", other.ID, r.BundleID, err)
					}
				}
			}
		}
	})
}

// TestDocumentsMatchTheirRecord: a commitment that >2/3 of stake signed could say of a leg what its
// bundle does not: a reader refuses that as well.
func TestDocumentsMatchTheirRecord(t *testing.T) {
	t.Parallel()
	b := bundle(t, order.Leg{RollupID: rollup(1), Transactions: [][]byte{{1}}}, order.Leg{RollupID: rollup(2), Transactions: [][]byte{{2}}})
	blk := order.NewBlock(1, ordered(b), 0, order.Times{})
	good, _ := records(t, blk, rollup(1))
	s := b.Summary()
	for name, change := range map[string]func(r *order.LegRecord){
		"count":       func(r *order.LegRecord) { r.LegCount = 3 },
		"huge count":  func(r *order.LegRecord) { r.LegCount = math.MaxUint64 },
		"index":       func(r *order.LegRecord) { r.LegIndex = 1 },
		"far index":   func(r *order.LegRecord) { r.LegIndex = math.MaxUint64 },
		"digest":      func(r *order.LegRecord) { r.Digest[0] ^= 1 },
		"length":      func(r *order.LegRecord) { r.Length++ },
		"transaction": func(r *order.LegRecord) { r.Count++ },
	} {
		r := good[0]
		change(&r)
		if _, err := r.OpenDoc(rollup(1), s.Doc(chainID)); !errors.Is(err, order.ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := good[0].OpenDoc(rollup(2), s.Doc(chainID)); !errors.Is(err, order.ErrProof) {
		t.Errorf("record of another rollup: %v", err)
	}
}

// FuzzOpenDoc: whatever bytes a node sends as a document, one is taken only if it is the bundle's,
// however it is encoded.
func FuzzOpenDoc(f *testing.F) {
	b := bundle(f, order.Leg{RollupID: rollup(1), Transactions: [][]byte{{1}, {2, 3}}}, order.Leg{RollupID: rollup(2), Transactions: [][]byte{make([]byte, 200)}})
	s := b.Summary()
	legs, _ := records(f, order.NewBlock(1, ordered(b), 0, order.Times{}), rollup(1))
	for _, id := range []string{chainID, "", "ordo-other"} {
		raw, err := proto.Marshal(s.Doc(id))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(append(raw, 0xa0, 6, 1)) // a field that nobody knows
	}
	for _, b := range append(bombs(5), bombs(2)...) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc := new(orderv1.BundleDoc)
		if proto.Unmarshal(raw, doc) != nil {
			return
		}
		got, err := legs[0].OpenDoc(rollup(1), doc)
		if err != nil {
			classified(t, err)
			return
		}
		if !proto.Equal(got.Doc(chainID), s.Doc(chainID)) {
			t.Fatalf("took %v for %v", doc, s.Doc(chainID))
		}
	})
}

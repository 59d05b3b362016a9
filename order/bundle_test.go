package order_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

func marshal(t rapid.TB, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestBundleEncodesAsItsWireType(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBundle(t, 8)
		raw := b.Encode()
		if len(raw) != b.Size() {
			t.Fatalf("size %d, encoded %d bytes", b.Size(), len(raw))
		}
		if want := marshal(t, wire(b)); !bytes.Equal(raw, want) {
			t.Fatalf("encoded %x\nprotobuf %x", raw, want)
		}
		got, err := order.DecodeBundle(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, b) {
			t.Fatalf("decoded %+v\nwant %+v", got, b)
		}
		batch := &order.Batch{Bundles: []*order.Bundle{b, drawBundle(t, 8)}}
		enc := batch.Encode()
		if len(enc) != batch.Size() || len(enc) != order.BundleSizeInBatch(b.Size())+order.BundleSizeInBatch(batch.Bundles[1].Size()) {
			t.Fatalf("batch size %d, encoded %d bytes", batch.Size(), len(enc))
		}
		if want := marshal(t, &orderv1.Batch{Bundles: []*orderv1.Bundle{wire(b), wire(batch.Bundles[1])}}); !bytes.Equal(enc, want) {
			t.Fatal("batch differs from protobuf")
		}
		back, err := order.DecodeBatch(enc)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, batch) {
			t.Fatal("batch changed by encoding")
		}
	})
}

func TestDocumentEncodesAsItsWireType(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBundle(t, 8)
		doc := &orderv1.BundleDoc{ChainId: chainID, Payer: b.Payer[:], Expiry: b.Expiry, FeeLimit: b.FeeLimit}
		size := uint64(b.Size())
		for _, s := range b.Summaries() {
			doc.Legs = append(doc.Legs, &orderv1.LegSummary{RollupId: s.RollupID[:], Digest: s.Digest[:], Length: s.Length, Count: s.Count})
			size -= 1 + uint64(protowire.SizeBytes(int(s.Length)))
		}
		want := append([]byte("ordo/bundle/v1\x00"), marshal(t, doc)...)
		if got := b.Document(chainID); !bytes.Equal(got, want) {
			t.Fatalf("document %x\nprotobuf %x", got, want)
		}
		if b.ID(chainID) != sha256.Sum256(want) {
			t.Fatal("ID is not the hash of the document")
		}
		// What remains once the legs, at their signed lengths, are taken away does not depend on data.
		if empty := (&order.Bundle{Expiry: b.Expiry, FeeLimit: b.FeeLimit}).Size(); size != uint64(empty) {
			t.Fatalf("legs' lengths leave %d bytes of the bundle, want %d", size, empty)
		}
	})
}

// Whatever a decoder takes, it would have written itself.
func TestDecodersTakeOnlyCanonicalBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := drawBundle(t, 4).Encode()
		// A few small mutations of a valid encoding reach further than random bytes.
		for range rapid.IntRange(1, 3).Draw(t, "mutations") {
			i := rapid.IntRange(0, len(raw)-1).Draw(t, "at")
			switch rapid.IntRange(0, 3).Draw(t, "mutation") {
			case 0:
				raw[i] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			case 1:
				raw = append(raw[:i:i], raw[i+1:]...)
			case 2:
				raw = append(raw[:i:i], append([]byte{rapid.Byte().Draw(t, "byte")}, raw[i:]...)...)
			case 3:
				raw = raw[:i+1]
			}
			if len(raw) == 0 {
				return
			}
		}
		b, err := order.DecodeBundle(raw)
		if err != nil {
			if !errors.Is(err, order.ErrEncoding) && !errors.Is(err, order.ErrInvalid) {
				t.Fatalf("unclassified error: %v", err)
			}
			return
		}
		if !bytes.Equal(b.Encode(), raw) {
			t.Fatalf("took %x, writes %x", raw, b.Encode())
		}
	})
}

func TestBundleRefused(t *testing.T) {
	a, c := rollup(1), rollup(2)
	tx := [][]byte{{1}}
	good := bundle(t, order.Leg{RollupID: a, Transactions: tx})
	many := func(n int) []order.Leg {
		var legs []order.Leg
		for i := range n {
			legs = append(legs, order.Leg{RollupID: rollup(i), Transactions: tx})
		}
		return legs
	}
	txs := func(n int) [][]byte {
		out := make([][]byte, n)
		for i := range out {
			out[i] = []byte{1}
		}
		return out
	}
	for _, tc := range []struct {
		name string
		legs []order.Leg
		ok   bool
	}{
		{"one leg", good.Legs, true},
		{"no legs", nil, false},
		{"zero rollup", []order.Leg{{Transactions: tx}}, false},
		{"leg without transactions", []order.Leg{{RollupID: a}}, false},
		{"empty transaction", []order.Leg{{RollupID: a, Transactions: [][]byte{{1}, {}}}}, false},
		{"rollup twice", []order.Leg{{RollupID: a, Transactions: tx}, {RollupID: c, Transactions: tx}, {RollupID: a, Transactions: tx}}, false},
		{"most legs", many(order.MaxLegs), true},
		{"one leg too many", many(order.MaxLegs + 1), false},
		{"most transactions", []order.Leg{{RollupID: a, Transactions: txs(order.MaxLegTransactions)}}, true},
		{"one transaction too many", []order.Leg{{RollupID: a, Transactions: txs(order.MaxLegTransactions + 1)}}, false},
		{"too many bytes", []order.Leg{{RollupID: a, Transactions: [][]byte{make([]byte, order.MaxBundleBytes)}}}, false},
	} {
		b := bundle(t, tc.legs...)
		want := order.ErrInvalid
		if tc.ok {
			want = nil
		}
		if err := b.Validate(); !errors.Is(err, want) {
			t.Errorf("%s: Validate: %v, want %v", tc.name, err, want)
		}
		if _, err := order.DecodeBundle(b.Encode()); !errors.Is(err, want) {
			t.Errorf("%s: DecodeBundle: %v, want %v", tc.name, err, want)
		}
	}
}

func TestBatchBounds(t *testing.T) {
	b := bundle(t, order.Leg{RollupID: rollup(1), Transactions: [][]byte{{1}}})
	one := (&order.Batch{Bundles: []*order.Bundle{b}}).Encode()
	if _, err := order.DecodeBatch(bytes.Repeat(one, order.MaxBatchBundles)); err != nil {
		t.Errorf("most bundles: %v", err)
	}
	if _, err := order.DecodeBatch(bytes.Repeat(one, order.MaxBatchBundles+1)); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("one bundle too many: %v", err)
	}
	if _, err := order.DecodeBatch(make([]byte, order.MaxBatchBytes+1)); !errors.Is(err, order.ErrInvalid) {
		t.Errorf("too many bytes: %v", err)
	}
}

func TestIDCoversAllButTheSignature(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBundle(t, 4)
		id := b.ID(chainID)
		changes := map[string]func(*order.Bundle){
			"payer":     func(b *order.Bundle) { b.Payer[0] ^= 1 },
			"expiry":    func(b *order.Bundle) { b.Expiry ^= 1 },
			"fee limit": func(b *order.Bundle) { b.FeeLimit ^= 1 },
			"rollup":    func(b *order.Bundle) { b.Legs[0].RollupID[31] ^= 1 },
			"byte":      func(b *order.Bundle) { b.Legs[0].Transactions[0][0] ^= 1 },
			"longer transaction": func(b *order.Bundle) {
				b.Legs[0].Transactions[0] = append(b.Legs[0].Transactions[0], 0)
			},
			"more transactions": func(b *order.Bundle) {
				b.Legs[0].Transactions = append(b.Legs[0].Transactions, []byte{0})
			},
			"split transaction": func(b *order.Bundle) {
				tx := append(b.Legs[0].Transactions[0], 0)
				b.Legs[0].Transactions = append([][]byte{tx[:1], tx[1:]}, b.Legs[0].Transactions[1:]...)
			},
			"more legs": func(b *order.Bundle) {
				b.Legs = append(b.Legs, order.Leg{RollupID: rollup(99), Transactions: [][]byte{{1}}})
			},
			"order of legs": func(b *order.Bundle) {
				last := len(b.Legs) - 1
				b.Legs[0], b.Legs[last] = b.Legs[last], b.Legs[0]
				if last == 0 {
					b.Legs[0].RollupID[0] ^= 1 // one leg has no other order
				}
			},
		}
		for what, change := range changes {
			c := clone(b)
			change(c)
			if c.ID(chainID) == id {
				t.Fatalf("same ID after a change of the %s", what)
			}
			if _, signed := verify(c, chainID, owner(1)); signed {
				t.Fatalf("signature holds after a change of the %s", what)
			}
		}
		if b.ID(chainID+"x") == id || b.ID("") == id {
			t.Fatal("same ID on another chain")
		}
		if _, signed := verify(b, chainID+"x", owner(1)); signed {
			t.Fatal("signature holds on another chain")
		}
		c := clone(b)
		c.Signature[40] ^= 1
		if c.ID(chainID) != id {
			t.Fatal("ID depends on the signature")
		}
		if got, signed := verify(b, chainID, owner(1)); !signed || got != id {
			t.Fatalf("bundle %s, want %s, signed: %t", got, id, signed)
		}
	})
}

func TestHeaderEncodesAsItsWireType(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64())
		h := order.Header{
			Version: order.HeaderVersion, Height: n.Draw(t, "height"), Bundles: n.Draw(t, "bundles"),
			Legs: n.Draw(t, "legs"), Dropped: n.Draw(t, "dropped"), Bytes: n.Draw(t, "bytes"),
			Times: order.Times{First: n.Draw(t, "first"), Last: n.Draw(t, "last")},
		}
		copy(h.Commitment[:], rapid.SliceOfN(rapid.Byte(), 96, 96).Draw(t, "commitment"))
		raw := h.Encode()
		if want := marshal(t, &orderv1.OrderingHeader{
			Version: h.Version, Height: h.Height, Commitment: h.Commitment[:],
			Bundles: h.Bundles, Legs: h.Legs, Dropped: h.Dropped, Bytes: h.Bytes,
			OrderTimeFirst: h.Times.First, OrderTimeLast: h.Times.Last,
		}); !bytes.Equal(raw, want) {
			t.Fatalf("encoded %x\nprotobuf %x", raw, want)
		}
		if got, err := order.DecodeHeader(raw); err != nil || got != h {
			t.Fatalf("decoded %+v, %v", got, err)
		}
		if _, err := order.DecodeHeader(append(raw, 0x50, 1)); !errors.Is(err, order.ErrEncoding) {
			t.Fatalf("unknown field: %v", err)
		}
		h.Version++
		if _, err := order.DecodeHeader(h.Encode()); !errors.Is(err, order.ErrEncoding) {
			t.Fatalf("unknown version: %v", err)
		}
	})
}

func TestLegRecordEncodesAsItsWireType(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64())
		r := order.LegRecord{
			BundleIndex: n.Draw(t, "bundle_index"), LegIndex: n.Draw(t, "leg_index"), LegCount: n.Draw(t, "leg_count"),
			Length: n.Draw(t, "length"), Count: n.Draw(t, "count"), BatchIndex: n.Draw(t, "batch_index"),
		}
		copy(r.BundleID[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "bundle_id"))
		copy(r.Batch[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "batch_id"))
		copy(r.Digest[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		if want := marshal(t, r.Proto()); !bytes.Equal(r.Encode(), want) {
			t.Fatalf("encoded %x\nprotobuf %x", r.Encode(), want)
		}
		if got, err := order.LegRecordFromProto(r.Proto()); err != nil || got != r {
			t.Fatalf("from wire type %+v, %v", got, err)
		}
	})
	for _, p := range []*orderv1.LegRecord{nil, {}, {BundleId: make([]byte, 32)}, {BundleId: make([]byte, 33), Digest: make([]byte, 32)}} {
		if _, err := order.LegRecordFromProto(p); !errors.Is(err, order.ErrEncoding) {
			t.Errorf("%v: %v", p, err)
		}
	}
}

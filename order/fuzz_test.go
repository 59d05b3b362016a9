package order_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// bombs are encodings that claim far more than they hold, or hold as many
// elements as fit.
func bombs(field byte) [][]byte {
	tag := field<<3 | 2
	return [][]byte{
		{}, {tag}, {tag, 0x80}, {tag, 0x00}, {tag, 0x80, 0x00},
		append([]byte{tag}, binary.AppendUvarint(nil, math.MaxUint64)...),
		append([]byte{tag}, binary.AppendUvarint(nil, math.MaxInt64)...),
		bytes.Repeat([]byte{tag, 0x00}, 1000),
		bytes.Repeat([]byte{tag, 0x02, 0x12, 0x00}, 1000),
		bytes.Repeat([]byte{0xff}, 64),
	}
}

func FuzzDecodeBundle(f *testing.F) {
	good := bundle(f, order.Leg{RollupID: rollup(1), Transactions: [][]byte{{1}, {2, 3}}}, order.Leg{RollupID: rollup(2), Transactions: [][]byte{make([]byte, 200)}})
	f.Add(good.Encode())
	f.Add(wideBundle(f).Encode())
	for _, b := range append(bombs(1), bombs(4)...) {
		f.Add(b)
		f.Add(append(good.Encode()[:36], b...)) // where the legs begin
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := order.DecodeBundle(raw)
		if err != nil {
			classified(t, err)
			return
		}
		if !bytes.Equal(b.Encode(), raw) || b.Size() != len(raw) {
			t.Fatalf("took %x, writes %x", raw, b.Encode())
		}
		var w orderv1.Bundle
		if err := proto.Unmarshal(raw, &w); err != nil || len(w.ProtoReflect().GetUnknown()) > 0 {
			t.Fatalf("took %x, protobuf: %v", raw, err)
		}
		if !proto.Equal(&w, wire(b)) {
			t.Fatalf("read %v, protobuf reads %v", wire(b), &w)
		}
		summary := b.Summary()
		if summary.Size() != b.Size() || summary.ID(chainID) != b.ID(chainID) {
			t.Fatalf("summary %+v is not of %x", summary, raw)
		}
		blk := order.NewBlock(1, ordered(b), 0, order.Times{})
		recs, proof := records(t, blk, b.Legs[0].RollupID)
		if err := blk.Commitment().VerifyNamespace(b.Legs[0].RollupID, recs, proof); err != nil {
			t.Fatal(err)
		}
	})
}

// wideBundle has the most legs.
func wideBundle(t testing.TB) *order.Bundle {
	var legs []order.Leg
	for i := range order.MaxLegs {
		legs = append(legs, order.Leg{RollupID: rollup(i), Transactions: [][]byte{{1}}})
	}
	return bundle(t, legs...)
}

func FuzzDecodeBatch(f *testing.F) {
	one := bundle(f, order.Leg{RollupID: rollup(1), Transactions: [][]byte{{1}}})
	f.Add((&order.Batch{Bundles: []*order.Bundle{one, one}}).Encode())
	for _, b := range bombs(1) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := order.DecodeBatch(raw)
		if err != nil {
			classified(t, err)
			return
		}
		if !bytes.Equal(b.Encode(), raw) || b.Size() != len(raw) {
			t.Fatalf("took %x, writes %x", raw, b.Encode())
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add(order.Header{Version: order.HeaderVersion, Height: 7, Commitment: order.EmptyCommitment(), Bundles: 1, Legs: 2, Dropped: 3, Bytes: 4}.Encode())
	f.Add(order.Header{Version: order.HeaderVersion}.Encode())
	f.Add([]byte{0x08, 0x01})
	for _, b := range bombs(3) {
		f.Add(append([]byte{0x08, 0x02}, b...))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := order.DecodeHeader(raw)
		if err != nil {
			classified(t, err)
			return
		}
		if !bytes.Equal(h.Encode(), raw) {
			t.Fatalf("took %x, writes %x", raw, h.Encode())
		}
	})
}

func FuzzLegRecordFromProto(f *testing.F) {
	r := order.LegRecord{BundleID: order.BundleID{1}, LegCount: 1, Digest: order.Digest{2}, Length: 3, Count: 4}
	f.Add(r.Encode())
	for _, b := range append(bombs(1), bombs(5)...) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p orderv1.LegRecord
		if proto.Unmarshal(raw, &p) != nil {
			return
		}
		r, err := order.LegRecordFromProto(&p)
		if err != nil {
			classified(t, err)
			return
		}
		p.ProtoReflect().SetUnknown(nil) // not part of the leaf
		if !proto.Equal(r.Proto(), &p) {
			t.Fatalf("read %v from %v", r.Proto(), &p)
		}
	})
}

// FuzzVerifyNamespace offers proofs, as they come from the network, for a rollup
// that is present and for one that is not. Only the truth may pass.
func FuzzVerifyNamespace(f *testing.F) {
	leg := func(id byte) order.Leg { return order.Leg{RollupID: order.RollupID{id}, Transactions: [][]byte{{id}}} }
	blk := mustBlock(f, 1, bundle(f, leg(2), leg(4)), bundle(f, leg(4), leg(6)), bundle(f, leg(8)))
	add := func(p *orderv1.NamespaceProof) {
		f.Add(marshal(f, p), byte(4), byte(0))
		f.Add(marshal(f, p), byte(4), byte(1))
		f.Add(marshal(f, p), byte(5), byte(0))
	}
	for id := range byte(10) {
		_, p := records(f, blk, order.RollupID{id})
		add(p)
		f.Add(marshal(f, p), id, byte(255))
	}
	node := bytes.Repeat([]byte{7}, 96)
	for _, start := range []uint64{0, 1, 1 << 29, 1 << 30, 1 << 31, math.MaxUint32, math.MaxInt64, math.MaxUint64} {
		for _, end := range []uint64{0, start, start + 1, 1 << 30, math.MaxUint64} {
			add(&orderv1.NamespaceProof{Start: start, End: end})
			add(&orderv1.NamespaceProof{Start: start, End: end, LeafHash: node, Nodes: [][]byte{node, node}})
		}
	}
	for _, n := range []int{0, 1, 31, 64, 95, 97, 192} {
		add(&orderv1.NamespaceProof{Start: 1, End: 2, LeafHash: make([]byte, n), Nodes: [][]byte{make([]byte, n)}})
	}
	many := &orderv1.NamespaceProof{Start: 1, End: 2, LeafHash: node}
	for range 1000 {
		many.Nodes = append(many.Nodes, node)
	}
	add(many)

	f.Fuzz(func(t *testing.T, raw []byte, ns, shown byte) {
		var p orderv1.NamespaceProof
		if proto.Unmarshal(raw, &p) != nil {
			return
		}
		id := order.RollupID{ns}
		truth, _ := records(t, blk, id)
		recs := truth[:min(int(shown), len(truth))]
		err := blk.Commitment().VerifyNamespace(id, recs, &p)
		if err != nil {
			classified(t, err)
			return
		}
		if len(recs) != len(truth) {
			t.Fatalf("%d of %d legs pass for all, by %v", len(recs), len(truth), &p)
		}
	})
}

func FuzzVerifyTransaction(f *testing.F) {
	txs := numbered(7)
	digest := order.LegDigest(txs)
	for i := range txs {
		p, err := order.ProveTransaction(txs, i)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(marshal(f, p), uint64(7), txs[i])
	}
	f.Add(marshal(f, &orderv1.MerkleProof{Total: math.MaxUint64, Index: math.MaxUint64 - 1}), uint64(math.MaxUint64), []byte{})
	f.Fuzz(func(t *testing.T, raw []byte, count uint64, tx []byte) {
		var p orderv1.MerkleProof
		if proto.Unmarshal(raw, &p) != nil {
			return
		}
		if err := order.VerifyTransaction(digest, count, tx, &p); err != nil {
			classified(t, err)
			return
		}
		if count == 7 && !bytes.Equal(tx, txs[p.Index]) {
			t.Fatalf("%q passes for transaction %d", tx, p.Index)
		}
	})
}

// classified checks that a refusal tells its class.
func classified(t *testing.T, err error) {
	t.Helper()
	for _, class := range []error{order.ErrEncoding, order.ErrInvalid, order.ErrProof} {
		if errors.Is(err, class) {
			return
		}
	}
	t.Fatalf("unclassified error: %v", err)
}

func FuzzDecodeCertificate(f *testing.F) {
	c := newCertificate(f, committee(f, 1, 1, 1, 1), position(1, 1, 1), order.Mark{}, 5, 6, 7)
	f.Add(c.Encode())
	for _, b := range append(bombs(1), bombs(2)...) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := order.DecodeCertificate(raw)
		if err != nil {
			classified(t, err)
			return
		}
		if !bytes.Equal(c.Encode(), raw) || c.Size() != len(raw) {
			t.Fatalf("took %x, writes %x", raw, c.Encode())
		}
		if h, err := order.DecodeBatchHeader(c.Header.Encode()); err != nil || h.ID(chainID) != c.Header.ID(chainID) {
			t.Fatalf("header reads as %+v, %v", h, err)
		}
	})
}

func FuzzDecodeSignedBatch(f *testing.F) {
	s := order.SignedBatch{Header: newCertificate(f, committee(f, 1, 1, 1, 1), position(1, 2, 1), order.Mark{Session: 1, Sequence: 3}, 5, 6, 7).Header}
	s.Sign(chainID, key(1))
	f.Add(s.Encode())
	for _, b := range append(bombs(1), bombs(9)...) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := order.DecodeSignedBatch(raw)
		if err != nil {
			classified(t, err)
			return
		}
		if !bytes.Equal(s.Encode(), raw) || s.Size() != len(raw) {
			t.Fatalf("took %x, writes %x", raw, s.Encode())
		}
	})
}

func FuzzDecodeBatchCore(f *testing.F) {
	f.Add(newCertificate(f, committee(f, 1, 1, 1, 1), position(1, 1, 1), order.Mark{}, 5, 6, 7).Header.Core(chainID).Encode())
	f.Add(order.BatchCore{Position: position(0, 1, 1)}.Encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := order.DecodeBatchCore(raw)
		if err != nil {
			classified(t, err)
			return
		}
		if !bytes.Equal(c.Encode(), raw) {
			t.Fatalf("took %x, writes %x", raw, c.Encode())
		}
	})
}

func FuzzDecodeTips(f *testing.F) {
	f.Add(order.EncodeTips([]order.Tip{order.Tip(position(1, 1, 1)), order.Tip(position(2, 1, 300))}))
	for _, b := range bombs(1) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		tips, err := order.DecodeTips(raw)
		if err != nil {
			classified(t, err)
			return
		}
		if !bytes.Equal(order.EncodeTips(tips), raw) {
			t.Fatalf("took %x, writes %x", raw, order.EncodeTips(tips))
		}
	})
}

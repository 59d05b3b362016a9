package order_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

var update = flag.Bool("update", false, "write the test vectors in testdata anew")

// hexBytes is written as lower-case hex; 64-bit numbers are written as decimal
// strings, for not every language reads them from JSON numbers.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

type (
	bundleVector struct {
		Name      string      `json:"name"`
		ChainID   string      `json:"chain_id"`
		Seed      hexBytes    `json:"payer_seed"`
		Payer     hexBytes    `json:"payer"`
		Expiry    uint64      `json:"expiry,string"`
		FeeLimit  uint64      `json:"fee_limit,string"`
		Legs      []legVector `json:"legs"`
		Document  hexBytes    `json:"document"`
		ID        hexBytes    `json:"id"`
		Lane      hexBytes    `json:"lane"` // owner of the lane that it is signed for
		SignBytes hexBytes    `json:"sign_bytes"`
		Signature hexBytes    `json:"signature"`
		Encoding  hexBytes    `json:"encoding"`
		Size      uint64      `json:"size,string"`
	}
	legVector struct {
		RollupID     hexBytes   `json:"rollup_id"`
		Transactions []hexBytes `json:"transactions"`
		Digest       hexBytes   `json:"digest"`
		Length       uint64     `json:"length,string"`
		Count        uint64     `json:"count,string"`
	}
	refusedVector struct {
		Name     string   `json:"name"`
		Error    string   `json:"error"` // "encoding": not canonical; "invalid": breaks a rule
		Encoding hexBytes `json:"encoding"`
	}
	signatureVector struct {
		Name     string   `json:"name"`
		ChainID  string   `json:"chain_id"`
		Lane     hexBytes `json:"lane"`
		Encoding hexBytes `json:"encoding"`
		ID       hexBytes `json:"id"`
		Valid    bool     `json:"valid"`
	}
	transactionsVector struct {
		Transactions []hexBytes    `json:"transactions"`
		Digest       hexBytes      `json:"digest"`
		Proofs       []merkleProof `json:"proofs"` // one for each transaction
	}
	merkleProof struct {
		Total uint64     `json:"total,string"`
		Index uint64     `json:"index,string"`
		Aunts []hexBytes `json:"aunts"`
	}
	blockVector struct {
		Name       string         `json:"name"`
		ChainID    string         `json:"chain_id"`
		Height     uint64         `json:"height,string"`
		Bundles    []placedVector `json:"bundles"` // in the order of the block
		Dropped    uint64         `json:"dropped,string"`
		First      uint64         `json:"order_time_first,string"`
		Last       uint64         `json:"order_time_last,string"`
		Commitment hexBytes       `json:"commitment"`
		Header     hexBytes       `json:"header"`
		Rollups    []rollupVector `json:"rollups"`
		Refused    []rollupVector `json:"refused"`
	}
	placedVector struct {
		Encoding   hexBytes `json:"encoding"`
		BatchID    hexBytes `json:"batch_id"`
		BatchIndex uint64   `json:"batch_index,string"`
	}
	rollupVector struct {
		Name     string       `json:"name"`
		RollupID hexBytes     `json:"rollup_id"`
		Records  []leafVector `json:"records"` // none: the rollup is absent
		Proof    nsProof      `json:"proof"`
	}
	leafVector struct {
		BundleID    hexBytes `json:"bundle_id"`
		BundleIndex uint64   `json:"bundle_index,string"`
		LegIndex    uint64   `json:"leg_index,string"`
		LegCount    uint64   `json:"leg_count,string"`
		Digest      hexBytes `json:"digest"`
		Length      uint64   `json:"length,string"`
		Count       uint64   `json:"count,string"`
		BatchID     hexBytes `json:"batch_id"`
		BatchIndex  uint64   `json:"batch_index,string"`
		Encoding    hexBytes `json:"encoding"`
	}
	nsProof struct {
		Start    uint64     `json:"start,string"`
		End      uint64     `json:"end,string"`
		Nodes    []hexBytes `json:"nodes"`
		LeafHash hexBytes   `json:"leaf_hash"`
	}
)

// golden compares v with the file, or writes the file.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s differs from what the code makes now. Published vectors change only with the wire format; if that is meant, run go test ./order -update", path)
	}
}

func load[T any](t *testing.T, name string) (v []T) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if len(v) == 0 {
		t.Fatalf("%s holds nothing", name)
	}
	return v
}

func toHex(list [][]byte) []hexBytes {
	out := make([]hexBytes, len(list))
	for i, b := range list {
		out[i] = b
	}
	return out
}

func fromHex(list []hexBytes) [][]byte {
	var out [][]byte
	for _, b := range list {
		out = append(out, b)
	}
	return out
}

func (p nsProof) wire() *orderv1.NamespaceProof {
	return &orderv1.NamespaceProof{Start: p.Start, End: p.End, Nodes: fromHex(p.Nodes), LeafHash: p.LeafHash}
}

func (r leafVector) record() order.LegRecord {
	return order.LegRecord{
		BundleID: order.BundleID(r.BundleID), BundleIndex: r.BundleIndex, LegIndex: r.LegIndex, LegCount: r.LegCount,
		Digest: order.Digest(r.Digest), Length: r.Length, Count: r.Count,
		Batch: order.BatchID(r.BatchID), BatchIndex: r.BatchIndex,
	}
}

func TestVectors(t *testing.T) {
	golden(t, "bundles.json", bundleVectors())
	golden(t, "refused.json", refusedVectors())
	golden(t, "signatures.json", signatureVectors())
	golden(t, "transactions.json", transactionsVectors(t))
	golden(t, "blocks.json", blockVectors(t))
}

// What follows reads the vectors as another implementation would: from the files alone.

func TestBundleVectors(t *testing.T) {
	for _, v := range load[bundleVector](t, "bundles.json") {
		b, err := order.DecodeBundle(v.Encoding)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		lane := order.Owner(v.Lane)
		id, signed := verify(b, v.ChainID, lane)
		if !signed || !bytes.Equal(id[:], v.ID) || !bytes.Equal(b.Document(v.ChainID), v.Document) || !bytes.Equal(id.SignBytes(lane), v.SignBytes) {
			t.Errorf("%s: ID %s, signed: %t", v.Name, id, signed)
		}
		if !bytes.Equal(b.Payer[:], v.Payer) || b.Expiry != v.Expiry || b.FeeLimit != v.FeeLimit ||
			!bytes.Equal(b.Signature[:], v.Signature) || uint64(b.Size()) != v.Size || len(b.Legs) != len(v.Legs) {
			t.Errorf("%s: decoded %+v", v.Name, b)
		}
		for i, s := range b.Summaries() {
			l := v.Legs[i]
			if !bytes.Equal(s.RollupID[:], l.RollupID) || !bytes.Equal(s.Digest[:], l.Digest) || s.Length != l.Length || s.Count != l.Count {
				t.Errorf("%s: leg %d is %+v", v.Name, i, s)
			}
		}
		again := &order.Bundle{Expiry: v.Expiry, FeeLimit: v.FeeLimit}
		for _, l := range v.Legs {
			again.Legs = append(again.Legs, order.Leg{RollupID: order.RollupID(l.RollupID), Transactions: fromHex(l.Transactions)})
		}
		again.Sign(v.ChainID, lane, ed25519.NewKeyFromSeed(v.Seed))
		if !bytes.Equal(again.Encode(), v.Encoding) {
			t.Errorf("%s: made anew, encodes to %x", v.Name, again.Encode())
		}
	}
}

func TestRefusedVectors(t *testing.T) {
	classes := map[string]error{"encoding": order.ErrEncoding, "invalid": order.ErrInvalid}
	for _, v := range load[refusedVector](t, "refused.json") {
		if _, err := order.DecodeBundle(v.Encoding); err == nil || !errors.Is(err, classes[v.Error]) {
			t.Errorf("%s: %v, want class %s", v.Name, err, v.Error)
		}
	}
}

func TestSignatureVectors(t *testing.T) {
	for _, v := range load[signatureVector](t, "signatures.json") {
		b, err := order.DecodeBundle(v.Encoding)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if _, signed := verify(b, v.ChainID, order.Owner(v.Lane)); signed != v.Valid {
			t.Errorf("%s: signed: %t", v.Name, signed)
		}
		if id := b.ID(v.ChainID); !bytes.Equal(id[:], v.ID) {
			t.Errorf("%s: ID %s", v.Name, id)
		}
	}
}

func TestTransactionVectors(t *testing.T) {
	for _, v := range load[transactionsVector](t, "transactions.json") {
		if d := order.LegDigest(fromHex(v.Transactions)); !bytes.Equal(d[:], v.Digest) {
			t.Errorf("%d transactions: digest %s", len(v.Transactions), d)
		}
		for i, p := range v.Proofs {
			wire := &orderv1.MerkleProof{Total: p.Total, Index: p.Index, Aunts: fromHex(p.Aunts)}
			if err := order.VerifyTransaction(order.Digest(v.Digest), uint64(len(v.Transactions)), v.Transactions[i], wire); err != nil {
				t.Errorf("transaction %d of %d: %v", i, len(v.Transactions), err)
			}
		}
	}
}

func TestBlockVectors(t *testing.T) {
	for _, v := range load[blockVector](t, "blocks.json") {
		var bundles []order.Ordered
		for _, p := range v.Bundles {
			b, err := order.DecodeBundle(p.Encoding)
			if err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
			s := b.Summary()
			bundles = append(bundles, order.Ordered{ID: s.ID(v.ChainID), Summary: &s, Batch: order.BatchID(p.BatchID), BatchIndex: p.BatchIndex})
		}
		blk := order.NewBlock(v.Height, bundles, v.Dropped, order.Times{First: v.First, Last: v.Last})
		h, err := order.DecodeHeader(v.Header)
		if err != nil || h != blk.Header() || !bytes.Equal(h.Commitment[:], v.Commitment) {
			t.Errorf("%s: header %+v, want %+v, %v", v.Name, blk.Header(), h, err)
		}
		check := func(r rollupVector) error {
			var recs []order.LegRecord
			for _, leaf := range r.Records {
				rec := leaf.record()
				if !bytes.Equal(rec.Encode(), leaf.Encoding) {
					t.Errorf("%s: %s: record encodes to %x", v.Name, r.Name, rec.Encode())
				}
				recs = append(recs, rec)
			}
			return order.Commitment(v.Commitment).VerifyNamespace(order.RollupID(r.RollupID), recs, r.Proof.wire())
		}
		for _, r := range v.Rollups {
			if err := check(r); err != nil {
				t.Errorf("%s: %s: %v", v.Name, r.Name, err)
			}
		}
		for _, r := range v.Refused {
			if err := check(r); !errors.Is(err, order.ErrProof) {
				t.Errorf("%s: %s: %v", v.Name, r.Name, err)
			}
		}
	}
}

package order_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// This file makes the content of the vectors; golden_test.go writes and reads them.

var (
	alpha, beta = order.NewRollupID("alpha"), order.NewRollupID("beta")
	gamma       = order.NewRollupID("gamma")
)

func filled(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func sampleBundle(seed byte, expiry, feeLimit uint64, legs ...order.Leg) *order.Bundle {
	b := &order.Bundle{Expiry: expiry, FeeLimit: feeLimit, Legs: legs}
	b.Sign(chainID, owner(1), key(seed))
	return b
}

func bundleVectors() (out []bundleVector) {
	legs := func(l ...order.Leg) []order.Leg { return l }
	for _, v := range []struct {
		name, chainID    string
		lane             order.Owner
		seed             byte
		expiry, feeLimit uint64
		legs             []order.Leg
	}{
		{"one transaction", chainID, owner(1), 0, 100, 5000, legs(order.Leg{RollupID: alpha, Transactions: [][]byte{{1, 2, 3}}})},
		{"the same for another lane", chainID, owner(0xff), 0, 100, 5000, legs(order.Leg{RollupID: alpha, Transactions: [][]byte{{1, 2, 3}}})},
		{"two legs, several transactions", chainID, owner(1), 1, 100, 5000, legs(
			order.Leg{RollupID: alpha, Transactions: [][]byte{{1}, {2, 2}, {3, 3, 3}}},
			order.Leg{RollupID: beta, Transactions: [][]byte{{4}}})},
		{"legs in the other order", chainID, owner(1), 1, 100, 5000, legs(
			order.Leg{RollupID: beta, Transactions: [][]byte{{4}}},
			order.Leg{RollupID: alpha, Transactions: [][]byte{{1}, {2, 2}, {3, 3, 3}}})},
		{"numbers at zero are not written", chainID, owner(1), 2, 0, 0, legs(order.Leg{RollupID: alpha, Transactions: [][]byte{{0}}})},
		{"numbers at their largest", chainID, owner(1), 3, 1<<64 - 1, 1<<64 - 1, legs(order.Leg{RollupID: alpha, Transactions: [][]byte{{0xff}}})},
		{"transactions at the edges of varint lengths", chainID, owner(1), 4, 127, 128, legs(
			order.Leg{RollupID: alpha, Transactions: [][]byte{filled(127), filled(128), filled(300)}})},
		{"another chain", "ordo-1", owner(1), 0, 100, 5000, legs(order.Leg{RollupID: alpha, Transactions: [][]byte{{1, 2, 3}}})},
		{"chain ID of 50 bytes", "ordo-chain-with-a-name-of-fifty-bytes-0123456789-ab", owner(1), 0, 100, 5000, legs(order.Leg{RollupID: gamma, Transactions: [][]byte{{1, 2, 3}}})},
	} {
		b := &order.Bundle{Expiry: v.expiry, FeeLimit: v.feeLimit, Legs: v.legs}
		b.Sign(v.chainID, v.lane, key(v.seed))
		id := b.ID(v.chainID)
		vec := bundleVector{
			Name: v.name, ChainID: v.chainID, Seed: key(v.seed).Seed(), Payer: b.Payer[:], Expiry: b.Expiry, FeeLimit: b.FeeLimit,
			Document: b.Document(v.chainID), ID: id[:], Lane: v.lane[:], SignBytes: id.SignBytes(v.lane), Signature: b.Signature[:], Encoding: b.Encode(), Size: uint64(b.Size()),
		}
		for i, s := range b.Summaries() {
			vec.Legs = append(vec.Legs, legVector{
				RollupID: s.RollupID[:], Transactions: toHex(b.Legs[i].Transactions), Digest: s.Digest[:], Length: s.Length, Count: s.Count,
			})
		}
		out = append(out, vec)
	}
	return out
}

func refusedVectors() (out []refusedVector) {
	b := sampleBundle(0, 5, 6, order.Leg{RollupID: alpha, Transactions: [][]byte{{1, 2, 3}}})
	raw := b.Encode()
	// Payer 0..34, expiry 34..36, fee limit 36..38, leg 38..79, signature 79..145.
	payer, expiry, fee, leg, sig := raw[:34], raw[34:36], raw[36:38], raw[38:79], raw[79:]
	add := func(name, class string, parts ...[]byte) {
		out = append(out, refusedVector{name, class, slices.Concat(parts...)})
	}
	add("empty", "encoding")
	add("cut short", "encoding", raw[:len(raw)-1])
	add("byte after the end", "encoding", raw, []byte{0})
	add("unknown field 6", "encoding", raw, []byte{0x30, 1})
	add("fields out of order", "encoding", payer, fee, expiry, leg, sig)
	add("field twice", "encoding", payer, expiry, expiry, fee, leg, sig)
	add("legs apart", "encoding", payer, expiry, leg, fee, leg, sig)
	add("no payer", "encoding", expiry, fee, leg, sig)
	add("no signature", "encoding", payer, expiry, fee, leg)
	add("payer of 31 bytes", "encoding", []byte{0x0a, 31}, payer[3:], expiry, fee, leg, sig)
	add("expiry written although zero", "encoding", payer, []byte{0x10, 0}, fee, leg, sig)
	add("expiry in two bytes where one is enough", "encoding", payer, []byte{0x10, 0x85, 0}, fee, leg, sig)
	add("expiry past 64 bits", "encoding", payer, []byte{0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2}, fee, leg, sig)
	add("tag in two bytes where one is enough", "encoding", payer, []byte{0x90, 0, 5}, fee, leg, sig)
	add("expiry with the type of a byte string", "encoding", payer, []byte{0x12, 1, 5}, fee, leg, sig)
	add("length of a leg in two bytes where one is enough", "encoding", payer, expiry, fee, []byte{0x22, 0xa7, 0}, leg[2:], sig)
	add("leg that runs past the end", "encoding", payer, expiry, fee, []byte{0x22, 0xff, 1}, leg[2:], sig)
	add("leg with an unknown field", "encoding", payer, expiry, fee, []byte{0x22, 41}, leg[2:], []byte{0x18, 1}, sig)
	add("leg without rollup ID", "encoding", payer, expiry, fee, []byte{0x22, 5}, leg[36:], sig)
	add("no legs", "invalid", payer, expiry, fee, sig)
	add("leg without transactions", "invalid", payer, expiry, fee, []byte{0x22, 34}, leg[2:36], sig)
	add("empty transaction", "invalid", payer, expiry, fee, []byte{0x22, 41}, leg[2:], []byte{0x12, 0}, sig)
	add("rollup ID zero", "invalid", payer, expiry, fee, []byte{0x22, 39, 0x0a, 32}, make([]byte, 32), leg[36:], sig)
	add("two legs of one rollup", "invalid", payer, expiry, fee, leg, leg, sig)
	add("65 legs", "invalid", payer, expiry, fee, bytes.Repeat(leg, 65), sig)
	return out
}

func signatureVectors() (out []signatureVector) {
	add := func(name string, b *order.Bundle, valid bool) {
		id, lane := b.ID(chainID), owner(1)
		out = append(out, signatureVector{name, chainID, lane[:], b.Encode(), id[:], valid})
	}
	fresh := func() *order.Bundle {
		return sampleBundle(7, 1, 2, order.Leg{RollupID: alpha, Transactions: [][]byte{{1}}})
	}
	add("honest", fresh(), true)
	b := fresh()
	b.Expiry++
	add("altered after signing", b, false)
	b = fresh()
	b.Sign(chainID, owner(2), key(7))
	add("for another lane", b, false)
	b = fresh()
	s := fromLittleEndian(b.Signature[32:])
	copy(b.Signature[32:], littleEndian(s.Add(s, groupOrder)))
	add("S is not canonical", b, false)
	b = fresh()
	b.Payer = order.Payer{2}
	add("payer is no point", b, false)
	for i, r := range smallOrder {
		b = fresh()
		signWithPoint(b, key(7), r)
		add("R of small order, by the payer", b, true)
		b = fresh()
		copy(b.Payer[:], smallOrder[len(smallOrder)-1-i])
		copy(b.Signature[:], r)
		clear(b.Signature[32:])
		add("payer and R of small order, S zero", b, true)
	}
	return out
}

func transactionsVectors(t *testing.T) (out []transactionsVector) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 13} {
		txs := numbered(n)
		digest := order.LegDigest(txs)
		v := transactionsVector{Transactions: toHex(txs), Digest: digest[:]}
		for i := range txs {
			p, err := order.ProveTransaction(txs, i)
			if err != nil {
				t.Fatal(err)
			}
			v.Proofs = append(v.Proofs, merkleProof{p.Total, p.Index, toHex(p.Aunts)})
		}
		out = append(out, v)
	}
	return out
}

func blockVectors(t *testing.T) []blockVector {
	tx := func(b ...byte) [][]byte { return [][]byte{b} }
	a := sampleBundle(1, 20, 100, order.Leg{RollupID: alpha, Transactions: [][]byte{{1}, {2, 3}}}, order.Leg{RollupID: beta, Transactions: tx(4)})
	b := sampleBundle(2, 21, 0, order.Leg{RollupID: beta, Transactions: tx(5)})
	c := sampleBundle(3, 22, 7, order.Leg{RollupID: alpha, Transactions: tx(6)})
	edges := sampleBundle(4, 23, 7,
		order.Leg{RollupID: extremes[1], Transactions: tx(7)}, order.Leg{RollupID: extremes[0], Transactions: tx(8)})
	return []blockVector{
		blockVectorOf(t, "empty", 1, 0),
		blockVectorOf(t, "one leg", 2, 0, b),
		blockVectorOf(t, "two rollups, two bundles dropped", 3, 2, a, b, c),
		blockVectorOf(t, "smallest and largest namespace", 4, 0, a, edges, b, c),
	}
}

func blockVectorOf(t *testing.T, name string, height, dropped uint64, bundles ...*order.Bundle) blockVector {
	var times order.Times
	if len(bundles) > 0 {
		times = order.Times{First: 1_700_000_000_000, Last: 1_700_000_000_000 + height}
	}
	list := ordered(bundles...)
	blk := order.NewBlock(height, list, dropped, times)
	v := blockVector{
		Name: name, ChainID: chainID, Height: height, Dropped: dropped, First: times.First, Last: times.Last, Bundles: []placedVector{},
		Commitment: blk.Commitment().Bytes(), Header: blk.Header().Encode(), Refused: []rollupVector{},
	}
	for i, b := range bundles {
		v.Bundles = append(v.Bundles, placedVector{b.Encode(), list[i].Batch[:], list[i].BatchIndex})
	}
	for _, r := range []struct {
		name string
		id   order.RollupID
	}{
		{"alpha", alpha}, {"beta", beta}, {"gamma", gamma}, {"smallest", extremes[0]}, {"largest", extremes[1]}, {"next to largest", extremes[2]},
	} {
		recs, proof := records(t, blk, r.id)
		honest := rollupVector{Name: r.name, RollupID: r.id[:], Records: leafVectors(recs), Proof: proofVector(proof)}
		v.Rollups = append(v.Rollups, honest)
		refuse := func(what string, recs []order.LegRecord, p *orderv1.NamespaceProof) {
			v.Refused = append(v.Refused, rollupVector{r.name + ": " + what, r.id[:], leafVectors(recs), proofVector(p)})
		}
		switch {
		case len(recs) > 0:
			refuse("made absent by an empty proof", nil, &orderv1.NamespaceProof{})
			refuse("last leg hidden", recs[:len(recs)-1], &orderv1.NamespaceProof{Start: proof.Start, End: proof.End - 1, Nodes: proof.Nodes})
			altered := slices.Clone(recs)
			altered[0].Count++
			refuse("altered leg", altered, proof)
			if len(recs) > 1 {
				swapped := slices.Clone(recs)
				swapped[0], swapped[1] = swapped[1], swapped[0]
				refuse("legs in another order", swapped, proof)
			}
		case len(proof.LeafHash) > 0:
			refuse("absence by an empty proof inside the range", nil, &orderv1.NamespaceProof{})
		}
	}
	return v
}

func leafVectors(recs []order.LegRecord) []leafVector {
	out := make([]leafVector, len(recs))
	for i, r := range recs {
		out[i] = leafVector{r.BundleID[:], r.BundleIndex, r.LegIndex, r.LegCount, r.Digest[:], r.Length, r.Count, r.Batch[:], r.BatchIndex, r.Encode()}
	}
	return out
}

func proofVector(p *orderv1.NamespaceProof) nsProof {
	return nsProof{p.GetStart(), p.GetEnd(), toHex(p.GetNodes()), p.GetLeafHash()}
}

package follower

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// hostile is a chain, a checkpoint below its third block, and that block as bytes.
type hostile struct {
	chain *testChain
	trust Trust
	raw   map[order.RollupID][]byte
	good  map[order.RollupID]*Block
	now   time.Time
}

func newHostile(t testing.TB) *hostile {
	c := newTestChain(testValidators(0, 4))
	c.grow(1)
	c.append(nil, testValidators(2, 4)...) // so that the set that the block carries is needed
	garbled := newTestBatch(3, 1, []*order.Bundle{bundle(3, txs(31, 2), alpha, gamma), bundle(3, txs(32, 1), delta)}).garble()
	garbled.void = true
	c.appendBatches([]*testBatch{
		newTestBatch(3, 0, []*order.Bundle{bundle(3, txs(30, 1), alpha, delta), bundle(3, txs(33, 2), alpha, gamma)}), garbled,
		newTestBatch(3, 2, []*order.Bundle{bundle(3, txs(34, 3), alpha)}),
	})
	h := &hostile{chain: c, raw: map[order.RollupID][]byte{}, good: map[order.RollupID]*Block{}, now: c.now()}
	trust, err := TrustCheckpoint(verifierAt(t, c, alpha, 3).Checkpoint())
	if err != nil {
		t.Fatal(err)
	}
	h.trust = trust
	b, _ := c.at(3)
	for _, id := range []order.RollupID{alpha, beta, between} {
		rb := b.rollupBlock(id)
		if h.raw[id], err = (proto.MarshalOptions{Deterministic: true}).Marshal(rb); err != nil {
			t.Fatal(err)
		}
		if h.good[id], err = NewVerifier(id, trust, Options{}).Next(rb, h.now); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// check feeds the bytes to a verifier and fails where they pass for something
// that the chain did not order.
func (h *hostile) check(t testing.TB, id order.RollupID, raw []byte) (refused bool) {
	rb, err := DecodeBlock(raw)
	if err != nil {
		return true
	}
	v := NewVerifier(id, h.trust, Options{})
	got, err := v.Next(rb, h.now)
	if err != nil {
		if reason(err) == "other" {
			t.Errorf("refused without a reason that metrics can name: %v", err)
		}
		if v.Height() != 3 {
			t.Errorf("moved on to %d although it refused the block", v.Height())
		}
		return true
	}
	if !sameContent(got, h.good[id]) {
		t.Errorf("accepted %+v, the chain has %+v", got, h.good[id])
	}
	// What it hands on verifies by itself, and encodes the same whoever sent it.
	again, err := NewVerifier(id, h.trust, Options{}).Next(got.Proto, h.now)
	if err != nil || !sameContent(again, got) || !proto.Equal(again.Proto, got.Proto) {
		t.Errorf("its wire form does not stand for it: %v", err)
	}
	return false
}

func sameContent(a, b *Block) bool {
	if a.Height != b.Height || a.Hash != b.Hash || !a.Time.Equal(b.Time) || len(a.Legs) != len(b.Legs) {
		return false
	}
	for i := range a.Legs {
		if a.Legs[i].LegRecord != b.Legs[i].LegRecord || a.Legs[i].Void != b.Legs[i].Void ||
			!equalTxs(a.Legs[i].Transactions, b.Legs[i].Transactions) {
			return false
		}
	}
	return true
}

// TestAnyByteChanged changes each byte of an encoded block, each to two others.
func TestAnyByteChanged(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	for id, raw := range h.raw {
		accepted := 0
		for i := range raw {
			for _, flip := range []byte{1, 0xff} {
				changed := bytes.Clone(raw)
				changed[i] ^= flip
				if !h.check(t, id, changed) {
					accepted++
				}
			}
		}
		// A few bytes mean nothing: proposer priorities, signatures beyond two thirds.
		if accepted > len(raw) {
			t.Errorf("rollup %s: %d of %d changes made no difference", id, accepted, 2*len(raw))
		}
	}
}

func TestAnyDamage(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.SampledFrom([]order.RollupID{alpha, beta, between}).Draw(rt, "rollup")
		raw := bytes.Clone(h.raw[id])
		for range rapid.IntRange(1, 4).Draw(rt, "changes") {
			at := rapid.IntRange(0, len(raw)-1).Draw(rt, "at")
			switch n := min(rapid.IntRange(1, 64).Draw(rt, "length"), len(raw)-at); rapid.IntRange(0, 3).Draw(rt, "kind") {
			case 0:
				raw[at] = rapid.Byte().Draw(rt, "byte")
			case 1: // cut out
				raw = append(raw[:at:at], raw[at+n:]...)
			case 2: // repeat
				raw = append(raw[:at+n:at+n], raw[at:]...)
			case 3: // insert
				raw = append(raw[:at:at], append(rapid.SliceOfN(rapid.Byte(), n, n).Draw(rt, "bytes"), raw[at:]...)...)
			}
			if len(raw) == 0 {
				break
			}
		}
		h.check(t, id, raw)
	})
}

// TestPartsOfOtherBlocks builds blocks of the parts of others, all of them real.
func TestPartsOfOtherBlocks(t *testing.T) {
	t.Parallel()
	h := newHostile(t)
	var parts []*orderv1.RollupBlock
	for height := 1; height <= 3; height++ {
		b, _ := h.chain.at(height)
		for _, id := range []order.RollupID{alpha, beta, gamma, between} {
			parts = append(parts, b.rollupBlock(id))
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.SampledFrom([]order.RollupID{alpha, beta, between}).Draw(rt, "rollup")
		from := func(part string) *orderv1.RollupBlock { return rapid.SampledFrom(parts).Draw(rt, part) }
		rb := &orderv1.RollupBlock{
			RollupId: id[:], SignedHeader: from("header").SignedHeader, Validators: from("validators").Validators,
			OrderingHeader: from("ordering header").OrderingHeader, OrderingHeaderProof: from("path").OrderingHeaderProof,
			NamespaceProof: from("proof").NamespaceProof, Legs: from("legs").Legs,
			VoidBatches: from("void batches").VoidBatches,
		}
		got, err := NewVerifier(id, h.trust, Options{}).Next(rb, h.now)
		if err == nil && !sameContent(got, h.good[id]) {
			t.Errorf("accepted %+v, the chain has %+v", got, h.good[id])
		}
		if err != nil && reason(err) == "other" {
			t.Errorf("refused without a reason: %v", err)
		}
	})
}

func FuzzNext(f *testing.F) {
	h := newHostile(f)
	for _, raw := range h.raw {
		f.Add(raw)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		h.check(t, alpha, raw)
		h.check(t, between, raw)
		// A first block has no known validators to lean on.
		rb, err := DecodeBlock(raw)
		if err != nil {
			return
		}
		trust, err := TrustHeader(testChainID, 3, h.good[alpha].Hash)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := NewVerifier(alpha, trust, Options{}).Next(rb, h.now); err == nil && !sameContent(got, h.good[alpha]) {
			t.Errorf("accepted %+v", got)
		}
	})
}

func FuzzDecodeCheckpoint(f *testing.F) {
	h := newHostile(f)
	f.Add(h.good[alpha].Checkpoint().Encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		cp, err := DecodeCheckpoint(raw)
		if err != nil || cp.IsZero() {
			return
		}
		again, err := DecodeCheckpoint(cp.Encode())
		if err != nil || again.Height() != cp.Height() || !bytes.Equal(again.Encode(), cp.Encode()) {
			t.Errorf("encodes to what does not decode to it: %v", err)
		}
	})
}

func TestReasonsAreNamed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range reasons {
		if got := reason(r.err); got != r.name || seen[r.name] {
			t.Errorf("%v has reason %q, want %q, once", r.err, got, r.name)
		}
		seen[r.name] = true
	}
	if got := reason(errors.New("x")); got != "other" {
		t.Errorf("an unknown error has reason %q", got)
	}
}

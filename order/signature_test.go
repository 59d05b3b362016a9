package order_test

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"math/big"
	"slices"
	"testing"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"pgregory.net/rapid"

	"github.com/ordo-network/ordo/order"
)

// smallOrder are all encodings of the points of small order that ZIP 215 takes,
// the last six of them not canonical.
var smallOrder = [][]byte{
	unhex("0100000000000000000000000000000000000000000000000000000000000000"),
	unhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	unhex("0000000000000000000000000000000000000000000000000000000000000000"),
	unhex("0000000000000000000000000000000000000000000000000000000000000080"),
	unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
	unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
	unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
	unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
	unhex("0100000000000000000000000000000000000000000000000000000000000080"),
	unhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
	unhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	unhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
	unhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	unhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
}

// groupOrder is the order of ed25519's prime subgroup.
var groupOrder, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func littleEndian(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

func fromLittleEndian(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// signWithPoint signs as the key's holder may, with a point of small order for R:
// ZIP 215 takes it, cofactorless verification takes few of them.
func signWithPoint(b *order.Bundle, key ed25519.PrivateKey, r []byte) {
	copy(b.Payer[:], key[32:])
	secret := sha512.Sum512(key.Seed())
	secret[0] &= 248
	secret[31] = secret[31]&127 | 64
	k := sha512.Sum512(slices.Concat(r, b.Payer[:], b.ID(chainID).SignBytes(owner(1))))
	s := new(big.Int).Mul(fromLittleEndian(k[:]), fromLittleEndian(secret[:32]))
	copy(b.Signature[:], r)
	copy(b.Signature[32:], littleEndian(s.Mod(s, groupOrder)))
}

// signatures are ways to sign a bundle, and whether ZIP 215 takes the outcome.
var signatures = []struct {
	name  string
	sign  func(t *rapid.T, b *order.Bundle)
	valid bool
}{
	{"honest", func(t *rapid.T, b *order.Bundle) { b.Sign(chainID, owner(1), key(rapid.Byte().Draw(t, "key"))) }, true},
	{"small-order R", func(t *rapid.T, b *order.Bundle) {
		signWithPoint(b, key(rapid.Byte().Draw(t, "key")), rapid.SampledFrom(smallOrder).Draw(t, "R"))
	}, true},
	{"small-order payer and R", func(t *rapid.T, b *order.Bundle) {
		copy(b.Payer[:], rapid.SampledFrom(smallOrder).Draw(t, "A"))
		copy(b.Signature[:], rapid.SampledFrom(smallOrder).Draw(t, "R"))
		clear(b.Signature[32:])
	}, true},
	{"small-order payer, S not zero", func(t *rapid.T, b *order.Bundle) {
		copy(b.Payer[:], rapid.SampledFrom(smallOrder).Draw(t, "A"))
		copy(b.Signature[:], rapid.SampledFrom(smallOrder).Draw(t, "R"))
		b.Signature[32] = 1
	}, false},
	{"non-canonical S", func(t *rapid.T, b *order.Bundle) {
		b.Sign(chainID, owner(1), key(rapid.Byte().Draw(t, "key")))
		s := fromLittleEndian(b.Signature[32:])
		copy(b.Signature[32:], littleEndian(s.Add(s, groupOrder)))
	}, false},
	{"payer that is no point", func(_ *rapid.T, b *order.Bundle) {
		b.Sign(chainID, owner(1), key(1))
		b.Payer = order.Payer{2}
	}, false},
	{"R that is no point", func(_ *rapid.T, b *order.Bundle) {
		b.Sign(chainID, owner(1), key(1))
		copy(b.Signature[:], append([]byte{2}, make([]byte, 31)...))
	}, false},
	{"altered", func(t *rapid.T, b *order.Bundle) {
		b.Sign(chainID, owner(1), key(rapid.Byte().Draw(t, "key")))
		b.Expiry++
	}, false},
	{"altered signature", func(t *rapid.T, b *order.Bundle) {
		b.Sign(chainID, owner(1), key(rapid.Byte().Draw(t, "key")))
		b.Signature[rapid.IntRange(0, 63).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	}, false},
	{"another chain", func(t *rapid.T, b *order.Bundle) { b.Sign("another", owner(1), key(rapid.Byte().Draw(t, "key"))) }, false},
	{"another lane", func(t *rapid.T, b *order.Bundle) { b.Sign(chainID, owner(2), key(rapid.Byte().Draw(t, "key"))) }, false},
	{"the ID without a lane", func(t *rapid.T, b *order.Bundle) {
		k := key(rapid.Byte().Draw(t, "key"))
		copy(b.Payer[:], k.Public().(ed25519.PublicKey))
		id := b.ID(chainID)
		copy(b.Signature[:], ed25519.Sign(k, id[:]))
	}, false},
	{"the document", func(t *rapid.T, b *order.Bundle) {
		k := key(rapid.Byte().Draw(t, "key"))
		copy(b.Payer[:], k.Public().(ed25519.PublicKey))
		copy(b.Signature[:], ed25519.Sign(k, b.Document(chainID)))
	}, false},
	{"zero key and signature, both of small order", func(*rapid.T, *order.Bundle) {}, true},
}

func TestBatchedVerificationAgreesWithSingle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var bundles []*order.Bundle
		var want []bool
		// Some batches are all valid, so that the one equation decides.
		kinds := signatures
		if rapid.Bool().Draw(t, "valid_only") {
			kinds = signatures[:3]
		}
		for i := range rapid.IntRange(0, 80).Draw(t, "bundles") {
			b := &order.Bundle{Expiry: uint64(i), FeeLimit: 1, Legs: []order.Leg{{RollupID: rollup(1), Transactions: [][]byte{{byte(i), 1}}}}}
			s := rapid.SampledFrom(kinds).Draw(t, "kind")
			s.sign(t, b)
			bundles, want = append(bundles, b), append(want, s.valid)
		}
		summaries := make([]order.BundleSummary, len(bundles))
		for i, b := range bundles {
			summaries[i] = b.Summary()
		}
		ids, valid := order.VerifySummaries(chainID, owner(1), summaries)
		if len(ids) != len(bundles) || !slices.Equal(valid, want) {
			t.Fatalf("batched: %v\nwant:    %v", valid, want)
		}
		for i, b := range bundles {
			if single := cmted25519.PubKey(b.Payer[:]).VerifySignature(ids[i].SignBytes(owner(1)), b.Signature[:]); single != valid[i] {
				t.Fatalf("bundle %d: batched %v, single %v", i, valid[i], single)
			}
			if ids[i] != b.ID(chainID) {
				t.Fatalf("bundle %d: IDs differ", i)
			}
		}
	})
}

// verify returns the bundle's ID, and whether its payer signed it for the lane.
func verify(b *order.Bundle, chainID string, lane order.Owner) (order.BundleID, bool) {
	ids, valid := order.VerifySummaries(chainID, lane, []order.BundleSummary{b.Summary()})
	return ids[0], valid[0]
}

// The rules are those of ZIP 215 and not of RFC 8032: the standard library refuses
// part of what the network takes. Where this fails, one of the two has changed.
func TestSignaturesFollowZIP215(t *testing.T) {
	refused := 0
	for _, a := range smallOrder {
		for _, r := range smallOrder {
			b := &order.Bundle{Expiry: 1, Legs: []order.Leg{{RollupID: rollup(1), Transactions: [][]byte{{1}}}}}
			copy(b.Payer[:], a)
			copy(b.Signature[:], r)
			if _, signed := verify(b, chainID, owner(1)); !signed {
				t.Errorf("A %x, R %x is refused", a, r)
			}
			if !ed25519.Verify(a, b.ID(chainID).SignBytes(owner(1)), b.Signature[:]) {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("the standard library takes them all: the cases distinguish nothing")
	}
}

package order

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"math/bits"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// LegDigest returns the Merkle root over a leg's transactions: SHA-256 with the
// leaf and node prefixes of RFC 6962, section 2.1.
func LegDigest(txs [][]byte) Digest { return newLegHasher().root(txs) }

// ProveTransaction returns the audit path of transaction index of a leg, to be
// verified against the leg's digest.
func ProveTransaction(txs [][]byte, index int) (*orderv1.MerkleProof, error) {
	if index < 0 || index >= len(txs) || len(txs) > MaxLegTransactions {
		return nil, fmt.Errorf("prove transaction %d of a leg of %d, at most %d: %w", index, len(txs), MaxLegTransactions, ErrInvalid)
	}
	h := newLegHasher()
	return &orderv1.MerkleProof{Total: uint64(len(txs)), Index: uint64(index), Aunts: h.path(txs, index)}, nil
}

// VerifyTransaction checks that tx stands at proof.Index among the count
// transactions of the leg with that digest. Both come from one LegRecord or
// LegSummary: without the count, an index could be made to look like another.
// Errors: ErrProof.
func VerifyTransaction(digest Digest, count uint64, tx []byte, proof *orderv1.MerkleProof) error {
	index, aunts := proof.GetIndex(), proof.GetAunts()
	if proof.GetTotal() != count || count > MaxLegTransactions || index >= count {
		return fmt.Errorf("proof of transaction %d of %d in a leg of %d: %w", index, proof.GetTotal(), count, ErrProof)
	}
	sum := newLegHasher().leaf(tx)
	for last := count - 1; last > 0; index, last = index/2, last/2 {
		if index == last && index%2 == 0 {
			continue // the last subtree of an odd row has no sibling in it
		}
		if len(aunts) == 0 || len(aunts[0]) != len(sum) {
			return fmt.Errorf("transaction proof is short, or has a node that is not of %d bytes: %w", len(sum), ErrProof)
		}
		aunt := Digest(aunts[0])
		aunts = aunts[1:]
		if index%2 == 1 {
			sum = hashPair(aunt, sum)
		} else {
			sum = hashPair(sum, aunt)
		}
	}
	if len(aunts) > 0 || sum != digest {
		return fmt.Errorf("transaction %d of leg %s: %w", proof.GetIndex(), digest, ErrProof)
	}
	return nil
}

var leafPrefix = []byte{0}

// legHasher hashes trees of RFC 6962 without allocating for each node.
type legHasher struct {
	sha hash.Hash
	sum Digest
}

func newLegHasher() *legHasher { return &legHasher{sha: sha256.New()} }

func (h *legHasher) leaf(tx []byte) Digest {
	h.sha.Reset()
	h.sha.Write(leafPrefix)
	h.sha.Write(tx)
	h.sha.Sum(h.sum[:0])
	return h.sum
}

func (h *legHasher) root(txs [][]byte) Digest {
	switch len(txs) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return h.leaf(txs[0])
	}
	k := splitPoint(len(txs))
	return hashPair(h.root(txs[:k]), h.root(txs[k:]))
}

func (h *legHasher) path(txs [][]byte, index int) [][]byte {
	if len(txs) == 1 {
		return nil
	}
	var aunt Digest
	var below [][]byte
	if k := splitPoint(len(txs)); index < k {
		below, aunt = h.path(txs[:k], index), h.root(txs[k:])
	} else {
		below, aunt = h.path(txs[k:], index-k), h.root(txs[:k])
	}
	return append(below, aunt[:])
}

// splitPoint returns the largest power of two below n, for n of 2 or more.
func splitPoint(n int) int { return 1 << (bits.Len(uint(n-1)) - 1) }

func hashPair(left, right Digest) Digest {
	var buf [1 + 2*len(left)]byte
	buf[0] = 1
	copy(buf[1:], left[:])
	copy(buf[1+len(left):], right[:])
	return sha256.Sum256(buf[:])
}

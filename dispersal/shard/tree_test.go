package shard

import (
	"crypto/sha256"
	"errors"
	"testing"
)

// reference is RFC 6962, section 2.1, word by word.
func reference(leaves []Hash) Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	l, r := reference(leaves[:k]), reference(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
}

func TestTree(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 40; n++ {
		var tr tree
		tr.reset(n)
		for i := range tr.rows[0] {
			tr.rows[0][i] = leaf([]byte{byte(i)})
		}
		root := tr.grow()
		if want := reference(tr.rows[0]); root != want {
			t.Fatalf("root of %d leaves is %x, want %x", n, root, want)
		}
		for first := range n {
			for count := 1; first+count <= n; count++ {
				proof := tr.path(Range{first, count})
				if len(proof) > maxProofBytes {
					t.Fatalf("proof of %d bytes", len(proof))
				}
				nodes := func() []Hash { return append([]Hash(nil), tr.rows[0][first:first+count]...) }
				if got, err := climb(nodes(), first, n, proof); err != nil || got != root {
					t.Fatalf("%d leaves from %d of %d: %x, %v", count, first, n, got, err)
				}
				if _, err := climb(nodes(), first, n, append(proof[:len(proof):len(proof)], root[:]...)); !errors.Is(err, errPath) {
					t.Fatalf("a node too many: %v", err)
				}
				if len(proof) > 0 {
					if _, err := climb(nodes(), first, n, proof[sha256.Size:]); !errors.Is(err, errPath) {
						t.Fatalf("a node too few: %v", err)
					}
				}
			}
		}
	}
}

func TestProofBound(t *testing.T) {
	t.Parallel()
	var tr tree
	tr.reset(MaxShards)
	if got := 2 * (len(tr.rows) - 1) * sha256.Size; got != maxProofBytes {
		t.Errorf("two paths have %d bytes, the bound is %d", got, maxProofBytes)
	}
}

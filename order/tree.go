package order

import (
	"bytes"
	"crypto/sha256"
	"sort"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// node is a vertex of the namespaced Merkle tree: the smallest namespace below
// it, the largest, and a SHA-256. The root's node is the commitment.
type node [96]byte

func (n *node) namespace() []byte { return n[:32] } // of a leaf, whose two bounds are equal

// tree holds every vertex, so that a proof costs a path and no hashing.
// levels[0] are the leaves; a last node without a sibling stands for itself one
// level up, which gives the shape of RFC 6962. Nothing changes once it is built:
// many goroutines may prove from one tree.
type tree struct {
	levels [][]node
}

func newTree(leaves []node) tree {
	t := tree{levels: [][]node{leaves}}
	for len(leaves) > 1 {
		next := make([]node, (len(leaves)+1)/2)
		for i := range next {
			if 2*i+1 < len(leaves) {
				next[i] = hashNode(&leaves[2*i], &leaves[2*i+1])
			} else {
				next[i] = leaves[2*i]
			}
		}
		t.levels = append(t.levels, next)
		leaves = next
	}
	return t
}

// hashLeaf returns the leaf's node; scratch is reused from leaf to leaf.
func hashLeaf(id *RollupID, r *LegRecord, scratch []byte) (node, []byte) {
	scratch = append(scratch[:0], 0)
	scratch = append(scratch, id[:]...)
	scratch = r.append(scratch)
	sum := sha256.Sum256(scratch)
	var n node
	copy(n[:32], id[:])
	copy(n[32:64], id[:])
	copy(n[64:], sum[:])
	return n, scratch
}

func hashNode(left, right *node) node {
	var buf [1 + 2*len(node{})]byte
	buf[0] = 1
	copy(buf[1:], left[:])
	copy(buf[1+len(left):], right[:])
	sum := sha256.Sum256(buf[:])
	var n node
	copy(n[:32], left[:32])
	copy(n[32:64], right[32:64])
	copy(n[64:], sum[:])
	return n
}

func (t tree) root() Commitment {
	top := t.levels[len(t.levels)-1]
	if len(top) == 0 {
		return EmptyCommitment()
	}
	return Commitment(top[0])
}

// prove returns the range of leaves that the rollup has, and the proof that it
// has no others. The proof's nodes alias the tree.
func (t tree) prove(id RollupID) (start, end int, proof *orderv1.NamespaceProof) {
	leaves := t.levels[0]
	start = sort.Search(len(leaves), func(i int) bool { return bytes.Compare(leaves[i].namespace(), id[:]) >= 0 })
	end = start + sort.Search(len(leaves)-start, func(i int) bool { return bytes.Compare(leaves[start+i].namespace(), id[:]) > 0 })
	if start < end {
		return start, end, &orderv1.NamespaceProof{Start: uint64(start), End: uint64(end), Nodes: t.siblings(start, end)}
	}
	if start == 0 || start == len(leaves) {
		return start, end, &orderv1.NamespaceProof{} // the root's own bounds exclude the namespace
	}
	return start, end, &orderv1.NamespaceProof{
		Start: uint64(start), End: uint64(start) + 1, Nodes: t.siblings(start, start+1), LeafHash: leaves[start][:],
	}
}

// siblings returns the roots of the largest subtrees left and right of the
// leaves from start to end, from left to right.
func (t tree) siblings(start, end int) [][]byte {
	var nodes [][]byte
	for l := len(t.levels) - 1; l >= 0; l-- {
		if i := start >> l; i%2 == 1 {
			nodes = append(nodes, t.levels[l][i-1][:])
		}
	}
	for l, level := range t.levels {
		if i := (end - 1) >> l; i%2 == 0 && i+1 < len(level) {
			nodes = append(nodes, level[i+1][:])
		}
	}
	return nodes
}

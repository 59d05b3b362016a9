package shard

import (
	"crypto/sha256"
	"errors"
)

// Hash is a BLAKE3 of a shard (leaf), or a SHA-256 of two hashes (hashNode).
type Hash [sha256.Size]byte

// errPath is a proof with too few nodes or too many.
var errPath = errors.New("the proof's number of nodes does not fit its place in the tree")

func hashNode(left, right *Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// tree is a Merkle tree of RFC 6962's shape. rows[0] are the leaves; a last node
// without a sibling stands for itself one row up.
type tree struct {
	rows [][]Hash
}

// reset makes room for n leaves. The rows are kept where the number is the same.
func (t *tree) reset(n int) {
	if len(t.rows) > 0 && len(t.rows[0]) == n {
		return
	}
	t.rows = [][]Hash{make([]Hash, n)}
	for n > 1 {
		n = (n + 1) / 2
		t.rows = append(t.rows, make([]Hash, n))
	}
}

// grow computes everything above the leaves and returns the root.
func (t *tree) grow() Hash {
	for r, row := range t.rows[:len(t.rows)-1] {
		above := t.rows[r+1]
		for i := range above {
			if 2*i+1 < len(row) {
				above[i] = hashNode(&row[2*i], &row[2*i+1])
			} else {
				above[i] = row[2*i]
			}
		}
	}
	return t.rows[len(t.rows)-1][0]
}

// path returns the nodes that together with a run of leaves give the root, row by
// row from the leaves up: the sibling on the left, then the one on the right.
func (t *tree) path(run Range) []byte {
	var proof []byte
	first, last := run.First, run.First+run.Count-1
	for _, row := range t.rows[:len(t.rows)-1] {
		if first%2 == 1 {
			proof = append(proof, row[first-1][:]...)
		}
		if last%2 == 0 && last+1 < len(row) {
			proof = append(proof, row[last+1][:]...)
		}
		first, last = first/2, last/2
	}
	return proof
}

// climb returns the root of a tree of width leaves, from a run of them that
// begins at first and the proof that path gives for it. It works in nodes.
func climb(nodes []Hash, first, width int, proof []byte) (Hash, error) {
	sibling := func() (h *Hash, ok bool) {
		if len(proof) < len(h) {
			return nil, false
		}
		h, proof = (*Hash)(proof), proof[len(h):]
		return h, true
	}
	for width > 1 {
		in, out := 0, 0 // out never overtakes in
		if first%2 == 1 {
			left, ok := sibling()
			if !ok {
				return Hash{}, errPath
			}
			nodes[0] = hashNode(left, &nodes[0])
			in, out = 1, 1
		}
		for ; in+1 < len(nodes); in, out = in+2, out+1 {
			nodes[out] = hashNode(&nodes[in], &nodes[in+1])
		}
		if in < len(nodes) { // the last of the run is a left child
			nodes[out] = nodes[in]
			if first+in+1 < width {
				right, ok := sibling()
				if !ok {
					return Hash{}, errPath
				}
				nodes[out] = hashNode(&nodes[in], right)
			}
			out++
		}
		nodes, first, width = nodes[:out], first/2, (width+1)/2
	}
	if len(proof) > 0 {
		return Hash{}, errPath
	}
	return nodes[0], nil
}

package celestia

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/celestiaorg/go-square/v3/share"
	"github.com/celestiaorg/nmt"
	nmtid "github.com/celestiaorg/nmt/namespace"

	"github.com/ordo-network/ordo/da/remote"
)

// row is what a namespace holds in one row of the square: its shares next to each
// other, or none, and the proof that these are all.
type row struct {
	Shares list `json:"shares"`
	Proof  struct {
		Start    int    `json:"start"`
		End      int    `json:"end"`
		Nodes    list   `json:"nodes"`
		LeafHash []byte `json:"leaf_hash"` // of absence alone
	} `json:"proof"`
}

// list is what a row lists: shares or nodes, of which no square has more. Without a bound
// an array of empty strings would take many times its own size.
type list [][]byte

// UnmarshalJSON implements json.Unmarshaler.
func (l *list) UnmarshalJSON(raw []byte) error {
	return remote.DecodeList(raw, maxSquare, (*[][]byte)(l))
}

// rowList are rows, of which no square has more.
type rowList []row

// UnmarshalJSON implements json.Unmarshaler.
func (l *rowList) UnmarshalJSON(raw []byte) error {
	return remote.DecodeList(raw, maxSquare, (*[]row)(l))
}

// rowBytes bounds a row's JSON in a square of the given width: its shares, a proof
// of at most two nodes for each level of the tree, and names.
func rowBytes(width int) int64 {
	const encodedShare, encodedNode = 4*(share.ShareSize+2)/3 + 3, 4*(rootSize+2)/3 + 3
	return int64(width)*encodedShare + int64(maxNodes(width)+1)*encodedNode + 512
}

// maxNodes bounds the nodes of a proof in a row, whose tree has twice the width's leaves.
func maxNodes(width int) int { return 2 * bits.Len(uint(2*width)) }

// verifyRows returns the namespace's shares, in order, if the rows prove that these
// are all that stand under the roots, which are those of the rows that the
// namespace can be in.
func verifyRows(rows []row, roots [][]byte, ns namespace, width int) ([][]byte, error) {
	if len(rows) != len(roots) {
		return nil, fmt.Errorf("proof has %d rows, want %d", len(rows), len(roots))
	}
	var shares [][]byte
	for i := range rows {
		if err := rows[i].verify(roots[i], ns, width); err != nil {
			return nil, fmt.Errorf("row %d: %w", i, err)
		}
		shares = append(shares, rows[i].Shares...)
	}
	return shares, nil
}

func (r *row) verify(root []byte, ns namespace, width int) error {
	p := &r.Proof
	absent := len(r.Shares) == 0
	leaves := max(len(r.Shares), 1) // where the namespace is absent, the leaf after it is proven
	if p.Start < 0 || p.Start >= 2*width || p.End != p.Start+leaves || p.End > 2*width {
		return fmt.Errorf("%d shares at %d to %d in a row of %d", len(r.Shares), p.Start, p.End, 2*width)
	}
	if absent != (len(p.LeafHash) > 0) {
		return errors.New("a proof is of shares or of absence, not of both or neither")
	}
	if len(p.Nodes) > maxNodes(width) {
		return fmt.Errorf("proof has %d nodes", len(p.Nodes))
	}
	prefixed := make([][]byte, len(r.Shares))
	for i, s := range r.Shares {
		if len(s) != share.ShareSize {
			return fmt.Errorf("a share has %d bytes, want %d", len(s), share.ShareSize)
		}
		// The leaf of a share is its namespace once more, and the share.
		leaf := make([]byte, 0, len(ns)+len(s))
		prefixed[i] = append(append(leaf, s[:len(ns)]...), s...)
	}
	proof := nmt.NewInclusionProof(p.Start, p.End, p.Nodes, true)
	if absent {
		proof = nmt.NewAbsenceProof(p.Start, p.End, p.Nodes, p.LeafHash, true)
	}
	if !proof.VerifyNamespace(sha256.New(), nmtid.ID(ns[:]), prefixed, root) {
		return errors.New("proof does not lead to the row's root")
	}
	return nil
}

// found is a blob among the shares.
type found struct {
	data       []byte
	version    uint8
	signer     []byte     // of share version 1 alone
	commitment commitment // once it was computed
}

// Offsets in a share: namespace, info byte (version and whether a sequence begins
// here), and in the first of a sequence its length and, in version 1, the signer.
const (
	infoAt   = share.NamespaceSize
	lengthAt = infoAt + share.ShareInfoBytes
	firstAt  = lengthAt + share.SequenceLenBytes
)

// parseShares returns the blobs that a namespace's shares hold. Padding is left
// out, and so are versions of shares that came after this code.
func parseShares(shares [][]byte) []found {
	var out []found
	for i := 0; i < len(shares); {
		n, blob := parseSequence(shares[i:])
		if blob != nil {
			out = append(out, *blob)
		}
		i += n
	}
	return out
}

// parseSequence reads what begins with the first share, and says how many shares
// it takes.
func parseSequence(shares [][]byte) (int, *found) {
	first := shares[0]
	version, begins := first[infoAt]>>1, first[infoAt]&1 == 1
	length := binary.BigEndian.Uint32(first[lengthAt:])
	if !begins || length == 0 || version > share.ShareVersionOne {
		return 1, nil
	}
	n := share.SparseSharesNeeded(length, version == share.ShareVersionOne)
	if n > len(shares) {
		return 1, nil
	}
	blob := &found{version: version, data: make([]byte, 0, length)}
	at := firstAt
	if version == share.ShareVersionOne {
		blob.signer = first[at : at+share.SignerSize]
		at += share.SignerSize
	}
	for i, s := range shares[:n] {
		if i > 0 {
			if s[infoAt] != version<<1 {
				return i, nil // not a continuation: the sequence is broken off
			}
			at = lengthAt
		}
		blob.data = append(blob.data, s[at:at+min(share.ShareSize-at, int(length)-len(blob.data))]...)
	}
	return n, blob
}

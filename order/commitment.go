package order

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"

	"github.com/celestiaorg/nmt"
	"github.com/celestiaorg/nmt/namespace"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// ErrProof is returned where a proof does not lead to the root that it should.
var ErrProof = errors.New("proof does not verify")

// Commitment is the root of the namespaced Merkle tree over the legs that a
// block orders: smallest namespace, largest namespace, SHA-256. A namespace is a
// rollup ID, a leaf is a LegRecord; leaves stand by namespace, and inside one in
// the order of the block. See the NMT specification of celestiaorg/nmt.
type Commitment [96]byte

// Bytes returns the commitment's bytes.
func (c Commitment) Bytes() []byte { return c[:] }

// LegRecord is the data of one leaf: which leg of which bundle, and what it holds.
type LegRecord struct {
	BundleID    BundleID
	BundleIndex uint64 // position among the bundles ordered in the block
	LegIndex    uint64 // position in its bundle
	LegCount    uint64 // legs of its bundle
	Digest      Digest
	Length      uint64
	Count       uint64
}

// Encode returns the canonical encoding.
func (r LegRecord) Encode() []byte {
	b := make([]byte, 0, 104)
	b = appendBytes(b, 1, r.BundleID[:])
	b = appendUint(b, 2, r.BundleIndex)
	b = appendUint(b, 3, r.LegIndex)
	b = appendUint(b, 4, r.LegCount)
	b = appendBytes(b, 5, r.Digest[:])
	b = appendUint(b, 6, r.Length)
	return appendUint(b, 7, r.Count)
}

// Proto returns the record's wire type.
func (r LegRecord) Proto() *orderv1.LegRecord {
	return &orderv1.LegRecord{
		BundleId: r.BundleID[:], BundleIndex: r.BundleIndex, LegIndex: r.LegIndex, LegCount: r.LegCount,
		Digest: r.Digest[:], Length: r.Length, Count: r.Count,
	}
}

// LegRecordFromProto converts the wire type. Errors: ErrEncoding.
func LegRecordFromProto(p *orderv1.LegRecord) (LegRecord, error) {
	r := LegRecord{
		BundleIndex: p.GetBundleIndex(), LegIndex: p.GetLegIndex(), LegCount: p.GetLegCount(),
		Length: p.GetLength(), Count: p.GetCount(),
	}
	if len(p.GetBundleId()) != len(r.BundleID) || len(p.GetDigest()) != len(r.Digest) {
		return r, fmt.Errorf("leg record: bundle ID of %d bytes, digest of %d, want 32 each: %w",
			len(p.GetBundleId()), len(p.GetDigest()), ErrEncoding)
	}
	copy(r.BundleID[:], p.GetBundleId())
	copy(r.Digest[:], p.GetDigest())
	return r, nil
}

// newTree returns an empty tree. The largest namespace is an ordinary one here:
// there is no parity data whose namespace should be ignored.
func newTree() *nmt.NamespacedMerkleTree {
	return nmt.New(sha256.New(), nmt.NamespaceIDSize(len(RollupID{})), nmt.IgnoreMaxNamespace(false))
}

// EmptyCommitment is the commitment of a block that orders nothing.
func EmptyCommitment() Commitment {
	root, err := newTree().Root()
	if err != nil {
		panic(err) // an empty tree has a root by definition
	}
	return Commitment(root)
}

// proveNamespace returns the wire form of the proof of what the tree holds for the rollup.
func proveNamespace(tree *nmt.NamespacedMerkleTree, id RollupID) (*orderv1.NamespaceProof, error) {
	p, err := tree.ProveNamespace(namespace.ID(id[:]))
	if err != nil {
		return nil, fmt.Errorf("prove namespace %s: %w", id, err)
	}
	return &orderv1.NamespaceProof{
		Start: uint64(p.Start()), End: uint64(p.End()), Nodes: p.Nodes(), LeafHash: p.LeafHash(),
	}, nil
}

// VerifyNamespace checks that records are all that the commitment holds for the
// rollup, in order; no records stands for proven absence.
// Errors: ErrProof.
func (c Commitment) VerifyNamespace(id RollupID, records []LegRecord, proof *orderv1.NamespaceProof) error {
	if len(proof.GetNodes()) > maxProofNodes {
		return fmt.Errorf("namespace proof of %d nodes, at most %d: %w", len(proof.GetNodes()), maxProofNodes, ErrProof)
	}
	start, end := proof.GetStart(), proof.GetEnd()
	if start > end || end > math.MaxUint32 {
		return fmt.Errorf("namespace proof of range %d to %d: %w", start, end, ErrProof)
	}
	var p nmt.Proof
	switch {
	case len(proof.GetLeafHash()) > 0:
		p = nmt.NewAbsenceProof(int(start), int(end), proof.GetNodes(), proof.GetLeafHash(), false)
	case start == end:
		if start != 0 || len(proof.GetNodes()) > 0 {
			return fmt.Errorf("empty namespace proof at %d with %d nodes: %w", start, len(proof.GetNodes()), ErrProof)
		}
		p = nmt.NewEmptyRangeProof(false)
	default:
		p = nmt.NewInclusionProof(int(start), int(end), proof.GetNodes(), false)
	}
	var leaves [][]byte
	for _, r := range records {
		leaves = append(leaves, append(append([]byte(nil), id[:]...), r.Encode()...))
	}
	if len(proof.GetLeafHash()) > 0 && len(leaves) > 0 {
		return fmt.Errorf("absence proof beside %d legs: %w", len(leaves), ErrProof)
	}
	if !p.VerifyNamespace(sha256.New(), namespace.ID(id[:]), leaves, c[:]) {
		if len(leaves) == 0 {
			return fmt.Errorf("absence of rollup %s in commitment: %w", id, ErrProof)
		}
		return fmt.Errorf("%d legs of rollup %s in commitment: %w", len(leaves), id, ErrProof)
	}
	return nil
}

package order

import (
	"crypto/sha256"
	"errors"
	"fmt"

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
	Length      uint64 // of the leg's canonical encoding, in bytes
	Count       uint64 // of transactions
	Batch       BatchID
	BatchIndex  uint64 // position of the bundle in its batch
}

// Encode returns the canonical encoding.
func (r LegRecord) Encode() []byte { return r.append(make([]byte, 0, maxLegRecordBytes)) }

func (r *LegRecord) append(b []byte) []byte {
	b = appendBytes(b, 1, r.BundleID[:])
	b = appendUint(b, 2, r.BundleIndex)
	b = appendUint(b, 3, r.LegIndex)
	b = appendUint(b, 4, r.LegCount)
	b = appendBytes(b, 5, r.Digest[:])
	b = appendUint(b, 6, r.Length)
	b = appendUint(b, 7, r.Count)
	b = appendBytes(b, 8, r.Batch[:])
	return appendUint(b, 9, r.BatchIndex)
}

// Proto returns the record's wire type.
func (r LegRecord) Proto() *orderv1.LegRecord {
	return &orderv1.LegRecord{
		BundleId: r.BundleID[:], BundleIndex: r.BundleIndex, LegIndex: r.LegIndex, LegCount: r.LegCount,
		Digest: r.Digest[:], Length: r.Length, Count: r.Count,
		BatchId: r.Batch[:], BatchIndex: r.BatchIndex,
	}
}

// LegRecordFromProto converts the wire type. Errors: ErrEncoding.
func LegRecordFromProto(p *orderv1.LegRecord) (LegRecord, error) {
	r := LegRecord{
		BundleIndex: p.GetBundleIndex(), LegIndex: p.GetLegIndex(), LegCount: p.GetLegCount(),
		Length: p.GetLength(), Count: p.GetCount(), BatchIndex: p.GetBatchIndex(),
	}
	if len(p.GetBundleId()) != len(r.BundleID) || len(p.GetDigest()) != len(r.Digest) || len(p.GetBatchId()) != len(r.Batch) {
		return r, fmt.Errorf("leg record: bundle ID of %d bytes, digest of %d, batch ID of %d, want 32 each: %w",
			len(p.GetBundleId()), len(p.GetDigest()), len(p.GetBatchId()), ErrEncoding)
	}
	copy(r.Batch[:], p.GetBatchId())
	copy(r.BundleID[:], p.GetBundleId())
	copy(r.Digest[:], p.GetDigest())
	return r, nil
}

// EmptyCommitment is the commitment of a block that orders nothing: two zero
// namespaces and the SHA-256 of nothing.
func EmptyCommitment() Commitment {
	var c Commitment
	sum := sha256.Sum256(nil)
	copy(c[64:], sum[:])
	return c
}

// VerifyNamespace checks that records are all that the commitment holds for the
// rollup, in order; no records stands for proven absence. A proof says nothing
// beyond that: its start and end are not bound by the commitment, for they only
// give the path its shape. A nil proof is an empty one. Errors: ErrProof.
func (c Commitment) VerifyNamespace(id RollupID, records []LegRecord, proof *orderv1.NamespaceProof) error {
	start, end, nodes, leafHash := proof.GetStart(), proof.GetEnd(), proof.GetNodes(), proof.GetLeafHash()
	if len(nodes) > maxProofNodes {
		return fmt.Errorf("namespace proof of %d nodes, at most %d: %w", len(nodes), maxProofNodes, ErrProof)
	}
	if start > end || end > maxTreeLeaves {
		return fmt.Errorf("namespace proof of leaves %d to %d: %w", start, end, ErrProof)
	}
	// The largest namespace is an ordinary one here: there is no parity data whose
	// namespace should be ignored.
	var p nmt.Proof
	width := uint64(len(records))
	switch {
	case len(leafHash) > 0 && len(records) > 0:
		return fmt.Errorf("absence proof beside %d legs: %w", len(records), ErrProof)
	case len(leafHash) > 0:
		width = 1
		p = nmt.NewAbsenceProof(int(start), int(end), nodes, leafHash, false)
	case start == end && (start != 0 || len(nodes) > 0):
		return fmt.Errorf("empty namespace proof at leaf %d with %d nodes: %w", start, len(nodes), ErrProof)
	case start == end:
		p = nmt.NewEmptyRangeProof(false)
	default:
		p = nmt.NewInclusionProof(int(start), int(end), nodes, false)
	}
	if end-start != width {
		return fmt.Errorf("namespace proof of leaves %d to %d, want %d: %w", start, end, width, ErrProof)
	}
	leaves := make([][]byte, len(records))
	for i := range records {
		leaf := append(make([]byte, 0, len(id)+maxLegRecordBytes), id[:]...)
		leaves[i] = records[i].append(leaf)
	}
	if !p.VerifyNamespace(sha256.New(), namespace.ID(id[:]), leaves, c[:]) {
		if len(records) == 0 {
			return fmt.Errorf("absence of rollup %s in commitment: %w", id, ErrProof)
		}
		return fmt.Errorf("%d legs of rollup %s in commitment: %w", len(records), id, ErrProof)
	}
	return nil
}

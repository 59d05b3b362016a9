package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

const (
	// MaxShareBytes bounds the encoding of a share. A share has at most N shards,
	// which is less than 3k, and k of them are the batch with its padding.
	MaxShareBytes = 3*(MaxBatchBytes+MaxShards*leopardUnit) + maxProofBytes + 64

	// maxProofBytes are two nodes for each row of a tree of MaxShards.
	maxProofBytes = 2 * 10 * sha256.Size
)

var (
	// ErrShare is returned for a share that does not belong to the root.
	ErrShare = errors.New("the share does not belong to the erasure root")
	// ErrEncoding is returned for bytes that are not the canonical encoding of a share.
	ErrEncoding = errors.New("not a canonical encoding")
	// ErrLength is returned for a batch that is empty or has more than MaxBatchBytes.
	ErrLength = errors.New("the batch's length is out of bounds")
)

// Root is the erasure root: it commits to every shard of a batch, the batch's
// length, and the layout.
type Root Hash

// Share is a run of shards with the proof that the root commits to them. It may
// be all that a validator holds or a part of it, down to a single shard.
type Share struct {
	First  int    // index of the first shard
	Shards []byte // the shards, one after the other
	Proof  []byte // nodes of the Merkle tree, 32 bytes each
}

const rootDomain = "ordo/erasure-root/v2\x00"

// root binds the tree to the shape of what it is a tree of.
func (l *Layout) root(batchBytes int, tree Hash) Root {
	var scratch [160]byte
	b := append(scratch[:0], rootDomain...)
	b = append(b, l.digest[:]...)
	b = l.appendShape(b)
	b = binary.BigEndian.AppendUint32(b, uint32(l.ShardSize(batchBytes)))
	b = binary.BigEndian.AppendUint64(b, uint64(batchBytes))
	b = append(b, tree[:]...)
	return sha256.Sum256(b)
}

func checkLength(batchBytes int) error {
	if batchBytes < 1 || batchBytes > MaxBatchBytes {
		return fmt.Errorf("batch of %d bytes, want 1 to %d: %w", batchBytes, MaxBatchBytes, ErrLength)
	}
	return nil
}

// verifier is the memory that verifying takes.
type verifier struct {
	leaves [MaxShards]Hash // of the share
	nodes  [MaxShards]Hash
}

var verifiers = sync.Pool{New: func() any { return new(verifier) }}

// Verify checks that the shards of s are those that root commits to at their
// indexes, for a batch of that many bytes coded by this layout.
// Errors: ErrShare; ErrLength for a length that no batch has.
func (l *Layout) Verify(root Root, batchBytes int, s *Share) error {
	v := verifiers.Get().(*verifier)
	defer verifiers.Put(v)
	_, err := v.verify(l, root, batchBytes, s)
	return err
}

// verify returns the run that s has, and leaves its leaves in v.
func (v *verifier) verify(l *Layout, root Root, batchBytes int, s *Share) (Range, error) {
	if err := checkLength(batchBytes); err != nil {
		return Range{}, err
	}
	size := l.ShardSize(batchBytes)
	run := Range{s.First, len(s.Shards) / size}
	if run.Count*size != len(s.Shards) {
		return Range{}, fmt.Errorf("%d bytes are not a number of shards of %d bytes: %w", len(s.Shards), size, ErrShare)
	}
	if err := l.checkRun(run); err != nil {
		return Range{}, err
	}
	leaves, nodes := v.leaves[:run.Count], v.nodes[:run.Count]
	for i := range leaves {
		leaves[i] = leaf(s.Shards[i*size : (i+1)*size])
	}
	copy(nodes, leaves)
	top, err := climb(nodes, run.First, l.total, s.Proof)
	if err != nil {
		return Range{}, fmt.Errorf("shards %d to %d: %w: %w", run.First, run.First+run.Count-1, err, ErrShare)
	}
	if l.root(batchBytes, top) != root {
		return Range{}, fmt.Errorf("shards %d to %d: %w", run.First, run.First+run.Count-1, ErrShare)
	}
	return run, nil
}

func (l *Layout) checkRun(run Range) error {
	if run.Count < 1 || run.Count > l.n || run.First < 0 || run.First > l.total-run.Count {
		return fmt.Errorf("%d shards from index %d, want 1 to %d of %d: %w", run.Count, run.First, l.n, l.total, ErrShare)
	}
	return nil
}

// Field numbers of Share: first, a number; shards and proof, byte strings.
const (
	tagFirst  = byte(1<<3 | protowire.VarintType)
	tagShards = byte(2<<3 | protowire.BytesType)
	tagProof  = byte(3<<3 | protowire.BytesType)
)

// Size is the length of what Append appends.
func (s *Share) Size() int {
	n := 1 + protowire.SizeBytes(len(s.Shards))
	if s.First != 0 {
		n += 1 + protowire.SizeVarint(uint64(s.First))
	}
	if len(s.Proof) > 0 {
		n += 1 + protowire.SizeBytes(len(s.Proof))
	}
	return n
}

// Append appends the canonical encoding of s to b: proto3, fields in ascending
// order, none that is zero or empty.
func (s *Share) Append(b []byte) []byte {
	if s.First != 0 {
		b = protowire.AppendVarint(append(b, tagFirst), uint64(s.First))
	}
	b = protowire.AppendBytes(append(b, tagShards), s.Shards)
	if len(s.Proof) > 0 {
		b = protowire.AppendBytes(append(b, tagProof), s.Proof)
	}
	return b
}

// DecodeShare reads what Append writes and nothing else. The share aliases raw.
// Errors: ErrEncoding.
func DecodeShare(raw []byte) (*Share, error) {
	if len(raw) > MaxShareBytes {
		return nil, fmt.Errorf("share of %d bytes, want at most %d: %w", len(raw), MaxShareBytes, ErrEncoding)
	}
	s, rest := &Share{}, raw
	if len(rest) > 0 && rest[0] == tagFirst {
		first, n := number(rest[1:])
		if n == 0 || first == 0 || first >= MaxShards {
			return nil, fmt.Errorf("index of the first shard: %w", ErrEncoding)
		}
		s.First, rest = int(first), rest[1+n:]
	}
	var ok bool
	if s.Shards, rest, ok = byteString(rest, tagShards); !ok {
		return nil, fmt.Errorf("shards: %w", ErrEncoding)
	}
	if len(rest) > 0 {
		if s.Proof, rest, ok = byteString(rest, tagProof); !ok || len(s.Proof) > maxProofBytes || len(s.Proof)%sha256.Size != 0 {
			return nil, fmt.Errorf("proof: %w", ErrEncoding)
		}
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes after the last field: %w", len(rest), ErrEncoding)
	}
	return s, nil
}

// number reads a varint of the fewest bytes possible; n is 0 if there is none.
func number(b []byte) (v uint64, n int) {
	v, n = protowire.ConsumeVarint(b)
	if n < 0 || n != protowire.SizeVarint(v) {
		return 0, 0
	}
	return v, n
}

// byteString reads a byte string that is not empty.
func byteString(b []byte, tag byte) (value, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != tag {
		return nil, b, false
	}
	size, n := number(b[1:])
	b = b[1+n:]
	if n == 0 || size == 0 || size > uint64(len(b)) {
		return nil, b, false
	}
	return b[:size:size], b[size:], true
}

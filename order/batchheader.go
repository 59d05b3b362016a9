package order

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

const batchDomain = "ordo/batch/v1\x00"

// BatchID is the SHA-256 of what a lane's owner signs of a batch. It covers the chain
// ID and the whole header.
type BatchID [32]byte

// String returns the ID in lower-case hex, without prefix.
func (id BatchID) String() string { return hex.EncodeToString(id[:]) }

// BatchHeader tells what a batch holds and where it stands: all that the chain needs
// of it.
type BatchHeader struct {
	Position
	// After is where the lane's sessions before end, in the first batch of a session;
	// zero elsewhere, and where nothing came before.
	After   Mark
	Epoch   uint64 // of the committee that holds the shards
	Root    Digest // erasure root
	Length  uint64 // of the batch's canonical encoding, in bytes
	Bundles []BundleSummary
}

// Core returns the header with a digest in place of the summaries.
func (h *BatchHeader) Core(chainID string) BatchCore {
	sum := sha256.New()
	var scratch []byte
	for i := range h.Bundles {
		scratch = h.appendSummary(scratch[:0], i)
		sum.Write(scratch)
	}
	return BatchCore{
		ChainID: chainID, Position: h.Position, After: h.After, Epoch: h.Epoch, Root: h.Root, Length: h.Length,
		Count: uint64(len(h.Bundles)), Summaries: Digest(sum.Sum(nil)),
	}
}

// ID returns the batch's ID on the chain. It hashes the summaries: keep it.
func (h *BatchHeader) ID(chainID string) BatchID { return h.Core(chainID).ID() }

// Size returns the length of the canonical encoding, in bytes.
func (h *BatchHeader) Size() int {
	n := sizeBytes(1, len(h.Owner)) + sizeUint(2, h.Session) + sizeUint(3, h.Sequence) +
		sizeUint(4, h.After.Session) + sizeUint(5, h.After.Sequence) + sizeUint(6, h.Epoch) +
		sizeBytes(7, len(h.Root)) + sizeUint(8, h.Length)
	for i := range h.Bundles {
		n += SummarySizeInHeader(h.Bundles[i].EncodedSize())
	}
	return n
}

// SummarySizeInHeader returns the bytes that a summary of that encoded size adds to
// a batch header.
func SummarySizeInHeader(size int) int { return sizeBytes(9, size) }

// Encode returns the canonical encoding.
func (h *BatchHeader) Encode() []byte { return h.append(make([]byte, 0, h.Size())) }

func (h *BatchHeader) append(b []byte) []byte {
	b = h.Position.append(b, 1)
	b = appendUint(b, 4, h.After.Session)
	b = appendUint(b, 5, h.After.Sequence)
	b = appendUint(b, 6, h.Epoch)
	b = appendBytes(b, 7, h.Root[:])
	b = appendUint(b, 8, h.Length)
	for i := range h.Bundles {
		b = h.appendSummary(b, i)
	}
	return b
}

func (h *BatchHeader) appendSummary(b []byte, i int) []byte {
	s := &h.Bundles[i]
	b = protowire.AppendTag(b, 9, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(s.EncodedSize()))
	return s.append(b)
}

// DecodeBatchHeader decodes and validates a batch header. It does not check
// signatures. Errors: ErrEncoding, ErrInvalid.
func DecodeBatchHeader(raw []byte) (*BatchHeader, error) {
	if len(raw) > MaxHeaderBytes {
		return nil, fmt.Errorf("batch header of %d bytes, at most %d: %w", len(raw), MaxHeaderBytes, ErrInvalid)
	}
	f := fields{buf: raw}
	h := &BatchHeader{Position: f.position(1)}
	h.After = Mark{f.uint(4), f.uint(5)}
	h.Epoch = f.uint(6)
	copy(h.Root[:], f.bytes(7, len(h.Root)))
	h.Length = f.uint(8)
	h.Bundles = make([]BundleSummary, f.count(9, MaxBatchBundles))
	for i := range h.Bundles {
		enc, _ := f.element(9)
		s, err := decodeSummary(enc)
		if err != nil {
			return nil, fmt.Errorf("decode bundle %d: %w", i, err)
		}
		h.Bundles[i] = s
	}
	if err := f.end(); err != nil {
		return nil, fmt.Errorf("decode batch header: %w", err)
	}
	return h, h.validate()
}

func (h *BatchHeader) validate() error {
	if err := h.Position.validate(); err != nil {
		return err
	}
	switch {
	case h.Sequence > 1 && h.After != Mark{}:
		return fmt.Errorf("batch %s names the end of an earlier session and is not the first of its own: %w", h.Position, ErrInvalid)
	case h.After.Session >= h.Session || (h.After.Session == 0) != (h.After.Sequence == 0):
		return fmt.Errorf("session %d goes on after %s: %w", h.Session, h.After, ErrInvalid)
	case len(h.Bundles) == 0 || len(h.Bundles) > MaxBatchBundles:
		return fmt.Errorf("batch of %d bundles, want 1 to %d: %w", len(h.Bundles), MaxBatchBundles, ErrInvalid)
	}
	length := 0
	for i := range h.Bundles {
		length += BundleSizeInBatch(h.Bundles[i].Size())
	}
	if h.Length != uint64(length) || length > MaxBatchBytes {
		return fmt.Errorf("batch of %d bytes, its bundles make it %d, at most %d: %w", h.Length, length, MaxBatchBytes, ErrInvalid)
	}
	return nil
}

// BatchCore is a batch header with a digest in place of the summaries: what its
// owner signs.
type BatchCore struct {
	ChainID string
	Position
	After     Mark
	Epoch     uint64
	Root      Digest
	Length    uint64
	Count     uint64 // of bundles
	Summaries Digest // over the summaries as they are encoded in the header
}

// Encode returns the canonical encoding.
func (c BatchCore) Encode() []byte { return c.append(make([]byte, 0, 256)) }

func (c BatchCore) append(b []byte) []byte {
	b = appendString(b, 1, c.ChainID)
	b = c.Position.append(b, 2)
	b = appendUint(b, 5, c.After.Session)
	b = appendUint(b, 6, c.After.Sequence)
	b = appendUint(b, 7, c.Epoch)
	b = appendBytes(b, 8, c.Root[:])
	b = appendUint(b, 9, c.Length)
	b = appendUint(b, 10, c.Count)
	return appendBytes(b, 11, c.Summaries[:])
}

// DecodeBatchCore decodes a core. Errors: ErrEncoding, ErrInvalid.
func DecodeBatchCore(raw []byte) (BatchCore, error) {
	f := fields{buf: raw}
	var c BatchCore
	c.ChainID = f.text(1, MaxChainIDLen)
	c.Position = f.position(2)
	c.After = Mark{f.uint(5), f.uint(6)}
	c.Epoch = f.uint(7)
	copy(c.Root[:], f.bytes(8, len(c.Root)))
	c.Length, c.Count = f.uint(9), f.uint(10)
	copy(c.Summaries[:], f.bytes(11, len(c.Summaries)))
	if err := f.end(); err != nil {
		return c, fmt.Errorf("decode batch core: %w", err)
	}
	return c, c.validate()
}

// SignBytes returns what the lane's owner signs.
func (c BatchCore) SignBytes() []byte {
	return c.append(append(make([]byte, 0, 256), batchDomain...))
}

// ID returns the batch's ID.
func (c BatchCore) ID() BatchID { return sha256.Sum256(c.SignBytes()) }

// SignedBatch is a batch header with its owner's signature: what goes with the shards.
type SignedBatch struct {
	Header    BatchHeader
	Signature [ed25519.SignatureSize]byte
}

// Sign signs the header for the chain with the owner's attestation key.
func (s *SignedBatch) Sign(chainID string, key ed25519.PrivateKey) {
	copy(s.Signature[:], ed25519.Sign(key, s.Header.Core(chainID).SignBytes()))
}

// Size returns the length of the canonical encoding, in bytes.
func (s *SignedBatch) Size() int {
	return sizeBytes(1, s.Header.Size()) + sizeBytes(2, len(s.Signature))
}

// Encode returns the canonical encoding.
func (s *SignedBatch) Encode() []byte {
	b := protowire.AppendTag(make([]byte, 0, s.Size()), 1, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(s.Header.Size()))
	return appendBytes(s.Header.append(b), 2, s.Signature[:])
}

// DecodeSignedBatch decodes and validates a signed header; the signature is not
// checked. It keeps nothing of raw. Errors: ErrEncoding, ErrInvalid.
func DecodeSignedBatch(raw []byte) (*SignedBatch, error) {
	f := fields{buf: raw}
	s := new(SignedBatch)
	enc, _ := f.element(1)
	copy(s.Signature[:], f.bytes(2, len(s.Signature)))
	if err := f.end(); err != nil {
		return nil, fmt.Errorf("decode signed batch: %w", err)
	}
	h, err := DecodeBatchHeader(enc)
	if err != nil {
		return nil, err
	}
	s.Header = *h
	return s, nil
}

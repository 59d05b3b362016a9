package order

import (
	"crypto/sha256"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// BundleSummary stands for a bundle where its data is not at hand: all that decides
// whether it is ordered, and what its payer signed for a lane.
type BundleSummary struct {
	Payer     Payer
	Expiry    uint64
	FeeLimit  uint64
	Legs      []LegSummary
	Signature [64]byte
}

// Summarized is a bundle with its summary, for who has hashed its legs already.
type Summarized struct {
	*Bundle
	Summary BundleSummary
}

// Summary hashes the bundle's legs.
func (b *Bundle) Summary() BundleSummary {
	return BundleSummary{Payer: b.Payer, Expiry: b.Expiry, FeeLimit: b.FeeLimit, Legs: b.Summaries(), Signature: b.Signature}
}

// Size returns the length of the bundle's canonical encoding, in bytes: what the
// payer pays for.
func (s *BundleSummary) Size() int {
	n := sizeBytes(1, len(s.Payer)) + sizeUint(2, s.Expiry) + sizeUint(3, s.FeeLimit)
	for i := range s.Legs {
		n += sizeBytes(4, int(s.Legs[i].Length))
	}
	return n + sizeBytes(5, len(s.Signature))
}

// Document returns what the ID is the hash of, as Bundle.Document does.
func (s *BundleSummary) Document(chainID string) []byte {
	return s.appendDocument(make([]byte, 0, 160+len(s.Legs)*80), chainID)
}

func (s *BundleSummary) appendDocument(out []byte, chainID string) []byte {
	out = append(out, bundleDomain...)
	if chainID != "" {
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendString(out, chainID)
	}
	out = appendBytes(out, 2, s.Payer[:])
	out = appendUint(out, 3, s.Expiry)
	out = appendUint(out, 4, s.FeeLimit)
	for i := range s.Legs {
		out = protowire.AppendTag(out, 5, protowire.BytesType)
		out = protowire.AppendVarint(out, uint64(s.Legs[i].size()))
		out = s.Legs[i].append(out)
	}
	return out
}

// ID returns the bundle's ID on the chain.
func (s *BundleSummary) ID(chainID string) BundleID { return sha256.Sum256(s.Document(chainID)) }

// EncodedSize returns the length of the summary's own canonical encoding, in bytes.
func (s *BundleSummary) EncodedSize() int {
	n := sizeBytes(1, len(s.Payer)) + sizeUint(2, s.Expiry) + sizeUint(3, s.FeeLimit)
	for i := range s.Legs {
		n += sizeBytes(4, s.Legs[i].size())
	}
	return n + sizeBytes(5, len(s.Signature))
}

func (s *BundleSummary) append(out []byte) []byte {
	out = appendBytes(out, 1, s.Payer[:])
	out = appendUint(out, 2, s.Expiry)
	out = appendUint(out, 3, s.FeeLimit)
	for i := range s.Legs {
		out = protowire.AppendTag(out, 4, protowire.BytesType)
		out = protowire.AppendVarint(out, uint64(s.Legs[i].size()))
		out = s.Legs[i].append(out)
	}
	return appendBytes(out, 5, s.Signature[:])
}

func decodeSummary(raw []byte) (BundleSummary, error) {
	f := fields{buf: raw}
	var s BundleSummary
	copy(s.Payer[:], f.bytes(1, len(s.Payer)))
	s.Expiry, s.FeeLimit = f.uint(2), f.uint(3)
	n := f.count(4, MaxLegs)
	if n > MaxLegs {
		return s, fmt.Errorf("more than %d legs: %w", MaxLegs, ErrInvalid)
	}
	s.Legs = make([]LegSummary, n)
	for i := range s.Legs {
		enc, _ := f.element(4)
		leg, err := decodeLegSummary(enc)
		if err != nil {
			return s, fmt.Errorf("decode leg %d: %w", i, err)
		}
		s.Legs[i] = leg
	}
	copy(s.Signature[:], f.bytes(5, len(s.Signature)))
	if err := f.end(); err != nil {
		return s, err
	}
	return s, s.validate()
}

func decodeLegSummary(raw []byte) (LegSummary, error) {
	f := fields{buf: raw}
	var l LegSummary
	copy(l.RollupID[:], f.bytes(1, len(l.RollupID)))
	copy(l.Digest[:], f.bytes(2, len(l.Digest)))
	l.Length, l.Count = f.uint(3), f.uint(4)
	return l, f.end()
}

// validate checks what Bundle.Validate does, as far as a summary tells.
func (s *BundleSummary) validate() error {
	if len(s.Legs) == 0 {
		return fmt.Errorf("no legs: %w", ErrInvalid)
	}
	for i := range s.Legs {
		l := &s.Legs[i]
		switch {
		case l.RollupID == (RollupID{}):
			return fmt.Errorf("leg %d: rollup ID is zero: %w", i, ErrInvalid)
		case l.Count == 0 || l.Count > MaxLegTransactions:
			return fmt.Errorf("leg %d: %d transactions, want 1 to %d: %w", i, l.Count, MaxLegTransactions, ErrInvalid)
		case l.Length > MaxBundleBytes || l.Length < uint64(sizeBytes(1, len(l.RollupID)))+l.Count*uint64(sizeBytes(2, 1)):
			return fmt.Errorf("leg %d: no leg of %d transactions has %d bytes: %w", i, l.Count, l.Length, ErrInvalid)
		}
		for _, earlier := range s.Legs[:i] {
			if earlier.RollupID == l.RollupID {
				return fmt.Errorf("leg %d: second leg for rollup %s: %w", i, l.RollupID, ErrInvalid)
			}
		}
	}
	if n := s.Size(); n > MaxBundleBytes {
		return fmt.Errorf("%d bytes, at most %d: %w", n, MaxBundleBytes, ErrInvalid)
	}
	return nil
}

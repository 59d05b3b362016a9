package order

import (
	"fmt"

	orderv1 "github.com/ordo-network/ordo/order/v1"
)

// Doc returns the wire type of what the bundle's ID covers. It aliases s.
func (s *BundleSummary) Doc(chainID string) *orderv1.BundleDoc {
	doc := &orderv1.BundleDoc{
		ChainId: chainID, Payer: s.Payer[:], Expiry: s.Expiry, FeeLimit: s.FeeLimit, Legs: make([]*orderv1.LegSummary, len(s.Legs)),
	}
	for i := range s.Legs {
		l := &s.Legs[i]
		doc.Legs[i] = &orderv1.LegSummary{RollupId: l.RollupID[:], Digest: l.Digest[:], Length: l.Length, Count: l.Count}
	}
	return doc
}

// OpenDoc returns the summary, without signature, of the bundle that the record is of, as the
// bundle's document, from anyone, says: it tells of all legs. The record is one of the rollup, and
// verified; its bundle ID is the hash of the one document that is right. A bundle of one
// leg must come without a document, and gives nil. Errors: ErrEncoding, ErrProof.
func (r *LegRecord) OpenDoc(rollup RollupID, doc *orderv1.BundleDoc) (*BundleSummary, error) {
	if r.LegCount <= 1 {
		if doc != nil {
			return nil, fmt.Errorf("document of bundle %s, which has one leg: %w", r.BundleID, ErrProof)
		}
		return nil, nil
	}
	if doc == nil {
		return nil, fmt.Errorf("bundle %s has %d legs, and its document is missing: %w", r.BundleID, r.LegCount, ErrProof)
	}
	s, err := summaryOfDoc(doc)
	if err != nil {
		return nil, fmt.Errorf("document of bundle %s: %w", r.BundleID, err)
	}
	if id := s.ID(doc.GetChainId()); id != r.BundleID {
		return nil, fmt.Errorf("document of bundle %s is that of bundle %s: %w", r.BundleID, id, ErrProof)
	}
	// A chain whose validators are honest commits to no record that says otherwise.
	if uint64(len(s.Legs)) != r.LegCount || r.LegIndex >= r.LegCount {
		return nil, fmt.Errorf("leg %d of %d of bundle %s, which has %d: %w", r.LegIndex, r.LegCount, r.BundleID, len(s.Legs), ErrProof)
	}
	want := LegSummary{RollupID: rollup, Digest: r.Digest, Length: r.Length, Count: r.Count}
	if s.Legs[r.LegIndex] != want {
		return nil, fmt.Errorf("leg %d of bundle %s is for rollup %s with digest %s, its record is for %s with %s: %w",
			r.LegIndex, r.BundleID, s.Legs[r.LegIndex].RollupID, s.Legs[r.LegIndex].Digest, rollup, r.Digest, ErrProof)
	}
	return s, nil
}

// summaryOfDoc reads a document into a summary without signature. Errors: ErrEncoding.
func summaryOfDoc(doc *orderv1.BundleDoc) (*BundleSummary, error) {
	s := &BundleSummary{Expiry: doc.GetExpiry(), FeeLimit: doc.GetFeeLimit()}
	switch legs := len(doc.GetLegs()); {
	case len(doc.GetChainId()) > MaxChainIDLen:
		return nil, fmt.Errorf("chain ID of %d bytes, at most %d: %w", len(doc.GetChainId()), MaxChainIDLen, ErrEncoding)
	case len(doc.GetPayer()) != len(s.Payer):
		return nil, fmt.Errorf("payer of %d bytes, want %d: %w", len(doc.GetPayer()), len(s.Payer), ErrEncoding)
	case legs > MaxLegs:
		return nil, fmt.Errorf("%d legs, at most %d: %w", legs, MaxLegs, ErrEncoding)
	}
	copy(s.Payer[:], doc.GetPayer())
	s.Legs = make([]LegSummary, len(doc.GetLegs()))
	for i, from := range doc.GetLegs() {
		l := &s.Legs[i]
		if len(from.GetRollupId()) != len(l.RollupID) || len(from.GetDigest()) != len(l.Digest) {
			return nil, fmt.Errorf("leg %d has a rollup ID of %d bytes and a digest of %d, want 32 each: %w",
				i, len(from.GetRollupId()), len(from.GetDigest()), ErrEncoding)
		}
		copy(l.RollupID[:], from.GetRollupId())
		copy(l.Digest[:], from.GetDigest())
		l.Length, l.Count = from.GetLength(), from.GetCount()
	}
	return s, nil
}

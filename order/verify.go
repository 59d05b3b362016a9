package order

import (
	"crypto/sha256"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
)

// verifyChunk is how many signatures are verified in one equation. Where one of
// them is bad, all of its chunk are verified again one by one: a larger chunk
// gains little and gives whoever sends bad signatures more work to cause.
const verifyChunk = 32

// VerifySummaries checks the payers' signatures for the lane, of many bundles, at about
// half the cost of checking each. It does so by the rules of ZIP 215, under which that
// has the same outcome. Results i belong to bundle i: its ID, computed whether or not the
// signature holds, and whether it does.
func VerifySummaries(chainID string, lane Owner, bundles []BundleSummary) (ids []BundleID, valid []bool) {
	ids = make([]BundleID, len(bundles))
	valid = make([]bool, 0, len(bundles))
	var doc []byte
	for len(valid) < len(bundles) {
		from := len(valid)
		to := min(from+verifyChunk, len(bundles))
		equation := cmted25519.NewBatchVerifier()
		for i := from; i < to; i++ {
			s := &bundles[i]
			doc = s.appendDocument(doc[:0], chainID)
			ids[i] = sha256.Sum256(doc)
			doc = ids[i].appendSignBytes(doc[:0], lane)
			// Add hashes doc at once and keeps nothing of it. It fails only for a key or
			// signature of the wrong length, which the types rule out.
			if err := equation.Add(cmted25519.PubKey(s.Payer[:]), doc, s.Signature[:]); err != nil {
				return ids, make([]bool, len(bundles))
			}
		}
		_, chunk := equation.Verify()
		valid = append(valid, chunk...)
	}
	return ids, valid
}

package ordering

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/ordo-network/ordo/order"
)

// verifierSize bounds each of the two generations of a verifier's cache.
const verifierSize = 1 << 15

// Verifier checks signatures of bundles and remembers the good ones by the hash of
// their encoding, so that a bundle is hashed and verified once on its way through
// pool, proposal and execution. It is safe for concurrent use.
type Verifier struct {
	chainID string

	mu       sync.Mutex
	now, old map[[32]byte]verified // a full generation replaces the older one
}

type verified struct {
	id        order.BundleID
	summaries []order.LegSummary
}

// NewVerifier returns a verifier for bundles of the chain.
func NewVerifier(chainID string) *Verifier {
	return &Verifier{chainID: chainID, now: make(map[[32]byte]verified)}
}

// Verify returns the bundles with their IDs. The error names the first bundle
// whose signature is bad. Errors: order.ErrSignature.
func (v *Verifier) Verify(bundles ...*order.Bundle) ([]order.Ordered, error) {
	var (
		out    = make([]order.Ordered, len(bundles))
		keys   = make([][32]byte, len(bundles))
		unseen []*order.Bundle
		at     []int
	)
	for i, b := range bundles {
		keys[i] = sha256.Sum256(b.Encode())
		if known, ok := v.get(keys[i]); ok {
			out[i] = order.Ordered{ID: known.id, Bundle: b, Summaries: known.summaries}
			continue
		}
		unseen, at = append(unseen, b), append(at, i)
	}
	ordered, valid := order.VerifyBatch(v.chainID, unseen)
	bad := -1
	for j, i := range at {
		switch {
		case valid[j]:
			out[i] = ordered[j]
			v.put(keys[i], verified{ordered[j].ID, ordered[j].Summaries})
		case bad < 0:
			bad = i
		}
	}
	switch {
	case bad < 0:
		return out, nil
	case len(bundles) == 1:
		return nil, order.ErrSignature
	}
	return nil, fmt.Errorf("bundle %d: %w", bad, order.ErrSignature)
}

func (v *Verifier) get(key [32]byte) (verified, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if known, ok := v.now[key]; ok {
		return known, true
	}
	known, ok := v.old[key]
	return known, ok
}

func (v *Verifier) put(key [32]byte, known verified) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.now) >= verifierSize {
		v.now, v.old = make(map[[32]byte]verified), v.now
	}
	v.now[key] = known
}

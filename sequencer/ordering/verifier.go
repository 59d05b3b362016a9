package ordering

import (
	"crypto/sha256"
	"sync"

	"github.com/ordo-network/ordo/order"
)

// verifierSize bounds each of the two generations of a verifier's cache.
const verifierSize = 1 << 15

// Verifier checks signatures of bundles and remembers the good ones by the hash of
// their encoding, so that a bundle is verified once on its way through pool,
// proposal and execution. It is safe for concurrent use.
type Verifier struct {
	chainID string

	mu       sync.Mutex
	now, old map[[32]byte]order.BundleID // a full generation replaces the older one
}

// NewVerifier returns a verifier for bundles of the chain.
func NewVerifier(chainID string) *Verifier {
	return &Verifier{chainID: chainID, now: make(map[[32]byte]order.BundleID)}
}

// Verify returns the bundle's ID. Errors: order.ErrSignature.
func (v *Verifier) Verify(b *order.Bundle) (order.BundleID, error) {
	key := sha256.Sum256(b.Encode())
	if id, ok := v.get(key); ok {
		return id, nil
	}
	id, err := b.Verify(v.chainID)
	if err != nil {
		return id, err
	}
	v.put(key, id)
	return id, nil
}

func (v *Verifier) get(key [32]byte) (order.BundleID, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if id, ok := v.now[key]; ok {
		return id, true
	}
	id, ok := v.old[key]
	return id, ok
}

func (v *Verifier) put(key [32]byte, id order.BundleID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.now) >= verifierSize {
		v.now, v.old = make(map[[32]byte]order.BundleID), v.now
	}
	v.now[key] = id
}

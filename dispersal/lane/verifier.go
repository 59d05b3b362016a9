package lane

import (
	"fmt"
	"sync"

	"github.com/ordo-network/ordo/order"
)

// verified names a certificate and the committee that it was verified against.
type verified struct {
	certificate order.Digest
	epoch       uint64
}

// Verifier checks certificates and remembers those that are right, so that the
// signatures of each are verified once, whether it comes from a peer, from disk or in
// a block. Many goroutines may use one.
//
// It remembers in two generations: when the young one is full it becomes the old one,
// which is forgotten. So at least the last limit certificates are known, and at most
// twice as many take memory.
type Verifier struct {
	chainID string
	limit   int

	mu         sync.Mutex // never held while signatures are verified
	young, old map[verified]struct{}
}

// NewVerifier returns a verifier for the chain that remembers at least limit certificates.
func NewVerifier(chainID string, limit int) *Verifier {
	return &Verifier{chainID: chainID, limit: limit, young: make(map[verified]struct{})}
}

// Verify checks the certificate as order.Committee.Verify does, whose errors it
// returns. The certificate must be of the committee's epoch.
func (v *Verifier) Verify(c *order.Committee, cert *order.Certificate) error {
	if cert.Header.Epoch != c.Epoch {
		return fmt.Errorf("verify certificate of epoch %d with the committee of epoch %d: %w", cert.Header.Epoch, c.Epoch, order.ErrEpoch)
	}
	key := verified{certificate: cert.Hash(), epoch: c.Epoch}
	if v.known(key) {
		return nil
	}
	if err := c.Verify(v.chainID, cert); err != nil {
		return err
	}
	v.remember(key)
	return nil
}

func (v *Verifier) known(key verified) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.young[key]; ok {
		return true
	}
	_, ok := v.old[key]
	return ok
}

func (v *Verifier) remember(key verified) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.young) >= v.limit {
		v.old, v.young = v.young, make(map[verified]struct{}, v.limit)
	}
	v.young[key] = struct{}{}
}

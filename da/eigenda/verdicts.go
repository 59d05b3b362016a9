package eigenda

import (
	"bytes"
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	maxCases    = 8192
	minRefusals = 3
)

// verdicts decide which certificates the proxy will never serve. It does not say: it
// answers a certificate that somebody made up with the same status 500 as a failure of
// EigenDA's that passes. Were both taken for a failure, one made-up certificate on the
// sequencer chain would hold every reader up for good; were both taken for a verdict, a
// failure would make readers pass by what they need.
//
// So a certificate is given up when the proxy refused it at least three times, over the
// whole of the patience, and serves another one at the end of it: then the proxy and
// EigenDA are well. What was given up is not asked for again while the process runs.
type verdicts struct {
	patience time.Duration
	now      func() time.Time

	mu       sync.Mutex
	cases    map[[32]byte]*list.Element
	order    *list.List // of *certCase, the newest in front
	canary   []byte     // the certificate served last
	servedAt time.Time
}

// certCase is what is known of one certificate.
type certCase struct {
	key      [32]byte
	first    time.Time // of its refusals
	last     time.Time
	refusals int
	served   bool
	final    bool // given up
}

func newVerdicts(patience time.Duration, now func() time.Time) *verdicts {
	return &verdicts{patience: patience, now: now, cases: map[[32]byte]*list.Element{}, order: list.New()}
}

// open returns the case of a certificate. The caller holds the lock.
func (v *verdicts) open(commitment []byte) *certCase {
	key := sha256.Sum256(commitment)
	if e, ok := v.cases[key]; ok {
		return e.Value.(*certCase)
	}
	c := &certCase{key: key}
	v.cases[key] = v.order.PushFront(c)
	if v.order.Len() > maxCases {
		delete(v.cases, v.order.Remove(v.order.Back()).(*certCase).key)
	}
	return c
}

// serve notes that the proxy served the certificate's blob.
func (v *verdicts) serve(commitment []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.open(commitment)
	c.served, c.refusals = true, 0
	v.canary, v.servedAt = commitment, v.now()
}

// refuse notes that the proxy refused it, and says whether it is given up where the
// proxy is well.
func (v *verdicts) refuse(commitment []byte) (ripe bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c, now := v.open(commitment), v.now()
	if c.refusals == 0 {
		c.first = now
	}
	c.last = now
	c.refusals++
	c.served = false
	if bytes.Equal(v.canary, commitment) {
		v.canary = nil // it says nothing of the proxy any more
	}
	return c.refusals >= minRefusals && now.Sub(c.first) >= v.patience
}

// condemn gives the certificate up at once.
func (v *verdicts) condemn(commitment []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.open(commitment).final = true
}

// givenUp says whether the certificate was given up.
func (v *verdicts) givenUp(commitment []byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	e, ok := v.cases[sha256.Sum256(commitment)]
	return ok && e.Value.(*certCase).final
}

// idle says whether asking for the certificate now would tell nothing new: it was given
// up, it was refused a moment ago, or it was served while there is a canary.
func (v *verdicts) idle(commitment []byte) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	e, ok := v.cases[sha256.Sum256(commitment)]
	if !ok {
		return false
	}
	c := e.Value.(*certCase)
	return c.final || c.served && v.canary != nil || c.refusals > 0 && v.now().Sub(c.last) < v.patience/minRefusals
}

// health says whether the proxy served something just now. Where it did not, the canary
// is what to ask for to know; there may be none.
func (v *verdicts) health() (well bool, canary []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	well = !v.servedAt.IsZero() && v.now().Sub(v.servedAt) <= v.patience/10
	return well, v.canary
}

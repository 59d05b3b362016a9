package dispersal

import (
	"sync"
	"time"
)

const (
	// patienceFactor is how many times as long as usual a holder may take to answer before others
	// are asked.
	patienceFactor = 4
	// maxPatience bounds how long one that never answers holds a batch up.
	maxPatience = time.Second
)

// patience is how long to wait for shares before more holders are asked than should be enough.
// Where all take long, since everybody is busy, asking more of them would be more work for all.
//
// It grows only by batches for which more were asked: there at least one is honest of those that
// were, and the fastest is not slow by intent. As many as may be faulty can be all that is asked
// at first, and would otherwise set the time in which they are expected.
type patience struct {
	mu    sync.Mutex
	usual time.Duration // a mean of which the last eight weigh most
}

// note takes in the least time that a holder took for a batch, or has taken so far; 0 where none
// was asked. Hedged is whether more were asked than should have been enough.
func (p *patience) note(least time.Duration, hedged bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if least = min(least, maxPatience); least > 0 && (hedged || least < p.usual) {
		p.usual += (least - p.usual) / 8
	}
}

// get returns the patience, at least that much.
func (p *patience) get(least time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(least, min(patienceFactor*p.usual, maxPatience))
}

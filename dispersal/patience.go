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
// It goes by the fastest answer for each batch, so that one who is slow, or wants to seem so,
// does not change it for long: then others are asked, and answer.
type patience struct {
	mu    sync.Mutex
	usual time.Duration // a mean of which the last eight weigh most
}

// note takes in the fastest answer for a batch; 0 where there was none.
func (p *patience) note(took time.Duration) {
	if took == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.usual += (min(took, maxPatience) - p.usual) / 8
}

// get returns the patience, at least that much.
func (p *patience) get(least time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(least, min(patienceFactor*p.usual, maxPatience))
}

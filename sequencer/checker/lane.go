package checker

import (
	"context"
	"time"

	"github.com/ordo-network/ordo/da"
)

// lane is what a layer has of its own, so that one that hangs holds up nobody but the
// claims of blobs that are on it. The checker's mutex guards what changes.
type lane struct {
	layer da.Layer
	work  chan struct{} // holds a token where there may be something to do

	queue queue
	large bool      // a claim of several parts is in memory
	hangs int       // fetches in a row that the layer did not answer in time
	until time.Time // it is left alone
}

func newLane(layer da.Layer) *lane { return &lane{layer: layer, work: make(chan struct{}, 1)} }

func (l *lane) nudge() {
	select {
	case l.work <- struct{}{}:
	default:
	}
}

// rest is how long a relayer waits whose last claims were found to be false: what they
// cost, it takes from the others.
type rest struct {
	until time.Time
	falls int
}

// serve looks at one claim of the lane after the other.
func (c *Checker) serve(ctx context.Context, l *lane) {
	for {
		select {
		case <-l.work:
		case <-ctx.Done():
			return
		}
		for {
			// The choice comes after the wait: what is settled meanwhile is not fetched.
			if err := c.pace.wait(ctx); err != nil {
				return
			}
			s := c.next(l)
			if s == nil {
				break
			}
			l.nudge() // for the others
			err := c.look(ctx, l, s.claim)
			if ctx.Err() != nil {
				return
			}
			c.found(l, s, err)
		}
	}
}

// next takes the claim whose turn it is, nil where none may be looked at now.
func (c *Checker) next(l *lane) *state {
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(l.until) {
		return nil
	}
	s := l.queue.pop(func(s *state) bool {
		return !now.Before(c.rests[s.claim.Relayer].until) && (!l.large || !s.claim.large())
	})
	if s != nil && s.claim.large() {
		l.large = true
	}
	return s
}

// answered notes whether the layer did so in time. One that does not is asked again
// later, by whatever claim.
func (c *Checker) answered(l *lane, inTime bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if inTime {
		l.hangs = 0
		return
	}
	l.until = c.opts.Now().Add(c.opts.backoff(l.hangs))
	l.hangs++
}

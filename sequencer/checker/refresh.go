package checker

import (
	"slices"
	"time"
)

// askedAgain is of how many relayers, whose turn is next on a layer, the source is asked
// at each time whether somebody should still look at their claims.
const askedAgain = 64

// refresh learns of claims, forgets those that are settled or that nobody should look at
// any more, and queues those that are due.
func (c *Checker) refresh() error {
	now := c.opts.Now()
	wanted := c.wanted(now)
	var asked []uint64
	waiting, claims, err := c.opts.Source(func(number uint64) bool {
		ok := wanted(number)
		if ok {
			asked = append(asked, number)
		}
		return ok
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	came := make(map[uint64]bool, len(claims))
	for _, claim := range claims {
		came[claim.Number] = true
		if c.known[claim.Number] == nil {
			c.known[claim.Number] = &state{claim: claim, due: now}
		}
	}
	c.withhold(slices.DeleteFunc(asked, func(number uint64) bool { return came[number] }), now)
	c.forget(waiting, now)
	for _, number := range waiting {
		c.enqueue(c.known[number], now)
	}
	c.metrics.waiting.Set(float64(len(waiting)))
	for _, l := range c.lanes {
		if len(l.queue.turns) > 0 {
			l.nudge()
		}
	}
	return nil
}

// wanted tells which claims the source is asked for: those that are not known, and of
// those that are to be looked at soon, whether it still gives them.
func (c *Checker) wanted(now time.Time) func(number uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	soon := make(map[uint64]bool)
	for _, l := range c.lanes {
		l.queue.heads(askedAgain, func(s *state) { soon[s.claim.Number] = true })
	}
	return func(number uint64) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if s := c.known[number]; s != nil {
			return soon[number] || s.isDue(now)
		}
		return !now.Before(c.withheld[number])
	}
}

// withhold notes claims that the source left out. It does so by relayer: whatever else is
// known of theirs is not looked at either. What was found out already is voted for.
func (c *Checker) withhold(numbers []uint64, now time.Time) {
	relayers := make(map[string]bool)
	for _, number := range numbers {
		if s := c.known[number]; s != nil {
			relayers[s.claim.Relayer] = true
		}
		c.withheld[number] = now.Add(c.opts.RetryMin)
	}
	if len(relayers) == 0 {
		return
	}
	for number, s := range c.known {
		if s.result == unknown && relayers[s.claim.Relayer] {
			delete(c.known, number)
			c.withheld[number] = now.Add(c.opts.RetryMin)
		}
	}
}

// forget keeps of what is known and queued what still waits.
func (c *Checker) forget(waiting []uint64, now time.Time) {
	alive := make(map[uint64]bool, len(waiting))
	for _, number := range waiting {
		alive[number] = true
	}
	for number := range c.known {
		if !alive[number] {
			delete(c.known, number)
		}
	}
	for number, until := range c.withheld {
		if !alive[number] || !now.Before(until) {
			delete(c.withheld, number)
		}
	}
	for relayer, r := range c.rests {
		// Who rested for the longest time must not begin anew with the shortest.
		if now.After(r.until.Add(2 * c.opts.RetryMax)) {
			delete(c.rests, relayer)
		}
	}
	for _, l := range c.lanes {
		l.queue.keep(func(s *state) bool { return c.known[s.claim.Number] == s })
	}
}

// enqueue queues a claim for its layer where it is due.
func (c *Checker) enqueue(s *state, now time.Time) {
	if s == nil || !s.isDue(now) {
		return
	}
	l := c.lanes[s.claim.Layer]
	if l == nil {
		s.result = unseen
		c.metrics.looks.WithLabelValues("other", "unseen").Inc()
		return
	}
	s.queued = true
	l.queue.push(s)
}

func (s *state) isDue(now time.Time) bool {
	return s.result == unknown && !s.queued && !now.Before(s.due)
}

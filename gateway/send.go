package gateway

import (
	"errors"
	"slices"
	"strings"
	"time"
)

const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
	// maxResendAfter bounds how rarely live bundles are sent again while nothing is ordered.
	maxResendAfter = 30 * time.Second
	// busyLimit is how often a sequencer may say that it is busy before the next one is tried.
	busyLimit = 5
)

// sending is where bundles go. An epoch is the time between two switches to
// another sequencer: a bundle that this epoch's sequencer has not taken is sent
// to it, in the order of making, so that what was handed to a sequencer that then
// failed follows to the next one before anything newer does.
type sending struct {
	epoch       uint64
	inProgress  bool
	failures    int // in a row
	busy        int // in a row
	retryAt     time.Time
	resendAfter time.Duration

	unfundedVotes int    // in a row
	unfunded      string // why every sequencer refuses to let the payer pay; "" while none does
}

func newSending(resendAfter time.Duration) sending {
	return sending{epoch: 1, resendAfter: resendAfter}
}

// progress notes that a bundle was ordered: the payer can pay, the chain moves.
func (s *sending) progress(resendAfter time.Duration) {
	s.resendAfter, s.unfunded, s.unfundedVotes = resendAfter, "", 0
}

// reconsider takes it that the payer can pay where nothing waits any more that would show
// it: what comes next does, and would not be let in to do so.
func (c *core) reconsider() {
	if own := len(c.live) - c.parcels.live; own == 0 && c.ready.Len() == 0 {
		c.send.unfunded, c.send.unfundedVotes = "", 0
	}
}

func (s *sending) rotate() { s.epoch, s.busy = s.epoch+1, 0 }

func backoff(attempt int) time.Duration {
	return min(maxBackoff, minBackoff<<min(max(attempt-1, 0), 10))
}

// nextSend returns the bundle to send now and the index of the sequencer to send
// it to. Each call that returns one is followed by a call of sent.
func (c *core) nextSend(now time.Time) (*bundle, int, bool) {
	s := &c.send
	if s.inProgress || now.Before(s.retryAt) || len(c.live) == 0 {
		return nil, 0, false
	}
	if b := c.resendDue(now); b != nil && !now.Before(b.ackedAt.Add(s.resendAfter)) {
		// Taken long ago and not ordered: the sequencer may have lost it, or be cut off.
		s.resendAfter = min(2*s.resendAfter, maxResendAfter)
		s.rotate()
		c.stats.failovers++
	}
	for _, b := range c.live {
		if b.acked != s.epoch && !now.Before(b.retryAt) && c.sends(b, now) {
			s.inProgress, b.sent = true, true
			return b, int((s.epoch - 1 + uint64(b.refusals)) % uint64(len(c.cfg.Sequencers))), true
		}
	}
	return nil, 0, false
}

// sends reports whether the bundle is to be sent, again where it was: not where it is for
// nothing, though it may be ordered all the same until it expires.
func (c *core) sends(b *bundle, now time.Time) bool {
	return c.signs(b) && (b.parcel == nil || !c.past(b.parcel, now))
}

// resendDue returns the oldest bundle that this epoch's sequencer took.
func (c *core) resendDue(now time.Time) *bundle {
	i := slices.IndexFunc(c.live, func(b *bundle) bool { return b.acked == c.send.epoch && c.sends(b, now) })
	if i < 0 {
		return nil
	}
	return c.live[i]
}

// sent takes in the answer to a sending to the sequencer of that index.
func (c *core) sent(b *bundle, target int, err error, now time.Time) {
	s := &c.send
	s.inProgress = false
	n := len(c.cfg.Sequencers)
	if !errors.Is(err, ErrBusy) {
		s.busy = 0
	}
	switch {
	case err == nil:
		b.acked, b.ackedAt, b.trouble = s.epoch, now, ""
		s.failures, s.unfunded, s.unfundedVotes = 0, "", 0
	case errors.Is(err, ErrDropped):
		// No block will ever order it, if that is true. Where it is not, its
		// transactions are paid for twice, and still executed once. Of a user's bundle
		// nobody knows that it does no harm a second time: it waits until it has expired.
		if !slices.Contains(b.dropped, target) {
			b.dropped = append(b.dropped, target)
		}
		if 2*len(b.dropped) > n && c.byID[b.id] == b && b.parcel == nil {
			c.resolve(b, c.requeue)
			c.stats.bundlesDropped++
			return
		}
		c.refuse(b, err, now)
	case errors.Is(err, ErrRefused):
		c.refuse(b, err, now)
	case errors.Is(err, ErrUnfunded) && b.parcel != nil:
		// It may cost more than what others wait with: they show whether the payer can pay.
		c.refuse(b, err, now)
	case errors.Is(err, ErrUnfunded):
		b.trouble = err.Error()
		s.unfundedVotes++
		if s.unfundedVotes >= n {
			s.unfunded = strings.TrimPrefix(err.Error(), ErrUnfunded.Error()+": ")
			s.retryAt = now.Add(backoff(s.unfundedVotes / n))
		}
		s.rotate()
	case errors.Is(err, ErrBusy):
		s.busy++
		s.retryAt = now.Add(backoff(s.busy))
		if s.busy >= busyLimit {
			s.rotate()
		}
	default:
		s.failures++
		if s.failures%n == 0 {
			s.retryAt = now.Add(backoff(s.failures / n))
		}
		s.rotate()
		c.stats.failovers++
	}
}

// refuse puts off this bundle only: the others go on without it. It stays live, for what
// one sequencer says does not keep another one from ordering it.
func (c *core) refuse(b *bundle, err error, now time.Time) {
	b.trouble = err.Error()
	b.refusals++
	b.retryAt = now.Add(backoff(b.refusals / len(c.cfg.Sequencers)))
}

// setInfo takes in what the sequencers say of their chain.
func (c *core) setInfo(info Info, now time.Time) {
	c.info = info
	if info.Height >= c.head {
		c.head, c.headAt = info.Height, now
	}
}

// deadline returns when the core has something to do next, if nothing comes in.
func (c *core) deadline(now time.Time) time.Time {
	at := c.sweepAt
	earlier := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	if c.mayCut(now) {
		earlier(c.cutAt.Add(c.cfg.FlushInterval))
	}
	if len(c.parcels.waiting)+c.parcels.live > 0 {
		earlier(c.parcels.lookAt)
	}
	if s := &c.send; !s.inProgress {
		for _, b := range c.live {
			if b.acked != s.epoch && c.sends(b, now) {
				earlier(latest(s.retryAt, b.retryAt))
			}
		}
		if b := c.resendDue(now); b != nil {
			earlier(latest(s.retryAt, b.ackedAt.Add(s.resendAfter)))
		}
	}
	return at
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

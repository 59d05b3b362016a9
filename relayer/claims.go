package relayer

import (
	"errors"
	"log/slog"
	"time"

	"github.com/ordo-network/ordo/da"
)

// maxClaims is how many claims are sent together.
const maxClaims = 64

// claims are those that wait in the journal to be recorded on the sequencer chain, oldest
// first. They are numbered; nothing else of them is in memory.
type claims struct {
	on       bool
	interval time.Duration
	backoff  func(failures int) time.Duration
	log      *slog.Logger
	metrics  *metrics

	first, next uint64 // number of the oldest, and of the one to come
	sending     bool
	at          time.Time // not before
	share       int       // how many together after a refusal; 0: maxClaims
	failures    int
}

// claiming asks for claims to be sent.
type claiming struct {
	first uint64
	n     int
}

func (c *claims) waiting() uint64 { return c.next - c.first }

// add notes the claim of a blob whose pieces are all on DA.
func (c *claims) add(r *rollup, b *blob, w *write) {
	if !c.on {
		return
	}
	claim := da.Claim{Rollup: da.Namespace(r.ID), Layer: b.layer, From: b.from, To: b.to}
	for i, ref := range b.refs {
		claim.Parts = append(claim.Parts, da.Part{Ref: ref, ID: b.pieces[i].id})
	}
	w.claim(c.next, claim)
	c.next++
	c.metrics.claimsWaiting.Set(float64(c.waiting()))
}

// due returns what to claim now.
func (c *claims) due(now time.Time, d *todo) *claiming {
	n := min(c.waiting(), maxClaims)
	if c.share > 0 {
		n = min(n, uint64(c.share))
	}
	switch {
	case !c.on || c.sending || n == 0:
		return nil
	case now.Before(c.at):
		d.at(c.at)
		return nil
	}
	c.sending = true
	return &claiming{first: c.first, n: int(n)}
}

// claimed takes the outcome. A claim that the chain refuses for good stands alone after
// some halvings, and is given up: it will not be better later.
func (c *claims) claimed(sent *claiming, height uint64, err error, now time.Time, w *write) {
	c.sending = false
	refused := errors.Is(err, da.ErrRejected) || errors.Is(err, da.ErrTooLarge)
	switch {
	case refused && sent.n > 1:
		c.share, c.at = sent.n/2, now
		return
	case err != nil && !refused:
		c.metrics.claims.WithLabelValues("unavailable").Add(float64(sent.n))
		wait := c.backoff(c.failures)
		c.failures++
		c.at = now.Add(wait)
		c.log.Warn("claims could not be recorded on the sequencer chain, trying again", "claims", c.waiting(), "retry_in", wait.Round(time.Millisecond), "error", err)
		return
	case refused:
		c.metrics.claims.WithLabelValues("refused").Inc()
		c.log.Error("the sequencer chain refuses a claim, which is given up", "error", err)
	default:
		c.metrics.claims.WithLabelValues("recorded").Add(float64(sent.n))
		c.log.Debug("claims recorded on the sequencer chain", "claims", sent.n, "height", height)
	}
	w.claimed(sent.first, sent.n)
	c.first += uint64(sent.n)
	c.share, c.failures = 0, 0
	c.metrics.claimsWaiting.Set(float64(c.waiting()))
	if c.at = now.Add(c.interval); c.waiting() >= maxClaims {
		c.at = now // they come faster than that
	}
}

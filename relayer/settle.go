package relayer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
)

// settled takes the answer to a submission.
func (c *core) settled(s *submission, refs []da.Ref, err error, now time.Time, w *write) {
	l := s.layer
	l.inFlight--
	c.sending -= s.bytes
	if err == nil && len(refs) != s.pieces {
		err = fmt.Errorf("%d references came for %d blobs: %w", len(refs), s.pieces, da.ErrUnavailable)
	}
	c.metrics.submission(l.name, err)
	switch {
	case err == nil:
		c.metrics.submitSeconds.WithLabelValues(l.name).Observe(now.Sub(s.started).Seconds())
		c.confirmed(l, now)
		c.recovered(l)
		for _, ld := range s.loads {
			ld.rollup.share, ld.rollup.failures, ld.rollup.refusedAt = 0, 0, time.Time{}
			c.unsent(ld.rollup, w)
			c.place(ld.rollup, l, refs[:len(ld.places)], now, w)
			refs = refs[len(ld.places):]
		}
	case errors.Is(err, da.ErrTooLarge), errors.Is(err, da.ErrRejected):
		c.over(l, now)
		c.refused(s, err, now, w)
	default:
		c.failed(l, s.started, err, now)
		for _, ld := range s.loads {
			if l.away() { // what happens there is not waited for: the fallback takes it
				c.unsent(ld.rollup, w)
				continue
			}
			ld.rollup.sent.unsure, ld.rollup.sent.since = true, now
		}
	}
}

// refused tries with half of what was refused, until the piece that the layer does not
// take stands alone. The others go on without it.
func (c *core) refused(s *submission, err error, now time.Time, w *write) {
	for _, ld := range s.loads {
		r := ld.rollup
		c.unsent(r, w)
		if s.pieces > 1 {
			r.share = s.pieces / 2
			continue
		}
		r.share = 1
		if size := ld.places[0].piece().size; errors.Is(err, da.ErrTooLarge) && size > follower.MinBlobLimit {
			r.maxPiece = max(follower.MinBlobLimit, size/2)
			r.log.Warn("DA layer takes less than it says, cutting the rollup's blobs smaller", "layer", s.layer.name, "refused_bytes", size, "max_bytes", r.maxPiece, "error", err)
			continue
		}
		if c.moved(r, s.layer, ld.places[0].blob, err, now, w) {
			continue
		}
		wait := c.backoff(r.failures)
		if l := s.layer; !slices.Contains(l.refused, r) {
			l.refused = append(l.refused, r)
		}
		r.failures++
		r.retryAt = now.Add(wait)
		r.log.Error("DA layer refuses the rollup's blob, trying again", "layer", s.layer.name, "from_height", ld.places[0].blob.from, "retry_in", wait.Round(time.Millisecond), "error", err)
	}
}

// recovered forgets refusals where the layer takes something again: where it took nothing
// since, from several rollups, the fault was not theirs.
func (c *core) recovered(l *layer) {
	if len(l.refused) > 1 {
		for _, r := range c.rollups {
			if r.target() == l {
				r.share, r.failures, r.retryAt = 0, 0, time.Time{}
			}
		}
	}
	l.refused = nil
}

func (c *core) unsent(r *rollup, w *write) {
	r.sent = nil
	w.unsent(r.ID)
}

// recut replaces the pieces of a blob that has not been submitted as they are now.
func (c *core) recut(r *rollup, b *blob, data [][]byte, w *write) {
	r.bytes -= b.size()
	old := len(b.pieces)
	b.pieces, b.layer, b.refs = piecesOf(data), "", nil
	r.bytes += b.size()
	w.recut(r.ID, b, old, data)
}

// place notes where the rollup's first pieces stand.
func (c *core) place(r *rollup, l *layer, refs []da.Ref, now time.Time, w *write) {
	for _, ref := range refs {
		b := r.blobs[0]
		if b.layer != l.name {
			b.layer, b.refs = l.name, nil
		}
		b.refs = append(b.refs, ref)
		l.posted, l.head = max(l.posted, ref.Height), max(l.head, ref.Height)
		if len(b.refs) < len(b.pieces) {
			w.refs(r.ID, b)
			continue
		}
		r.blobs, r.bytes = r.blobs[1:], r.bytes-b.size()
		if r.elsewhere > 0 && b.to >= r.elsewhere {
			r.elsewhere = 0
			w.back(r.ID)
		}
		r.posted = posted{height: b.to, time: b.ends, daHeight: ref.Height, layer: l.name}
		w.posted(r.ID, b, r.posted)
		c.claims.add(r, b, l, now, w)
		r.metrics.confirmed.Set(float64(b.to))
		c.metrics.blobs.WithLabelValues(l.name).Inc()
		c.metrics.daPosted.WithLabelValues(l.name).Set(float64(l.posted))
		c.metrics.orderedToPosted.WithLabelValues(l.name).Observe(now.Sub(b.ends).Seconds())
		r.log.Debug("posted", "layer", l.name, "from_height", b.from, "to_height", b.to, "pieces", len(b.pieces), "da_height", ref.Height)
	}
	r.metrics.pending.Set(float64(r.bytes))
}

// found is what a search found of one rollup.
type found struct {
	refs   []da.Ref // of the first pieces
	looked uint64   // DA height up to which it looked
}

// searched takes the outcome of a search, found[i] for target i.
func (c *core) searched(s *search, outcome []found, head uint64, err error, now time.Time, w *write) {
	l := s.layer
	l.looking = false
	l.lookAt = now.Add(c.backoff(0))
	if err != nil {
		c.failed(l, s.started, err, now)
	}
	l.head = max(l.head, head)
	lost, seen := 0, 0
	for i, t := range s.targets {
		r := t.rollup
		if i >= len(outcome) || r.sent != t.sent {
			continue
		}
		f := outcome[i]
		if n := len(f.refs); n > 0 {
			seen += n
			c.place(r, l, f.refs, now, w)
			t.sent.pieces -= n
			c.confirmed(l, now)
		}
		t.sent.looked = max(t.sent.looked, f.looked)
		switch {
		case t.sent.pieces == 0:
			c.unsent(r, w)
		case err == nil && l.decided(t.sent, s.started, head):
			lost += t.sent.pieces
			c.unsent(r, w)
		case len(f.refs) > 0:
			w.sent(r.ID, sentMark{layer: l.name, noted: t.sent.noted, pieces: t.sent.pieces})
		}
	}
	if seen > 0 {
		c.metrics.found.WithLabelValues(l.name).Add(float64(seen))
	}
	if seen > 0 || lost > 0 {
		c.log.Info("looked for what was submitted without an answer", "layer", l.name, "found", seen, "not_there", lost, "da_height", head)
	}
}

// decided says whether what was not found, by a search that began then and saw the
// head, can come no more.
func (l *layer) decided(s *sent, searched time.Time, head uint64) bool {
	return head >= s.noted+l.SettleBlocks && searched.Sub(s.since) >= l.Settle
}

// heard takes the layer's head. Until it is where the journal says that something was
// posted, the layer counts as silent. Errors: the layer refuses us.
func (c *core) heard(l *layer, head uint64, price *da.Price, err error, now time.Time) error {
	if err != nil {
		if !l.answered && errors.Is(err, da.ErrRejected) {
			return fmt.Errorf("ask the %s DA layer for its head: %w", l.name, err)
		}
		c.silent(l, err, now)
		return nil
	}
	if !l.answered {
		for _, r := range c.rollups {
			if r.posted.layer == l.name && r.posted.daHeight > head {
				c.silent(l, fmt.Errorf("its head is %d, but rollup %s was posted there at height %d: the node is still catching up, or this is not the layer that the journal belongs to", head, r.Name, r.posted.daHeight), now)
				return nil
			}
		}
		l.answered = true
	}
	if l.failures == 0 {
		c.over(l, now)
	}
	l.head = max(l.head, head)
	if price != nil {
		l.price = *price
	}
	c.metrics.daHead.WithLabelValues(l.name).Set(float64(l.head))
	return nil
}

// failed notes that the layer did not answer something that began then. Requests that
// were under way together fail together, and count once.
func (c *core) failed(l *layer, began time.Time, err error, now time.Time) {
	c.silent(l, err, now)
	if began.Before(l.failedAt) {
		return
	}
	l.failedAt = now
	l.retryAt = now.Add(c.backoff(l.failures))
	l.failures++
}

const outageLogEvery = 30 * time.Second

// silent logs that the layer does not answer: when it begins, and now and then.
func (c *core) silent(l *layer, err error, now time.Time) {
	if errors.Is(err, context.Canceled) {
		return
	}
	if !l.down() {
		l.downSince = now
	}
	if !l.loggedAt.IsZero() && now.Sub(l.loggedAt) < outageLogEvery {
		return
	}
	l.loggedAt = now
	c.log.Warn("DA layer does not answer, trying again", "layer", l.name, "down_for", now.Sub(l.downSince).Round(time.Second), "error", err)
}

// over notes that the layer answers.
func (c *core) over(l *layer, now time.Time) {
	l.failures, l.retryAt = 0, time.Time{}
	if !l.down() {
		return
	}
	c.log.Info("DA layer answers again", "layer", l.name, "down_for", now.Sub(l.downSince).Round(time.Millisecond))
	l.downSince, l.loggedAt = time.Time{}, time.Time{}
}

package relayer

import (
	"time"

	"github.com/ordo-network/ordo/order"
)

// probe is one piece that is on its way to DA elsewhere, sent to a layer that confirms
// nothing, to see whether it does again. Readers drop what they have read before.
type probe struct {
	layer *layer
	id    order.RollupID
	place place
}

// judge decides whether the blobs of the layer go to its fallback.
func (c *core) judge(l *layer, now time.Time, w *write, d *todo) {
	if l.away() {
		return // until it confirms something
	}
	waiting := false
	for _, r := range c.rollups {
		// What may stand on another layer is not waited for here.
		waiting = waiting || r.target() == l && !r.since().IsZero() && (r.sent == nil || r.sent.layer == l)
	}
	switch {
	case !waiting:
		l.waitingSince = time.Time{}
		return
	case l.waitingSince.IsZero():
		l.waitingSince = now
	}
	stalled := later(l.waitingSince, l.confirmedAt).Add(c.fallbackAfter)
	switch {
	case l.fallback == nil:
	case now.Before(stalled):
		d.at(stalled)
	default:
		c.leave(l, now, w, d)
	}
}

// leave sends what belongs on the layer to its fallback from now on. What is still
// under way may be stored all the same, and is then on both.
func (c *core) leave(l *layer, now time.Time, w *write, d *todo) {
	l.awaySince, l.waitingSince = now, time.Time{}
	l.probeAt = now.Add(c.probeEvery)
	c.metrics.fallbacks.WithLabelValues(l.name).Inc()
	c.metrics.fallbackActive.WithLabelValues(l.name).Set(1)
	c.log.Warn("DA layer confirms nothing: blobs go to the fallback until it does", "layer", l.name, "fallback", l.fallback.name,
		"nothing_for", c.fallbackAfter)
	d.cancel = append(d.cancel, l)
	for _, r := range c.rollups {
		if r.main != l {
			continue
		}
		r.retryAt, r.failures, r.share = time.Time{}, 0, 0 // the other layer is asked with fresh eyes
		if r.sent != nil && r.sent.unsure && r.sent.layer == l {
			c.unsent(r, w)
		}
	}
}

// moved decides whether the rollup goes to the other of its layers with a blob that the
// layer refuses, while it may take those of others: there is no use in waiting for a layer
// that is well. It comes back once the blob is posted, or is refused there as well, or
// that layer confirms nothing.
func (c *core) moved(r *rollup, l *layer, b *blob, err error, now time.Time, w *write) bool {
	if r.refusedAt.IsZero() {
		r.refusedAt = now
	}
	if r.main.fallback == nil || r.main.away() || l != r.target() || now.Sub(r.refusedAt) < c.fallbackAfter {
		return false
	}
	if r.elsewhere = b.to; l != r.main {
		r.elsewhere = 0
		w.back(r.ID)
	} else {
		w.moved(r.ID, movedMark{to: b.to, layer: l.name})
	}
	r.retryAt, r.failures, r.share, r.refusedAt, r.movedAt = time.Time{}, 0, 0, time.Time{}, now
	r.log.Warn("DA layer refuses the rollup's blob for good: it goes to the other layer", "layer", l.name, "goes_to", r.target().name,
		"from_height", b.from, "to_height", b.to, "refused_for", c.fallbackAfter, "error", err)
	return true
}

// back takes a rollup that went to its fallback with a blob back to the layer where it
// belongs, when the fallback confirms nothing: the one that refused it may take it by now.
func (c *core) back(r *rollup, now time.Time, w *write, d *todo) {
	if r.elsewhere == 0 || r.main.away() {
		return
	}
	l := r.main.fallback
	if stalled := later(r.movedAt, l.confirmedAt).Add(c.fallbackAfter); now.Before(stalled) {
		d.at(stalled)
		return
	}
	w.back(r.ID)
	r.elsewhere, r.retryAt, r.failures, r.share, r.refusedAt = 0, time.Time{}, 0, 0, time.Time{}
	r.log.Warn("the fallback confirms nothing: the rollup goes back to the DA layer that refused its blob", "layer", l.name, "goes_to", r.main.name,
		"nothing_for", c.fallbackAfter)
	if r.sent != nil && r.sent.unsure && r.sent.layer == l {
		c.unsent(r, w)
	}
}

// confirmed notes that the layer stored something.
func (c *core) confirmed(l *layer, now time.Time) {
	c.over(l, now)
	l.confirmedAt = now
	if !l.away() {
		return
	}
	c.log.Info("DA layer confirms again: blobs go to it", "layer", l.name, "away_for", now.Sub(l.awaySince).Round(time.Second))
	c.metrics.fallbackActive.WithLabelValues(l.name).Set(0)
	l.awaySince = time.Time{}
}

// probe tries a layer that is away with the smallest piece of those that belong there.
func (c *core) probe(l *layer, now time.Time, d *todo) {
	if !l.away() || l.probing || !l.answered {
		return
	}
	if now.Before(l.probeAt) {
		d.at(l.probeAt)
		return
	}
	var best *probe
	for _, r := range c.rollups {
		if r.main != l {
			continue
		}
		for _, b := range r.blobs {
			for i, p := range b.pieces {
				if best == nil || p.size < best.place.piece().size {
					best = &probe{l, r.ID, place{b, i}}
				}
			}
		}
	}
	if best == nil {
		return // with the next blob
	}
	l.probing = true
	d.probe = append(d.probe, *best)
}

// probed takes the outcome of a probe.
func (c *core) probed(l *layer, err error, now time.Time) {
	l.probing = false
	l.probeAt = now.Add(c.probeEvery)
	c.metrics.submission(l.name, err)
	if err != nil {
		c.log.Debug("DA layer still confirms nothing", "layer", l.name, "error", err)
		return
	}
	c.confirmed(l, now)
}

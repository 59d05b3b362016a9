package relayer

import (
	"slices"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/follower"
)

// layer is one DA layer and how it does.
type layer struct {
	Layer
	name     string
	fallback *layer // nil where there is none

	answered bool   // since this process began
	head     uint64 // final, as last heard
	posted   uint64 // DA height of the last piece that was confirmed
	inFlight int    // submissions
	looking  bool   // a search is under way
	lookAt   time.Time
	price    da.Price

	refused   []*rollup // each alone, since the layer took something
	failures  int       // submissions and searches without an answer, in a row
	downSince time.Time
	loggedAt  time.Time
	failedAt  time.Time
	retryAt   time.Time

	waitingSince time.Time // since when blobs wait that ought to go here; zero where none do
	confirmedAt  time.Time
	awaySince    time.Time // since when such blobs go to the fallback; zero where they do not
	probing      bool
	probeAt      time.Time
}

func (l *layer) away() bool { return !l.awaySince.IsZero() }

func (l *layer) down() bool { return !l.downSince.IsZero() }

// submission is one request to a layer.
type submission struct {
	layer   *layer
	loads   []load
	started time.Time

	bytes, pieces int
}

// load is what a submission takes of one rollup.
type load struct {
	rollup *rollup
	places []place
}

// search looks on a layer for what may stand there.
type search struct {
	layer   *layer
	started time.Time
	targets []target
}

// target is what was submitted of one rollup.
type target struct {
	rollup *rollup
	sent   *sent
	pieces []piece
	from   uint64 // DA height to look at first
}

// recut asks for a blob to be cut into smaller pieces.
type recut struct {
	rollup *rollup
	blob   *blob
	limit  int
}

// todo is what is to be done once the journal has what was noted on the way here.
type todo struct {
	submit []*submission
	cancel []*layer // whose submissions are waited for no longer
	search []*search
	probe  []probe
	recut  []recut
	claim  *claiming
	stop   []*reader
	start  []*reader
	wake   time.Time // when time alone makes for more to do; zero: never
}

// at notes that there is something to do at a time.
func (d *todo) at(t time.Time) {
	if d.wake.IsZero() || t.Before(d.wake) {
		d.wake = t
	}
}

// advance decides what is to be done now.
func (c *core) advance(now time.Time, w *write) (*todo, error) {
	d := new(todo)
	if err := c.relieve(w); err != nil {
		return nil, err
	}
	for _, l := range c.layers {
		c.judge(l, now, w, d)
	}
	for _, r := range c.rollups {
		c.back(r, now, w, d)
	}
	for _, l := range c.layers {
		for {
			s, err := c.load(l, now, w, d)
			if err != nil {
				return nil, err
			}
			if s == nil {
				break
			}
			d.submit = append(d.submit, s)
		}
		c.look(l, now, w, d)
	}
	for _, l := range c.layers {
		c.probe(l, now, d)
	}
	d.claim = c.claims.due(now, d)
	c.arrange(now, d)
	return d, nil
}

// load fills a submission to the layer, and notes it. It returns nil where there is
// nothing to submit yet, or too much is under way.
func (c *core) load(l *layer, now time.Time, w *write, d *todo) (*submission, error) {
	switch {
	case !l.answered, l.inFlight >= c.batch.MaxInFlight, c.sending >= sendBytes:
		return nil, nil
	case now.Before(l.retryAt):
		d.at(l.retryAt)
		return nil, nil
	}
	ready := c.ready(l, now, d)
	s := &submission{layer: l, started: now}
	most := l.Limits().MaxSubmitBlobs
	for _, r := range ready {
		if r.share > 0 && s.pieces >= r.share {
			continue
		}
		if r.share > 0 {
			most = min(most, r.share)
		}
		full, err := c.fill(s, r, most, w, d)
		if err != nil {
			return nil, err
		}
		if full {
			break
		}
	}
	if s.pieces == 0 {
		return nil, nil
	}
	for _, ld := range s.loads {
		r := ld.rollup
		r.sent = &sent{layer: l, noted: l.head, pieces: len(ld.places)}
		w.sent(r.ID, sentMark{layer: l.name, noted: l.head, pieces: len(ld.places)})
	}
	l.inFlight++
	c.sending += s.bytes
	return s, nil
}

// ready returns the rollups that have something for the layer, who waits longest first;
// none where nothing has waited long enough. What is young goes along with what is due: what
// misses a submission may come a block of the layer later.
func (c *core) ready(l *layer, now time.Time, d *todo) []*rollup {
	var out []*rollup
	due := false
	for _, r := range c.rollups {
		switch {
		case r.target() != l || r.sent != nil || r.since().IsZero():
			continue
		case now.Before(r.retryAt):
			d.at(r.retryAt)
			continue
		}
		out = append(out, r)
		if ripe := r.batch.since.Add(time.Duration(c.batch.Age)); len(r.blobs) > 0 || !now.Before(ripe) {
			due = true
		} else {
			d.at(ripe)
		}
	}
	if !due {
		return nil
	}
	slices.SortStableFunc(out, func(a, b *rollup) int { return a.since().Compare(b.since()) })
	return out
}

// fill adds what fits of a rollup, in order, and reports whether the submission is full.
func (c *core) fill(s *submission, r *rollup, most int, w *write, d *todo) (full bool, err error) {
	if r.bytes < c.batch.SubmitBytes {
		if err := c.cut(r, w); err != nil {
			return false, err
		}
	}
	l := s.layer
	limits := l.Limits()
	room := min(limits.MaxSubmitBytes, c.batch.SubmitBytes)
	fits := func(pieces, bytes int) bool {
		return pieces <= most && bytes <= room && c.sending+bytes <= sendBytes
	}
	var places []place
	defer func() {
		if len(places) > 0 {
			s.loads = append(s.loads, load{r, places})
		}
	}()
	for _, b := range r.blobs {
		first := b.on(l.name)
		whole := 0
		for _, p := range b.pieces[first:] {
			whole += p.size
			if p.size > limits.MaxBlobBytes || p.size > r.maxPiece && p.size > follower.MinBlobLimit {
				// It was cut for another layer, or the layer takes less than it says. What is before
				// it goes first.
				if len(places) == 0 {
					d.recut = append(d.recut, recut{r, b, min(r.maxPiece, limits.MaxBlobBytes)})
				}
				return false, nil
			}
		}
		// The pieces of a blob go together where a submission can hold them.
		if n := len(b.pieces) - first; s.pieces > 0 && !fits(s.pieces+n, s.bytes+whole) && n <= min(most, limits.MaxSubmitBlobs) && whole <= room {
			return true, nil
		}
		for i := first; i < len(b.pieces); i++ {
			size := b.pieces[i].size
			if s.pieces > 0 && !fits(s.pieces+1, s.bytes+size) {
				return true, nil
			}
			places = append(places, place{b, i})
			s.pieces, s.bytes = s.pieces+1, s.bytes+size
		}
	}
	return s.pieces >= most, nil
}

// look gathers what is to be looked for on the layer.
func (c *core) look(l *layer, now time.Time, w *write, d *todo) {
	c.forget(l, now, w, d)
	if l.looking || !l.answered {
		return
	}
	s := &search{layer: l, started: now}
	for _, r := range c.rollups {
		if r.sent == nil || !r.sent.unsure || r.sent.layer != l || !l.worth(r.sent, now, d) {
			continue
		}
		t := target{rollup: r, sent: r.sent, from: max(r.sent.noted, r.sent.looked) + 1}
		for _, p := range r.front(l.name, r.sent.pieces) {
			t.pieces = append(t.pieces, p.piece())
		}
		s.targets = append(s.targets, t)
	}
	switch at := later(l.retryAt, l.lookAt); {
	case len(s.targets) == 0:
	case now.Before(at):
		d.at(at)
	default:
		l.looking = true
		d.search = append(d.search, s)
	}
}

// worth says whether there is more to be seen than when it was looked for last: blocks
// of the layer, or that it can come no more.
func (l *layer) worth(s *sent, now time.Time, d *todo) bool {
	switch {
	case l.head > max(s.noted, s.looked):
		return true
	case l.head < s.noted+l.SettleBlocks:
		return false
	case now.Before(s.since.Add(l.Settle)):
		d.at(s.since.Add(l.Settle))
		return false
	}
	return true
}

// forget gives up what may stand on a layer that the rollup's blobs do not go to any
// more, where the layer does not say: the rollup goes on, and it may be there twice.
func (c *core) forget(l *layer, now time.Time, w *write, d *todo) {
	for _, r := range c.rollups {
		if r.sent == nil || !r.sent.unsure || r.sent.layer != l || r.target() == l {
			continue
		}
		if until := r.sent.since.Add(c.fallbackAfter); now.Before(until) {
			d.at(until)
			continue
		}
		r.log.Warn("DA layer does not tell whether it stored what was submitted, going on elsewhere", "layer", l.name, "goes_to", r.target().name)
		c.unsent(r, w)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

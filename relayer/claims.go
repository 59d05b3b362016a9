package relayer

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/order"
	chainclaims "github.com/ordo-network/ordo/sequencer/claims"
)

const (
	// maxClaims is how many claims are sent together.
	maxClaims = 64
	// maxOpen is how many claims about a rollup wait on the sequencer chain at a time. It
	// lets a relayer have 64.
	maxOpen = 16
	// maxKept bounds the claims in the journal, of all rollups; each has an equal share.
	maxKept = 1 << 20
	// claimLifetime is for how many of its blocks the chain lets a claim wait, and
	// denialRest after how many one that came to nothing before is sent again at first; each
	// time it is twice as many, because what validators deny has the relayer ignored for longer
	// each time, and what it claims meanwhile comes to nothing.
	claimLifetime = 18_000
	denialRest    = 600
	maxDenials    = 8
	// confirmEvery is how often it is asked at most what was confirmed.
	confirmEvery = 2 * time.Second
	// dropLogEvery is how often it is said that claims are dropped.
	dropLogEvery = time.Minute
)

// Availability is what the sequencer chain says of one rollup.
type Availability struct {
	From, To uint64 // blocks that validators found on DA layers; zero where there are none
	Pending  int    // claims that wait, of all relayers
	Height   uint64 // of the chain whose state this is
}

// claims are those that wait in the journal to be recorded on the sequencer chain and,
// where it is asked, until it confirms them. The journal has them whole.
type claims struct {
	on       bool
	asks     bool // the chain says what it confirmed
	most     int  // claims of a rollup in the journal
	interval time.Duration
	backoff  func(failures int) time.Duration
	log      *slog.Logger
	metrics  *metrics

	queues   []*claimQueue // one for each rollup
	turn     int           // of the queue that is served first
	fresh    int           // claims to be sent, in all queues
	kept     int           // all claims
	sending  bool
	at       time.Time // not before
	look     bool      // there may be something to send
	share    int       // how many together after a refusal; 0: maxClaims
	failures int
	dropped  int // since it was said last
	saidAt   time.Time
}

// claimQueue are the claims about one rollup, by the height of their blocks.
type claimQueue struct {
	*rollup
	list        []kept
	fresh, open int
	retryAt     time.Time
	failures    int
}

// kept is a claim in the journal.
type kept struct {
	from, to uint64
	height   uint64 // of the block that recorded it last
	state    claimState
	denials  uint8
}

type claimState uint8

const (
	fresh   claimState = iota // to be sent
	open                      // recorded, and may wait on the chain
	settled                   // waits there no more, and is not known to be confirmed
)

// claiming asks for claims to be sent.
type claiming struct {
	items []claimItem
	full  bool // there is more
}

type claimItem struct {
	queue    *claimQueue
	from, to uint64
}

func (c *claims) restore(r *rollup, spans []kept) {
	q := &claimQueue{rollup: r, list: spans, fresh: len(spans)}
	r.claims = q
	c.queues = append(c.queues, q)
	c.fresh, c.kept, c.look = c.fresh+len(spans), c.kept+len(spans), true
}

// add notes the claim of a blob whose pieces are all on DA. One that the layer recorded
// by itself is kept too, where the chain says whether it comes to something.
func (c *claims) add(r *rollup, b *blob, l *layer, now time.Time, w *write) {
	if !c.on || l.Recorded && !c.asks {
		return
	}
	claim := da.Claim{Rollup: da.Namespace(r.ID), Layer: b.layer, From: b.from, To: b.to}
	k := kept{from: b.from, to: b.to}
	for i, ref := range b.refs {
		if l.Recorded { // its heights are those of the records
			k.height, k.state = max(k.height, ref.Height), open
			ref.Height = 0
		}
		claim.Parts = append(claim.Parts, da.Part{Ref: ref, ID: b.pieces[i].id})
	}
	w.claim(r.ID, claim)
	q := r.claims
	q.list = append(q.list, k)
	c.kept++
	if c.mark(q, k.state, 1); k.state == fresh {
		c.look = true
	}
	if len(q.list) > c.most {
		c.drop(q, 0, w)
		c.metrics.claims.WithLabelValues("dropped").Inc()
		c.dropped++
	}
	if c.dropped > 0 && now.Sub(c.saidAt) >= dropLogEvery {
		c.log.Error("too many claims wait to be recorded and confirmed on the sequencer chain: the oldest are given up", "given_up", c.dropped, "rollup", r.Name, "kept", c.kept)
		c.dropped, c.saidAt = 0, now
	}
	c.count()
}

// mark counts claims of a queue that come into a state, or go.
func (c *claims) mark(q *claimQueue, s claimState, n int) {
	switch s {
	case fresh:
		q.fresh += n
		c.fresh += n
	case open:
		q.open += n
	}
}

func (c *claims) turnInto(q *claimQueue, k *kept, s claimState) {
	c.mark(q, k.state, -1)
	k.state = s
	c.mark(q, s, 1)
	c.look = true // something is to be sent, or there is room for it
}

// drop removes a claim.
func (c *claims) drop(q *claimQueue, i int, w *write) {
	k := q.list[i]
	w.claimed(q.ID, k.from, k.to)
	q.list = slices.Delete(q.list, i, i+1)
	c.mark(q, k.state, -1)
	c.kept--
	c.look = true
}

func (c *claims) count() {
	c.metrics.claimsWaiting.Set(float64(c.fresh))
	c.metrics.claimsUnconfirmed.Set(float64(c.kept - c.fresh))
}

// due returns what to claim now, of each rollup the oldest first.
func (c *claims) due(now time.Time, d *todo) *claiming {
	switch {
	case !c.on || c.sending || !c.look || c.fresh == 0:
		return nil
	case now.Before(c.at):
		d.at(c.at)
		return nil
	}
	most := maxClaims
	if c.share > 0 {
		most = c.share
	}
	out, later := new(claiming), false
	for i := range c.queues {
		q := c.queues[(c.turn+i)%len(c.queues)]
		if q.fresh > 0 && now.Before(q.retryAt) {
			d.at(q.retryAt)
			later = true
			continue
		}
		left, room := q.fresh, maxOpen-q.open
		for _, k := range q.list {
			if left == 0 {
				break
			}
			if k.state != fresh {
				continue
			}
			if len(out.items) == most || room <= 0 {
				out.full = true
				break
			}
			out.items = append(out.items, claimItem{q, k.from, k.to})
			left, room = left-1, room-1
		}
	}
	if c.look = later || len(out.items) > 0; len(out.items) == 0 {
		return nil
	}
	c.sending = true
	c.turn = (c.turn + 1) % len(c.queues)
	return out
}

// claimed takes the outcome. A claim that the chain refuses for good stands alone after
// some halvings, and is given up: it will not be better later.
func (c *claims) claimed(sent *claiming, height uint64, err error, now time.Time, w *write) {
	c.sending = false
	first := sent.items[0]
	refused := errors.Is(err, da.ErrRejected) || errors.Is(err, da.ErrTooLarge)
	full := errors.Is(err, chainclaims.ErrNoRoom)
	switch {
	case (refused || full) && len(sent.items) > 1:
		c.share, c.at = len(sent.items)/2, now
		return
	case full:
		c.metrics.claims.WithLabelValues("put_off").Inc()
		wait := c.interval + c.backoff(first.queue.failures)
		first.queue.failures++
		first.queue.retryAt = now.Add(wait)
		first.queue.log.Warn("the sequencer chain takes no more claims about the rollup for now, trying again", "retry_in", wait.Round(time.Millisecond), "error", err)
		c.share, c.failures = 0, 0
		return
	case err != nil && !refused:
		c.metrics.claims.WithLabelValues("unavailable").Add(float64(len(sent.items)))
		wait := c.backoff(c.failures)
		c.failures++
		c.at = now.Add(wait)
		c.log.Warn("claims could not be recorded on the sequencer chain, trying again", "claims", c.fresh, "retry_in", wait.Round(time.Millisecond), "error", err)
		return
	case refused:
		c.metrics.claims.WithLabelValues("refused").Inc()
		first.queue.log.Error("the sequencer chain refuses a claim, which is given up: nobody confirms the blocks unless another relayer claims them",
			"from_height", first.from, "to_height", first.to, "error", err)
	default:
		c.metrics.claims.WithLabelValues("recorded").Add(float64(len(sent.items)))
		c.log.Debug("claims recorded on the sequencer chain", "claims", len(sent.items), "height", height)
	}
	for _, it := range sent.items {
		it.queue.failures = 0
		i, ok := it.queue.at(it.from)
		switch {
		case !ok: // dropped or confirmed meanwhile
		case c.asks && !refused:
			k := &it.queue.list[i]
			k.height = height
			c.turnInto(it.queue, k, open)
		default:
			c.drop(it.queue, i, w)
		}
	}
	c.share, c.failures = 0, 0
	c.count()
	if c.at = now.Add(c.interval); sent.full {
		c.at = now // they come faster than that
	}
}

// unconfirmed are the rollups of which claims are recorded, or were.
func (c *claims) unconfirmed() (out []order.RollupID) {
	for _, q := range c.queues {
		if len(q.list) > q.fresh {
			out = append(out, q.ID)
		}
	}
	return out
}

// confirmed takes what the chain says about a rollup, and decides which claims are
// done and which are sent again.
func (c *claims) confirmed(q *claimQueue, a Availability, w *write) {
	for i := 0; i < len(q.list); i++ {
		k := &q.list[i]
		if a.To > 0 && a.From <= k.from && k.to <= a.To {
			c.metrics.claims.WithLabelValues("confirmed").Inc()
			c.drop(q, i, w)
			i--
			continue
		}
		if k.state == fresh || a.Height <= k.height {
			continue
		}
		age := a.Height - k.height
		// Beyond a gap the chain may have confirmed it, and does not say so yet.
		gap := a.To > 0 && k.from > a.To+1
		switch {
		case k.state == open && a.Pending == 0:
			if c.turnInto(q, k, settled); gap || age >= claimLifetime {
				break
			}
			if k.denials++; k.denials == maxDenials {
				c.metrics.claims.WithLabelValues("denied").Inc()
				q.log.Error("a claim comes to nothing and is given up: validators deny that its blocks are on the DA layer, or ignore this relayer",
					"from_height", k.from, "to_height", k.to, "times", maxDenials)
				c.drop(q, i, w)
				i--
			}
		case k.state == open && age >= claimLifetime, k.state == settled && !gap && age >= denialRest<<k.denials>>1:
			c.metrics.claims.WithLabelValues("again").Inc()
			c.turnInto(q, k, fresh)
		}
	}
	c.count()
}

// at returns where the claim about the blocks from a height on is.
func (q *claimQueue) at(from uint64) (int, bool) {
	return slices.BinarySearchFunc(q.list, from, func(k kept, from uint64) int { return cmp.Compare(k.from, from) })
}

package lane

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/order"
)

// truth sees everything, and checks it.
type truth struct {
	w         *world
	signed    map[order.Position]order.BatchID // by correct owners
	attested  map[attester]attestedBatch       // by correct members
	last      map[nodeLane]attestedBatch       // greatest position attested
	certified map[order.Position]order.BatchID
	announced []*order.Certificate // by correct owners
	seen      map[order.Position]bool
	rotten    map[attester]bool // records that a disk forgot
	acked     []acked
	clocks    map[order.Owner]uint64 // latest clock of a correct member in the lane so far
	reports   []order.Report         // that bind the next block
}

type attester struct {
	node int
	at   order.Position
}

type nodeLane struct {
	node  int
	owner order.Owner
}

type attestedBatch struct {
	mark  order.Mark
	id    order.BatchID
	clock uint64
}

type acked struct {
	node int
	id   order.BundleID
}

func newTruth(w *world) truth {
	return truth{
		w:      w,
		signed: make(map[order.Position]order.BatchID), attested: make(map[attester]attestedBatch),
		last: make(map[nodeLane]attestedBatch), certified: make(map[order.Position]order.BatchID),
		seen: make(map[order.Position]bool), rotten: make(map[attester]bool), clocks: make(map[order.Owner]uint64),
	}
}

func (t *truth) acknowledge(n *simNode, b *order.Bundle) {
	t.acked = append(t.acked, acked{n.index, b.ID(simChain)})
}

// offers: a correct owner signs one batch for a position, of a session that is on its disk.
func (t *truth) offers(n *simNode, b *order.SignedBatch) {
	p, id := b.Header.Position, b.Header.ID(simChain)
	if other, ok := t.signed[p]; ok && other != id {
		n.w.fail("correct owner %d signed two batches for %s", n.index, p)
	}
	t.signed[p] = id
	if n.disk.session < p.Session {
		n.w.fail("correct owner %d sent %s, on its disk is session %d", n.index, p, n.disk.session)
	}
}

// attests: a correct member attests one batch at one time for a position, whose record is
// on its disk; in sequence, by a clock that does not fall.
func (t *truth) attests(n *simNode, a *Answer) {
	w, key := n.w, attester{n.index, a.Position}
	now := attestedBatch{a.Position.Mark, a.Batch, a.Attestation.Clock}
	if old, ok := t.attested[key]; ok {
		if old != now || t.rotten[key] {
			w.fail("correct member %d attested %s as %v and as %v", n.index, a.Position, old, now)
		}
		return
	}
	t.attested[key] = now
	if t.rotten[key] {
		w.fail("correct member %d attested %s, which its disk forgot", n.index, a.Position)
		return
	}
	record, err := DecodeRecord(n.disk.records[a.Position])
	if err != nil || record.Clock != now.clock || record.Batch.Header.ID(simChain) != now.id {
		w.fail("correct member %d attested %s, what is on its disk is not that: %v", n.index, a.Position, err)
		return
	}
	lane := nodeLane{n.index, a.Position.Owner}
	last := t.last[lane]
	if now.mark.Compare(last.mark) > 0 {
		t.last[lane] = now
	} else { // found on disk after a restart: the clock is that of when it was taken
		last, now = now, last
	}
	if last.clock > now.clock {
		w.fail("correct member %d attested %s at %d and %s at %d", n.index, last.mark, last.clock, now.mark, now.clock)
	}
	prev := order.Position{Owner: a.Position.Owner, Mark: Before(a.Position.Mark, record.Batch.Header.After)}
	_, attested := t.attested[attester{n.index, prev}]
	_, certified := t.certified[prev]
	if !attested && !certified && prev.Mark != n.view().Mark(prev.Owner) {
		w.fail("correct member %d attested %s and knows nothing of %s", n.index, a.Position, prev.Mark)
	}
	if l := n.keeper.lanes[prev.Owner]; l.charge > w.weather.params.LaneQuotaBytes {
		w.fail("correct member %d holds %d bytes of a lane", n.index, l.charge)
	}
}

// announces: a correct owner shows a certificate that is on its disk, and so are those
// before it that are not ordered.
func (t *truth) announces(n *simNode, c *order.Certificate) {
	p := c.Header.Position
	for at := p.Mark; at.Compare(n.view().Mark(n.owner)) > 0 && at.Sequence > 0; at.Sequence-- {
		if n.disk.certs[order.Position{Owner: n.owner, Mark: at}] == nil {
			n.w.fail("correct owner %d announced %s and has not %s on disk", n.index, p, at)
		}
	}
	t.certifies(c)
	if !t.seen[p] {
		t.seen[p] = true
		t.announced = append(t.announced, c)
	}
	if n.w.certificateError(c) != nil {
		n.w.fail("correct owner %d announced a certificate that does not verify", n.index)
	}
}

func (w *world) certificateError(c *order.Certificate) error {
	return w.committee(c.Header.Epoch).Verify(simChain, c)
}

// certifies: for each position one batch is certified.
func (t *truth) certifies(c *order.Certificate) {
	p, id := c.Header.Position, c.Header.ID(simChain)
	if other, ok := t.certified[p]; ok && other != id {
		t.w.fail("two batches are certified for %s", p)
	}
	t.certified[p] = id
}

// accused: evidence holds, and never against a correct owner.
func (w *world) accused(e *Equivocation) error {
	a, b := &e.First, &e.Second
	if w.byOwner[e.Offender].rogue == nil {
		return errors.New("it accuses a correct owner")
	}
	if a.Core.Position != b.Core.Position || a.Core.Owner != e.Offender || a.Core.ID() == b.Core.ID() {
		return errors.New("it is not about two batches of one position")
	}
	for _, s := range []*Signed{a, b} {
		c := w.committee(s.Core.Epoch)
		i, ok := c.Index(e.Offender)
		if !ok || !ed25519.Verify(c.Members[i].Key[:], s.Core.SignBytes(), s.Signature[:]) {
			return errors.New("a signature does not verify")
		}
	}
	return nil
}

// reaches: what more than a third of the power held is in the block, unless it is full.
func (t *truth) reaches(w *world, block []*order.Certificate) {
	if len(block) >= w.weather.limits.Certificates {
		return
	}
	end := make(map[order.Owner]order.Mark)
	for _, c := range block {
		if o := c.Header.Owner; c.Header.Mark.Compare(end[o]) > 0 {
			end[o] = c.Header.Mark
		}
	}
	for _, r := range t.reports {
		for _, tip := range r.Tips {
			var sum uint64
			for _, other := range t.reports {
				if slices.ContainsFunc(other.Tips, func(o order.Tip) bool { return o.Owner == tip.Owner && o.Compare(tip.Mark) >= 0 }) {
					sum += other.Power
				}
			}
			reached := end[tip.Owner]
			if m := w.lane(tip.Owner).Mark; m.Compare(reached) > 0 {
				reached = m
			}
			if total := w.chain.views[max(0, len(w.chain.views)-2)].Committees[0].Stake; 3*sum > total && reached.Compare(tip.Mark) < 0 {
				w.fail("the block leaves out lane %s from %s, %d of %d power held %s", tip.Owner, reached, sum, total, tip.Mark)
			}
		}
	}
}

// fair: lanes are in sequence, and a batch that all correct attesters saw before any saw
// another stands before it. What came before in its lane counts as part of a batch.
func (t *truth) fair(w *world, placed []order.Placed) {
	type span struct{ first, last uint64 }
	spans := make([]span, len(placed))
	state := make(map[order.Owner]order.Mark)
	for i, p := range placed {
		h := &p.Certificate.Header
		mark, ok := state[h.Owner]
		if !ok {
			mark = w.lane(h.Owner).Mark
		}
		if Before(h.Mark, h.After) != mark {
			w.fail("batch %s is ordered after %s", h.Position, mark)
		}
		state[h.Owner] = h.Mark
		k, s := w.chain.tip().Committee(h.Epoch), span{first: 1 << 62, last: t.clocks[h.Owner]}
		for _, a := range p.Certificate.Attestations {
			if w.byOwner[k.Members[a.Member].Owner].rogue == nil {
				s.first, s.last = min(s.first, a.Clock), max(s.last, a.Clock)
			}
		}
		spans[i], t.clocks[h.Owner] = s, s.last
		for j := range i {
			if spans[j].last < s.first {
				w.count.Pairs++
			}
			if s.last < spans[j].first {
				w.fail("batch %s stands after %s, which every correct member saw later", h.Position, placed[j].Certificate.Header.Position)
			}
		}
	}
}

// unsettled says what is still to be ordered, and "" when nothing is.
func (w *world) unsettled() string {
	for _, a := range w.truth.acked {
		if _, ok := w.chain.bundles[a.id]; !ok {
			return fmt.Sprintf("bundle %s, acknowledged by %d, is not ordered", a.id, a.node)
		}
	}
	tip, dead := w.chain.tip(), make(map[order.Position]bool)
	for _, c := range w.truth.announced {
		h := &c.Header
		if _, ok := w.chain.ordered[h.Position]; ok {
			continue
		}
		prev := order.Position{Owner: h.Owner, Mark: Before(h.Mark, h.After)}
		if dead[h.Position] = dead[prev] || !tip.open(h.Epoch); !dead[h.Position] {
			return fmt.Sprintf("batch %s, announced by its correct owner, is not ordered", h.Position)
		}
	}
	return ""
}

// audit looks at the whole log once more.
func (w *world) audit() {
	for _, c := range w.truth.announced {
		if id, ok := w.chain.ordered[c.Header.Position]; !ok {
			w.count.Dead++
		} else if id != c.Header.ID(simChain) {
			w.fail("another batch than the one announced is ordered at %s", c.Header.Position)
		}
	}
	place := make(map[order.BundleID]int)
	for i, id := range w.chain.effect {
		place[id] = i
	}
	last := make(map[int]int)
	for _, a := range w.truth.acked {
		if place[a.id] < last[a.node] {
			w.fail("bundle %s of %d is ordered before one that was acknowledged earlier", a.id, a.node)
		}
		last[a.node] = place[a.id]
	}
	for _, c := range w.chain.log {
		w.rebuilds(c)
	}
}

// rebuilds: what correct attesters have on disk gives the batch, the same whichever
// shares are used, or shows that it is void.
func (w *world) rebuilds(c *order.Certificate) {
	h, id := &c.Header, c.Header.ID(simChain)
	layout, k := w.layout(h.Epoch), w.committee(h.Epoch)
	var first []byte
	var firstErr error
	rotten := false
	for try := range 2 {
		var r shard.Rebuilder
		if err := r.Reset(layout, shard.Root(h.Root), int(h.Length)); err != nil {
			w.fail("rebuild %s: %v", h.Position, err)
			return
		}
		from := slices.Clone(c.Attestations)
		w.rng.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
		for _, a := range from {
			n := w.byOwner[k.Members[a.Member].Owner]
			if n.rogue != nil {
				if r.Add(&shard.Share{First: layout.Range(n.owner[:]).First, Shards: make([]byte, layout.ShardSize(int(h.Length)))}) == nil {
					w.fail("a made up share of %s is taken", h.Position)
				}
				continue
			}
			if w.truth.rotten[attester{n.index, h.Position}] {
				rotten = true
				continue
			}
			record, err := DecodeRecord(n.disk.records[h.Position])
			if err != nil || record.Batch.Header.ID(simChain) != id {
				w.fail("correct member %d does not have what it attested at %s: %v", n.index, h.Position, err)
				return
			}
			if err := r.Add(record.Share); err != nil {
				w.fail("share of correct member %d at %s: %v", n.index, h.Position, err)
			}
		}
		raw, err := r.Batch()
		if errors.Is(err, shard.ErrTooFew) && rotten {
			return
		}
		if errors.Is(err, shard.ErrTooFew) {
			w.fail("batch %s is certified and correct members have too little of it", h.Position)
			return
		}
		if try == 0 {
			first, firstErr = slices.Clone(raw), err
		} else if string(first) != string(raw) || errors.Is(firstErr, shard.ErrVoid) != errors.Is(err, shard.ErrVoid) {
			w.fail("batch %s is %x (%v) or %x (%v), depending on the shares", h.Position, first, firstErr, raw, err)
		}
	}
	batch, err := order.DecodeBatch(first)
	if firstErr == nil && err == nil && !slices.EqualFunc(h.Bundles, batch.Bundles, func(s order.BundleSummary, b *order.Bundle) bool {
		return s.ID(simChain) == b.ID(simChain) && s.Signature == b.Signature
	}) {
		err = errors.New("its bundles are not those of its header")
	}
	void := firstErr != nil || err != nil
	if void {
		w.count.Voids++
		if w.byOwner[h.Owner].rogue == nil {
			w.fail("batch %s of a correct owner is void: %v, %v", h.Position, firstErr, err)
		}
	}
}

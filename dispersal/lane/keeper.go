package lane

import (
	"crypto/ed25519"
	"slices"

	"github.com/ordo-network/ordo/order"
)

// MaxLaneBatches bounds the batches of one lane that a member attests before the chain
// has ordered them, whatever their size.
const MaxLaneBatches = 1024

// minCharge is what a batch counts at least against the lane's quota.
const minCharge = 4 << 10

// Charge is what the batch counts against the lane's quota until it is ordered.
func Charge(h *order.BatchHeader) uint64 { return max(minCharge, h.Length+uint64(h.Size())) }

// Verdict is what a Keeper wants done.
type Verdict struct {
	// Answers go to the lane's owner, in this order.
	Answers []Answer
	// Store, if not nil, is to be put on disk under its position. Then call Stored, or
	// Failed. Several may be under way at once.
	Store *Record
	// Evidence, if not nil, goes to the chain.
	Evidence *Equivocation
}

// Keeper decides which batches this node attests.
//
// For each lane it knows the greatest session that it took a batch of, and every batch
// that it took and the chain may still order. A position that it took once and does not
// know any more, because a disk lost it or its epoch is over, is never attested again.
type Keeper struct {
	chainID string
	self    order.Owner
	keys    Keys
	view    *View
	lanes   map[order.Owner]*kept
}

// kept is what the keeper knows of one lane.
type kept struct {
	session   uint64     // the greatest that a batch was taken of
	spent     uint64     // up to this sequence of it, what is not in batches was taken once
	clock     uint64     // of the last batch taken: it never falls
	certified order.Mark // the greatest that a certificate is known of
	attested  order.Mark // the greatest
	batches   map[order.Mark]*taken
	charge    uint64 // of batches
}

// taken is a batch that was taken: reserved from then on, attested once it is stored.
type taken struct {
	core      order.BatchCore
	id        order.BatchID
	signature [64]byte // of the owner
	clock     uint64
	charge    uint64
	state     takenState
}

type takenState uint8

const (
	stateFailed   takenState = iota // the disk did not take it: try again
	stateStoring                    // on its way to the disk
	stateStored                     // on disk, the batch before it is not attested
	stateAttested                   // or could be
	stateLost                       // the disk has something else
)

// NewKeeper returns the keeper of a member that has attested nothing yet.
func NewKeeper(chainID string, self order.Owner, keys Keys) *Keeper {
	return &Keeper{chainID: chainID, self: self, keys: keys, lanes: make(map[order.Owner]*kept)}
}

// Spent is how far a member has taken the batches of a lane: of sessions before that
// of the position, and of that one up to it, it takes none but those that it can show.
type Spent struct {
	order.Position
	Clock uint64 // of the last
}

// Restore tells, for a lane, how far batches were taken before this start, and those of
// their records, of all sessions, that can be read, ascending. Shares are not looked at.
// Records that the chain has ordered may be left out; the last one held never. It is
// called for each lane before the first View.
func (k *Keeper) Restore(s Spent, held []*Record) {
	l := k.lane(s.Owner)
	l.session, l.spent, l.clock = s.Session, s.Sequence, s.Clock
	for _, r := range held {
		l.clock = max(l.clock, r.Clock)
		l.add(k.chainID, r, stateStored)
	}
}

// Spent tells how far each lane's batches were taken, by owner. It is to be durable before
// records are removed: then Restore does not depend on them.
func (k *Keeper) Spent() []Spent {
	var out []Spent
	for owner, l := range k.lanes {
		if l.session == 0 {
			continue
		}
		s := Spent{Position: order.Position{Owner: owner, Mark: order.Mark{Session: l.session, Sequence: l.spent}}, Clock: l.clock}
		for m := range l.batches {
			if m.Compare(s.Mark) > 0 {
				s.Mark = m
			}
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Spent) int { return a.Owner.Compare(b.Owner) })
	return out
}

func (k *Keeper) lane(owner order.Owner) *kept {
	l := k.lanes[owner]
	if l == nil {
		l = &kept{batches: make(map[order.Mark]*taken)}
		k.lanes[owner] = l
	}
	return l
}

func (l *kept) add(chainID string, r *Record, s takenState) *taken {
	h := &r.Batch.Header
	core := h.Core(chainID)
	t := &taken{core: core, id: core.ID(), signature: r.Batch.Signature, clock: r.Clock, charge: Charge(h), state: s}
	l.batches[h.Mark] = t
	l.charge += t.charge
	return t
}

// View takes the chain's state after a block.
func (k *Keeper) View(v *View) {
	before := k.view
	k.view = v
	for owner, l := range k.lanes { // each by itself, so their order does not matter
		mark := v.Mark(owner)
		if len(l.batches) == 0 || before != nil && before.Epoch == v.Epoch && before.Mark(owner) == mark {
			continue
		}
		for m, t := range l.batches {
			if m.Compare(mark) > 0 && t.core.Epoch+1 >= v.Epoch {
				continue
			}
			delete(l.batches, m)
			l.charge -= t.charge
			if m.Session == l.session {
				l.spent = max(l.spent, m.Sequence)
			}
		}
	}
}

// Certified tells of a certificate that was verified, whosever it is. What it returns
// goes to the lane's owner.
func (k *Keeper) Certified(h *order.BatchHeader) []Answer {
	l := k.lane(h.Owner)
	if h.Mark.Compare(l.certified) <= 0 {
		return nil
	}
	l.certified = h.Mark
	return k.advance(l, h.Mark)
}

// Before is the mark that a batch of that mark and After follows on.
func Before(m, after order.Mark) order.Mark {
	if m.Sequence > 1 {
		return order.Mark{Session: m.Session, Sequence: m.Sequence - 1}
	}
	return after
}

// settled tells whether the position is ordered or certified: then the one after it may
// be attested, whether or not this node attested it.
func (l *kept) settled(m, mark order.Mark) bool {
	return m == mark || m.Session == l.certified.Session && m.Sequence <= l.certified.Sequence && m != order.Mark{}
}

// expect is the position that would be attested next.
func (l *kept) expect(mark order.Mark) order.Mark {
	front := mark
	if l.certified.Compare(front) > 0 {
		front = l.certified
	}
	for {
		next := order.Mark{Session: front.Session, Sequence: front.Sequence + 1}
		t := l.batches[next]
		if t == nil || t.state < stateStoring || t.state == stateLost {
			return next
		}
		front = next
	}
}

// refuse says why the lane's batch of that header can not be taken now; nil if it can.
func (k *Keeper) refuse(l *kept, h *order.BatchHeader) *Refusal {
	mark := k.view.Mark(h.Owner)
	known := max(l.session, l.certified.Session, mark.Session)
	switch t := l.batches[h.Mark]; {
	case k.view.Committee(h.Epoch) == nil:
		return &Refusal{Reason: ReasonEpoch}
	case h.Session < known:
		return &Refusal{Reason: ReasonSession}
	case h.Mark.Compare(mark) <= 0, h.Mark.Compare(l.certified) <= 0:
		return &Refusal{Reason: ReasonDone}
	case t != nil && t.state == stateLost, t == nil && h.Session == l.session && h.Sequence <= l.spent:
		return &Refusal{Reason: ReasonLost}
	case t != nil:
		return nil
	}
	last := Before(h.Mark, h.After)
	if last.Compare(mark) < 0 { // the chain took another way
		return &Refusal{Reason: ReasonSession}
	}
	if !l.settled(last, mark) && l.batches[last] == nil {
		return &Refusal{Reason: ReasonSequence, Expect: l.expect(mark)}
	}
	if l.charge+Charge(h) > k.view.Params.LaneQuotaBytes || len(l.batches) >= MaxLaneBatches {
		return &Refusal{Reason: ReasonQuota}
	}
	return nil
}

// Screen tells cheaply what can be told before Check: answers to give at once, or none
// to go on with Check and Offer.
func (k *Keeper) Screen(b *order.SignedBatch) []Answer {
	h := &b.Header
	if k.view == nil {
		return refusal(h, h.ID(k.chainID), &Refusal{Reason: ReasonBusy})
	}
	l := k.lanes[h.Owner]
	if l == nil {
		l = &kept{} // not kept: nobody has verified the owner yet
	}
	if r := k.refuse(l, h); r != nil {
		return refusal(h, h.ID(k.chainID), r)
	}
	if t := l.batches[h.Mark]; t != nil && t.id == h.ID(k.chainID) {
		return k.again(l, t)
	}
	return nil
}

// again answers a batch that was taken already, and those that follow on it; nothing
// where it must be stored anew.
func (k *Keeper) again(l *kept, t *taken) []Answer {
	refuse := func(r Refusal) []Answer {
		return []Answer{{Position: t.core.Position, Batch: t.id, Refusal: &r}}
	}
	switch {
	case t.state == stateAttested:
		return []Answer{k.attest(t)}
	case t.state == stateStored && k.follows(l, t):
		t.state, l.attested = stateAttested, t.core.Mark
		return append([]Answer{k.attest(t)}, k.advance(l, t.core.Mark)...)
	case t.state == stateStored:
		return refuse(Refusal{Reason: ReasonSequence, Expect: l.expect(k.view.Mark(t.core.Owner))})
	case t.state == stateStoring:
		return refuse(Refusal{Reason: ReasonBusy})
	}
	return nil
}

func refusal(h *order.BatchHeader, id order.BatchID, r *Refusal) []Answer {
	return []Answer{{Position: h.Position, Batch: id, Refusal: r}}
}

// Offer takes a batch that its owner offers, and the clock in milliseconds since the
// Unix epoch.
func (k *Keeper) Offer(clock uint64, c *Checked) Verdict {
	h := &c.offer.Batch.Header
	if k.view == nil {
		return Verdict{Answers: refusal(h, c.id, &Refusal{Reason: ReasonBusy})}
	}
	l := k.lane(h.Owner)
	if r := k.refuse(l, h); r != nil {
		return Verdict{Answers: refusal(h, c.id, r)}
	}
	record := &Record{Batch: c.offer.Batch, Share: c.offer.Share}
	if t := l.batches[h.Mark]; t != nil {
		if t.id != c.id {
			return Verdict{
				Answers: refusal(h, c.id, &Refusal{Reason: ReasonConflict}),
				Evidence: &Equivocation{
					Offender: h.Owner,
					First:    Signed{Core: t.core, Signature: t.signature},
					Second:   Signed{Core: h.Core(k.chainID), Signature: c.offer.Batch.Signature},
				},
			}
		}
		if answers := k.again(l, t); answers != nil {
			return Verdict{Answers: answers}
		}
		// The disk may hold what it said it failed to write: only the same bytes fit.
		t.state, record.Clock = stateStoring, t.clock
		record.Batch = &order.SignedBatch{Header: c.offer.Batch.Header, Signature: t.signature}
		return Verdict{Store: record}
	}
	l.clock = max(l.clock, clock)
	record.Clock = l.clock
	if h.Session > l.session {
		l.session, l.spent = h.Session, 0
	}
	l.add(k.chainID, record, stateStoring)
	// Crash here or before the record is durable: nothing was attested. After: Restore
	// finds it, and the owner's next offer gets the attestation that it would have got.
	return Verdict{Store: record}
}

// Stored tells that the record of the position is on disk.
func (k *Keeper) Stored(p order.Position) []Answer {
	l := k.lane(p.Owner)
	t := l.batches[p.Mark]
	if t == nil || t.state != stateStoring {
		return nil // ordered meanwhile, or its epoch is over
	}
	t.state = stateStored
	return k.advance(l, Before(t.core.Mark, t.core.After))
}

// Failed tells that the record of the position may not be on disk. It is stored again
// when the owner offers it again, unless the disk has something else there: lost.
func (k *Keeper) Failed(p order.Position, lost bool) []Answer {
	t := k.lane(p.Owner).batches[p.Mark]
	if t == nil || t.state != stateStoring {
		return nil
	}
	r := ReasonBusy
	if t.state = stateFailed; lost {
		t.state, r = stateLost, ReasonLost
	}
	return []Answer{{Position: p, Batch: t.id, Refusal: &Refusal{Reason: r}}}
}

// follows tells whether the batch before is attested, certified or ordered, and no later
// one is attested.
func (k *Keeper) follows(l *kept, t *taken) bool {
	if t.core.Mark.Compare(l.attested) < 0 {
		return false
	}
	last := Before(t.core.Mark, t.core.After)
	if l.settled(last, k.view.Mark(t.core.Owner)) {
		return true
	}
	prev := l.batches[last]
	return prev != nil && prev.state == stateAttested
}

// advance attests what is stored from the position after m on.
func (k *Keeper) advance(l *kept, m order.Mark) []Answer {
	if k.view == nil {
		return nil
	}
	var out []Answer
	for {
		next := order.Mark{Session: m.Session, Sequence: m.Sequence + 1}
		t := l.batches[next]
		if t == nil { // the first batch of the session after
			next = order.Mark{Session: l.session, Sequence: 1}
			if t = l.batches[next]; t == nil || t.core.After != m {
				return out
			}
		}
		if t.state == stateStored && k.follows(l, t) {
			t.state, l.attested = stateAttested, next
			if next.Compare(l.certified) > 0 { // else it is of no use any more
				out = append(out, k.attest(t))
			}
		}
		if t.state != stateAttested {
			return out
		}
		m = next
	}
}

// attest signs the attestation: always the same one for a batch.
func (k *Keeper) attest(t *taken) Answer {
	a := Answer{Position: t.core.Position, Batch: t.id}
	c := k.view.Committee(t.core.Epoch)
	if c == nil {
		a.Refusal = &Refusal{Reason: ReasonEpoch}
		return a
	}
	i, ok := c.Index(k.self)
	if !ok {
		a.Refusal = &Refusal{Reason: ReasonCommittee}
		return a
	}
	key := k.keys(c.Members[i].Key)
	if key == nil {
		a.Refusal = &Refusal{Reason: ReasonCommittee}
		return a
	}
	a.Attestation = &order.Attestation{Member: uint32(i), Clock: t.clock}
	copy(a.Attestation.Signature[:], ed25519.Sign(key, order.AttestationSignBytes(k.chainID, t.core.Position, t.id, t.clock)))
	return a
}

package lane

import (
	"fmt"
	"slices"

	"github.com/ordo-network/ordo/order"
)

// peer is a member that batches are sent to. What it does not answer is sent again, all
// of it in sequence, after a time that doubles until it answers: members attest in
// sequence, so what follows on a batch that was lost is refused anyway.
type peer struct {
	owner     order.Owner
	connected bool
	patience  uint64
	sentAt    uint64 // last time that all was sent again
	retryAt   uint64 // 0: nothing is awaited
}

// peer returns the owner's, which is made if it is not there.
func (d *Disperser) peer(o order.Owner) *peer {
	i, ok := slices.BinarySearchFunc(d.peers, o, func(p *peer, o order.Owner) int { return p.owner.Compare(o) })
	if !ok {
		d.peers = slices.Insert(d.peers, i, &peer{owner: o, patience: d.o.RetryMin})
	}
	return d.peers[i]
}

// Connected tells that the member can be reached, anew. Until it is told, nothing is
// sent to that member; this node reaches itself from the start.
func (d *Disperser) Connected(now uint64, member order.Owner) {
	p := d.peer(member)
	p.connected, p.patience = true, d.o.RetryMin
	d.again(now, p)
}

// Disconnected tells that the member cannot be reached.
func (d *Disperser) Disconnected(member order.Owner) {
	p := d.peer(member)
	p.connected, p.retryAt = false, 0
}

// offer sends the batch to the member unless it has answered for good.
func (d *Disperser) offer(p *peer, f *flight, member int) bool {
	if s := f.said[member]; f.certificate != nil || s.attestation != nil || s.never != 0 {
		return false
	}
	share, err := f.share(member)
	if err != nil {
		return false // the layout gives this member nothing
	}
	d.ready.Send = append(d.ready.Send, Send{To: p.owner, Offer: &Offer{Batch: f.batch, Share: share}})
	return true
}

// again sends the peer all that it has not answered, after the certificate that comes
// before the first of it: without that the peer may not know that it is the next.
func (d *Disperser) again(now uint64, p *peer) {
	p.retryAt = 0
	if !p.connected {
		return
	}
	start := len(d.ready.Send)
	for i, f := range d.flight {
		member, ok := f.committee.Index(p.owner)
		if !ok || !d.offer(p, f, member) {
			continue
		}
		if i == 0 && len(d.waiting) > 0 {
			d.ready.Send[start].Certificate = d.waiting[len(d.waiting)-1].Certificate
		}
	}
	if len(d.ready.Send) > start {
		p.sentAt, p.retryAt = now, now+p.patience
		p.patience = min(2*p.patience, d.o.RetryMax)
	}
}

// Answered takes what a member said. Signatures of attestations are verified here, all
// at once when there are enough. Errors: ErrAnswer where no correct member says that;
// others are this node's own.
func (d *Disperser) Answered(now uint64, from order.Owner, a *Answer) error {
	if a.Position.Owner != d.o.Self {
		return fmt.Errorf("answer about %s: %w", a.Position, ErrAnswer)
	}
	at := slices.IndexFunc(d.flight, func(f *flight) bool { return f.batch.Header.Mark == a.Position.Mark })
	if at < 0 {
		return nil // certified or given up meanwhile
	}
	f := d.flight[at]
	member, ok := f.committee.Index(from)
	if !ok || a.Batch != f.id {
		return fmt.Errorf("answer about batch %s at %s: %w", a.Batch, a.Position, ErrAnswer)
	}
	p := d.peer(from)
	switch {
	case a.Attestation != nil && int(a.Attestation.Member) == member:
		f.attested(member, a.Attestation)
		p.patience = d.o.RetryMin
		if p.retryAt != 0 {
			p.retryAt = now + p.patience
		}
		if err := f.certify(d.o.Verifier); err != nil {
			return err
		}
		d.persist()
	case a.Refusal != nil && a.Refusal.Reason.Known():
		d.refused(now, p, f, member, a.Refusal)
	default:
		return fmt.Errorf("answer of %s about %s: %w", from, a.Position, ErrAnswer)
	}
	if f.certificate == nil && f.hopeless() {
		d.giveUp(now, f)
	}
	return nil
}

// giveUp ends the session because too many will not attest the batch. What comes before
// it and is certified stays.
func (d *Disperser) giveUp(now uint64, f *flight) {
	whole := slices.IndexFunc(d.flight, func(f *flight) bool { return f.certificate == nil })
	d.end(whole, fmt.Errorf("batch %s: members of stake %d of %d will not attest it, one because: %s",
		f.batch.Header.Position, f.refused, f.committee.Stake, f.why()))
	d.beginAt, d.patience = now+d.patience, min(2*d.patience, 8*d.o.RetryMax)
}

// blockedUntil is when a batch that some refuse, and others do not answer, has waited long
// enough for these others; 0 where there is none.
func (d *Disperser) blockedUntil() (uint64, *flight) {
	for _, f := range d.flight {
		if f.blocked() {
			return f.since + d.o.RetryMax, f
		}
	}
	return 0, nil
}

// why is a reason for which the batch is not attested.
func (f *flight) why() Reason {
	for _, s := range f.said {
		if s.never != 0 {
			return s.never
		}
	}
	return 0
}

func (d *Disperser) refused(now uint64, p *peer, f *flight, member int, r *Refusal) {
	if r.Reason.Final() {
		f.never(member, r.Reason)
		return
	}
	if r.Reason == ReasonUnpaid && f.since+2*d.o.RetryMin <= now {
		// The member has seen by now what this node saw when it made the batch: since then
		// somebody has spent what was for it. The next session does without his bundles.
		f.never(member, r.Reason)
		return
	}
	if r.Reason == ReasonSequence {
		// Of all that is in the air now the rest will be refused as well: one answer to all.
		if p.sentAt+d.o.RetryMin <= now {
			d.again(now, p)
		} else if p.retryAt != 0 {
			p.retryAt = min(p.retryAt, p.sentAt+d.o.RetryMin)
		}
	}
}

// persist hands out certificates in sequence.
func (d *Disperser) persist() {
	for _, f := range d.flight {
		if f.certificate == nil {
			return
		}
		if !f.asked {
			// Crash before it is durable: nobody has seen it, and the next session goes on
			// after the one before. After: it is found, and announced.
			f.asked = true
			d.ready.Persist = append(d.ready.Persist, f.certificate)
		}
	}
}

// Tick sends again what was not answered in time, and begins a session that had to wait.
func (d *Disperser) Tick(now uint64) {
	for _, p := range d.peers {
		if p.retryAt != 0 && p.retryAt <= now {
			d.again(now, p)
		}
	}
	if at, f := d.blockedUntil(); at != 0 && at <= now {
		d.giveUp(now, f)
	}
	if d.beginAt <= now {
		d.beginAt = 0
	}
	d.begin(now)
}

// Deadline returns when Tick is to be called next, 0 for never.
func (d *Disperser) Deadline() uint64 {
	next := uint64(0)
	sooner := func(t uint64) {
		if t != 0 && (next == 0 || t < next) {
			next = t
		}
	}
	for _, p := range d.peers {
		sooner(p.retryAt)
	}
	sooner(d.beginAt)
	blocked, _ := d.blockedUntil()
	sooner(blocked)
	return next
}

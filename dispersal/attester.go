package dispersal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/order"
)

// attester stores what this node attests. Offers are checked side by side; what the
// keeper is asked, it is asked in the order in which an owner sent it.
type attester struct {
	node *Node

	mu     sync.Mutex
	keeper *lane.Keeper
	offers map[order.Owner]*offers // of each owner that has some under way
	took   time.Duration           // from an offer to its attestation, of late
}

// offers are those of one owner that were taken and not judged.
type offers struct {
	count  int
	at     map[order.Mark]int // how many of each position
	last   chan struct{}      // closed when the keeper has judged the last of them
	checks chan struct{}      // holds a token for each one that is checked or waits for a worker
}

const (
	// maxOffers bounds the offers of one owner that are under way, of which a correct one
	// has no more than its window has batches.
	maxOffers = 256
	// maxOffersAt bounds those for one position: the first, and one that is sent again or
	// proves that the owner signed two.
	maxOffersAt = 2
)

// offered is an offer under way.
type offered struct {
	from    order.Owner
	peer    *transport.Peer // nil for this node itself
	batch   *order.SignedBatch
	share   []byte
	memory  int    // that share is in
	settle  func() // its peer may send more, although the share is still in use; nil for this node itself
	release func() // of what share aliases
	since   time.Time
}

func newAttester(n *Node) *attester {
	return &attester{
		node: n, keeper: lane.NewKeeper(n.opts.ChainID, n.opts.Self, n.opts.Keys), offers: make(map[order.Owner]*offers),
	}
}

func (a *attester) view(v *lane.View) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keeper.View(v)
}

// certified tells the keeper of a certificate, which may let attestations go.
func (a *attester) certified(h *order.BatchHeader) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.say(h.Owner, a.keeper.Certified(h))
}

// say sends answers, in their order: under the lock.
func (a *attester) say(to order.Owner, answers []lane.Answer) {
	for i := range answers {
		if r := answers[i].Refusal; r != nil {
			a.node.metrics.refusals.WithLabelValues(label(r.Reason)).Inc()
		}
		a.node.answer(to, &answers[i])
	}
}

// take begins to judge an offer. It does not wait; o.release is called at the end, which for a
// share that was stored is when it is no longer one of the last.
func (a *attester) take(ctx context.Context, o offered) {
	turn := make(chan struct{})
	a.mu.Lock()
	if answers := a.screen(&o); len(answers) > 0 {
		a.say(o.from, answers)
		a.mu.Unlock()
		o.release()
		return
	}
	all := a.offers[o.from]
	if all == nil {
		all = &offers{at: make(map[order.Mark]int), checks: make(chan struct{}, cap(a.node.workers))}
		a.offers[o.from] = all
	}
	before := all.last
	all.last = turn
	all.count++
	all.at[o.batch.Header.Mark]++
	a.mu.Unlock()
	a.node.running.Go(func() {
		stored := false
		defer func() {
			if !stored {
				o.release()
			}
		}()
		checked, refusal := a.check(ctx, &o, all.checks)
		if before != nil {
			<-before
		}
		verdict := a.judge(&o, checked, refusal, turn)
		if verdict.Evidence != nil {
			a.node.opts.Evidence(*verdict.Evidence)
		}
		if refusal != nil && o.peer != nil && forged(refusal.Reason) {
			a.node.fault(o.peer, fmt.Errorf("offer of batch %s: %w", o.batch.Header.Position, refusal))
		}
		if verdict.Store != nil {
			if stored = a.store(ctx, &o, verdict.Store); stored {
				if o.settle != nil {
					o.settle()
				}
				a.node.recent.add(verdict.Store.Batch, o.share, o.memory, o.release)
			}
		}
	})
}

// screen tells what can be told before the check, nothing to go on with it: under the lock.
func (a *attester) screen(o *offered) []lane.Answer {
	answers, all, h := a.keeper.Screen(o.batch), a.offers[o.from], &o.batch.Header
	if all == nil {
		return answers
	}
	// The keeper does not know yet of the one before, where that is under way.
	if len(answers) == 1 && answers[0].Refusal != nil && answers[0].Refusal.Reason == lane.ReasonSequence &&
		all.at[lane.Before(h.Mark, h.After)] > 0 {
		answers = nil
	}
	if len(answers) == 0 && (all.count >= maxOffers || all.at[h.Mark] >= maxOffersAt) {
		return []lane.Answer{{Position: h.Position, Batch: h.ID(a.node.opts.ChainID), Refusal: &lane.Refusal{Reason: lane.ReasonBusy}}}
	}
	return answers
}

// forged tells whether no correct owner makes an offer that is refused for that reason.
func forged(r lane.Reason) bool {
	return r == lane.ReasonSignature || r == lane.ReasonPayer || r == lane.ReasonShare
}

// check does what costs time. Of each owner no more offers wait for a worker than there
// are workers, so that others' come to their turn soon.
func (a *attester) check(ctx context.Context, o *offered, checks chan struct{}) (checked *lane.Checked, refusal *lane.Refusal) {
	select {
	case checks <- struct{}{}:
		defer func() { <-checks }()
	case <-ctx.Done():
		return nil, &lane.Refusal{Reason: lane.ReasonBusy}
	}
	v := a.node.chain()
	err := a.node.work(ctx, func() error {
		committee := v.Committee(o.batch.Header.Epoch)
		if committee == nil {
			refusal = &lane.Refusal{Reason: lane.ReasonEpoch}
			return nil
		}
		layout, err := a.node.layouts.get(committee)
		if err != nil {
			return err
		}
		refusal = &lane.Refusal{Reason: lane.ReasonShare}
		if share, err := shard.DecodeShare(o.share); err == nil {
			offer := &lane.Offer{Batch: o.batch, Share: share}
			if o.peer == nil && o.from == a.node.opts.Self {
				checked, refusal = lane.CheckOwn(v, a.node.opts.Self, offer)
			} else {
				checked, refusal = lane.Check(v, layout, a.node.opts.Self, offer)
			}
		}
		if refusal == nil {
			refusal = a.afford(o.batch)
		}
		return nil
	})
	if err != nil {
		return nil, &lane.Refusal{Reason: lane.ReasonBusy}
	}
	return checked, refusal
}

// afford keeps out what a hostile owner could fill its lane with for nothing: all members
// would store it, and the chain only drop it.
func (a *attester) afford(b *order.SignedBatch) *lane.Refusal {
	err := a.node.opts.Afford(b.Header.Bundles)
	if err == nil {
		return nil
	}
	a.node.opts.Logger.Debug("a batch is not attested for its bundles", "position", b.Header.String(), "error", err)
	if errors.Is(err, lane.ErrBundles) {
		return &lane.Refusal{Reason: lane.ReasonBundles}
	}
	return &lane.Refusal{Reason: lane.ReasonUnpaid}
}

// judge asks the keeper and lets the next offer of the owner have its turn.
func (a *attester) judge(o *offered, checked *lane.Checked, refusal *lane.Refusal, turn chan struct{}) (verdict lane.Verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if refusal != nil {
		h := &o.batch.Header
		verdict.Answers = []lane.Answer{{Position: h.Position, Batch: h.ID(a.node.opts.ChainID), Refusal: refusal}}
	} else {
		verdict = a.keeper.Offer(milliseconds(a.node.opts.Now()), checked)
	}
	a.say(o.from, verdict.Answers)
	all, at := a.offers[o.from], o.batch.Header.Mark
	all.count--
	if all.at[at]--; all.at[at] == 0 {
		delete(all.at, at)
	}
	if all.count == 0 {
		delete(a.offers, o.from)
	}
	close(turn)
	return verdict
}

// store puts the record on disk, then lets the attestation go. It tells whether it could.
func (a *attester) store(ctx context.Context, o *offered, r *lane.Record) bool {
	p := r.Batch.Header.Position
	err := a.node.opts.Shards.PutParts(ctx, certificateKey(p), a.node.height(), r.Head(), o.share)
	// Crash here: the record is on disk and nobody knows. The owner offers the batch
	// again and gets the attestation that the record says.
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		if !errors.Is(err, store.ErrBusy) && ctx.Err() == nil {
			a.node.opts.Logger.Warn("a share was not stored", "position", p.String(), "error", err)
		}
		a.say(o.from, a.keeper.Failed(p, errors.Is(err, store.ErrConflict)))
		return false
	}
	took := a.node.opts.Now().Sub(o.since)
	a.took += (took - a.took) / 16
	a.node.metrics.attest.Observe(took.Seconds())
	a.say(o.from, a.keeper.Stored(p))
	return true
}

// attestTime returns how long it takes this node to attest an offer, of late.
func (a *attester) attestTime() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.took
}

// restore tells the keeper what is on disk, before the first view.
func (a *attester) restore(v *lane.View) error {
	spent, err := readSpent(a.node.opts.Dir)
	if err != nil {
		return err
	}
	last := make(map[order.Owner]uint64) // session of which there are records
	records := make(map[order.Owner][]*lane.Record)
	lanes := a.node.opts.Shards.Lanes() // by owner and session
	for _, held := range lanes {
		owner, err := order.OwnerFromBytes(held.Owner)
		if err != nil {
			return fmt.Errorf("read shards: %w", err)
		}
		last[owner] = held.Session
		s := spent[owner]
		s.Owner = owner
		if end := (order.Mark{Session: held.Session, Sequence: held.Last}); end.Compare(s.Mark) > 0 {
			s.Mark = end
		}
		spent[owner] = s
	}
	for _, held := range lanes {
		owner := order.Owner(held.Owner)
		from := first(held, v.Mark(owner))
		if held.Session == last[owner] {
			from = min(from, held.Last) // the last one always
		}
		for seq := from; seq <= held.Last; seq++ {
			p := order.Position{Owner: owner, Mark: order.Mark{Session: held.Session, Sequence: seq}}
			r, err := a.load(p)
			switch {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				if errors.Is(err, store.ErrCorrupt) {
					a.node.mender.mend(p)
				}
				a.node.opts.Logger.Warn("a share can not be read", "position", p.String(), "error", err)
			default:
				r.Share = nil // the keeper has no need of it
				records[owner] = append(records[owner], r)
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for owner, s := range spent { // each by itself, so their order does not matter
		a.keeper.Restore(s, records[owner])
	}
	return nil
}

// spent tells how far the lanes were attested.
func (a *attester) spent() []lane.Spent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.keeper.Spent()
}

// load reads a record.
func (a *attester) load(p order.Position) (*lane.Record, error) {
	raw, err := a.node.opts.Shards.Get(certificateKey(p))
	if err != nil {
		return nil, err
	}
	r, err := lane.DecodeRecord(raw)
	if err != nil {
		return nil, err
	}
	if r.Batch.Header.Position != p {
		return nil, fmt.Errorf("record of %s at %s: %w", r.Batch.Header.Position, p, order.ErrInvalid)
	}
	return r, nil
}

// share reads the batch attested at the position, and this node's share of it as it is
// encoded.
func (a *attester) share(p order.Position) (*order.SignedBatch, []byte, error) {
	raw, err := a.node.opts.Shards.Get(certificateKey(p))
	if err != nil {
		return nil, nil, err
	}
	batch, share, err := lane.DecodeRecordShare(raw)
	if err == nil && batch.Header.Position != p {
		err = fmt.Errorf("record of %s at %s: %w", batch.Header.Position, p, order.ErrInvalid)
	}
	return batch, share, err
}

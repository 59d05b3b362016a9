package gateway

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ordo-network/ordo/order"
)

const (
	// maxParcelTxs bounds the transactions of a user's bundle for this rollup.
	maxParcelTxs = 1024
	// maxReplacementLen bounds a replacement's name, in bytes.
	maxReplacementLen = 256
	// maxReason bounds what is kept of why a transaction was not executed, in bytes.
	maxReason = 256
	// What a user's bundle takes in memory besides its bytes: itself, each transaction, and
	// the name of each for this rollup.
	parcelOverhead = 1024
	txOverhead     = 48
	hashOverhead   = 160
)

// parcel is a user's bundle as it was handed in; what is sent of it is a bundle. While
// it has not ended it is waiting, or in one live bundle.
type parcel struct {
	seq                   uint64 // order of arrival, key in the journal
	ref                   [32]byte
	replacement           string
	fromBlock, untilBlock uint64
	notBefore, notAfter   time.Time
	received              time.Time
	legs                  []order.Leg // as they are sent; nil once it has ended
	hashes                [][32]byte  // of the own leg's transactions but the terms

	live     *bundle // that may still be ordered; nil while waiting
	attempts int     // bundles that expired
	trouble  string  // what became of the last one
	outcome  *BundleState
}

// parcels are the users' bundles that have not ended, and the outcomes of those that have.
type parcels struct {
	waiting []*parcel // by seq: in no live bundle
	live    int       // in one
	size    int       // of those that have not ended
	ended   []*parcel // oldest first
	kept    int       // transactions of the ended ones

	// What release has to look at again: what it did not see yet, what had no room, and
	// from when on time alone changes something.
	changed, due bool
	lookAt       time.Time

	byRef  map[[32]byte]*parcel
	byID   map[[32]byte]*parcel // by the ID of its last bundle
	byTx   map[[32]byte][]*parcel
	byName map[string]*parcel // by replacement, those that have not ended
	next   uint64             // next seq

	// What was spent of the bound on bytes over time, as of then.
	spent   float64
	spentAt time.Time
}

func newParcels(next uint64) parcels {
	return parcels{
		byRef: make(map[[32]byte]*parcel), byID: make(map[[32]byte]*parcel), byTx: make(map[[32]byte][]*parcel),
		byName: make(map[string]*parcel), next: next,
	}
}

func (p *parcel) size() int {
	n := parcelOverhead + hashOverhead*len(p.hashes)
	for _, leg := range p.legs {
		for _, tx := range leg.Transactions {
			n += txOverhead + len(tx)
		}
	}
	return n
}

// index makes a parcel known that has not ended.
func (ps *parcels) index(p *parcel) {
	ps.size += p.size()
	ps.byRef[p.ref] = p
	if p.replacement != "" {
		ps.byName[p.replacement] = p
	}
	ps.indexTxs(p)
}

func (ps *parcels) indexTxs(p *parcel) {
	for _, h := range p.hashes {
		ps.byTx[h] = append(ps.byTx[h], p)
	}
}

// wait puts a parcel among those that wait, by arrival.
func (ps *parcels) wait(p *parcel) {
	i, _ := slices.BinarySearchFunc(ps.waiting, p, func(a, b *parcel) int { return int(int64(a.seq - b.seq)) })
	ps.waiting = slices.Insert(ps.waiting, i, p)
	ps.changed = true
}

// forget leaves no trace of a parcel that has ended.
func (ps *parcels) forget(p *parcel) {
	delete(ps.byRef, p.ref)
	if ps.byID[p.outcome.ID] == p {
		delete(ps.byID, p.outcome.ID)
	}
	for _, h := range p.hashes {
		left := slices.DeleteFunc(ps.byTx[h], func(x *parcel) bool { return x == p })
		if len(left) == 0 {
			delete(ps.byTx, h)
		} else {
			ps.byTx[h] = left
		}
	}
}

// admitBundle takes in a user's bundle.
func (c *core) admitBundle(b Bundle, now time.Time) error {
	p, err := c.newParcel(b, now)
	if err != nil {
		return err
	}
	ps := &c.parcels
	if ps.byRef[p.ref] != nil {
		return ErrKnown
	}
	if c.send.unfunded != "" {
		return fmt.Errorf("%w: %s; send uordo to %s on %s", ErrUnfunded, c.send.unfunded, c.payer, c.cfg.ChainID)
	}
	if c.past(p, now) {
		return fmt.Errorf("%w: %s", ErrPast, c.passed(p))
	}
	old, held, size := ps.byName[p.replacement], len(ps.waiting)+ps.live, ps.size
	if old != nil {
		if old.sent() {
			return fmt.Errorf("%w: what it is to replace was sent", ErrTooLate)
		}
		held, size = held-1, size-old.size()
	}
	if held >= c.cfg.MaxUserBundles {
		return fmt.Errorf("%w: %d bundles wait to be ordered; try again in a second", ErrFull, held)
	}
	if size+p.size() > c.cfg.MaxUserBytes {
		return fmt.Errorf("%w: bundles of %d bytes wait to be ordered; try again in a second", ErrFull, size)
	}
	if err := ps.spend(p.size(), c.cfg.UserBytesPerSecond, now); err != nil {
		return err
	}
	if old != nil {
		c.drop(old, fmt.Sprintf("replaced by bundle 0x%x", p.ref), now)
	}
	p.seq = ps.next
	ps.next++
	ps.index(p)
	ps.wait(p)
	c.change(parcelKey(p.seq), encodeParcel(p))
	c.sync = true
	c.touchParcel(p)
	return nil
}

// spendAhead is how much of the bound on bytes over time may be used at once.
const spendAhead = 8 * time.Second

// spend takes bytes from what users' bundles may have the payer pay for. Who hands in a
// bundle need not be able to pay for anything himself, so there is no other bound.
func (ps *parcels) spend(bytes, perSecond int, now time.Time) error {
	if perSecond <= 0 {
		return nil
	}
	// What one bundle may have at least.
	ahead := max(float64(perSecond)*spendAhead.Seconds(), order.MaxBundleBytes)
	spent := max(0, ps.spent-now.Sub(ps.spentAt).Seconds()*float64(perSecond))
	if spent+float64(bytes) > ahead {
		return fmt.Errorf("%w: users' bundles have had their %d bytes a second; try again in a while", ErrFull, perSecond)
	}
	ps.spent, ps.spentAt = spent+float64(bytes), now
	return nil
}

// newParcel checks what was handed in, and copies it.
func (c *core) newParcel(b Bundle, now time.Time) (*parcel, error) {
	switch {
	case b.Ref == [32]byte{}:
		return nil, errors.New("bundle without a reference")
	case len(b.Txs) == 0:
		return nil, errors.New("bundle without a transaction for this rollup: hand it in at one of the rollups that it is for")
	case len(b.Txs) > maxParcelTxs:
		return nil, fmt.Errorf("%w: %d transactions, at most %d", ErrTooLarge, len(b.Txs), maxParcelTxs)
	case b.Position < 0 || b.Position > len(b.Others):
		return nil, fmt.Errorf("bundle's own leg at position %d of %d", b.Position, len(b.Others)+1)
	case len(b.Replacement) > maxReplacementLen:
		return nil, fmt.Errorf("bundle's replacement name of %d bytes, at most %d", len(b.Replacement), maxReplacementLen)
	case b.UntilBlock > 0 && b.FromBlock > b.UntilBlock:
		return nil, fmt.Errorf("bundle from block %d until block %d: it fits no block", b.FromBlock, b.UntilBlock)
	case !b.NotAfter.IsZero() && b.NotBefore.After(b.NotAfter):
		return nil, fmt.Errorf("bundle not before %s and not after %s: it fits no time", b.NotBefore, b.NotAfter)
	case b.NotBefore.After(now.Add(c.cfg.HoldFor)):
		return nil, fmt.Errorf("bundle not before %s: it would have to be held for more than %s", b.NotBefore, c.cfg.HoldFor)
	}
	own := order.Leg{RollupID: c.cfg.RollupID}
	if len(b.Terms) > 0 {
		own.Transactions = append(own.Transactions, slices.Clone(b.Terms))
	}
	p := &parcel{
		ref: b.Ref, replacement: b.Replacement, fromBlock: b.FromBlock, untilBlock: b.UntilBlock,
		notBefore: b.NotBefore, notAfter: b.NotAfter, received: now,
	}
	seen := make(map[[32]byte]bool, len(b.Txs))
	for _, tx := range b.Txs {
		if seen[tx.Hash] {
			return nil, fmt.Errorf("bundle holds transaction %x twice", tx.Hash)
		}
		seen[tx.Hash] = true
		p.hashes = append(p.hashes, tx.Hash)
		own.Transactions = append(own.Transactions, slices.Clone(tx.Raw))
	}
	p.legs = make([]order.Leg, 0, len(b.Others)+1)
	for _, leg := range b.Others {
		txs := make([][]byte, len(leg.Transactions))
		for i, tx := range leg.Transactions {
			txs[i] = slices.Clone(tx)
		}
		p.legs = append(p.legs, order.Leg{RollupID: leg.RollupID, Transactions: txs})
	}
	p.legs = slices.Insert(p.legs, b.Position, own)
	// As large as it can be when it is sent.
	whole := order.Bundle{Expiry: 1 << 62, FeeLimit: 1 << 62, Legs: p.legs}
	if n := whole.Size(); n > c.maxBundle() {
		return nil, fmt.Errorf("%w: bundle of %d bytes, at most %d", ErrTooLarge, n, c.maxBundle())
	}
	return p, whole.Validate()
}

// sent reports whether a sequencer may have it.
func (p *parcel) sent() bool { return p.live != nil && p.live.sent }

// cancel ends a parcel because its user wants it to.
func (c *core) cancel(p *parcel, now time.Time) error {
	switch {
	case p == nil:
		return ErrUnknown
	case p.sent() || p.outcome != nil && p.outcome.ID != (order.BundleID{}): // it was ordered, or may have been
		return ErrTooLate
	case p.outcome != nil: // who is told so must be able to rely on it
		c.change(outcomeKey(p.seq), encodeOutcome(p.outcome))
	default:
		c.drop(p, "cancelled", now)
	}
	c.sync = true
	return nil
}

// drop ends a parcel that no sequencer has.
func (c *core) drop(p *parcel, reason string, now time.Time) {
	if b := p.live; b != nil {
		c.retire(b)
	}
	c.endParcel(p, BundleState{Phase: BundleDropped, Reason: reason}, now)
}

// endParcel takes a parcel out, of which only the outcome is left. It is in no live bundle.
func (c *core) endParcel(p *parcel, st BundleState, now time.Time) {
	ps := &c.parcels
	ps.size -= p.size()
	ps.waiting = slices.DeleteFunc(ps.waiting, func(x *parcel) bool { return x == p })
	if ps.byName[p.replacement] == p {
		delete(ps.byName, p.replacement)
	}
	p.legs = nil
	st.Ref, st.Received, st.Ended = p.ref, p.received, now
	if st.Txs == nil {
		st.Txs = p.outcomes()
	}
	p.outcome = &st
	if st.ID != (order.BundleID{}) {
		ps.byID[st.ID] = p
	}
	c.stats.parcelEnded(st.Phase)
	c.change(parcelKey(p.seq), nil)
	// No chain tells what became of it by its reference, so that this outlives a crash.
	c.change(outcomeKey(p.seq), encodeOutcome(p.outcome))
	c.keepEnded(p)
	c.touchParcel(p)
}

func (p *parcel) outcomes() []TxOutcome {
	txs := make([]TxOutcome, len(p.hashes))
	for i, h := range p.hashes {
		txs[i].Hash = h
	}
	return txs
}

// keepEnded remembers an outcome, and makes room for it.
func (c *core) keepEnded(p *parcel) {
	ps := &c.parcels
	ps.ended = append(ps.ended, p)
	ps.kept += len(p.hashes)
	for len(ps.ended) > maxHistory || ps.kept > 4*maxHistory {
		c.forgetOldest()
	}
}

func (c *core) forgetOldest() {
	ps := &c.parcels
	p := ps.ended[0]
	ps.ended[0] = nil
	ps.ended = ps.ended[1:]
	ps.kept -= len(p.hashes)
	ps.forget(p)
	c.change(outcomeKey(p.seq), nil)
}

// expireOutcomes forgets what is older than the history goes back.
func (c *core) expireOutcomes(now time.Time) {
	ps := &c.parcels
	for len(ps.ended) > 0 && now.Sub(ps.ended[0].outcome.Ended) > c.cfg.KeepEnded {
		c.forgetOldest()
	}
}

// touchParcel says that a parcel's state has changed.
func (c *core) touchParcel(p *parcel) {
	c.touch(p.ref)
	for _, h := range p.hashes {
		c.touch(h)
	}
}

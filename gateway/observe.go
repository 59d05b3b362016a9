package gateway

import (
	"slices"
	"time"

	"github.com/ordo-network/ordo/order"
)

// Observed is what one block of the sequencer chain did for the rollup.
type Observed struct {
	// Height of the sequencer chain.
	Height uint64
	// Block and Time are of the rollup's head once the height is executed: of the block
	// that holds what the height ordered, where one does. Zero where they are not known.
	Block uint64
	Time  time.Time
	// Bundles holds the IDs of all bundles with a leg for this rollup.
	Bundles []order.BundleID
	// Executed holds the hashes of the transactions that the rollup's block holds.
	Executed [][32]byte
	// Skipped holds those that were ordered and not executed.
	Skipped []Skipped
}

// Skipped is a transaction that was ordered and not executed.
type Skipped struct {
	Hash   [32]byte
	Bundle order.BundleID // that held it: there may be several copies; zero where not told
	Reason string
	// Retry says that it may become valid: its nonce was too high.
	Retry bool
}

// observe takes in one block. Doing so again changes nothing.
func (c *core) observe(o Observed, now time.Time) {
	c.views++
	c.parcels.changed = true
	if o.Height > c.observed+1 {
		c.reconcile(now)
		c.doubt()
	}
	c.observed = max(c.observed, o.Height)
	if o.Block > c.block {
		c.block, c.blockTime = o.Block, o.Time
		c.change(metaBlock, encodeBlock(c.block, c.blockTime))
	}
	if o.Height >= c.head {
		c.head, c.headAt = o.Height, now
	}
	f := newFates(o)
	for _, id := range o.Bundles {
		b := c.byID[id]
		switch {
		case b == nil:
			continue
		case b.parcel != nil:
			c.delivered(b, o, f, now)
		default:
			c.resolve(b, func(e *entry) { c.settle(e, b, o.Height, f, now) })
			c.stats.bundlesOrdered++
		}
		c.send.progress(c.cfg.ResendAfter)
	}
	for _, h := range o.Executed {
		if e := c.txs[h]; e != nil { // somebody else's copy
			c.end(e, State{Phase: PhaseExecuted, Height: o.Height}, now)
		}
	}
	for _, b := range slices.Clone(c.live) {
		if b.expiry > o.Height {
			continue
		}
		// Every height at which it could be ordered has passed without it.
		if b.parcel != nil {
			c.lapsed(b, now)
			continue
		}
		c.resolve(b, c.requeue)
		c.stats.bundlesExpired++
	}
	c.change(metaHeight, encodeHeight(c.observed))
}

// fates are what became of a block's transactions. There may be several copies of one,
// in several bundles.
type fates struct {
	executed map[[32]byte]bool
	skipped  map[copyOf]Skipped
}

type copyOf struct {
	hash   [32]byte
	bundle order.BundleID
}

func newFates(o Observed) fates {
	f := fates{executed: make(map[[32]byte]bool, len(o.Executed)), skipped: make(map[copyOf]Skipped, len(o.Skipped))}
	for _, h := range o.Executed {
		f.executed[h] = true
	}
	for _, s := range o.Skipped {
		f.skipped[copyOf{s.Hash, s.Bundle}] = s
	}
	return f
}

// skippedIn returns why the bundle's copy was skipped, or one of which it is not told
// whose it was.
func (f fates) skippedIn(hash [32]byte, id order.BundleID) (Skipped, bool) {
	s, ok := f.skipped[copyOf{hash, id}]
	if !ok {
		s, ok = f.skipped[copyOf{hash: hash}]
	}
	return s, ok
}

// certify notes that a live bundle is certified.
func (c *core) certify(id order.BundleID, now time.Time) {
	b := c.byID[id]
	if b == nil || !b.certified.IsZero() {
		return
	}
	b.certified = now
	if b.parcel != nil {
		c.touchParcel(b.parcel)
	}
	for _, e := range b.txs {
		if e.ended {
			continue
		}
		if c.stats.certified != nil {
			c.stats.certified(now.Sub(e.received))
		}
		c.touch(e.Hash)
	}
}

// reconcile makes up for blocks that were executed and never observed, as a crash
// leaves them: a bundle of which everything is executed was ordered, or needs no
// ordering any more. Others wait for their expiry.
func (c *core) reconcile(now time.Time) {
	for _, b := range slices.Clone(c.live) {
		if b.parcel != nil || slices.ContainsFunc(b.txs, func(e *entry) bool {
			executed, err := c.chain.Executed(e.Hash)
			return err != nil || !executed
		}) {
			continue
		}
		c.resolve(b, func(e *entry) {
			c.requeue(e)
			c.end(e, State{Phase: PhaseExecuted, Bundle: b.id}, now)
		})
	}
}

// retire takes a bundle out of the live ones.
func (c *core) retire(b *bundle) {
	c.live = slices.DeleteFunc(c.live, func(x *bundle) bool { return x == b })
	delete(c.byID, b.id)
	if p := b.parcel; p != nil {
		p.live = nil
		c.parcels.live--
		delete(c.parcels.byID, b.id)
		c.change(parcelBundleKey(b.seq), nil)
		return
	}
	c.change(bundleKey(b.seq), nil)
}

// resolve retires a bundle that can no longer be ordered and hands on what it held and
// has not ended.
func (c *core) resolve(b *bundle, each func(*entry)) {
	c.retire(b)
	for _, e := range b.txs {
		if e.ended {
			c.forget(e)
			continue
		}
		each(e)
	}
}

// settle decides on a transaction whose bundle was ordered at the height.
func (c *core) settle(e *entry, b *bundle, height uint64, f fates, now time.Time) {
	c.requeue(e)
	if f.executed[e.Hash] {
		c.end(e, State{Phase: PhaseExecuted, Bundle: b.id, Height: height, Certified: b.certified}, now)
		return
	}
	e.attempts++
	s, ok := f.skippedIn(e.Hash, b.id)
	if ok && (!s.Retry || e.attempts >= maxAttempts) {
		c.end(e, State{Phase: PhaseDropped, Reason: s.Reason, Bundle: b.id, Height: height, Certified: b.certified}, now)
		return
	}
	// Its nonce was too high, or, after a replay, nobody knows any more: whether
	// it can still be executed is seen when it is bundled again.
	c.senders[e.Sender].cautious = true
}

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
	if o.Height > c.observed+1 {
		c.reconcile(now)
	}
	c.observed = max(c.observed, o.Height)
	if o.Height >= c.head {
		c.head, c.headAt = o.Height, now
	}
	executed := make(map[[32]byte]bool, len(o.Executed))
	for _, h := range o.Executed {
		executed[h] = true
	}
	skipped := make(map[[32]byte]Skipped, len(o.Skipped))
	for _, s := range o.Skipped {
		skipped[s.Hash] = s
	}
	for _, id := range o.Bundles {
		if b := c.byID[id]; b != nil {
			c.resolve(b, func(e *entry) { c.settle(e, b, o.Height, executed, skipped, now) })
			c.send.progress(c.cfg.ResendAfter)
			c.stats.bundlesOrdered++
		}
	}
	for _, h := range o.Executed {
		if e := c.txs[h]; e != nil { // somebody else's copy
			c.end(e, State{Phase: PhaseExecuted, Height: o.Height}, now)
		}
	}
	for _, b := range slices.Clone(c.live) {
		if b.expiry <= o.Height {
			// Every height at which it could be ordered has passed without it.
			c.resolve(b, c.requeue)
			c.stats.bundlesExpired++
		}
	}
	c.change(metaHeight, encodeHeight(c.observed))
}

// certify notes that a live bundle is certified.
func (c *core) certify(id order.BundleID, now time.Time) {
	b := c.byID[id]
	if b == nil || !b.certified.IsZero() {
		return
	}
	b.certified = now
	for _, e := range b.txs {
		if !e.ended && c.stats.certified != nil {
			c.stats.certified(now.Sub(e.received))
		}
	}
}

// reconcile makes up for blocks that were executed and never observed, as a crash
// leaves them: a bundle of which everything is executed was ordered, or needs no
// ordering any more. Others wait for their expiry.
func (c *core) reconcile(now time.Time) {
	for _, b := range slices.Clone(c.live) {
		if slices.ContainsFunc(b.txs, func(e *entry) bool {
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

// resolve takes a bundle that can no longer be ordered out of the live ones and
// hands on what it held and has not ended.
func (c *core) resolve(b *bundle, each func(*entry)) {
	c.live = slices.DeleteFunc(c.live, func(x *bundle) bool { return x == b })
	delete(c.byID, b.id)
	c.change(bundleKey(b.seq), nil)
	for _, e := range b.txs {
		if e.ended {
			c.forget(e)
			continue
		}
		each(e)
	}
}

// settle decides on a transaction whose bundle was ordered at the height.
func (c *core) settle(e *entry, b *bundle, height uint64, executed map[[32]byte]bool, skipped map[[32]byte]Skipped, now time.Time) {
	c.requeue(e)
	if executed[e.Hash] {
		c.end(e, State{Phase: PhaseExecuted, Bundle: b.id, Height: height, Certified: b.certified}, now)
		return
	}
	e.attempts++
	s, ok := skipped[e.Hash]
	if ok && (!s.Retry || e.attempts >= maxAttempts) {
		c.end(e, State{Phase: PhaseDropped, Reason: s.Reason, Bundle: b.id, Height: height, Certified: b.certified}, now)
		return
	}
	// Its nonce was too high, or, after a replay, nobody knows any more: whether
	// it can still be executed is seen when it is bundled again.
	c.senders[e.Sender].cautious = true
}

package gateway

import (
	"fmt"
	"slices"
	"time"
)

// expiryMargin is added to the blocks that a parcel with a last block may take, for what
// is not known here: how many blocks of the sequencer chain go into one of the rollup's.
const expiryMargin = 32

// release makes bundles of the parcels whose time has come, each of one, and ends those
// whose time has passed.
func (c *core) release(now time.Time) {
	ps, may := &c.parcels, c.mayRelease(now)
	if !ps.changed && now.Before(ps.lookAt) && (!ps.due || !may) {
		return
	}
	ps.changed, ps.due, ps.lookAt = false, false, now.Add(c.cfg.HoldFor)
	for _, p := range slices.Clone(ps.waiting) {
		switch {
		case c.past(p, now):
			c.drop(p, c.passed(p), now)
			continue
		case !c.early(p, now) && may:
			c.launch(p, now)
			may = c.mayRelease(now)
		case !c.early(p, now):
			ps.due = true
		case now.Sub(p.received) > c.cfg.HoldFor:
			c.drop(p, fmt.Sprintf("its first block, %d, did not come within %s", p.fromBlock, c.cfg.HoldFor), now)
			continue
		default:
			ps.lookBy(p.received.Add(c.cfg.HoldFor + 1))
		}
		if p.notBefore.After(now) {
			ps.lookBy(p.notBefore)
		}
		if !p.notAfter.IsZero() && p.live == nil {
			ps.lookBy(p.notAfter.Add(1))
		}
	}
	for _, b := range slices.Clone(c.live) {
		p := b.parcel
		if p == nil || b.sent {
			continue
		}
		if c.past(p, now) {
			c.drop(p, c.passed(p), now)
		} else if !p.notAfter.IsZero() {
			ps.lookBy(p.notAfter.Add(1))
		}
	}
}

func (ps *parcels) lookBy(t time.Time) {
	if t.Before(ps.lookAt) {
		ps.lookAt = t
	}
}

// mayRelease reports whether a user's bundle may be made now. Before the first height was
// observed, that height would leave it in doubt; see doubt.
func (c *core) mayRelease(now time.Time) bool {
	return c.observed > 0 && c.send.unfunded == "" && c.knowsChain(now) && c.parcels.live < c.cfg.MaxInFlight && c.unsent(true) < maxUnsent
}

// launch makes the parcel's bundle.
func (c *core) launch(p *parcel, now time.Time) {
	expiry := c.expiryBlocks()
	if p.untilBlock > 0 { // what is past it, nobody should wait for
		expiry = min(expiry, 2*(p.untilBlock-min(c.block, p.untilBlock))+expiryMargin)
	}
	b := &bundle{seq: c.nextID, parcel: p, expiry: c.head + expiry}
	c.seal(b)
	if n := c.wire(b).Size(); n > c.maxBundle() { // the chain's bound fell since it was admitted
		c.drop(p, fmt.Sprintf("%s: %d bytes, room for %d", ErrTooLarge, n, c.maxBundle()), now)
		return
	}
	if c.byID[b.id] != nil || c.parcels.byID[b.id] != nil {
		return // the same under another reference: it is looked at again with the next height, and gets another ID
	}
	c.nextID++
	c.parcels.waiting = slices.DeleteFunc(c.parcels.waiting, func(x *parcel) bool { return x == p })
	c.board(b)
	c.change(parcelBundleKey(b.seq), encodeParcelBundle(b))
	c.sync = true // before it is sent the first time
	c.stats.bundlesMade++
	c.touchParcel(p)
}

// board makes a parcel's bundle live.
func (c *core) board(b *bundle) {
	p := b.parcel
	p.live = b
	c.parcels.live++
	c.parcels.byID[b.id] = p
	c.live = append(c.live, b)
	c.byID[b.id] = b
}

// delivered ends the parcel of a bundle that was ordered.
func (c *core) delivered(b *bundle, o Observed, f fates, now time.Time) {
	p := b.parcel
	c.retire(b)
	c.stats.bundlesOrdered++
	st := BundleState{Phase: BundleOrdered, ID: b.id, Height: o.Height, Block: o.Block, Certified: b.certified, Txs: p.outcomes()}
	for i := range st.Txs {
		tx := &st.Txs[i]
		s, skipped := f.skippedIn(tx.Hash, b.id)
		switch {
		case skipped && (s.Bundle == b.id || !f.executed[tx.Hash]):
			tx.Reason = s.Reason[:min(len(s.Reason), maxReason)]
		case f.executed[tx.Hash]:
			tx.Executed = true
		default: // a replay, of which nobody knows any more
			tx.Executed, _ = c.chain.Executed(tx.Hash)
			if !tx.Executed {
				tx.Reason = "was ordered, and why it was not executed is not known any more"
			}
		}
	}
	c.endParcel(p, st, now)
}

// lapsed ends a bundle that was not ordered up to its expiry. Its parcel is sent again
// where that is certain, and ends otherwise: it must never be ordered twice.
func (c *core) lapsed(b *bundle, now time.Time) {
	p := b.parcel
	c.retire(b)
	c.stats.bundlesExpired++
	if b.unsure {
		st := BundleState{Phase: BundleDropped, ID: b.id, Reason: "it expired, and this node was not told of all that was ordered: it may have been"}
		if c.allExecuted(p) {
			st.Phase, st.Reason, st.Txs = BundleOrdered, "", p.outcomes()
			for i := range st.Txs {
				st.Txs[i].Executed = true
			}
		}
		c.endParcel(p, st, now)
		return
	}
	p.attempts++
	p.trouble = fmt.Sprintf("bundle %s was not ordered up to height %d, its last", b.id, b.expiry)
	if b.trouble != "" {
		p.trouble += ": " + b.trouble
	}
	if p.attempts >= maxAttempts {
		c.endParcel(p, BundleState{Phase: BundleDropped, Reason: fmt.Sprintf("tried %d times; the last time, %s", p.attempts, p.trouble)}, now)
		return
	}
	c.parcels.wait(p)
	c.touchParcel(p)
}

func (c *core) allExecuted(p *parcel) bool {
	for _, h := range p.hashes {
		if executed, err := c.chain.Executed(h); err != nil || !executed {
			return false
		}
	}
	return true
}

// doubt notes that heights were not observed: each live bundle of a user may have been
// ordered in one of them. It stays live, for the chain takes an ID once.
func (c *core) doubt() {
	for _, b := range c.live {
		if b.parcel != nil && !b.unsure {
			b.unsure = true
			c.change(parcelBundleKey(b.seq), encodeParcelBundle(b))
		}
	}
}

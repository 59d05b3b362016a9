package gateway

import (
	"fmt"
	"slices"
	"time"
)

// early reports whether the parcel has to wait for its block or its time.
func (c *core) early(p *parcel, now time.Time) bool {
	return p.fromBlock > c.block+1 || p.notBefore.After(now) && p.notBefore.After(c.blockTime)
}

// waitsFor says what a parcel that is early waits for.
func (c *core) waitsFor(p *parcel) string {
	if p.fromBlock > c.block+1 {
		return fmt.Sprintf("waits for block %d: its first is %d and the rollup's head %d", p.fromBlock-1, p.fromBlock, c.block)
	}
	return "waits until " + p.notBefore.UTC().Format(time.RFC3339Nano)
}

// past reports whether no block to come can apply the parcel.
func (c *core) past(p *parcel, now time.Time) bool {
	return p.untilBlock > 0 && c.block >= p.untilBlock ||
		!p.notAfter.IsZero() && (now.After(p.notAfter) || c.blockTime.After(p.notAfter))
}

// passed says what has passed for a parcel that is past.
func (c *core) passed(p *parcel) string {
	reason := "its last time was " + p.notAfter.UTC().Format(time.RFC3339Nano)
	if p.untilBlock > 0 && c.block >= p.untilBlock {
		reason = fmt.Sprintf("its last block was %d and the rollup's head is %d", p.untilBlock, c.block)
	}
	if p.trouble != "" {
		reason += "; before that, " + p.trouble
	}
	return reason
}

// parcelState describes a parcel.
func (c *core) parcelState(p *parcel, now time.Time) BundleState {
	if p.outcome != nil {
		st := *p.outcome
		st.Txs = slices.Clone(st.Txs)
		return st
	}
	st := BundleState{Ref: p.ref, Phase: BundleReceived, Received: p.received, Txs: p.outcomes()}
	switch b := p.live; {
	case b != nil:
		st.ID, st.Certified, st.Reason = b.id, b.certified, b.trouble
		if !b.certified.IsZero() {
			st.Phase = BundleCertified
		}
	case c.early(p, now):
		st.Phase, st.Reason = BundleHeld, c.waitsFor(p)
	case c.observed == 0:
		st.Phase, st.Reason = BundleHeld, "waits until this node follows the order"
	case c.send.unfunded != "":
		st.Reason = c.send.unfunded
	default:
		st.Reason = p.trouble
	}
	return st
}

// parcelOf returns the parcel that says most of a transaction; nil where none holds it.
func (c *core) parcelOf(hash [32]byte) (best *parcel, index int) {
	rank := -1
	for _, p := range c.parcels.byTx[hash] {
		i, r := slices.Index(p.hashes, hash), 1
		if p.outcome != nil {
			r = 0
			if p.outcome.Txs[i].Executed {
				r = 2
			}
		}
		if r >= rank {
			best, index, rank = p, i, r
		}
	}
	return best, index
}

// stateInParcel describes one of a parcel's transactions.
func (c *core) stateInParcel(p *parcel, i int, now time.Time) State {
	ps := c.parcelState(p, now)
	st := State{Phase: PhaseQueued, Reason: ps.Reason, Bundle: ps.ID, Height: ps.Height, Received: ps.Received, Certified: ps.Certified, Ended: ps.Ended}
	tx := ps.Txs[i]
	switch {
	case p.outcome == nil && p.live != nil:
		st.Phase = PhaseInFlight
	case p.outcome == nil:
	case tx.Executed:
		st.Phase, st.Reason = PhaseExecuted, ""
	case ps.Phase == BundleOrdered:
		st.Phase, st.Reason = PhaseDropped, tx.Reason
	default:
		st.Phase, st.Reason = PhaseDropped, "its bundle was dropped: "+ps.Reason
	}
	return st
}

// executedInParcel reports whether the transaction came in a user's bundle and was executed.
func (c *core) executedInParcel(hash [32]byte) bool {
	p, i := c.parcelOf(hash)
	return p != nil && p.outcome != nil && p.outcome.Txs[i].Executed
}

package gateway

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ordo-network/ordo/order"
)

const (
	// maxUnsent bounds the bundles that wait for their first sending: what comes in
	// meanwhile makes the next bundle larger instead of more numerous.
	maxUnsent = 2
	// maxExpiry is how far ahead a bundle's expiry lies, in blocks, where the chain
	// allows it: half a minute of full blocks.
	maxExpiry = 300
)

// mayCut reports whether a bundle may be made, as soon as the flush interval allows.
func (c *core) mayCut(now time.Time) bool {
	own := len(c.live) - c.parcels.live
	if c.send.unfunded != "" && own > 0 {
		return false // one bundle is enough to see whether it has passed
	}
	return c.ready.Len() > 0 && c.knowsChain(now) && own < c.cfg.MaxInFlight && c.unsent(false) < maxUnsent
}

// knowsChain reports whether enough is known of the sequencer chain to make a bundle.
func (c *core) knowsChain(now time.Time) bool {
	return c.info.ChainID != "" && now.Sub(c.headAt) <= staleAfter
}

// unsent counts the bundles, users' or the gateway's own, that wait for their first
// sending: each kind has its share, so that neither keeps out the other.
func (c *core) unsent(users bool) (n int) {
	for _, b := range c.live {
		if b.acked == 0 && b.refusals == 0 && c.signs(b) && (b.parcel != nil) == users {
			n++
		}
	}
	return n
}

// maxBundle returns the bound on a bundle's bytes.
func (c *core) maxBundle() int {
	if n := c.info.MaxBundleBytes; n > 0 && n < order.MaxBundleBytes {
		return int(n)
	}
	return order.MaxBundleBytes
}

// cut makes a bundle of what is ready, one transaction of each sender in turn.
// It returns nil where there is nothing to do.
func (c *core) cut(now time.Time) *bundle {
	if !c.mayCut(now) || now.Before(c.cutAt.Add(c.cfg.FlushInterval)) {
		return nil
	}
	c.cuts++
	room := c.maxBundle() - bundleOverhead
	var txs []*entry
	for c.ready.Len() > 0 && len(txs) < order.MaxLegTransactions {
		s := c.ready.Front().Value.(*sender)
		if s.cut != c.cuts {
			s.run, s.cut = nil, c.cuts
			s.run = c.eligible(s, now)
		}
		if len(s.run) == 0 {
			c.place(s, c.held)
			continue
		}
		e := s.run[0]
		size := 1 + protowire.SizeBytes(len(e.Raw))
		if size > room {
			if len(txs) > 0 {
				break
			}
			// The chain's bound fell since it was admitted.
			s.run = nil
			c.end(e, State{Phase: PhaseDropped, Reason: fmt.Sprintf("%s: %d bytes, room for %d", ErrTooLarge, size, room)}, now)
			continue
		}
		s.run = s.run[1:]
		c.ready.MoveToBack(s.elem)
		room -= size
		txs = append(txs, e)
	}
	if len(txs) == 0 {
		return nil
	}
	c.cutAt = now
	b := &bundle{seq: c.nextID, txs: txs, expiry: c.head + c.expiryBlocks()}
	c.nextID++
	for _, e := range txs {
		c.assign(e, b)
	}
	c.seal(b)
	c.live = append(c.live, b)
	c.byID[b.id] = b
	c.change(bundleKey(b.seq), encodeBundle(b))
	c.sync = true // before it is sent the first time
	c.stats.bundlesMade++
	return b
}

// expiryBlocks keeps a margin below the chain's bound: a sequencer may be some
// blocks behind the height known here.
func (c *core) expiryBlocks() uint64 {
	n := c.info.MaxExpiryBlocks - c.info.MaxExpiryBlocks/8
	return max(1, min(n, maxExpiry))
}

// seal fixes what the bundle's ID covers. It is signed when it is sent, for the lane that
// it then goes to.
func (c *core) seal(b *bundle) {
	b.payer = c.self
	size := uint64(c.wire(b).Size() + 16) // and the limit itself
	// Twice today's fee: a bundle in flight outlives a change of the price.
	b.feeLimit = 2 * ((size*c.info.FeePerKilobyte + 999) / 1000)
	b.id = c.wire(b).ID(c.cfg.ChainID)
}

// eligible returns the sender's queued transactions that may be ordered now, by
// nonce and without gap: the first follows on what is executed or, unless the sender
// is cautious, in flight. It ends those whose nonce has passed.
func (c *core) eligible(s *sender, now time.Time) []*entry {
	next, err := c.nextNonce(s)
	if err != nil {
		return nil
	}
	for len(s.txs) > 0 && s.txs[0].Nonce < next && s.txs[0].bundle == nil {
		e := s.txs[0]
		executed, err := c.chain.Executed(e.Hash)
		if err != nil {
			return nil
		}
		st := State{Phase: PhaseExecuted}
		if !executed {
			st = State{Phase: PhaseDropped, Reason: fmt.Sprintf("nonce too low: next nonce %d, tx nonce %d", next, e.Nonce)}
		}
		c.end(e, st, now)
	}
	if s.inFlight == 0 {
		s.cautious = false
	}
	var run []*entry
	for _, e := range s.txs[:s.gap(next)] {
		switch {
		case e.Nonce < next: // ends with its bundle
		case e.bundle == nil:
			run = append(run, e)
		case s.cautious || len(run) > 0:
			// What is in flight behind the run may be ordered before it.
			return run
		}
	}
	return run
}

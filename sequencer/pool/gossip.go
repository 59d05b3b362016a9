package pool

import (
	"container/list"
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/order"
)

// KindBundle is the first byte of a bundle among nodes, which tells it from an
// ordinary transaction: those are protobuf and start with the tag of field 1, 0x0a.
const KindBundle = 0x01

// offerAgain is how many blocks an accepted bundle waits before it is offered to
// peers once more: they may have been full, or not yet connected.
const offerAgain = 50

// ErrGossip is returned for bytes from a peer that are neither bundle nor transaction.
var ErrGossip = errors.New("neither a bundle nor a transaction")

// Insert takes in what a peer or a client of the node's RPC sends: a bundle behind
// KindBundle, or an ordinary transaction. The pool keeps raw.
// Errors: as Submit; ErrGossip; what Chain.CheckTx returns.
func (p *Pool) Insert(raw []byte) error {
	var err error
	switch {
	case len(raw) == 0:
		err = fmt.Errorf("no bytes: %w", ErrGossip)
	case raw[0] == KindBundle:
		_, err = p.admit(raw, false)
	default:
		err = p.insertTx(raw)
	}
	if err != nil {
		p.metrics.refused.WithLabelValues(reason(err)).Inc()
	}
	return err
}

// Reap returns what has come in since the last call, in order of arrival, for
// peers. Up to maxBytes, where that is not 0, but at least one.
func (p *Pool) Reap(maxBytes uint64) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, size := 0, uint64(0)
	for ; n < len(p.fresh); n++ {
		size += uint64(len(p.fresh[n]))
		if maxBytes > 0 && size > maxBytes && n > 0 {
			break
		}
	}
	out := p.fresh[:n:n]
	p.fresh = p.fresh[n:]
	if len(p.fresh) == 0 {
		p.fresh = nil
	}
	for _, wire := range out {
		p.freshSize -= len(wire)
	}
	return out
}

// announce queues what has come in for peers. Where nobody reaps, the queue ends
// at the pool's limit; the later offers make good for it.
func (p *Pool) announce(wire []byte) {
	if p.freshSize+len(wire) <= p.limits.Bytes {
		p.fresh = append(p.fresh, wire)
		p.freshSize += len(wire)
	}
}

// offer queues the bundles on disk that have waited for long.
func (p *Pool) offer(height uint64) {
	if height%offerAgain != 0 {
		return
	}
	for elem := p.bundles.Front(); elem != nil; elem = elem.Next() {
		if e := elem.Value.(*entry); e.kept && e.height+offerAgain <= height {
			p.announce(e.wire)
		}
	}
}

// Update follows a commit: what the block carried, and what has expired, leaves
// the pool, and ordinary transactions are checked again.
func (p *Pool) Update(height uint64, carried []order.BundleID, txs [][]byte) error {
	p.txs.update(txs, p.chain.Recheck, p.chain.CheckTx)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	var gone []uint64
	drop := func(id order.BundleID) {
		if seq, kept := p.remove(id); kept {
			gone = append(gone, seq)
		}
	}
	for _, id := range carried {
		drop(id)
	}
	for expiry, ids := range p.expiry {
		if expiry > height {
			continue
		}
		for _, id := range ids {
			drop(id)
		}
		delete(p.expiry, expiry)
	}
	if len(txs) > 0 { // one of them may have moved a payer's money
		p.evictUnpaid()
	}
	p.offer(height)
	p.gauge()
	return p.journal.delete(gone)
}

// maxBalances bounds how many balances are read between two blocks.
const maxBalances = 1000

// evictUnpaid removes the latest bundles of payers that can no longer pay for all
// that waits here, so that nobody fills the pool and then takes the money away.
// Those on disk stay: they have been acknowledged, and a block drops them in public.
func (p *Pool) evictUnpaid() {
	rules, err := p.chain.Rules()
	if err != nil {
		return
	}
	short := make(map[order.Payer]uint64) // what the payer has
	read := 0
	for payer, a := range p.payers {
		if read++; read > maxBalances {
			break
		}
		if have := rules.Balance(payer); have < a.fees {
			short[payer] = have
		}
	}
	if len(short) == 0 {
		return
	}
	var prev *list.Element
	for elem := p.bundles.Back(); elem != nil; elem = prev {
		prev = elem.Prev()
		e := elem.Value.(*entry)
		have, isShort := short[e.bundle.Payer]
		if isShort && !e.kept && p.payers[e.bundle.Payer].fees > have {
			p.remove(e.id)
		}
	}
}

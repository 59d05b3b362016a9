package pool

import (
	"container/list"

	"github.com/ordo-network/ordo/order"
)

// taking is how far bundles have gone into batches.
type taking struct {
	next   *list.Element        // the first that was not looked at; nil: all were
	aside  bool                 // something before it was passed over
	behind map[order.Payer]bool // payers with a bundle passed over, whose others wait behind it
}

func (t *taking) inserted(elem *list.Element) {
	if t.next == nil {
		t.next = elem
	}
}

func (t *taking) removed(elem *list.Element) {
	if t.next == elem {
		t.next = elem.Next()
	}
}

// restart makes everything that was not taken be looked at again.
func (t *taking) restart(bundles *list.List) { *t = taking{next: bundles.Front()} }

// Take hands out bundles for one batch, in order of arrival: none that it has handed
// out before, of at most maxBytes in the batch and at most maxHeaderBytes in its
// header. It returns nil where there are none. They stay in the pool until a block
// carries them or they expire.
//
// A bundle that the chain would drop now is passed over and looked at again after the
// next block: since it was accepted, the rules may have changed, or its payer may have
// spent the money that is for it. So nobody fills lanes with what he does not pay for.
func (p *Pool) Take(maxBytes, maxHeaderBytes int) []order.Summarized {
	rules, err := p.chain.Rules()
	if err != nil || p.lane.Load() == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var (
		out      []order.Summarized
		balances = make(map[order.Payer]uint64)
		size     int
		header   int
		t        = &p.taking
	)
	for ; t.next != nil && len(out) < order.MaxBatchBundles; t.next = t.next.Next() {
		e := t.next.Value.(*entry)
		if e.taken {
			continue
		}
		if rules.Check(&e.summary, e.id) != nil {
			t.aside = true
			continue
		}
		payer := e.bundle.Payer
		balance, ok := balances[payer]
		if !ok {
			balance = rules.Balance(payer)
			balances[payer] = balance
		}
		a := p.payers[payer]
		if t.behind[payer] || a.taken+e.fee > balance {
			if t.behind == nil {
				t.behind = make(map[order.Payer]bool)
			}
			t.behind[payer] = true
			t.aside = true
			continue
		}
		inBatch, inHeader := order.BundleSizeInBatch(len(e.raw)), order.SummarySizeInHeader(e.summary.EncodedSize())
		if size+inBatch > maxBytes || header+inHeader > maxHeaderBytes {
			if len(out) > 0 {
				break
			}
			t.aside = true // no batch has room for it now
			continue
		}
		size, header = size+inBatch, header+inHeader
		e.taken = true
		a.taken += e.fee
		out = append(out, order.Summarized{Bundle: e.bundle, Summary: e.summary})
	}
	if t.next != nil {
		p.signal() // for the next batch
	}
	return out
}

// Rewind makes Take hand out again all that waits: the lane's batches that were not
// ordered may come to nothing. What of it is ordered all the same the chain drops as
// a duplicate.
func (p *Pool) Rewind() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for elem := p.bundles.Front(); elem != nil; elem = elem.Next() {
		elem.Value.(*entry).taken = false
	}
	for _, a := range p.payers {
		a.taken = 0
	}
	p.taking.restart(p.bundles)
	if p.bundles.Len() > 0 {
		p.signal()
	}
}

// Ready yields after there is something new to take. It is meant for one reader, which
// takes until there is nothing left.
func (p *Pool) Ready() <-chan struct{} { return p.ready }

func (p *Pool) signal() {
	p.gauge()
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

package pool

import (
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// maxDropBytes bounds what a proposer carries of bundles whose payer cannot pay.
// They are carried so that everybody learns that they are done with, and bounded
// because they are room that nobody pays for.
const maxDropBytes = 64 << 10

// maxMisfits is how many bundles that no longer fit are looked past for smaller ones.
const maxMisfits = 64

// Select returns a batch for the block that the rules stand for, of at most
// maxBytes in canonical encoding: bundles in order of arrival, those of one payer
// never out of it; last the ones whose payer cannot pay.
func (p *Pool) Select(rules *ordering.Rules, maxBytes int) *order.Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	var (
		batch   = new(order.Batch)
		room    = min(maxBytes, int(rules.Params.MaxBatchBytes))
		ledger  = ordering.NewLedger(rules.Balance)
		behind  = make(map[order.Payer]bool) // payers with a bundle that did not fit
		unpaid  []*entry
		gone    []order.BundleID
		misfits int
	)
	take := func(e *entry) {
		batch.Bundles = append(batch.Bundles, e.bundle)
		room -= order.BundleSizeInBatch(len(e.wire) - 1)
	}
	for elem := p.bundles.Front(); elem != nil && misfits < maxMisfits && len(batch.Bundles) < order.MaxBatchBundles; elem = elem.Next() {
		e := elem.Value.(*entry)
		if behind[e.bundle.Payer] {
			continue
		}
		if err := rules.Check(e.bundle, e.id); err != nil {
			if done(err) {
				gone = append(gone, e.id)
			}
			continue
		}
		if order.BundleSizeInBatch(len(e.wire)-1) > room {
			behind[e.bundle.Payer] = true
			misfits++
			continue
		}
		if !ledger.Pay(e.bundle.Payer, rules.Fee(e.bundle)) {
			unpaid = append(unpaid, e)
			continue
		}
		take(e)
	}
	room = min(room, maxDropBytes)
	for _, e := range unpaid {
		if order.BundleSizeInBatch(len(e.wire)-1) <= room && len(batch.Bundles) < order.MaxBatchBundles {
			take(e)
		}
	}
	p.forget(gone)
	return batch
}

// forget removes bundles that no block can carry any more.
func (p *Pool) forget(ids []order.BundleID) {
	var gone []uint64
	for _, id := range ids {
		if seq, kept := p.remove(id); kept {
			gone = append(gone, seq)
		}
	}
	if err := p.journal.delete(gone); err != nil {
		p.log.Warn("bundles stay in the journal until the next start", "error", err)
	}
	p.gauge()
}

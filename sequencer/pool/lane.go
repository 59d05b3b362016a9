package pool

import "github.com/ordo-network/ordo/order"

// lane is where this node's batches go. Payers sign for its owner.
type lane struct {
	owner order.Owner
	open  func() bool // whether it takes batches in the current epoch
}

// SetLane says whose lane this node's batches go into, and how to find out whether it
// is open in the current epoch; open must not block. Until it is called, the pool takes
// no bundles in and hands none out.
//
// Bundles of the journal that are not signed for the lane leave the pool: the node was
// another validator's when it accepted them, and no attester would take a batch with
// one of them.
func (p *Pool) SetLane(owner order.Owner, open func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var waiting []order.BundleSummary
	for elem := p.bundles.Front(); elem != nil; elem = elem.Next() {
		waiting = append(waiting, elem.Value.(*entry).summary)
	}
	ids, valid := order.VerifySummaries(p.chainID, owner, waiting)
	gone := 0
	for i, id := range ids {
		if !valid[i] {
			p.leave(id)
			gone++
		}
	}
	if gone > 0 {
		p.log.Warn("accepted bundles are signed for another lane and left out: their payers may sign them for this one", "bundles", gone, "lane", owner.String())
	}
	p.lane.Store(&lane{owner, open})
	if p.bundles.Len() > 0 {
		p.signal()
	}
}

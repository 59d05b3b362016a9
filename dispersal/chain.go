package dispersal

import (
	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/order"
)

// Committed tells of the chain's state after each block, and once at the start. It does
// not block; what is asked from then on answers by that state.
func (n *Node) Committed(v *lane.View) {
	n.view.Store(v)
	n.library.view(v)
	nudge(n.viewed)
}

// Candidates returns the certificates that the next block may order: of each lane, by
// owner, in sequence, on top of the last Committed's marks.
func (n *Node) Candidates() [][]*order.Certificate {
	n.library.mu.Lock()
	defer n.library.mu.Unlock()
	return n.library.book.Candidates()
}

// Tips returns how far the candidates go that are on this node's disk, by owner.
func (n *Node) Tips() []order.Tip {
	n.library.mu.Lock()
	defer n.library.mu.Unlock()
	return n.library.book.Tips()
}

// Heard tells of tips that another validator reports by its vote. What this node lacks is asked for.
func (n *Node) Heard(from order.Owner, tips []order.Tip) { n.puller.voted(from, tips) }

// Waiting tells whether there are certificates for the next block.
func (n *Node) Waiting() bool { return len(n.Candidates()) > 0 }

// Arrived yields after a certificate was learned. It is meant for one reader.
func (n *Node) Arrived() <-chan struct{} { return n.library.arrived }

// Status tells whether a certificate that waits to be ordered holds the bundle.
func (n *Node) Status(id order.BundleID) (certified bool) {
	n.library.mu.Lock()
	defer n.library.mu.Unlock()
	return n.library.bundles[id] > 0
}

package dispersal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/order"
)

const (
	// pullPatience is how long a certificate that others have may be on its way here
	// before it is asked for, and how long one peer has to answer before the next is asked.
	pullPatience = 100 * time.Millisecond
	pullTimeout  = 5 * time.Second
	pullAgain    = time.Second // after which what nobody gave is asked for again
	pullMost     = 256         // certificates
	pullPeers    = 3           // that are asked for the same
	maxReports   = 2 * order.MaxMembers
	// tipsEvery bounds how often peers are told of new tips. They serve who missed a
	// certificate, which is rare.
	tipsEvery = 500 * time.Millisecond
)

// puller asks peers for certificates that they have and this node lacks. What each
// validator last said of itself is kept, so that a request which failed is made again.
type puller struct {
	node *Node
	wake chan struct{} // holds a token after something is missing

	mu      sync.Mutex
	reports map[order.Owner]report // by who said so
	active  map[order.Owner]bool   // lanes that are being asked for
}

func newPuller(n *Node) *puller {
	return &puller{node: n, wake: make(chan struct{}, 1), reports: make(map[order.Owner]report), active: make(map[order.Owner]bool)}
}

// report is what a validator last said that it has.
type report struct {
	tips   []order.Tip
	looked time.Time // when what is missing was looked for last
}

// heard notes what a validator has. It does not block. Whoever says it too often is
// looked at with all others.
func (p *puller) heard(from order.Owner, tips []order.Tip) {
	if from == p.node.opts.Self {
		return
	}
	now := p.node.opts.Now()
	p.mu.Lock()
	last, known := p.reports[from]
	next := report{tips, last.looked}
	look := !known || now.Sub(last.looked) >= pullPatience
	if look {
		next.looked = now
	}
	if known || len(p.reports) < maxReports {
		p.reports[from] = next
	}
	p.mu.Unlock()
	if look && len(p.missing(tips)) > 0 {
		nudge(p.wake)
	}
}

func (p *puller) missing(tips []order.Tip) []lane.Want {
	p.node.library.mu.Lock()
	defer p.node.library.mu.Unlock()
	return p.node.library.book.Missing(tips)
}

// wants returns the lanes of which others have more, and of each who does.
func (p *puller) wants() map[order.Owner]*wanted {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[order.Owner]*wanted)
	for from, said := range p.reports {
		for _, w := range p.missing(said.tips) {
			if all[w.Owner] == nil {
				all[w.Owner] = &wanted{Want: w}
			}
			all[w.Owner].from = append(all[w.Owner].from, from) // in no order, so not always the same one is asked
		}
	}
	return all
}

// wanted is a lane of which others have more.
type wanted struct {
	lane.Want
	from []order.Owner
}

// run asks, each lane by itself, and tells peers of this node's tips.
func (p *puller) run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { p.tell(ctx) })
	again := time.NewTicker(pullAgain)
	defer again.Stop()
	for {
		select {
		case <-p.wake: // most of what is missing is on its way
			if err := sleep(ctx, pullPatience); err != nil {
				return err
			}
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
		wants := p.wants()
		p.mu.Lock()
		for owner := range wants { // lanes are members', so there are few
			if !p.active[owner] {
				p.active[owner] = true
				asking.Go(func() { p.lane(ctx, owner) })
			}
		}
		p.mu.Unlock()
	}
}

// lane asks for the lane's certificates until none is missing or nobody gives any; then
// run looks again, later.
func (p *puller) lane(ctx context.Context, owner order.Owner) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.active, owner)
	}()
	for more := true; more; {
		w := p.wants()[owner]
		more = w != nil && p.ask(ctx, w.Want, w.from)
	}
}

// ask pulls from the first of the peers, and from the next as well where that takes
// long. It reports whether anything new came.
func (p *puller) ask(ctx context.Context, w lane.Want, peers []order.Owner) bool {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	peers = peers[:min(len(peers), pullPeers)]
	got := make(chan bool, len(peers))
	hedge := time.NewTimer(0)
	defer hedge.Stop()
	for asked, answered := 0, 0; answered < len(peers); {
		select {
		case <-hedge.C:
			if asked < len(peers) {
				peer := peers[asked]
				asked++
				p.node.running.Go(func() { got <- p.pull(ctx, w, peer) })
				hedge.Reset(pullPatience)
			}
		case some := <-got:
			answered++
			if some {
				return true
			}
			hedge.Reset(0)
		}
	}
	return false
}

// pull asks one peer.
func (p *puller) pull(ctx context.Context, w lane.Want, from order.Owner) bool {
	peer := p.node.mesh.Peer(from)
	if peer == nil {
		return false
	}
	p.node.metrics.pulls.Inc()
	request := &transport.Pull{From: order.Position{Owner: w.Owner, Mark: w.After}, Max: pullMost}
	f, err := peer.Request(ctx, request.Outgoing())
	if err != nil {
		return false
	}
	certs, err := transport.DecodeCertificates(f.Body)
	f.Release()
	if err != nil {
		p.node.fault(peer, err)
		return false
	}
	if len(certs) > pullMost {
		p.node.fault(peer, fmt.Errorf("%d certificates, want at most %d: %w", len(certs), pullMost, transport.ErrFrame))
		return false
	}
	some := false
	for _, c := range certs {
		if c.Header.Owner != w.Owner {
			p.node.fault(peer, fmt.Errorf("certificate of %s, want of %s: %w", c.Header.Owner, w.Owner, transport.ErrFrame))
			return some
		}
		err := p.node.library.learn(ctx, c)
		if err == nil {
			p.node.metrics.pulled.Inc()
			some = true
			continue
		}
		if ctx.Err() != nil {
			return some
		}
		if !errors.Is(err, lane.ErrKnown) && !errors.Is(err, lane.ErrFull) && !errors.Is(err, lane.ErrFork) {
			p.node.fault(peer, err)
			return some
		}
	}
	return some
}

// tell tells peers of this node's tips when they have changed.
func (p *puller) tell(ctx context.Context) {
	var last []order.Tip
	for {
		select {
		case <-p.node.library.changed:
		case <-ctx.Done():
			return
		}
		if tips := p.node.Tips(); !slices.Equal(tips, last) {
			last = tips
			p.node.broadcast(transport.TipsOutgoing(tips))
		}
		if sleep(ctx, tipsEvery) != nil {
			return
		}
	}
}

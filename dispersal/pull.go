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
	pullMost     = 256 // certificates
	// tipsEvery bounds how often peers are told of new tips. They serve who missed a
	// certificate, which is rare.
	tipsEvery = 100 * time.Millisecond
)

// puller asks peers for certificates that they have and this node lacks.
type puller struct {
	node *Node
	wake chan struct{}

	mu    sync.Mutex
	lanes map[order.Owner]*wanted // by lane
}

// wanted is a lane of which others have more.
type wanted struct {
	tip    order.Mark
	from   []order.Owner // who said so, the last one first
	active bool          // a goroutine asks
}

func newPuller(n *Node) *puller {
	return &puller{node: n, wake: make(chan struct{}, 1), lanes: make(map[order.Owner]*wanted)}
}

// heard notes who has more. It does not block.
func (p *puller) heard(from order.Owner, tips []order.Tip) {
	if from == p.node.opts.Self {
		return
	}
	missing := p.missing(tips)
	if len(missing) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range missing {
		l := p.lanes[w.Owner]
		if l == nil {
			l = &wanted{}
			p.lanes[w.Owner] = l
		}
		if w.Tip.Compare(l.tip) > 0 {
			l.tip = w.Tip
		}
		l.from = slices.DeleteFunc(l.from, func(o order.Owner) bool { return o == from })
		l.from = slices.Insert(l.from, 0, from)[:min(len(l.from)+1, order.MaxMembers)]
	}
	nudge(p.wake)
}

func (p *puller) missing(tips []order.Tip) []lane.Want {
	p.node.library.mu.Lock()
	defer p.node.library.mu.Unlock()
	return p.node.library.book.Missing(tips)
}

// run asks, each lane by itself, and tells peers of this node's tips.
func (p *puller) run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { p.tell(ctx) })
	for {
		select {
		case <-p.wake:
		case <-ctx.Done():
			return nil
		}
		p.mu.Lock()
		for owner, l := range p.lanes { // lanes are members', so there are few
			if !l.active {
				l.active = true
				asking.Go(func() { p.lane(ctx, owner) })
			}
		}
		p.mu.Unlock()
	}
}

// lane asks for the lane's certificates until none is missing or nobody gives any.
func (p *puller) lane(ctx context.Context, owner order.Owner) {
	if sleep(ctx, pullPatience) != nil { // most are on their way
		return
	}
	for fruitless := 0; ; {
		p.mu.Lock()
		l := p.lanes[owner]
		want := p.missing([]order.Tip{{Owner: owner, Mark: l.tip}})
		if len(want) == 0 || fruitless > len(l.from) || ctx.Err() != nil {
			delete(p.lanes, owner) // whoever still has more says so again
			p.mu.Unlock()
			return
		}
		peers := slices.Clone(l.from)
		p.mu.Unlock()
		// The next one is asked where one does not answer in time, or has nothing.
		peers = append(peers[fruitless%len(peers):], peers[:fruitless%len(peers)]...)
		if p.ask(ctx, want[0], peers) {
			fruitless = 0
		} else {
			fruitless++
		}
	}
}

// ask pulls from the first of the peers, and from the next as well where that takes
// long. It reports whether anything new came.
func (p *puller) ask(ctx context.Context, w lane.Want, peers []order.Owner) bool {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	const most = 3
	peers = peers[:min(len(peers), most)]
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
		case new := <-got:
			answered++
			if new {
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

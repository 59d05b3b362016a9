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
	"github.com/ordo-network/ordo/internal/pause"
	"github.com/ordo-network/ordo/order"
)

const (
	// pullPatience is how long a certificate that a peer has may be on its way here before
	// it is asked for. What a proposer may have to carry is asked for at once.
	pullPatience = 100 * time.Millisecond
	pullHedge    = 50 * time.Millisecond // after which one more peer is asked
	pullTimeout  = 5 * time.Second
	pullAgain    = time.Second // after which what nobody gave is asked for again
	pullMost     = 256         // certificates
	maxReports   = 2 * order.MaxMembers
	// tipsEvery bounds how often peers are told of new tips. They serve who missed a
	// certificate, which is rare.
	tipsEvery = 500 * time.Millisecond
)

// puller asks peers for certificates that they have and this node lacks. What each
// validator last said of itself is kept, so that a request which failed is made again.
type puller struct {
	node   *Node
	wake   chan struct{} // holds a token after something is missing
	urgent chan struct{} // the same, where a proposer needs it

	mu      sync.Mutex
	reports map[order.Owner]report // by who said so
	active  map[order.Owner]bool   // lanes that are being asked for
}

func newPuller(n *Node) *puller {
	return &puller{
		node: n, wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1),
		reports: make(map[order.Owner]report), active: make(map[order.Owner]bool),
	}
}

// report is what a validator last said that it has.
type report struct {
	tips   []order.Tip
	looked time.Time // when what is missing was looked for last
}

// heard notes what a validator has. It does not block. A peer that says it too often is
// looked at with all others.
func (p *puller) heard(from order.Owner, tips []order.Tip) {
	if p.note(from, tips, false) && len(p.missing(tips)) > 0 {
		nudge(p.wake)
	}
}

// voted notes what a validator has by its vote, of which there is one for each round.
func (p *puller) voted(from order.Owner, tips []order.Tip) {
	if !p.note(from, tips, true) {
		return
	}
	if wants := p.missing(tips); slices.ContainsFunc(wants, p.required) {
		nudge(p.urgent)
	} else if len(wants) > 0 {
		nudge(p.wake)
	}
}

// note tells whether to look for what is missing now.
func (p *puller) note(from order.Owner, tips []order.Tip, vote bool) bool {
	if from == p.node.opts.Self {
		return false
	}
	now := p.node.opts.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.reports[from]
	next := report{tips, last.looked}
	look := !known || vote || now.Sub(last.looked) >= pullPatience
	if look {
		next.looked = now
	}
	if known || len(p.reports) < maxReports {
		p.reports[from] = next
	}
	return look
}

// required tells whether validators that hold what is missing have more than a third of
// the stake: then a proposer must carry it, or soon must.
func (p *puller) required(w lane.Want) bool {
	v := p.node.chain()
	if v == nil || v.Committees[0] == nil {
		return false
	}
	c := v.Committees[0]
	p.mu.Lock()
	defer p.mu.Unlock()
	var stake uint64
	for from, said := range p.reports {
		i, ok := c.Index(from)
		if ok && said.beyond(w.Owner, w.After) != nil {
			stake += c.Members[i].Stake
		}
	}
	return stake > c.Stake/3
}

// beyond returns the tip of the lane where it is after the mark. Tips are by owner.
func (r *report) beyond(owner order.Owner, after order.Mark) *order.Tip {
	i, ok := slices.BinarySearchFunc(r.tips, owner, func(t order.Tip, o order.Owner) int { return t.Owner.Compare(o) })
	if !ok || r.tips[i].Compare(after) <= 0 {
		return nil
	}
	return &r.tips[i]
}

func (p *puller) missing(tips []order.Tip) []lane.Want {
	p.node.library.mu.Lock()
	defer p.node.library.mu.Unlock()
	return p.node.library.book.Missing(tips)
}

// wants returns the lanes of which others have more.
func (p *puller) wants() map[order.Owner]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[order.Owner]bool)
	for _, said := range p.reports {
		for _, w := range p.missing(said.tips) {
			all[w.Owner] = true
		}
	}
	return all
}

// wanted returns what is missing of the lane, and who has it; nil where nothing is.
func (p *puller) wanted(owner order.Owner) *wanted {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all *wanted
	for from, said := range p.reports {
		t := said.beyond(owner, order.Mark{})
		if t == nil {
			continue
		}
		for _, w := range p.missing([]order.Tip{*t}) {
			if all == nil {
				all = &wanted{Want: w}
			}
			all.from = append(all.from, from) // in no order, so not always the same one is asked
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
		case <-p.urgent:
		case <-p.wake: // most of what is missing is on its way
			if err := p.wait(ctx); err != nil {
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

// wait lets pass the time in which most certificates come by themselves.
func (p *puller) wait(ctx context.Context) error {
	t := time.NewTimer(pullPatience)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.urgent:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// lane asks for the lane's certificates until none is missing or nobody gives any; then
// run looks again, later.
func (p *puller) lane(ctx context.Context, owner order.Owner) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.active, owner)
	}()
	for p.ask(ctx, owner) {
	}
}

// ask pulls from one of those that have more of the lane, and from one more whenever that
// takes long: whoever is silent costs one such time. Who says meanwhile that it has more
// is asked, too. It reports whether anything new came.
func (p *puller) ask(ctx context.Context, owner order.Owner) bool {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	got := make(chan bool)
	asked := make(map[order.Owner]bool)
	hedge := time.NewTicker(pullHedge)
	defer hedge.Stop()
	for waiting := 0; ; {
		w := p.wanted(owner)
		if w == nil {
			return false
		}
		if i := slices.IndexFunc(w.from, func(o order.Owner) bool { return !asked[o] }); i >= 0 {
			peer := w.from[i]
			asked[peer] = true
			waiting++
			p.node.running.Go(func() {
				some := p.pull(ctx, w.Want, peer)
				select {
				case got <- some:
				case <-ctx.Done():
				}
			})
		} else if waiting == 0 {
			return false
		}
		select {
		case some := <-got:
			waiting--
			if some {
				return true
			}
		case <-hedge.C:
		case <-ctx.Done():
			return false
		}
	}
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
	if f.Type == transport.TypeNotFound {
		f.Release()
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
		if pause.For(ctx, tipsEvery) != nil {
			return
		}
	}
}

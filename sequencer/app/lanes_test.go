package app_test

import (
	stded25519 "crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// lanes are a node's book of certificates, without the network around it.
type lanes struct {
	arrived chan struct{}

	mu    sync.Mutex
	book  *lane.Book
	view  *lane.View
	heard map[order.Owner][]order.Tip
	last  order.Mark           // of validator 0's certificates
	late  []*order.Certificate // come in after somebody has looked
}

func newLanes() *lanes {
	return &lanes{arrived: make(chan struct{}, 1), book: lane.NewBook(lane.DefaultBookLimits()), heard: make(map[order.Owner][]order.Tip)}
}

func (l *lanes) Committed(v *lane.View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.view = v
	l.book.View(v)
}

func (l *lanes) Candidates() [][]*order.Certificate {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.book.Candidates()
	for _, c := range l.late {
		_ = l.book.Add(c)
	}
	l.late = nil
	return out
}

func (l *lanes) Tips() []order.Tip {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.Tips()
}

func (l *lanes) Heard(from order.Owner, tips []order.Tip) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard[from] = tips
}

func (l *lanes) Waiting() bool            { return len(l.Candidates()) > 0 }
func (l *lanes) Arrived() <-chan struct{} { return l.arrived }

// hold puts certificates into the book, as they come from their owners.
func (l *lanes) hold(t testingT, certs ...*order.Certificate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range certs {
		require.NoError(t, l.book.Add(c))
		l.book.Stored(c.Header.Position)
	}
	select {
	case l.arrived <- struct{}{}:
	default:
	}
}

// batch is what a test says of a certificate; zero values stand for what is usual.
type batch struct {
	owner     int // validator
	at, after order.Mark
	clock     uint64
	epoch     uint64
	bundles   []*order.Bundle
}

// certify makes the certificate of a batch, attested by all of the epoch's committee.
func (c *chain) certify(b batch) *order.Certificate {
	cert := &order.Certificate{Header: order.BatchHeader{
		Position: order.Position{Owner: laneOwner(b.owner), Mark: b.at}, After: b.after, Epoch: b.epoch,
		Root:   sha256.Sum256(fmt.Appendf(nil, "%d %s %d", b.owner, b.at, len(b.bundles))),
		Length: uint64((&order.Batch{Bundles: b.bundles}).Size()),
	}}
	for _, x := range b.bundles {
		cert.Header.Bundles = append(cert.Header.Bundles, x.Summary())
	}
	c.attest(cert, b.clock)
	return cert
}

// attest signs the certificate anew, as all validators at that clock.
func (c *chain) attest(cert *order.Certificate, clock uint64) {
	var attesters []int
	for i := range c.vals {
		attesters = append(attesters, i)
	}
	owner := slices.IndexFunc(attesters, func(i int) bool { return laneOwner(i) == cert.Header.Owner })
	slices.SortFunc(attesters, func(a, b int) int { return laneOwner(a).Compare(laneOwner(b)) })
	id := cert.Header.ID(chainID)
	cert.Attestations = nil
	for member, i := range attesters {
		a := order.Attestation{Member: uint32(member), Clock: clock}
		copy(a.Signature[:], stded25519.Sign(newAttestationKey(i), order.AttestationSignBytes(chainID, cert.Header.Position, id, clock)))
		cert.Attestations = append(cert.Attestations, a)
	}
	cert.Sign(chainID, newAttestationKey(owner))
}

func mark(session, sequence uint64) order.Mark {
	return order.Mark{Session: session, Sequence: sequence}
}

// disperse certifies what waits in the pool of validator 0, and adds it to its book.
func (c *chain) disperse() {
	for {
		bundles := c.app.Pool().Take(1<<20, order.MaxHeaderBytes-256)
		if len(bundles) == 0 {
			return
		}
		var batch []*order.Bundle
		for _, b := range bundles {
			batch = append(batch, b.Bundle)
		}
		c.lanes.hold(c.t, c.certify(c.next(batch)))
	}
}

// next returns the next batch of validator 0's lane.
func (c *chain) next(bundles []*order.Bundle) batch {
	l := c.lanes
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.view
	b := batch{clock: uint64(c.time.UnixMilli()), epoch: v.Epoch, bundles: bundles}
	last := l.last
	if m := v.Mark(laneOwner(0)); m.Compare(last) > 0 {
		last = m
	}
	if last.Session == c.session {
		b.at = mark(c.session, last.Sequence+1)
	} else {
		b.at, b.after = mark(c.session, 1), last
	}
	l.last = b.at
	return b
}

// rules returns what the last committed state says, for tests that make blocks
// themselves. Balances are not known to it.
func (c *chain) rules() *ordering.Rules {
	v := c.lanes.view
	return &ordering.Rules{
		ChainID: chainID, Height: uint64(c.height + 1), Params: ordering.DefaultParams(), Committee: v.Committee,
		Lane: func(o order.Owner) order.LaneState { return v.Lanes[o] },
	}
}

// layout returns a block with these certificates, the votes of the chain, and the
// header that it deserves where these bundles are dropped.
func (c *chain) layout(certs []*order.Certificate, dropped []int, txs ...[]byte) [][]byte {
	return c.layoutWith(ordering.Manifest{Certificates: certs, Votes: c.votes()}, dropped, txs...)
}

func (c *chain) layoutWith(m ordering.Manifest, dropped []int, txs ...[]byte) [][]byte {
	r := c.rules()
	var ordered []order.Ordered
	n := 0
	for _, cert := range m.Certificates {
		for i := range cert.Header.Bundles {
			s := &cert.Header.Bundles[i]
			if !slices.Contains(dropped, n) {
				ordered = append(ordered, order.Ordered{ID: s.ID(chainID), Summary: s, Batch: cert.Header.ID(chainID), BatchIndex: uint64(i)})
			}
			n++
		}
	}
	var times order.Times
	// Where they cannot be arranged, the block is refused before its header is looked at.
	if placed, _, err := order.Arrange(m.Certificates, r.Lane, r.Committee); err == nil && len(placed) > 0 {
		times = order.Times{First: placed[0].OrderTime, Last: placed[len(placed)-1].OrderTime}
	}
	raw, err := m.Encode()
	require.NoError(c.t, err)
	block := order.NewBlock(r.Height, ordered, uint64(len(dropped)), times)
	return append([][]byte{block.Header().Encode(), raw}, txs...)
}

// batchOf returns a block with one batch of validator 0 with these bundles.
func (c *chain) batchOf(bundles []*order.Bundle, dropped []int, txs ...[]byte) [][]byte {
	return c.layout(c.one(bundles), dropped, txs...)
}

// one returns the certificate of the next batch of validator 0, which is not dispersed;
// none where there are no bundles.
func (c *chain) one(bundles []*order.Bundle) []*order.Certificate {
	if len(bundles) == 0 {
		return nil
	}
	v := c.lanes.view
	m := v.Mark(laneOwner(0))
	b := batch{at: mark(m.Session, m.Sequence+1), clock: uint64(c.time.UnixMilli()), epoch: v.Epoch, bundles: bundles}
	if m == (order.Mark{}) {
		b.at = mark(1, 1)
	}
	return []*order.Certificate{c.certify(b)}
}

func tips(t ...order.Tip) []byte { return order.EncodeTips(t) }

package dispersal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/order"
)

// server answers what peers ask for. What there is no room for in a peer's queue is not
// made: the answer is then that it is not here, and the peer asks another.
type server struct {
	node  *Node
	reads chan struct{} // holds a token for each read of the disk under way

	mu    sync.Mutex
	pulls map[*transport.Peer]chan pulling // that wait, of each connection
}

// pulling is a request for certificates.
type pulling struct {
	request uint64
	*transport.Pull
}

const (
	serverReads = 16
	// serverPulls is how many pulls of a peer may wait: it asks for each lane by itself.
	serverPulls = 2 * order.MaxMembers
)

func newServer(n *Node) *server {
	return &server{node: n, reads: make(chan struct{}, serverReads), pulls: make(map[*transport.Peer]chan pulling)}
}

// connected answers the connection's pulls, one at a time, until it ends.
func (s *server) connected(p *transport.Peer) {
	waiting := make(chan pulling, serverPulls)
	s.mu.Lock()
	s.pulls[p] = waiting
	s.mu.Unlock()
	s.node.running.Go(func() {
		for {
			select {
			case next := <-waiting:
				s.certificates(p, next)
			case <-p.Context().Done():
				s.mu.Lock()
				delete(s.pulls, p)
				s.mu.Unlock()
				return
			}
		}
	})
}

// pull notes a request for certificates. It does not wait.
func (s *server) pull(p *transport.Peer, request uint64, pull *transport.Pull) {
	s.mu.Lock()
	waiting := s.pulls[p]
	s.mu.Unlock()
	select {
	case waiting <- pulling{request, pull}:
	default:
		_ = p.Send(transport.NotFoundOutgoing(request))
	}
}

// certificates answers with certificates from memory, as what the chain has ordered is on
// the chain. It returns once the peer has taken them.
func (s *server) certificates(p *transport.Peer, pull pulling) {
	if !p.Room(transport.TypeCertificates, transport.MaxCertificatesBytes) {
		_ = p.Send(transport.NotFoundOutgoing(pull.request))
		return
	}
	l := s.node.library
	l.mu.Lock()
	certs := l.book.Range(pull.From.Owner, pull.From.Mark, int(min(pull.Max, pullMost)), transport.MaxCertificatesBytes)
	l.mu.Unlock()
	encoded := make([][]byte, len(certs))
	for i, c := range certs {
		encoded[i] = c.Encode()
	}
	out, taken := transport.CertificatesOutgoing(pull.request, encoded), make(chan struct{})
	out.Done = func() { close(taken) }
	_ = p.Send(out) // who asked asks again, or another
	<-taken
}

func (s *server) share(p *transport.Peer, request uint64, get *transport.GetShare) {
	held := s.node.inMemory(get.Position, get.Batch)
	if held == nil {
		select {
		case s.reads <- struct{}{}:
			defer func() { <-s.reads }()
		case <-p.Context().Done():
			return
		}
		var err error
		if held, err = s.node.onDisk(get.Position, get.Batch); err != nil {
			_ = p.Send(transport.NotFoundOutgoing(request))
			return
		}
	}
	var header []byte
	if get.Header {
		header = held.batch.Encode()
	}
	out := transport.ShareOutgoing(request, header, held.share)
	out.Done = func() { s.node.recent.done(held) }
	_ = p.Send(out)
}

// Share returns this node's share of the batch, encoded as docs/spec/shards.md says.
// Errors: store.ErrNotFound; store.ErrCorrupt for a share that is being mended.
func (n *Node) Share(_ context.Context, p order.Position, epoch uint64, id order.BatchID) ([]byte, error) {
	held, err := n.share(p, epoch, id)
	if err != nil {
		return nil, err
	}
	defer n.recent.done(held)
	return bytes.Clone(held.share), nil
}

// share returns what Share does without a copy. Whoever has it gives it back to recent.
func (n *Node) share(p order.Position, epoch uint64, id order.BatchID) (*lent, error) {
	held := n.inMemory(p, id)
	if held == nil {
		var err error
		if held, err = n.onDisk(p, id); err != nil {
			return nil, err
		}
	}
	if held.batch.Header.Epoch != epoch {
		n.recent.done(held)
		return nil, fmt.Errorf("batch %s of epoch %d, want %d: %w", p, held.batch.Header.Epoch, epoch, store.ErrNotFound)
	}
	return held, nil
}

// inMemory returns what this node attested, or nil. Whoever has it gives it back to recent.
func (n *Node) inMemory(p order.Position, id order.BatchID) *lent {
	held := n.recent.get(p)
	if held == nil {
		return nil
	}
	if held.batch.Header.ID(n.opts.ChainID) != id {
		n.recent.done(held)
		return nil
	}
	n.metrics.recentHits.Inc()
	return held
}

// onDisk reads what this node attested.
func (n *Node) onDisk(p order.Position, id order.BatchID) (*lent, error) {
	batch, share, err := n.attester.share(p)
	if errors.Is(err, store.ErrCorrupt) {
		n.mender.mend(p)
	}
	if err != nil {
		return nil, err
	}
	if got := batch.Header.ID(n.opts.ChainID); got != id {
		return nil, fmt.Errorf("batch %s at %s, this node attested %s: %w", id, p, got, store.ErrNotFound)
	}
	return &lent{batch: batch, share: share, release: func() {}, users: 1}, nil
}

// ownShares is this node's store as a source of shares.
type ownShares struct {
	attester *attester
	self     order.Owner
}

func (o ownShares) Share(_ context.Context, holder order.Owner, core order.BatchCore) ([]byte, func(), error) {
	if holder != o.self {
		return nil, nil, ErrNoShare
	}
	n := o.attester.node
	held, err := n.share(core.Position, core.Epoch, core.ID())
	if err != nil {
		return nil, nil, err
	}
	return held.share, func() { n.recent.done(held) }, nil
}

// peerShares asks validators over their connections.
type peerShares struct{ node *Node }

func (s peerShares) Share(ctx context.Context, holder order.Owner, core order.BatchCore) ([]byte, func(), error) {
	_, share, release, err := s.ask(ctx, holder, &transport.GetShare{Position: core.Position, Epoch: core.Epoch, Batch: core.ID()})
	return share, release, err
}

// ask returns what the holder has. The share is the connection's memory until release is called.
func (s peerShares) ask(ctx context.Context, holder order.Owner, get *transport.GetShare) (_ *order.SignedBatch, share []byte, release func(), err error) {
	f, err := s.node.mesh.Request(ctx, holder, get.Outgoing())
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() {
		if err != nil {
			f.Release()
		}
	}()
	if f.Type != transport.TypeShare {
		return nil, nil, nil, fmt.Errorf("validator %s answers %v: %w", holder, f.Type, ErrNoShare)
	}
	batch, share, err := transport.DecodeShare(f.Body)
	switch {
	case err != nil:
		return nil, nil, nil, err
	case batch != nil && !get.Header: // it would be held with the share
		return nil, nil, nil, fmt.Errorf("validator %s sends a header that it was not asked for: %w", holder, ErrNoShare)
	}
	// The share may wait for others of the batch. What holds this connection's memory then must not
	// hold up what comes over it; how many batches are rebuilt at a time bounds it.
	f.Settle()
	return batch, share, f.Release, nil
}

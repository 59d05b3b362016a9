package dispersal

import (
	"context"
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/order"
)

// server answers what peers ask for.
type server struct {
	node  *Node
	reads chan struct{} // holds a token for each read of the disk under way
}

const serverReads = 16

func newServer(n *Node) *server { return &server{node: n, reads: make(chan struct{}, serverReads)} }

// pull answers with certificates from memory: what the chain has ordered is on the chain.
func (s *server) pull(p *transport.Peer, request uint64, pull *transport.Pull) {
	l := s.node.library
	l.mu.Lock()
	certs := l.book.Range(pull.From.Owner, pull.From.Mark, int(min(pull.Max, pullMost)), transport.MaxCertificatesBytes)
	l.mu.Unlock()
	encoded := make([][]byte, len(certs))
	for i, c := range certs {
		encoded[i] = c.Encode()
	}
	_ = p.Send(transport.CertificatesOutgoing(request, encoded)) // who asked asks again, or another
}

func (s *server) share(p *transport.Peer, request uint64, get *transport.GetShare) {
	select {
	case s.reads <- struct{}{}:
		defer func() { <-s.reads }()
	case <-p.Context().Done():
		return
	}
	batch, share, err := s.node.held(get.Position, get.Batch)
	if err != nil {
		_ = p.Send(transport.NotFoundOutgoing(request))
		return
	}
	var header []byte
	if get.Header {
		header = batch.Encode()
	}
	_ = p.Send(transport.ShareOutgoing(request, header, share))
}

// Share returns this node's share of the batch, encoded as docs/spec/shards.md says.
// Errors: store.ErrNotFound; store.ErrCorrupt for a share that is being mended.
func (n *Node) Share(_ context.Context, p order.Position, epoch uint64, id order.BatchID) ([]byte, error) {
	batch, share, err := n.held(p, id)
	if err == nil && batch.Header.Epoch != epoch {
		return nil, fmt.Errorf("batch %s of epoch %d, want %d: %w", p, batch.Header.Epoch, epoch, store.ErrNotFound)
	}
	return share, err
}

// held reads what this node attested.
func (n *Node) held(p order.Position, id order.BatchID) (*order.SignedBatch, []byte, error) {
	r, err := n.attester.load(p)
	if errors.Is(err, store.ErrCorrupt) {
		n.mender.mend(p)
	}
	if err != nil {
		return nil, nil, err
	}
	if got := r.Batch.Header.ID(n.opts.ChainID); got != id {
		return nil, nil, fmt.Errorf("batch %s at %s, this node attested %s: %w", id, p, got, store.ErrNotFound)
	}
	return r.Batch, r.Share.Append(nil), nil
}

// ownShares is this node's store as a source of shares.
type ownShares struct {
	attester *attester
	self     order.Owner
}

func (o ownShares) Share(ctx context.Context, holder order.Owner, core order.BatchCore) ([]byte, error) {
	if holder != o.self {
		return nil, ErrNoShare
	}
	return o.attester.node.Share(ctx, core.Position, core.Epoch, core.ID())
}

// peerShares asks validators over their connections.
type peerShares struct{ node *Node }

func (s peerShares) Share(ctx context.Context, holder order.Owner, core order.BatchCore) ([]byte, error) {
	_, share, err := s.ask(ctx, holder, &transport.GetShare{Position: core.Position, Epoch: core.Epoch, Batch: core.ID()})
	return share, err
}

func (s peerShares) ask(ctx context.Context, holder order.Owner, get *transport.GetShare) (*order.SignedBatch, []byte, error) {
	f, err := s.node.mesh.Request(ctx, holder, get.Outgoing())
	if err != nil {
		return nil, nil, err
	}
	defer f.Release()
	if f.Type != transport.TypeShare {
		return nil, nil, fmt.Errorf("validator %s answers %v: %w", holder, f.Type, ErrNoShare)
	}
	batch, share, err := transport.DecodeShare(f.Body)
	if err != nil {
		return nil, nil, err
	}
	return batch, append([]byte(nil), share...), nil
}

package dispersal

import (
	"context"
	"errors"
	"fmt"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/transport"
	"github.com/ordo-network/ordo/order"
)

// Connected is part of transport.Handler.
func (n *Node) Connected(p *transport.Peer) {
	_ = p.Send(transport.TipsOutgoing(n.Tips())) // sent again when they change
	n.server.connected(p)
	n.owner.connected(p)
}

// Handle is part of transport.Handler. It sorts out what came; nothing here waits for
// disk, network or a worker.
func (n *Node) Handle(p *transport.Peer, f *transport.Frame) {
	if err := n.handle(p, f); err != nil {
		f.Release()
		n.fault(p, err)
	}
}

// handle releases the frame, or returns an error and does not.
func (n *Node) handle(p *transport.Peer, f *transport.Frame) error {
	switch f.Type {
	case transport.TypeDisperse:
		return n.offered(p, f)
	case transport.TypeAttest:
		a, err := transport.DecodeAttest(f.Body)
		if err != nil {
			return err
		}
		f.Release()
		n.owner.answered(p.Owner, &lane.Answer{Position: a.Position, Batch: a.Batch, Attestation: &a.Attestation}, p)
	case transport.TypeRefuse:
		r, err := transport.DecodeRefuse(f.Body)
		if err != nil {
			return err
		}
		f.Release()
		refusal := &lane.Refusal{Reason: lane.Reason(r.Reason), Expect: r.Expected}
		n.owner.answered(p.Owner, &lane.Answer{Position: r.Position, Batch: r.Batch, Refusal: refusal}, p)
	case transport.TypeCertificate:
		c, err := order.DecodeCertificate(f.Body)
		if err != nil {
			return fmt.Errorf("decode certificate: %w", err)
		}
		n.running.Go(func() { // the frame counts as the peer's until the certificate is judged
			defer f.Release()
			n.learn(p.Context(), p, c)
		})
	case transport.TypeTips:
		tips, err := order.DecodeTips(f.Body)
		if err != nil {
			return fmt.Errorf("decode tips: %w", err)
		}
		f.Release()
		n.puller.heard(p.Owner, tips)
	case transport.TypePull:
		request, pull, err := transport.DecodePull(f.Body)
		if err != nil {
			return err
		}
		f.Release()
		n.server.pull(p, request, pull)
	case transport.TypeGetShare:
		request, get, err := transport.DecodeGetShare(f.Body)
		if err != nil {
			return err
		}
		n.running.Go(func() {
			defer f.Release()
			n.server.share(p, request, get)
		})
	default:
		return fmt.Errorf("unexpected %v: %w", f.Type, transport.ErrFrame)
	}
	return nil
}

func (n *Node) offered(p *transport.Peer, f *transport.Frame) error {
	d, err := transport.DecodeDisperse(f.Body)
	if err != nil {
		return err
	}
	if d.Batch.Header.Owner != p.Owner {
		return fmt.Errorf("%s offers a batch of %s: %w", p.Owner, d.Batch.Header.Owner, transport.ErrFrame)
	}
	n.attester.take(p.Context(), offered{from: p.Owner, peer: p, batch: d.Batch, share: d.Share, memory: f.Memory(), settle: f.Settle, release: f.Release, since: n.opts.Now()})
	return nil
}

// learn takes a certificate of a peer.
func (n *Node) learn(ctx context.Context, p *transport.Peer, c *order.Certificate) {
	err := n.library.learn(ctx, c)
	switch {
	case err == nil, errors.Is(err, lane.ErrKnown), errors.Is(err, lane.ErrFull), errors.Is(err, lane.ErrFork), ctx.Err() != nil:
	default:
		n.fault(p, err)
	}
}

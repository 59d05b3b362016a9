package api

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/order"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

// SubscribeCertified implements SequencerServiceHandler.
func (s *Server) SubscribeCertified(ctx context.Context, req *connect.Request[v1.SubscribeCertifiedRequest], stream *connect.ServerStream[v1.SubscribeCertifiedResponse]) error {
	id, err := order.RollupIDFromBytes(req.Msg.GetRollupId())
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	s.metrics.certified.Inc()
	defer s.metrics.certified.Dec()
	var broken error // the stream's own
	err = s.opts.Lanes.Subscribe(ctx, id, func() {
		broken = stream.Send(new(v1.SubscribeCertifiedResponse))
	}, func(c *Certified) error {
		if broken == nil {
			broken = stream.Send(certifiedProto(c))
		}
		return broken
	})
	if broken != nil || err == nil {
		return broken
	}
	return s.readError(err)
}

func certifiedProto(c *Certified) *v1.SubscribeCertifiedResponse {
	out := &v1.SubscribeCertifiedResponse{
		Owner: c.Owner[:], Session: c.Session, Sequence: c.Sequence, BatchId: c.Batch[:],
		OrderTime: c.OrderTime, CertifiedMs: uint64(c.Seen.UnixMilli()), Bundles: make([]*v1.CertifiedBundle, len(c.Bundles)),
	}
	for i := range c.Bundles {
		b := &c.Bundles[i]
		out.Bundles[i] = &v1.CertifiedBundle{BundleId: b.ID[:], BatchPosition: b.Index, Transactions: b.Transactions}
	}
	return out
}

// GetShare implements SequencerServiceHandler.
func (s *Server) GetShare(ctx context.Context, req *connect.Request[v1.GetShareRequest]) (*connect.Response[v1.GetShareResponse], error) {
	m := req.Msg
	owner, err := order.OwnerFromBytes(m.GetOwner())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	if len(m.GetBatchId()) != len(order.BatchID{}) || m.GetSession() == 0 || m.GetSequence() == 0 {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(
			"batch ID of %d bytes, session %d, sequence %d: want 32 bytes, and 1 or more", len(m.GetBatchId()), m.GetSession(), m.GetSequence()))
	}
	position := order.Position{Owner: owner, Mark: order.Mark{Session: m.GetSession(), Sequence: m.GetSequence()}}
	share, err := s.opts.Lanes.Share(ctx, position, m.GetEpoch(), order.BatchID(m.GetBatchId()))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("this node holds no share of batch %s with ID %x", position, m.GetBatchId()))
	case err != nil:
		return nil, s.readError(fmt.Errorf("read the share of batch %s: %w", position, err))
	}
	return connect.NewResponse(&v1.GetShareResponse{Share: share}), nil
}

package api

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/order"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

const (
	// aheadCertified is how many certified batches a stream gets the data of at the
	// same time.
	aheadCertified = 16
	// certifiedWait is how long a batch may hold up those after it. It is left out then:
	// the block that orders it tells what it held.
	certifiedWait = 2 * time.Second
)

// SubscribeCertified implements SequencerServiceHandler.
func (s *Server) SubscribeCertified(ctx context.Context, req *connect.Request[v1.SubscribeCertifiedRequest], stream *connect.ServerStream[v1.SubscribeCertifiedResponse]) error {
	id, err := order.RollupIDFromBytes(req.Msg.GetRollupId())
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	if s.opts.Lanes == nil {
		return connect.NewError(connect.CodeFailedPrecondition, errors.New("this node takes no part in dispersal and sees no certificates, ask a validator's API"))
	}
	s.metrics.certified.Inc()
	defer s.metrics.certified.Dec()
	ctx, cancel := context.WithCancel(ctx)
	certs := s.opts.Lanes.Certificates(ctx)
	if err := stream.Send(new(v1.SubscribeCertifiedResponse)); err != nil {
		cancel()
		return err
	}
	batches, failed := s.certified(ctx, clientOf(req.Peer().Addr), id, certs)
	defer func() {
		cancel()
		for b := range batches {
			<-b.made
			b.release()
		}
	}()
	for b := range batches {
		<-b.made
		if b.message != nil {
			err = stream.Send(b.message)
		}
		b.release()
		if err != nil {
			return err
		}
	}
	err = <-failed
	if ctx.Err() == nil {
		return connect.NewError(connect.CodeUnavailable, err)
	}
	return s.readError(ctx.Err())
}

// certifiedBatch is a batch on its way to a stream. Message may be read once made is
// closed; it is nil where there is nothing to tell.
type certifiedBatch struct {
	message *v1.SubscribeCertifiedResponse
	made    chan struct{}
	release func()
}

// certified gets the data of the batches that hold something for the rollup and hands
// them over in the order of their certificates. After the last it says why that is the
// last. Who reads it waits for each to be made, and releases it.
func (s *Server) certified(ctx context.Context, client netip.Prefix, id order.RollupID, certs Certificates) (<-chan *certifiedBatch, <-chan error) {
	out, failed := make(chan *certifiedBatch, aheadCertified), make(chan error, 1)
	go func() {
		defer close(out)
		failed <- func() error {
			for {
				cert, err := certs.Next()
				if err != nil {
					return err
				}
				records := s.legs.of(cert, id)
				if len(records) == 0 {
					continue
				}
				b := &certifiedBatch{made: make(chan struct{})}
				if b.release, err = s.budget.take(ctx, client, dataBytes(records)); err != nil {
					return err
				}
				go func() {
					defer close(b.made)
					b.message = s.openCertified(ctx, cert, id, records)
				}()
				select {
				case out <- b:
				case <-ctx.Done():
					<-b.made
					b.release()
					return ctx.Err()
				}
			}
		}()
	}()
	return out, failed
}

// openCertified returns what a certified batch holds for the rollup, nil where it can
// not be had soon, or holds nothing.
func (s *Server) openCertified(ctx context.Context, cert *order.Certificate, id order.RollupID, records []order.LegRecord) *v1.SubscribeCertifiedResponse {
	seen := time.Now()
	ctx, cancel := context.WithTimeout(ctx, certifiedWait)
	defer cancel()
	core := cert.Header.Core(s.opts.ChainID)
	committee, err := s.chain.batches.committees.at(ctx, core.Epoch)
	if err != nil {
		return nil
	}
	from, err := s.early.get(ctx, cert, core)
	if err != nil {
		return nil
	}
	batch := core.ID()
	out := &v1.SubscribeCertifiedResponse{
		Owner: core.Owner[:], Session: core.Session, Sequence: core.Sequence, BatchId: batch[:],
		OrderTime: committee.OrderTime(cert), CertifiedMs: uint64(seen.UnixMilli()),
	}
	for i := range records {
		r := &records[i]
		if txs := from.transactions(id, *r); txs != nil {
			out.Bundles = append(out.Bundles, &v1.CertifiedBundle{BundleId: r.BundleID[:], BatchPosition: r.BatchIndex, Transactions: txs, LegCount: r.LegCount})
		}
	}
	if len(out.Bundles) == 0 {
		return nil
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
	share, err := []byte(nil), store.ErrNotFound
	if s.opts.Lanes != nil {
		share, err = s.opts.Lanes.Share(ctx, position, m.GetEpoch(), order.BatchID(m.GetBatchId()))
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("this node holds no share of batch %s with ID %x", position, m.GetBatchId()))
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrClosed):
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("share of batch %s: %w", position, err))
	case err != nil:
		return nil, s.readError(fmt.Errorf("read the share of batch %s: %w", position, err))
	}
	return connect.NewResponse(&v1.GetShareResponse{Share: share}), nil
}

package api

import (
	"context"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
)

const (
	// maxRollups bounds the rollups of one SubscribeBlocks.
	maxRollups = 4096
	// messageBytes is about how much a message of a stream has, where what it holds can be
	// divided: enough that a thousand rollups with nothing in a block take a message or two,
	// and few enough that no buffer for one is too large to be used again.
	messageBytes = 1 << 20
)

// SubscribeBlocks implements SequencerServiceHandler.
func (s *Server) SubscribeBlocks(ctx context.Context, req *connect.Request[v1.SubscribeBlocksRequest], stream *connect.ServerStream[v1.SubscribeBlocksResponse]) error {
	ids, err := rollupIDs(req.Msg.GetRollupIds())
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	// To make what a block holds for a rollup takes time, and there may be nothing to send.
	client := clientOf(req.Peer().Addr)
	if err := s.followed.enter(client, len(ids)); err != nil {
		s.metrics.refused.WithLabelValues(s.followed.name).Inc()
		return retryable(err)
	}
	defer s.followed.leave(client, len(ids))
	out := &blockStream{
		s: s, client: client, rollups: ids, height: req.Msg.GetFromHeight(),
		hello: func() error { return stream.Send(nil) },
		wait:  func(latest uint64) error { return stream.Send(&v1.SubscribeBlocksResponse{LatestHeight: latest}) },
	}
	out.put = func(ctx context.Context, b *coming) error {
		return putParts(ctx, out, b, stream.Send)
	}
	return out.run(ctx)
}

// putParts sends a block, and then what it holds for each of the rollups.
func putParts(ctx context.Context, r *blockStream, b *coming, send func(*v1.SubscribeBlocksResponse) error) error {
	first := b.parts[0].block
	msg := &v1.SubscribeBlocksResponse{LatestHeight: r.s.chain.latest(), Block: &orderv1.RollupBlock{
		SignedHeader: first.SignedHeader, Validators: r.newValidators(b.served),
		OrderingHeader: first.OrderingHeader, OrderingHeaderProof: first.OrderingHeaderProof,
	}}
	size := 0
	flush := func() error {
		out := msg
		msg, size = &v1.SubscribeBlocksResponse{LatestHeight: out.LatestHeight}, 0
		return send(out)
	}
	for i, p := range b.parts {
		release, err := r.prove(ctx, b, i)
		if err != nil {
			return err
		}
		part := &v1.RollupPart{Index: uint32(i), NamespaceProof: p.block.NamespaceProof, Legs: p.block.Legs, VoidBatches: p.block.VoidBatches}
		n := proto.Size(part)
		if size > 0 && size+n > messageBytes {
			if err := flush(); err != nil {
				release()
				return err
			}
		}
		msg.Parts, size = append(msg.Parts, part), size+n
		if len(p.voids) > 0 { // the proofs are held no longer than their part is sent
			err = flush()
			p.block.VoidBatches = nil
		}
		release()
		if err != nil {
			return err
		}
	}
	if len(msg.Parts) == 0 {
		return nil
	}
	return flush()
}

func rollupIDs(raw [][]byte) ([]order.RollupID, error) {
	if len(raw) == 0 || len(raw) > maxRollups {
		return nil, fmt.Errorf("%d rollup IDs, want 1 to %d", len(raw), maxRollups)
	}
	ids := make([]order.RollupID, len(raw))
	seen := make(map[order.RollupID]bool, len(raw))
	for i, b := range raw {
		id, err := order.RollupIDFromBytes(b)
		if err != nil {
			return nil, err
		}
		if seen[id] {
			return nil, fmt.Errorf("rollup ID %s stands there twice", id)
		}
		ids[i], seen[id] = id, true
	}
	return ids, nil
}

package follower

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// testNode serves a chain over HTTP, as a sequencer node does, or with a fault.
type testNode struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	chain *testChain
	url   string

	// fault, where set, is asked before each message of a stream.
	fault func(ctx context.Context, height int, resp *sequencerv1.SubscribeRollupResponse, st *connect.ServerStream[sequencerv1.SubscribeRollupResponse]) (done bool, err error)
	// groupFault, where set, may alter the messages with what a height holds for many rollups.
	groupFault func(ctx context.Context, height int, msgs []*sequencerv1.SubscribeBlocksResponse) ([]*sequencerv1.SubscribeBlocksResponse, error)
	// blockFault, where set, may alter what GetRollupBlock returns.
	blockFault func(height uint64, resp *sequencerv1.GetRollupBlockResponse) error
	claims     atomic.Int64 // added to the height in GetInfo

	streams, fetches, asked atomic.Int64
}

// serve starts a node, which compresses nothing unless told to.
func (c *testChain) serve(t testing.TB, opts ...connect.HandlerOption) *testNode {
	t.Helper()
	opts = append([]connect.HandlerOption{connect.WithCompressMinBytes(1 << 30)}, opts...)
	n := &testNode{chain: c}
	mux := http.NewServeMux()
	mux.Handle(sequencerv1connect.NewSequencerServiceHandler(n, opts...))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	n.url = server.URL
	return n
}

func (n *testNode) SubscribeRollup(ctx context.Context, req *connect.Request[sequencerv1.SubscribeRollupRequest], st *connect.ServerStream[sequencerv1.SubscribeRollupResponse]) error {
	n.streams.Add(1)
	id, err := order.RollupIDFromBytes(req.Msg.GetRollupId())
	if err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	var known string
	for h := int(req.Msg.GetFromHeight()); ; h++ {
		var b *testBlock
		for b == nil {
			var grown <-chan struct{}
			if b, grown = n.chain.at(h); b != nil {
				break
			}
			select {
			case <-grown:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		resp := &sequencerv1.SubscribeRollupResponse{Block: b.rollupBlock(id), LatestHeight: uint64(n.chain.height())}
		if string(b.header.ValidatorsHash) == known {
			resp.Block.Validators = nil
		}
		known = string(b.header.ValidatorsHash)
		if n.fault != nil {
			if done, err := n.fault(ctx, h, resp, st); done || err != nil {
				return err
			}
		}
		if err := st.Send(resp); err != nil {
			return err
		}
	}
}

// await returns the block at the height once it is there.
func (n *testNode) await(ctx context.Context, height int) (*testBlock, error) {
	for {
		b, grown := n.chain.at(height)
		if b != nil {
			return b, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// SubscribeBlocks sends what a height holds for two rollups in each message.
func (n *testNode) SubscribeBlocks(ctx context.Context, req *connect.Request[sequencerv1.SubscribeBlocksRequest], st *connect.ServerStream[sequencerv1.SubscribeBlocksResponse]) error {
	n.streams.Add(1)
	var known string
	for h := int(req.Msg.GetFromHeight()); ; h++ {
		b, err := n.await(ctx, h)
		if err != nil {
			return err
		}
		var msgs []*sequencerv1.SubscribeBlocksResponse
		shown := make(map[string]bool)
		for i, raw := range req.Msg.GetRollupIds() {
			rb := b.rollupBlock(order.RollupID(raw))
			if i%2 == 0 {
				msgs = append(msgs, &sequencerv1.SubscribeBlocksResponse{LatestHeight: uint64(n.chain.height())})
			}
			msg := msgs[len(msgs)-1]
			msg.Parts = append(msg.Parts, &sequencerv1.RollupPart{Index: uint32(i), NamespaceProof: rb.NamespaceProof, Legs: rb.Legs, VoidBatches: slices.DeleteFunc(slices.Clone(rb.VoidBatches), func(v *orderv1.VoidBatch) bool {
				defer func() { shown[string(v.Core)] = true }()
				return shown[string(v.Core)]
			})})
			if i == 0 {
				rb.RollupId, rb.NamespaceProof, rb.Legs, rb.VoidBatches = nil, nil, nil, nil
				if string(b.header.ValidatorsHash) == known {
					rb.Validators = nil
				}
				msg.Block, known = rb, string(b.header.ValidatorsHash)
			}
		}
		if n.groupFault != nil {
			if msgs, err = n.groupFault(ctx, h, msgs); err != nil {
				return err
			}
		}
		for _, msg := range msgs {
			if err := st.Send(msg); err != nil {
				return err
			}
		}
	}
}

func (n *testNode) GetRollupBlock(_ context.Context, req *connect.Request[sequencerv1.GetRollupBlockRequest]) (*connect.Response[sequencerv1.GetRollupBlockResponse], error) {
	n.fetches.Add(1)
	b, _ := n.chain.at(int(req.Msg.GetHeight()))
	if b == nil {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("no such block"))
	}
	id, err := order.RollupIDFromBytes(req.Msg.GetRollupId())
	if err != nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, err)
	}
	resp := &sequencerv1.GetRollupBlockResponse{Block: b.rollupBlock(id)}
	if n.blockFault != nil {
		if err := n.blockFault(req.Msg.GetHeight(), resp); err != nil {
			return nil, err
		}
	}
	return connect.NewResponse(resp), nil
}

func (n *testNode) GetInfo(context.Context, *connect.Request[sequencerv1.GetInfoRequest]) (*connect.Response[sequencerv1.GetInfoResponse], error) {
	n.asked.Add(1)
	return connect.NewResponse(&sequencerv1.GetInfoResponse{
		ChainId: testChainID, LatestHeight: uint64(int64(n.chain.height()) + n.claims.Load()), EarliestHeight: 1,
	}), nil
}

package follower

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	orderv1 "github.com/ordo-network/ordo/order/v1"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

type (
	rollupResponse = sequencerv1.SubscribeRollupResponse
	rollupStream   = connect.ServerStream[rollupResponse]
)

// goesOn makes a message with a piece of a block that is not the last.
func goesOn(legs ...*orderv1.RollupLeg) *rollupResponse {
	return &rollupResponse{Block: &orderv1.RollupBlock{Legs: legs}, More: true}
}

// inPieces sends all of a block but its last piece, which is left in the message.
func inPieces(resp *rollupResponse, st *rollupStream) error {
	legs, voids := resp.Block.Legs, resp.Block.VoidBatches
	resp.Block.Legs, resp.Block.VoidBatches = nil, nil
	piece := &rollupResponse{Block: resp.Block, LatestHeight: 1}
	next := func(add func(*orderv1.RollupBlock)) error {
		if piece.More = true; len(piece.Block.Legs)+len(piece.Block.VoidBatches) > 0 {
			if err := st.Send(piece); err != nil {
				return err
			}
			piece = goesOn()
		}
		add(piece.Block)
		return nil
	}
	for _, l := range legs {
		if err := next(func(b *orderv1.RollupBlock) { b.Legs = append(b.Legs, l) }); err != nil {
			return err
		}
	}
	for _, v := range voids {
		if err := next(func(b *orderv1.RollupBlock) { b.VoidBatches = append(b.VoidBatches, v) }); err != nil {
			return err
		}
	}
	resp.Block = piece.Block
	return nil
}

// TestFollowerJoinsPieces: a block that comes a leg at a time is the same as in one message.
func TestFollowerJoinsPieces(t *testing.T) {
	t.Parallel()
	c, _ := voidChain()
	c.grow(8)
	n := c.serve(t)
	n.fault = func(_ context.Context, _ int, resp *rollupResponse, st *rollupStream) (bool, error) {
		return false, inPieces(resp, st)
	}
	f := newFollower(t, c.config(t, n))
	follow(t, f, c, 1, c.height())
	var legs, voids int
	for h := 1; h <= c.height(); h++ { // resumed at each
		got := follow(t, f, c, h, h)
		b, _ := c.at(h)
		want, err := verifierAt(t, c, alpha, h).Next(b.rollupBlock(alpha), c.now())
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(got.Proto, want.Proto) || fmt.Sprint(got.Legs) != fmt.Sprint(want.Legs) || fmt.Sprint(got.Void) != fmt.Sprint(want.Void) {
			t.Errorf("block %d is another than in one message", h)
		}
		legs, voids = max(legs, len(got.Proto.Legs)), max(voids, len(got.Proto.VoidBatches))
	}
	if got := value(t, f.metrics.failovers.WithLabelValues("lie")); got != 0 || legs < 2 || voids < 2 {
		t.Errorf("%v lies; %d legs and %d void batches were joined at most", got, legs, voids)
	}
}

// TestFollowerRefusesPieces puts a node with a fault within block 6 before a good one.
func TestFollowerRefusesPieces(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault         func(context.Context, *rollupResponse, func(...*rollupResponse) error) error
		cause, reason string
	}{
		"a wait in the middle": {func(_ context.Context, r *rollupResponse, send func(...*rollupResponse) error) error {
			r.More = true
			return send(r, &rollupResponse{LatestHeight: 12})
		}, "lie", "malformed"},
		"no block to go on with": {func(_ context.Context, _ *rollupResponse, send func(...*rollupResponse) error) error {
			return send(&rollupResponse{LatestHeight: 12, More: true})
		}, "lie", "malformed"},
		"another block in the middle": {func(_ context.Context, r *rollupResponse, send func(...*rollupResponse) error) error {
			first := proto.CloneOf(r)
			first.More = true
			return send(first, r)
		}, "lie", "malformed"},
		"nothing, and more": {func(_ context.Context, r *rollupResponse, send func(...*rollupResponse) error) error {
			r.More = true
			return send(append([]*rollupResponse{r}, slices.Repeat([]*rollupResponse{goesOn()}, 1000)...)...)
		}, "lie", "malformed"},
		"nothing at the end": {func(_ context.Context, r *rollupResponse, send func(...*rollupResponse) error) error {
			r.More = true
			return send(r, &rollupResponse{Block: new(orderv1.RollupBlock)})
		}, "lie", "malformed"},
		"legs without end": {func(_ context.Context, r *rollupResponse, send func(...*rollupResponse) error) error {
			r.More = true
			legs := slices.Repeat([]*orderv1.RollupLeg{{}}, 2000)
			return send(append([]*rollupResponse{r}, slices.Repeat([]*rollupResponse{goesOn(legs...)}, 1000)...)...)
		}, "lie", "malformed"},
		"bytes without end": {func(_ context.Context, r *rollupResponse, send func(...*rollupResponse) error) error {
			r.More = true
			leg := &orderv1.RollupLeg{Transactions: [][]byte{make([]byte, 8<<20)}}
			return send(append([]*rollupResponse{r}, slices.Repeat([]*rollupResponse{goesOn(leg)}, 100)...)...)
		}, "lie", "malformed"},
		"a leg too many": {func(_ context.Context, r *rollupResponse, send func(...*rollupResponse) error) error {
			last := goesOn(r.Block.Legs[0])
			r.More, last.More = true, false
			return send(r, last)
		}, "lie", "extra_leg"},
		"an end in the middle": {func(_ context.Context, r *rollupResponse, send func(...*rollupResponse) error) error {
			r.More = true
			return send(r)
		}, "ended", ""},
		"silence in the middle": {func(ctx context.Context, r *rollupResponse, send func(...*rollupResponse) error) error {
			r.More = true
			defer func() { <-ctx.Done() }()
			return send(r)
		}, "stalled", ""},
		// Pieces come all the time, and keep nobody for ever.
		"a leg now and then": {func(ctx context.Context, r *rollupResponse, send func(...*rollupResponse) error) error {
			r.More = true
			for err := send(r); err == nil && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
				err = send(goesOn(new(orderv1.RollupLeg)))
			}
			return ctx.Err()
		}, "stalled", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestChain(testValidators(0, 4))
			c.grow(12)
			bad, good := c.serve(t), c.serve(t)
			bad.fault = func(ctx context.Context, h int, r *rollupResponse, st *rollupStream) (bool, error) {
				if h != 6 {
					return false, nil
				}
				return true, tc.fault(ctx, r, func(msgs ...*rollupResponse) error {
					for _, m := range msgs {
						if err := st.Send(m); err != nil {
							return err
						}
					}
					return nil
				})
			}
			c.failOver(t, bad, good, tc.cause, tc.reason)
		})
	}
}

// TestPiecesAreBoundedTogether: what the messages of one block have is counted together, and
// that of the next block anew.
func TestPiecesAreBoundedTogether(t *testing.T) {
	t.Parallel()
	some := func(n int, one []byte) []byte { return bytes.Repeat(one, n) }
	last := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 0)
	more := protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 1)
	for name, tc := range map[string]struct {
		piece []byte
		most  int // pieces that fit one block
	}{
		"bytes":        {field(99, make([]byte, 1<<20)), MaxBlockBytes>>20 - 1},
		"legs":         {some(10_000, field(fieldBlockLegs, nil)), 26},
		"transactions": {some(100, field(fieldBlockLegs, some(10_000, field(fieldLegTransactions, []byte{1})))), maxBlockTransactions / 1_000_000},
		"hashes":       {field(fieldBlockNamespaceProof, some(100, field(fieldNamespaceProofNodes, nil))), 2},
		"void batches": {some(1000, field(fieldBlockVoidBatches, nil)), 16},
		"holders":      {some(200, field(fieldBlockVoidBatches, some(100, field(fieldVoidBatchHolders, nil)))), 13},
	} {
		codec := new(piecesCodec)
		for range 3 { // blocks
			for i := range tc.most {
				end := more
				if i == tc.most-1 {
					end = last
				}
				if err := codec.Unmarshal(append(field(1, tc.piece), end...), new(rollupResponse)); err != nil {
					t.Fatalf("%s, piece %d of %d: %v", name, i, tc.most, err)
				}
			}
		}
		var err error
		for i := 0; i <= tc.most && err == nil; i++ {
			err = codec.Unmarshal(append(field(1, tc.piece), more...), new(rollupResponse))
		}
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %d pieces: %v", name, tc.most+1, err)
		}
	}
}

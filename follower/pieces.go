package follower

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
)

// blocks subscribes to the rollup's blocks from the height on.
func (e *endpoint) blocks(ctx context.Context, rollup order.RollupID, from uint64) (*wholeBlocks, error) {
	st, err := e.reading(new(piecesCodec)).SubscribeRollup(ctx, connect.NewRequest(&sequencerv1.SubscribeRollupRequest{RollupId: rollup[:], FromHeight: from}))
	return &wholeBlocks{ServerStreamForClient: st}, err
}

// piecesCodec is blockCodec for one stream of a rollup's blocks: what all messages of one
// block have is counted together, so that no block is without end.
type piecesCodec struct {
	blockCodec
	sum contentBounds
}

func (c *piecesCodec) Unmarshal(raw []byte, m any) error {
	if err := unmarshal(&c.sum, raw, m); err != nil {
		return err
	}
	if resp, ok := m.(*sequencerv1.SubscribeRollupResponse); !ok || !resp.GetMore() {
		c.sum = contentBounds{}
	}
	return nil
}

// wholeBlocks is a stream whose messages each have all of a block, or none. To who waits for
// a block nothing has come until all of it has: pieces do not keep a stream alive.
type wholeBlocks struct {
	*connect.ServerStreamForClient[sequencerv1.SubscribeRollupResponse]
	msg *sequencerv1.SubscribeRollupResponse
	err error
}

func (w *wholeBlocks) Receive() bool {
	if w.err != nil || !w.ServerStreamForClient.Receive() {
		return false
	}
	w.msg = w.ServerStreamForClient.Msg()
	if w.msg.GetMore() && w.msg.GetBlock() == nil {
		w.err = fmt.Errorf("a message without a block says that the block goes on: %w", ErrMalformed)
		return false
	}
	for w.msg.GetMore() {
		if !w.ServerStreamForClient.Receive() {
			return false
		}
		next := w.ServerStreamForClient.Msg()
		if w.err = join(w.msg.GetBlock(), next.GetBlock()); w.err != nil {
			return false
		}
		w.msg.More, w.msg.LatestHeight = next.GetMore(), next.GetLatestHeight()
	}
	return true
}

func (w *wholeBlocks) Msg() *sequencerv1.SubscribeRollupResponse { return w.msg }

func (w *wholeBlocks) Err() error { return errors.Join(w.err, w.ServerStreamForClient.Err()) }

// join adds the next piece to a block. A piece has legs or void batches, so that the bounds
// of those end a block that has none itself, and it has nothing else. Errors: ErrMalformed.
func join(block, next *orderv1.RollupBlock) error {
	legs, voids := next.GetLegs(), next.GetVoidBatches()
	if len(legs)+len(voids) == 0 {
		return fmt.Errorf("a block does not go on although it was to: %w", ErrMalformed)
	}
	next.Legs, next.VoidBatches = nil, nil
	if proto.Size(next) > 0 {
		return fmt.Errorf("a block goes on with more than legs and void batches: %w", ErrMalformed)
	}
	block.Legs, block.VoidBatches = append(block.Legs, legs...), append(block.VoidBatches, voids...)
	return nil
}

package api_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/test/await"
)

// nextBlock waits for all messages of the next block.
func nextBlock(t testing.TB, stream *connect.ServerStreamForClient[v1.SubscribeRollupResponse]) *orderv1.RollupBlock {
	t.Helper()
	if !receive(stream) {
		t.Fatal(stream.Err())
	}
	block := stream.Msg().Block
	for stream.Msg().More {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		next := stream.Msg().Block
		block.Legs, block.VoidBatches = append(block.Legs, next.GetLegs()...), append(block.VoidBatches, next.GetVoidBatches()...)
	}
	return block
}

// commitLarge commits a block that has about 12 MiB for alpha: bundles of 300 KB, one of
// which the leg alone is over 1 MiB, and batches that are void.
func (c *testChain) commitLarge() {
	c.t.Helper()
	sized := func(n int, rollups ...order.RollupID) *order.Bundle {
		b := newBundle(99, rollups...)
		b.Legs[0].Transactions = append(b.Legs[0].Transactions, make([]byte, n))
		b.Sign(chainID, laneOwner, payerKey)
		return b
	}
	var certs []*order.Certificate
	add := func(bundles ...*order.Bundle) {
		certs = append(certs, c.disperse(bundles, &order.Batch{Bundles: bundles}))
	}
	for range 16 {
		add(sized(300_000, alpha), sized(300_000, alpha))
	}
	rollups := []order.RollupID{alpha}
	for i := range byte(order.MaxLegs - 2) {
		rollups = append(rollups, order.RollupID{1, i})
	}
	// The leg has its record and the bundle's document beside its data.
	large := newBundle(99, rollups...)
	large = sized(order.MaxBundleBytes-large.Size()-10, rollups...)
	for i := range large.Legs[1:] {
		large.Legs[1+i].Transactions = [][]byte{{1}}
	}
	room := order.MaxBundleBytes - 10 - large.Size()
	large.Legs[0].Transactions = append(large.Legs[0].Transactions, make([]byte, room-10))
	large.Sign(chainID, laneOwner, payerKey)
	add(sized(10, alpha), large)
	add(sized(10, alpha), sized(10, alpha))
	for i := range uint64(3) {
		void := []*order.Bundle{sized(400_000, alpha)}
		noise := bytes.Repeat([]byte{0xff}, (&order.Batch{Bundles: void}).Size())
		certs = append(certs, c.batches.add(c.t, order.Mark{Session: 2, Sequence: 1 + i}, void, noise))
	}
	c.commitCertified(certs)
}

// TestLargeBlocksComeInPieces: no message is larger than it need be, and together they are
// the block.
func TestLargeBlocksComeInPieces(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	c := newTestChain(t, 4)
	c.commit([]*order.Bundle{newBundle(99, alpha)})
	c.commitLarge()
	c.commit([]*order.Bundle{newBundle(99, alpha), newBundle(99, alpha, beta)})
	url, _ := serve(t, c, nil)
	cl, ctx := client(url), await.Context(t)
	stream, err := cl.SubscribeRollup(ctx, connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}))
	if err != nil {
		t.Fatal(err)
	}
	first := nextBlock(t, stream)
	if !receive(stream) {
		t.Fatal(stream.Err())
	}
	// What the reader has not taken yet is more than sockets buffer.
	if c.serving[0].HeldData() == 0 {
		t.Error("a block that is being sent takes no memory")
	}
	block, messages, alone := stream.Msg().Block, 1, 0
	for ; stream.Msg().More; messages++ {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		next := stream.Msg().Block
		things := len(next.Legs) + len(next.VoidBatches)
		if size := proto.Size(next); size > most+1000 {
			if alone++; things > 1 {
				t.Errorf("a message of %d bytes with %d legs and %d void batches", size, len(next.Legs), len(next.VoidBatches))
			}
		}
		if rest := proto.Size(next) - proto.Size(&orderv1.RollupBlock{Legs: next.Legs, VoidBatches: next.VoidBatches}); rest > 0 || things == 0 || stream.Msg().LatestHeight != 3 {
			t.Errorf("message %d has %d legs and void batches, and %d bytes of something else", messages, things, rest)
		}
		block.Legs, block.VoidBatches = append(block.Legs, next.Legs...), append(block.VoidBatches, next.VoidBatches...)
	}
	if messages < 10 || messages > 20 || alone != 1 || len(block.VoidBatches) != 3 {
		t.Errorf("%d messages, %d with a leg that is too large, %d void batches", messages, alone, len(block.VoidBatches))
	}
	last := nextBlock(t, stream)
	await.Until(t, "what was sent takes no memory", func() bool { return c.serving[0].HeldData() == 0 })
	for i, got := range []*orderv1.RollupBlock{first, block, last} {
		want, err := cl.GetRollupBlock(ctx, connect.NewRequest(&v1.GetRollupBlockRequest{RollupId: alpha[:], Height: uint64(i + 1)}))
		if err != nil {
			t.Fatal(err)
		}
		got.Validators = want.Msg.Block.Validators // which only the first block of a stream has
		if !proto.Equal(got, want.Msg.Block) {
			t.Errorf("block %d is not the one that GetRollupBlock returns", i+1)
		}
	}
}

// TestFollowersReadLargeBlocks: from any height on, and each as if it had been fetched.
func TestFollowersReadLargeBlocks(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 4)
	c.commit([]*order.Bundle{newBundle(99, alpha)})
	c.commitLarge()
	c.commit([]*order.Bundle{newBundle(99, alpha), newBundle(99, alpha, beta)})
	url, _ := serve(t, c, nil)
	trust, err := follower.TrustGenesis(c.doc)
	if err != nil {
		t.Fatal(err)
	}
	now := c.state.LastBlockTime
	f, err := follower.New(follower.Config{Rollup: alpha, Endpoints: []string{url}, Trust: trust, HTTPClient: http.DefaultClient, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	for from := uint64(1); from <= 3; from++ {
		height := from
		err := f.Run(await.Context(t), from, func(ctx context.Context, got *follower.Block) error {
			want, err := f.Fetch(ctx, height)
			if err != nil {
				return err
			}
			if got.Height != height || !proto.Equal(got.Proto, want.Proto) {
				t.Errorf("block %d from %d on is not the one at %d", got.Height, from, height)
			}
			if height++; height > 3 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
	}
}

package api_test

import (
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/test/await"
)

// sharesAsked is how often shares of the batch were asked for.
func (b *testBatches) sharesAsked(id order.BatchID) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for a, times := range b.asked {
		if a.batch == id {
			n += times
		}
	}
	return n
}

// What a stream at the head will send on is rebuilt when it is certified, and nothing else is.
func TestRebuiltEarly(t *testing.T) {
	t.Parallel()
	c, lanes := newTestChain(t, 1), newTestLanes()
	url, _ := serve(t, c, func(o *api.Options) { o.Lanes = lanes })
	ctx := await.Context(t)
	first := c.commit([]*order.Bundle{newBundle(9, alpha)})
	stream, err := client(url).SubscribeRollup(ctx, connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: first}))
	if err != nil {
		t.Fatal(err)
	}
	if !stream.Receive() || stream.Msg().GetBlock() == nil {
		t.Fatal(stream.Err())
	}
	disperse := func(rollup order.RollupID) *order.Certificate {
		bundles := []*order.Bundle{newBundle(9, rollup)}
		return c.disperse(bundles, &order.Batch{Bundles: bundles})
	}
	foreign, own := disperse(beta), disperse(alpha)
	lanes.feed <- foreign // as soon as the stream waits for the next block, somebody takes it
	lanes.feed <- own
	await.Until(t, "the batch is asked for before a block orders it", func() bool { return c.batches.sharesAsked(own.Header.ID(chainID)) > 0 })
	if n := c.batches.sharesAsked(foreign.Header.ID(chainID)); n > 0 {
		t.Errorf("a batch that holds nothing for the stream was asked for %d times", n)
	}
	height := c.commitCertified([]*order.Certificate{foreign, own})
	for {
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		if b := stream.Msg().GetBlock(); b != nil {
			if len(b.Legs) != 1 || len(b.Legs[0].Transactions) == 0 {
				t.Fatalf("block %d has legs %v", height, b.Legs)
			}
			break
		}
	}
	// Nobody takes certificates where no stream is at the head.
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "certificates are left alone", func() bool {
		select {
		case lanes.feed <- own:
			return false
		case <-time.After(50 * time.Millisecond):
			return true
		}
	})
}

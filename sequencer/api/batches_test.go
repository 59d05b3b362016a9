package api_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/dispersal"
	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/dispersal/shard"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/test/await"
)

const testEpoch = 7

// committee has four members of equal stake: any two of four shards rebuild a batch.
func committee(epoch uint64) (*order.Committee, error) {
	var members []order.Member
	for i := byte(1); i <= 4; i++ {
		members = append(members, order.Member{Owner: order.Owner{i}, Key: [32]byte{i}, Stake: 10})
	}
	return order.NewCommittee(epoch, members)
}

// testBatches stands for the committee: it keeps shards and gives shares.
type testBatches struct {
	layout *shard.Layout
	delay  atomic.Int64 // of each batch
	// together is how many batches must be asked for before a share of any is given; met is
	// closed then.
	together int
	met      chan struct{}

	mu     sync.Mutex
	shares map[order.BatchID][]*shard.Share
	down   bool
	asked  map[asked]int
	// waiting are the batches that were asked for.
	waiting map[order.BatchID]bool
}

type asked struct {
	batch  order.BatchID
	holder order.Owner
}

func newTestBatches() *testBatches {
	c, err := committee(testEpoch)
	if err != nil {
		panic(err)
	}
	layout, err := lane.Layout(c)
	if err != nil {
		panic(err)
	}
	return &testBatches{layout: layout, shares: make(map[order.BatchID][]*shard.Share), asked: make(map[asked]int), waiting: make(map[order.BatchID]bool), met: make(chan struct{})}
}

func (b *testBatches) add(t testing.TB, mark order.Mark, bundles []*order.Bundle, content []byte) *order.Certificate {
	t.Helper()
	cert := &order.Certificate{Attestations: []order.Attestation{{Clock: 1}}}
	h := &cert.Header
	h.Position, h.Epoch = order.Position{Owner: order.Owner{1}, Mark: mark}, testEpoch
	length := 0
	for _, bundle := range bundles {
		h.Bundles = append(h.Bundles, bundle.Summary())
		length += order.BundleSizeInBatch(bundle.Size())
	}
	if length != len(content) {
		t.Fatalf("content of %d bytes for a batch of %d", len(content), length)
	}
	h.Length = uint64(length)
	var coded shard.Coded
	if err := coded.Encode(b.layout, content); err != nil {
		t.Fatal(err)
	}
	h.Root = order.Digest(coded.Root())
	var shares []*shard.Share
	for i := range b.layout.TotalShards() {
		s, err := coded.Share(shard.Range{First: i, Count: 1})
		if err != nil {
			t.Fatal(err)
		}
		s.Shards = bytes.Clone(s.Shards)
		shares = append(shares, s)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shares[h.ID(chainID)] = shares
	return cert
}

// Share implements dispersal.ShareSource.
func (b *testBatches) Share(ctx context.Context, holder order.Owner, core order.BatchCore) ([]byte, func(), error) {
	select {
	case <-time.After(time.Duration(b.delay.Load())):
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if err := b.meet(ctx, core.ID()); err != nil {
		return nil, nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[asked{core.ID(), holder}]++
	shares := b.shares[core.ID()]
	if b.down || len(shares) == 0 {
		return nil, nil, dispersal.ErrNoShare
	}
	return shares[holder[0]-1].Append(nil), nil, nil
}

// meet holds up who asks for a batch until enough are asked for.
func (b *testBatches) meet(ctx context.Context, id order.BatchID) error {
	b.mu.Lock()
	b.waiting[id] = true
	if len(b.waiting) == b.together {
		close(b.met)
		b.together = 0
	}
	alone := b.together > 0
	b.mu.Unlock()
	if !alone {
		return nil
	}
	select {
	case <-b.met:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *testBatches) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// requests returns how many shares were asked for, and how often the same one was.
func (b *testBatches) requests() (all, most int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.asked {
		all, most = all+n, max(most, n)
	}
	return all, most
}

// follow verifies what a node serves of a rollup, as followers do.
func (c *testChain) follow(t testing.TB, url string, rollup order.RollupID, to uint64) []*follower.Block {
	t.Helper()
	trust, err := follower.TrustGenesis(c.doc)
	if err != nil {
		t.Fatal(err)
	}
	v := follower.NewVerifier(rollup, trust, follower.Options{})
	stream, err := client(url).SubscribeRollup(await.Context(t), connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: rollup[:], FromHeight: 1}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	var out []*follower.Block
	for uint64(len(out)) < to {
		b, err := v.Next(nextBlock(t, stream), c.state.LastBlockTime)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// receive waits for the next message with a block.
func receive(stream *connect.ServerStreamForClient[v1.SubscribeRollupResponse]) bool {
	for stream.Receive() {
		if stream.Msg().Block != nil {
			return true
		}
	}
	return false
}

func TestVoidBatchesAreShown(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 4)
	two := func() []*order.Bundle { return []*order.Bundle{newBundle(9, alpha, beta), newBundle(9, beta)} }
	good, other := two(), two()
	txs := [][]byte{bytes.Clone(other[1].Legs[0].Transactions[0]), other[1].Legs[0].Transactions[1]}
	txs[0][0] ^= 1
	altered := []*order.Bundle{other[0], {Expiry: 9, FeeLimit: 100, Legs: []order.Leg{{RollupID: beta, Transactions: txs}}}}
	noise := two()
	c.commitCertified([]*order.Certificate{
		c.disperse(good, &order.Batch{Bundles: good}),
		c.disperse(other, &order.Batch{Bundles: altered}),
		c.batches.add(t, order.Mark{Session: 2, Sequence: 1}, noise, bytes.Repeat([]byte{0xff}, (&order.Batch{Bundles: noise}).Size())),
	})
	c.commit(two())
	url, _ := serve(t, c, nil)
	for _, tc := range []struct {
		rollup order.RollupID
		want   []bool // what is void of the first block
	}{{alpha, []bool{false, false, true}}, {beta, []bool{false, false, false, true, true, true}}} {
		blocks := c.follow(t, url, tc.rollup, 2)
		var got []bool
		for _, l := range blocks[0].Legs {
			got = append(got, l.Void)
		}
		if fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("void legs %v, want %v", got, tc.want)
		}
		if blocks[1].Legs[0].Void {
			t.Error("a good batch is void")
		}
	}
	res, err := client(url).GetBlock(await.Context(t), connect.NewRequest(&v1.GetBlockRequest{Height: 1}))
	if err != nil {
		t.Fatal(err)
	}
	var counts []int
	for _, b := range res.Msg.Bundles {
		for _, l := range b.Bundle.Legs {
			counts = append(counts, len(l.Transactions))
		}
	}
	if fmt.Sprint(counts) != "[2 2 2 2 2 0 0 0 0]" {
		t.Errorf("transactions of legs: %v", counts)
	}
}

// What shows that batches are void waits for memory of its own, and is given back when
// it is sent.
func TestProofsAreWithinABudget(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	var big []*order.Bundle
	for range 2 {
		b := newBundle(9, alpha)
		b.Legs[0].Transactions = append(b.Legs[0].Transactions, make([]byte, 100_000))
		big = append(big, b)
	}
	noise := bytes.Repeat([]byte{0xff}, (&order.Batch{Bundles: big}).Size())
	c.commitCertified([]*order.Certificate{c.batches.add(t, order.Mark{Session: 2, Sequence: 1}, big, noise)})
	url, _ := serve(t, c, func(o *api.Options) { o.Limits.DataTimeout = 50 * time.Millisecond })
	cl, ctx := client(url), await.Context(t)
	release, err := c.serving[0].HoldProofs(ctx, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	get := func() error {
		_, err := cl.GetRollupBlock(ctx, connect.NewRequest(&v1.GetRollupBlockRequest{RollupId: alpha[:], Height: 1}))
		return err
	}
	wantCode(t, get(), connect.CodeUnavailable)
	if _, err := cl.GetBlock(ctx, connect.NewRequest(&v1.GetBlockRequest{Height: 1})); err != nil {
		t.Errorf("a block, which carries no proof: %v", err)
	}
	stream, err := cl.SubscribeRollup(ctx, connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}))
	if err != nil {
		t.Fatal(err)
	}
	release()
	if !receive(stream) || len(stream.Msg().Block.VoidBatches) != 1 {
		t.Fatalf("block %v: %v", stream.Msg(), stream.Err())
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.serving[0].HoldProofs(ctx, "127.0.0.1:1"); err != nil {
		t.Errorf("not all was given back: %v", err)
	}
}

func TestBatchesOfOtherRollupsAreNotFetched(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	var certs []*order.Certificate
	for _, r := range []order.RollupID{alpha, beta, beta, alpha, beta} {
		b := []*order.Bundle{newBundle(9, r)}
		certs = append(certs, c.disperse(b, &order.Batch{Bundles: b}))
	}
	c.commitCertified(certs)
	url, _ := serve(t, c, nil)
	await.Until(t, "the block is indexed", func() bool {
		status(t, client(url), certs[0].Header.Bundles[0].ID(chainID), v1.BundleState_BUNDLE_STATE_ORDERED)
		return true
	})
	if all, _ := c.batches.requests(); all != 0 {
		t.Fatalf("%d shares fetched to index a block", all)
	}
	// Many readers at once cost no more than one.
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { c.follow(t, url, alpha, 1) })
	}
	wg.Wait()
	if all, most := c.batches.requests(); all != 4 || most != 1 {
		t.Fatalf("%d shares fetched, one of them %d times; want those that rebuild 2 batches, once each", all, most)
	}
}

func TestHeightsDoNotAddUpTheirWaits(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	const heights = 8
	for range heights {
		c.commit([]*order.Bundle{newBundle(99, alpha), newBundle(99, alpha), newBundle(99, alpha), newBundle(99, beta)})
	}
	c.batches.together = heights // all wait at the same time, or none ever comes
	url, _ := serve(t, c, nil)
	c.follow(t, url, alpha, heights)
}

// A stream that waits for data says so, and one that waits for a block does not.
func TestStreamsThatWaitForDataSaySo(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit([]*order.Bundle{newBundle(99, alpha)})
	url, _ := serve(t, c, func(o *api.Options) { o.Limits.Heartbeat = 5 * time.Millisecond })
	stream, err := client(url).SubscribeRollup(await.Context(t), connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}))
	if err != nil || !receive(stream) {
		t.Fatalf("first message %v: %v", stream.Msg(), err)
	}
	time.Sleep(50 * time.Millisecond) // of beats without a block: none of them is heard below
	c.batches.setDown(true)
	c.commit([]*order.Bundle{newBundle(99, alpha)})
	for range 3 {
		if !stream.Receive() || stream.Msg().Block != nil || stream.Msg().LatestHeight != 2 {
			t.Fatalf("message %v: %v; want one that says height 2 alone", stream.Msg(), stream.Err())
		}
	}
	c.batches.setDown(false)
	for stream.Receive() && stream.Msg().Block == nil {
	}
	if txs, _ := verify(t, stream.Msg().Block, alpha, 2, c.state.Validators); len(txs) == 0 {
		t.Errorf("block without its data: %v", stream.Err())
	}
}

func TestDataThatComesTooLate(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit([]*order.Bundle{newBundle(99, alpha)})
	url, _ := serve(t, c, func(o *api.Options) { o.Limits.DataTimeout = 20 * time.Millisecond })
	cl, ctx := client(url), await.Context(t)
	c.batches.delay.Store(int64(time.Second))
	_, err := cl.GetRollupBlock(ctx, connect.NewRequest(&v1.GetRollupBlockRequest{RollupId: alpha[:], Height: 1}))
	wantCode(t, err, connect.CodeUnavailable)
	if !strings.Contains(err.Error(), "nothing came within 20ms") {
		t.Errorf("%v does not say why", err)
	}
	// It comes all the same, for who asks later or waits.
	c.follow(t, url, alpha, 1)
	if _, err := cl.GetBlock(ctx, connect.NewRequest(&v1.GetBlockRequest{Height: 1})); err != nil {
		t.Fatal(err)
	}
	if _, most := c.batches.requests(); most != 1 {
		t.Errorf("a share was asked for %d times", most)
	}
}

func TestDataThatCannotBeHad(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit([]*order.Bundle{newBundle(99, alpha)})
	c.commit([]*order.Bundle{newBundle(99, beta)})
	url, stop := serve(t, c, nil)
	cl, ctx := client(url), await.Context(t)
	c.batches.setDown(true)
	// Single calls say what is the matter.
	_, err := cl.GetRollupBlock(ctx, connect.NewRequest(&v1.GetRollupBlockRequest{RollupId: alpha[:], Height: 1}))
	wantCode(t, err, connect.CodeUnavailable)
	if !strings.Contains(err.Error(), "0 of 2 shards from 4 holders") {
		t.Errorf("%v does not say why", err)
	}
	_, err = cl.GetBlock(ctx, connect.NewRequest(&v1.GetBlockRequest{Height: 1}))
	wantCode(t, err, connect.CodeUnavailable)
	// What needs none of it is served.
	if _, err = cl.GetRollupBlock(ctx, connect.NewRequest(&v1.GetRollupBlockRequest{RollupId: beta[:], Height: 1})); err != nil {
		t.Fatal(err)
	}
	// A stream waits, and sends no block meanwhile: not the next one either.
	stream, err := cl.SubscribeRollup(ctx, connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := c.batches.requests()
	await.Until(t, "the stream has tried again", func() bool { n, _ := c.batches.requests(); return n > before })
	c.batches.setDown(false)
	for height := uint64(1); height <= 2; height++ {
		if !receive(stream) {
			t.Fatal(stream.Err())
		}
		if txs, _ := verify(t, stream.Msg().Block, alpha, height, c.state.Validators); (len(txs) > 0) != (height == 1) {
			t.Fatalf("block %d has %d transactions", height, len(txs))
		}
	}
	// One that waits ends with the server.
	c.batches.setDown(true)
	c.commit([]*order.Bundle{newBundle(99, alpha)})
	before, _ = c.batches.requests()
	await.Until(t, "the stream has tried again", func() bool { n, _ := c.batches.requests(); return n > before })
	stop()
	if receive(stream) {
		t.Fatal("a block without its data")
	}
	wantCode(t, stream.Err(), connect.CodeUnavailable)
}

// retriever rebuilds batches from the committee's shares.
func (b *testBatches) retriever(t testing.TB) *dispersal.Retriever {
	t.Helper()
	r, err := dispersal.NewRetriever(dispersal.RetrieverOptions{
		ChainID: chainID, Sources: []dispersal.ShareSource{b}, Hedge: time.Minute, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

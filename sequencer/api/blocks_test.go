package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/test/await"
)

// group reads heights of many rollups as a relayer does.
func (c *testChain) group(t testing.TB, url string, ids []order.RollupID, from, to uint64) [][]*follower.Block {
	t.Helper()
	trust, err := follower.TrustGenesis(c.doc)
	if err != nil {
		t.Fatal(err)
	}
	now := c.state.LastBlockTime
	g, err := follower.NewGroup(follower.GroupConfig{
		Rollups: ids, Endpoints: []string{url}, Trust: trust, HTTPClient: http.DefaultClient, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	var out [][]*follower.Block
	err = g.Run(await.Context(t), from, func(_ context.Context, blocks []*follower.Block) error {
		if out = append(out, blocks); from+uint64(len(out)) > to {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
	return out
}

// TestGroupReadsAsFollowersDo: one stream gives a thousand rollups what a stream for each would.
func TestGroupReadsAsFollowersDo(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 4)
	for range 3 {
		c.commit([]*order.Bundle{newBundle(100, alpha), newBundle(100, alpha, beta), newBundle(100, beta)}, 2)
	}
	c.addValidator()
	c.commit(nil)
	void := []*order.Bundle{newBundle(100, alpha, beta), newBundle(100, beta)}
	c.commitCertified([]*order.Certificate{c.batches.add(t, order.Mark{Session: 2, Sequence: 1}, void, bytes.Repeat([]byte{0xff}, (&order.Batch{Bundles: void}).Size()))})
	url, _ := serve(t, c, nil)
	ids := []order.RollupID{beta}
	for i := range 1000 {
		ids = append(ids, order.NewRollupID(fmt.Sprint("silent ", i)))
	}
	ids = append(ids, alpha)
	got := c.group(t, url, ids, 1, c.height())
	for i, id := range ids {
		if id != alpha && id != beta && i > 3 {
			continue // the group has verified that they have nothing
		}
		for h, want := range c.follow(t, url, id, c.height()) {
			b := got[h][i]
			if !proto.Equal(b.Proto, want.Proto) || b.Hash != want.Hash || b.Height != want.Height || fmt.Sprint(b.Legs) != fmt.Sprint(want.Legs) || fmt.Sprint(b.Void) != fmt.Sprint(want.Void) {
				t.Fatalf("rollup %d, height %d: the group reads %v, a follower %v", i, h+1, b.Proto, want.Proto)
			}
		}
	}
	last := len(got) - 1
	if a, b := got[last][0].Proto.VoidBatches, got[last][len(ids)-1].Proto.VoidBatches; len(a) != 1 || len(b) != 1 || a[0] != b[0] {
		t.Error("the proof of one void batch is held twice")
	}
	if mid := c.group(t, url, ids[:2], 4, 5); mid[0][0].Height != 4 || len(mid) != 2 {
		t.Errorf("from the middle: height %d", mid[0][0].Height)
	}
}

// TestGroupMessagesAreBounded: what a height holds for all rollups does not stand in one message.
func TestGroupMessagesAreBounded(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	var bundles []*order.Bundle
	var ids []order.RollupID
	for i := range 12 {
		ids = append(ids, order.NewRollupID(fmt.Sprint("rollup ", i)))
		b := newBundle(9, ids[i])
		b.Legs[0].Transactions = append(b.Legs[0].Transactions, make([]byte, 200_000))
		bundles = append(bundles, b)
	}
	c.commit(bundles)
	url, _ := serve(t, c, nil)
	var raw [][]byte
	for i := range ids {
		raw = append(raw, ids[i][:])
	}
	stream, err := client(url).SubscribeBlocks(await.Context(t), connect.NewRequest(&v1.SubscribeBlocksRequest{RollupIds: raw, FromHeight: 1}))
	if err != nil {
		t.Fatal(err)
	}
	seen, messages := 0, 0
	for ; seen < len(ids) && stream.Receive(); messages++ {
		if size := proto.Size(stream.Msg()); size > 3<<19 {
			t.Errorf("a message of %d bytes", size)
		}
		if (messages == 0) != (stream.Msg().GetBlock() != nil) {
			t.Error("the block does not come first, or comes twice")
		}
		for _, p := range stream.Msg().GetParts() {
			if int(p.GetIndex()) != seen {
				t.Errorf("part of rollup %d, want %d", p.GetIndex(), seen)
			}
			seen++
		}
	}
	if seen != len(ids) || messages < 2 {
		t.Errorf("%d parts in %d messages: %v", seen, messages, stream.Err())
	}
}

func TestGroupRequestsAreChecked(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit(nil)
	url, _ := serve(t, c, func(o *api.Options) { o.Limits.ManyStreams = 1 })
	many := make([][]byte, 4097)
	for i := range many {
		id := order.NewRollupID(fmt.Sprint(i))
		many[i] = id[:]
	}
	ask := func(from uint64, ids ...[]byte) error {
		stream, err := client(url).SubscribeBlocks(await.Context(t), connect.NewRequest(&v1.SubscribeBlocksRequest{RollupIds: ids, FromHeight: from}))
		if err != nil {
			return err
		}
		defer func() { _ = stream.Close() }()
		stream.Receive()
		return stream.Err()
	}
	for name, err := range map[string]error{
		"none": ask(1), "short": ask(1, []byte("short")), "twice": ask(1, alpha[:], alpha[:]), "height": ask(0, alpha[:]), "too many": ask(1, many...),
	} {
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ask(1, slices.Clone(many[:4096])...); err != nil {
		t.Error(err)
	}
}

// TestSilentRollupsAreWeighed: streams of thousands of rollups that have nothing, and whose
// client reads nothing, hold what one client may have and no more. It must not run beside others,
// whose memory would count.
func TestSilentRollupsAreWeighed(t *testing.T) {
	c := newTestChain(t, 4)
	for range 24 {
		var bundles []*order.Bundle
		for i := range 300 {
			bundles = append(bundles, newBundle(1000, order.NewRollupID(fmt.Sprint("busy ", i))))
		}
		c.commit(bundles, 2)
	}
	url, _ := serve(t, c, nil)
	server := c.serving[0]
	var ids [][]byte
	for i := range 4096 {
		id := order.NewRollupID(fmt.Sprint("silent ", i))
		ids = append(ids, id[:])
	}
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc >> 20)
	}
	before := heap()
	subscribe := func() *connect.ServerStreamForClient[v1.SubscribeBlocksResponse] {
		s, err := client(url).SubscribeBlocks(await.Context(t), connect.NewRequest(&v1.SubscribeBlocksRequest{RollupIds: ids, FromHeight: 1}))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const streams, most = 8, 64 << 20
	var silent []*connect.ServerStreamForClient[v1.SubscribeBlocksResponse]
	for range streams {
		silent = append(silent, subscribe())
	}
	await.Until(t, "the streams have all that they may have", func() bool { return server.HeldParts() == most })
	held := heap() - before
	t.Logf("%d streams that nobody reads hold %d MiB", streams, held)
	if held > 2*most>>20 {
		t.Errorf("%d MiB, want %d at most", held, 2*most>>20)
	}
	if got := server.FollowedRollups(); got != streams*len(ids) {
		t.Errorf("%d rollups are followed, want %d", got, streams*len(ids))
	}
	one := subscribe() // one more than an address may have
	if one.Receive() || connect.CodeOf(one.Err()) != connect.CodeResourceExhausted {
		t.Errorf("a stream beyond the rollups that one address may follow: %v", one.Err())
	}
	for _, s := range silent[1:] {
		_ = s.Close()
	}
	// Who reads gets all of it.
	for seen := 0; seen < 24*len(ids); {
		if !silent[0].Receive() {
			t.Fatalf("after %d parts: %v", seen, silent[0].Err())
		}
		seen += len(silent[0].Msg().GetParts())
	}
	_ = silent[0].Close()
	await.Until(t, "all was given back", func() bool { return server.HeldParts() == 0 && server.FollowedRollups() == 0 })
}

// BenchmarkGroup measures how fast a relayer reads a thousand rollups, most of which have nothing
// in a block, the serving side included.
func BenchmarkGroup(b *testing.B) {
	c := newTestChain(b, 4)
	const height = 60
	for range height {
		c.commit([]*order.Bundle{newBundle(100, alpha), newBundle(100, alpha, beta), newBundle(100, beta)})
	}
	url, _ := serve(b, c, nil)
	ids := []order.RollupID{alpha, beta}
	for i := range 1000 {
		ids = append(ids, order.NewRollupID(fmt.Sprint("silent ", i)))
	}
	b.ResetTimer()
	for range b.N {
		c.group(b, url, ids, 1, height)
	}
	b.ReportMetric(float64(height*b.N)/b.Elapsed().Seconds(), "blocks/s")
}

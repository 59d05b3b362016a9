package api_test

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"

	cmttypes "github.com/cometbft/cometbft/types"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	"github.com/ordo-network/ordo/sequencer/ordering"
	"github.com/ordo-network/ordo/sequencer/pool"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
	"github.com/ordo-network/ordo/test/await"
)

func client(url string, opts ...connect.ClientOption) sequencerv1connect.SequencerServiceClient {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	return sequencerv1connect.NewSequencerServiceClient(&http.Client{Transport: tr}, url, opts...)
}

func wantCode(t testing.TB, err error, want connect.Code) {
	t.Helper()
	if connect.CodeOf(err) != want || err == nil {
		t.Fatalf("got %v, want code %v", err, want)
	}
}

func TestStreamVerifies(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 4)
	for range 3 {
		c.commit([]*order.Bundle{newBundle(100, alpha), newBundle(100, alpha, beta), newBundle(100, beta)}, 2)
	}
	c.addValidator() // signs from block 5 on
	url, _ := serve(t, c, nil)
	for name, cl := range map[string]sequencerv1connect.SequencerServiceClient{
		"connect": client(url), "grpc": client(url, connect.WithGRPC()), "grpc-web": client(url, connect.WithGRPCWeb()),
		"json": client(url, connect.WithProtoJSON()), "http1": sequencerv1connect.NewSequencerServiceClient(http.DefaultClient, url),
	} {
		for _, rollup := range []order.RollupID{alpha, beta, order.NewRollupID("absent")} {
			stream, err := cl.SubscribeRollup(await.Context(t), connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: rollup[:], FromHeight: 1}))
			if err != nil {
				t.Fatal(name, err)
			}
			var set *cmttypes.ValidatorSet
			var sets []uint64
			var n int
			for height := uint64(1); height <= 8; height++ {
				if height > c.height() {
					c.commit([]*order.Bundle{newBundle(100, alpha), newBundle(100, alpha, beta), newBundle(100, beta)}, 2)
				}
				if !stream.Receive() {
					t.Fatal(name, stream.Err())
				}
				if len(stream.Msg().Block.Validators) > 0 {
					sets = append(sets, height)
				}
				var txs [][]byte
				txs, set = verify(t, stream.Msg().Block, rollup, height, set)
				n += len(txs)
			}
			if fmt.Sprint(sets) != "[1 5]" {
				t.Fatalf("%s: validators came with blocks %v, want 1 and 5", name, sets)
			}
			if want := map[order.RollupID]int{alpha: 32, beta: 16}[rollup]; n != want {
				t.Fatalf("%s: %d transactions, want %d", name, n, want)
			}
			if err := stream.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestStreamWaitsAboveTheHead(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	url, _ := serve(t, c, nil)
	stream, err := client(url).SubscribeRollup(await.Context(t), connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 3}))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c.commit(nil)
	}
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	verify(t, stream.Msg().Block, alpha, 3, nil)
	if got := stream.Msg().LatestHeight; got != 3 {
		t.Fatalf("latest height %d, want 3", got)
	}
}

func TestStreamEndsWithTheServer(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	url, stop := serve(t, c, nil)
	stream, err := client(url).SubscribeRollup(await.Context(t), connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}))
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if stream.Receive() {
		t.Fatal("a message from a stopped server")
	}
	wantCode(t, stream.Err(), connect.CodeUnavailable)
	if !strings.Contains(stream.Err().Error(), "shutting down") { // the connection was cut instead
		t.Errorf("the stream ended with %v", stream.Err())
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 4)
	url, _ := serve(t, c, nil)
	cl, ctx := client(url), await.Context(t)
	_, err := cl.GetBlock(ctx, connect.NewRequest(&v1.GetBlockRequest{}))
	wantCode(t, err, connect.CodeOutOfRange)
	x, y := newBundle(9, alpha, beta), newBundle(9, beta)
	for range 4 {
		c.commit(nil)
	}
	c.commit([]*order.Bundle{x, y}, 1)
	res, err := cl.GetBlock(ctx, connect.NewRequest(&v1.GetBlockRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	b := res.Msg
	if b.Height != 5 || !bytes.Equal(b.Hash, c.Blocks.LoadBlock(5).Hash()) || b.OrderingHeader.Legs != 2 || b.OrderingHeader.Dropped != 1 {
		t.Fatalf("block %v", b)
	}
	xid, yid := x.ID(chainID), y.ID(chainID)
	if len(b.Bundles) != 1 || !bytes.Equal(b.Bundles[0].BundleId, xid[:]) || !bytes.Equal(b.Bundles[0].Bundle.Legs[1].RollupId, beta[:]) {
		t.Fatalf("bundles %v", b.Bundles)
	}
	if len(b.Dropped) != 1 || !bytes.Equal(b.Dropped[0].BundleId, yid[:]) || b.Dropped[0].Reason != ordering.DropFunds.String() {
		t.Fatalf("dropped %v", b.Dropped)
	}
	rollup, err := cl.GetRollupBlock(ctx, connect.NewRequest(&v1.GetRollupBlockRequest{RollupId: beta[:], Height: 5}))
	if err != nil {
		t.Fatal(err)
	}
	if txs, _ := verify(t, rollup.Msg.Block, beta, 5, nil); len(txs) != 2 {
		t.Fatalf("%d transactions, want 2", len(txs))
	}
	// The same height once its commit stands in the next block.
	c.commit(nil)
	rollup, err = cl.GetRollupBlock(ctx, connect.NewRequest(&v1.GetRollupBlockRequest{RollupId: beta[:], Height: 0}))
	if err != nil {
		t.Fatal(err)
	}
	verify(t, rollup.Msg.Block, beta, 6, nil)

	for _, height := range []uint64{7, 1 << 63, 1<<64 - 1} {
		_, err = cl.GetRollupBlock(ctx, connect.NewRequest(&v1.GetRollupBlockRequest{RollupId: beta[:], Height: height}))
		wantCode(t, err, connect.CodeOutOfRange)
	}
	if _, _, err := c.Blocks.PruneBlocks(4, c.state); err != nil {
		t.Fatal(err)
	}
	_, err = cl.GetBlock(ctx, connect.NewRequest(&v1.GetBlockRequest{Height: 3}))
	wantCode(t, err, connect.CodeOutOfRange)
	if !strings.Contains(err.Error(), "earliest here is 4") {
		t.Fatalf("%v does not name the earliest block", err)
	}
	stream, err := cl.SubscribeRollup(ctx, connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: beta[:], FromHeight: 2}))
	if err != nil {
		t.Fatal(err)
	}
	if stream.Receive() {
		t.Fatal("a block that is pruned")
	}
	wantCode(t, stream.Err(), connect.CodeOutOfRange)
	info, err := cl.GetInfo(ctx, connect.NewRequest(&v1.GetInfoRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	if i := info.Msg; i.EarliestHeight != 4 || i.LatestHeight != 6 || i.ChainId != chainID || i.FeePerKilobyte != 3 {
		t.Fatalf("info %v", i)
	}
}

// status polls until the bundle is in the state.
func status(t testing.TB, cl sequencerv1connect.SequencerServiceClient, id order.BundleID, want v1.BundleState) *v1.GetBundleStatusResponse {
	t.Helper()
	var got *v1.GetBundleStatusResponse
	await.Until(t, fmt.Sprintf("bundle %s is %s", id, want), func() bool {
		res, err := cl.GetBundleStatus(await.Context(t), connect.NewRequest(&v1.GetBundleStatusRequest{BundleId: id[:]}))
		if err != nil {
			t.Fatal(err)
		}
		got = res.Msg
		return got.State == want
	})
	return got
}

func TestBundleStatus(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit(nil)
	waiting, dir := new(testPool), t.TempDir()
	same := func(o *api.Options) { o.Pool, o.IndexDir, o.Retain = waiting, dir, 300 }
	url, stop := serve(t, c, same)
	cl, ctx := client(url), await.Context(t)
	ordered, dropped, expiring, foreign := newBundle(50, alpha), newBundle(50, beta), newBundle(4, beta), newBundle(50, alpha)
	ids := make(map[*order.Bundle]order.BundleID)
	for _, b := range []*order.Bundle{ordered, dropped, expiring} {
		res, err := cl.SubmitBundle(ctx, connect.NewRequest(&v1.SubmitBundleRequest{Bundle: b.Encode()}))
		if err != nil {
			t.Fatal(err)
		}
		ids[b] = b.ID(chainID)
		if got, err := order.BundleIDFromBytes(res.Msg.BundleId); err != nil || got != ids[b] {
			t.Fatalf("bundle ID %x", res.Msg.BundleId)
		}
		status(t, cl, ids[b], v1.BundleState_BUNDLE_STATE_RECEIVED)
	}
	status(t, cl, foreign.ID(chainID), v1.BundleState_BUNDLE_STATE_UNKNOWN)
	c.commit([]*order.Bundle{foreign, ordered, dropped}, 2)
	waiting.set(nil, ids[ordered], ids[dropped])
	check := func() {
		t.Helper()
		if s := status(t, cl, ids[ordered], v1.BundleState_BUNDLE_STATE_ORDERED); s.Height != 2 || s.Index != 1 {
			t.Fatalf("ordered at %d/%d, want 2/1", s.Height, s.Index)
		}
		if s := status(t, cl, ids[dropped], v1.BundleState_BUNDLE_STATE_DROPPED); s.Height != 2 || s.Reason != ordering.DropFunds.String() {
			t.Fatalf("dropped: %v", s)
		}
		status(t, cl, foreign.ID(chainID), v1.BundleState_BUNDLE_STATE_ORDERED)
	}
	check()
	waiting.leave(ids[expiring], expiring.Expiry)
	c.commit(nil)
	status(t, cl, ids[expiring], v1.BundleState_BUNDLE_STATE_RECEIVED) // block 4 may still order it
	c.commit(nil)
	status(t, cl, ids[expiring], v1.BundleState_BUNDLE_STATE_EXPIRED)
	if len(waiting.Left()) > 0 {
		t.Fatal("the pool may forget what is noted")
	}
	check()
	stop()
	c.commit(nil) // while nobody looks
	late := newBundle(50, alpha)
	c.commit([]*order.Bundle{late})
	url, _ = serve(t, c, same)
	cl = client(url)
	status(t, cl, late.ID(chainID), v1.BundleState_BUNDLE_STATE_ORDERED)
	status(t, cl, ids[expiring], v1.BundleState_BUNDLE_STATE_EXPIRED)
	check()
	// Retention forgets them.
	for c.height() < 600 {
		c.commit(nil)
	}
	status(t, cl, ids[ordered], v1.BundleState_BUNDLE_STATE_UNKNOWN)
	status(t, cl, ids[expiring], v1.BundleState_BUNDLE_STATE_UNKNOWN)
}

func TestSubmitErrors(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	waiting := new(testPool)
	url, _ := serve(t, c, func(o *api.Options) { o.Pool = waiting })
	cl, ctx := client(url), await.Context(t)
	submit := func(raw []byte) (*connect.Response[v1.SubmitBundleResponse], error) {
		return cl.SubmitBundle(ctx, connect.NewRequest(&v1.SubmitBundleRequest{Bundle: raw}))
	}
	good := newBundle(5, alpha)
	forged := newBundle(5, alpha)
	forged.Signature[0] ^= 1
	elsewhere := newBundle(5, alpha)
	elsewhere.Sign(chainID, order.Owner{2}, payerKey)
	for name, raw := range map[string][]byte{"empty": nil, "noise": []byte("bundle"), "trailing": append(good.Encode(), 0), "forged": forged.Encode(), "for another lane": elsewhere.Encode()} {
		_, err := submit(raw)
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v, want InvalidArgument", name, err)
		}
	}
	waiting.set(fmt.Errorf("16 MB of bundles wait: %w", pool.ErrFull))
	_, err := submit(good.Encode())
	wantCode(t, err, connect.CodeResourceExhausted)
	var cerr *connect.Error
	if ok := errors.As(err, &cerr); !ok || len(cerr.Details()) != 1 || cerr.Details()[0].Type() != "google.rpc.RetryInfo" || cerr.Meta().Get("Retry-After") == "" {
		t.Fatalf("a full pool gives no hint when to retry: %v", err)
	}
	waiting.set(pool.ErrAlreadyOrdered)
	res, err := submit(good.Encode())
	if err != nil {
		t.Fatalf("a bundle that was ordered: %v, want its ID", err)
	}
	if id := good.ID(chainID); !bytes.Equal(res.Msg.BundleId, id[:]) {
		t.Fatalf("ID %x", res.Msg.BundleId)
	}
	for _, id := range [][]byte{nil, make([]byte, 31), make([]byte, 33)} {
		_, err := cl.GetBundleStatus(ctx, connect.NewRequest(&v1.GetBundleStatusRequest{BundleId: id}))
		wantCode(t, err, connect.CodeInvalidArgument)
	}
	for _, id := range [][]byte{nil, make([]byte, 31), make([]byte, 32), make([]byte, 33)} {
		_, err := cl.GetRollupBlock(ctx, connect.NewRequest(&v1.GetRollupBlockRequest{RollupId: id}))
		wantCode(t, err, connect.CodeInvalidArgument)
		stream, err := cl.SubscribeRollup(ctx, connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: id, FromHeight: 1}))
		if err == nil && stream.Receive() {
			t.Fatal("a block for no rollup")
		}
		wantCode(t, stream.Err(), connect.CodeInvalidArgument)
	}
	stream, err := cl.SubscribeRollup(ctx, connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:]}))
	if err == nil && stream.Receive() {
		t.Fatal("a block from height 0")
	}
	wantCode(t, stream.Err(), connect.CodeInvalidArgument)
}

func post(t testing.TB, url, body string) (int, string) {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit(nil)
	url, _ := serve(t, c, nil)
	b := newBundle(9, alpha)
	id := b.ID(chainID)
	code, body := post(t, url+sequencerv1connect.SequencerServiceSubmitBundleProcedure, `{"bundle":"`+base64.StdEncoding.EncodeToString(b.Encode())+`"}`)
	if want := base64.StdEncoding.EncodeToString(id[:]); code != 200 || !strings.Contains(body, want) {
		t.Fatalf("%d %s, want the ID %s", code, body, want)
	}
	code, body = post(t, url+sequencerv1connect.SequencerServiceGetBundleStatusProcedure, `{"bundleId":"`+base64.StdEncoding.EncodeToString(id[:])+`"}`)
	if code != 200 || !strings.Contains(body, "BUNDLE_STATE_RECEIVED") {
		t.Fatalf("%d %s", code, body)
	}
	if code, body = post(t, url+sequencerv1connect.SequencerServiceGetBundleStatusProcedure, `{"bundleId":5}`); code != 400 || !strings.Contains(body, "invalid_argument") {
		t.Fatalf("%d %s", code, body)
	}
	res, err := http.Get(url + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var health struct {
		LatestHeight uint64 `json:"latest_height"`
	}
	if err := json.NewDecoder(res.Body).Decode(&health); err != nil || health.LatestHeight != 1 {
		t.Fatalf("health: %v %v", health, err)
	}
	// TLS where none is spoken is refused, not hung.
	if conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "http://"), &tls.Config{InsecureSkipVerify: true}); err == nil {
		_ = conn.Close()
		t.Fatal("TLS to a plain port")
	}
}

func TestGRPC(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit([]*order.Bundle{newBundle(9, alpha)})
	url, _ := serve(t, c, nil)
	conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx := await.Context(t)
	info := new(v1.GetInfoResponse)
	if err := conn.Invoke(ctx, sequencerv1connect.SequencerServiceGetInfoProcedure, new(v1.GetInfoRequest), info); err != nil || info.LatestHeight != 1 {
		t.Fatalf("%v %v", info, err)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, sequencerv1connect.SequencerServiceSubscribeRollupProcedure)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	msg := new(v1.SubscribeRollupResponse)
	if err := stream.RecvMsg(msg); err != nil {
		t.Fatal(err)
	}
	verify(t, msg.Block, alpha, 1, nil)
	reflect, err := reflection.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := reflect.Send(&reflection.ServerReflectionRequest{MessageRequest: &reflection.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	got, err := reflect.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.String(), sequencerv1connect.SequencerServiceName) {
		t.Fatalf("reflection lists %v", got)
	}
}

package api_test

import (
	"bufio"
	"crypto/ed25519"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
	"github.com/ordo-network/ordo/test/await"
)

func dial(t testing.TB, url string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// postHead sends the head of a plain HTTP request and what there is of its body.
func postHead(t testing.TB, conn net.Conn, procedure, contentType string, length int, body string) {
	t.Helper()
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nConnect-Protocol-Version: 1\r\nContent-Length: %d\r\n\r\n%s", procedure, contentType, length, body)
	if err != nil {
		t.Fatal(err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit(nil)
	url, _ := serve(t, c, func(o *api.Options) { o.Limits = api.Limits{Streams: 2, Submits: 1, Reads: 2, ClientShare: 1} })
	cl, ctx := client(url), await.Context(t)
	subscribe := func() *connect.ServerStreamForClient[v1.SubscribeRollupResponse] {
		s, err := cl.SubscribeRollup(ctx, connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, second := subscribe(), subscribe()
	if !first.Receive() || !second.Receive() {
		t.Fatal(first.Err(), second.Err())
	}
	third := subscribe()
	if third.Receive() {
		t.Fatal("a third stream where two are allowed")
	}
	wantCode(t, third.Err(), connect.CodeResourceExhausted)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	await.Until(t, "a stream that ended frees its place", func() bool { s := subscribe(); return s.Receive() })

	// Too large, with and without compression, and for a call that carries no bundle.
	_, err := cl.SubmitBundle(ctx, connect.NewRequest(&v1.SubmitBundleRequest{Bundle: make([]byte, 4<<20)}))
	wantCode(t, err, connect.CodeResourceExhausted)
	_, err = cl.GetBundleStatus(ctx, connect.NewRequest(&v1.GetBundleStatusRequest{BundleId: make([]byte, 1<<20)}))
	wantCode(t, err, connect.CodeResourceExhausted)
	bomb := client(url, connect.WithSendGzip())
	_, err = bomb.SubmitBundle(ctx, connect.NewRequest(&v1.SubmitBundleRequest{Bundle: make([]byte, 64<<20)}))
	wantCode(t, err, connect.CodeResourceExhausted)

	// A submission that never sends its body holds its place; the next is refused at once.
	// One that comes while another is looked at is refused itself, so each round sends one.
	await.Until(t, "the place for submissions is taken", func() bool {
		postHead(t, dial(t, url), sequencerv1connect.SequencerServiceSubmitBundleProcedure, "application/json", 1000, "{")
		_, err := cl.SubmitBundle(ctx, connect.NewRequest(&v1.SubmitBundleRequest{Bundle: newBundle(9, alpha).Encode()}))
		return connect.CodeOf(err) == connect.CodeResourceExhausted
	})
	if _, err := cl.GetInfo(ctx, connect.NewRequest(&v1.GetInfoRequest{})); err != nil {
		t.Fatalf("reading while submissions are full: %v", err)
	}
}

func TestOneClientLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit(nil)
	url, _ := serve(t, c, func(o *api.Options) { o.Limits = api.Limits{Streams: 8, ClientShare: 4} })
	from := func(ip string) sequencerv1connect.SequencerServiceClient {
		tr := &http.Transport{Protocols: new(http.Protocols), DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).DialContext}
		tr.Protocols.SetUnencryptedHTTP2(true)
		return sequencerv1connect.NewSequencerServiceClient(&http.Client{Transport: tr}, url)
	}
	greedy, other := from("127.0.0.1"), from("127.0.0.2")
	opens := func(cl sequencerv1connect.SequencerServiceClient) bool {
		s, err := cl.SubscribeRollup(await.Context(t), connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}))
		if err != nil {
			t.Fatal(err)
		}
		ok := s.Receive()
		if !ok {
			wantCode(t, s.Err(), connect.CodeResourceExhausted)
		}
		return ok
	}
	for range 2 {
		if !opens(greedy) {
			t.Fatal("refused below the share of one client")
		}
	}
	if opens(greedy) {
		t.Fatal("one client has more than its share")
	}
	if !opens(other) {
		t.Fatal("no room for another client")
	}
}

func TestRequestsThatDoNotArriveEnd(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	url, _ := serve(t, c, func(o *api.Options) {
		o.Limits = api.Limits{Submits: 1, ClientShare: 1, ReadTimeout: time.Second}
	})
	slow := dial(t, url)
	postHead(t, slow, sequencerv1connect.SequencerServiceSubmitBundleProcedure, "application/json", 1000, "{")
	if err := slow.SetReadDeadline(time.Now().Add(await.Limit)); err != nil {
		t.Fatal(err)
	}
	if res, err := http.ReadResponse(bufio.NewReader(slow), nil); err == nil && res.StatusCode == http.StatusOK {
		t.Fatal("an answer to half a request")
	}
	if _, err := client(url).SubmitBundle(await.Context(t), connect.NewRequest(&v1.SubmitBundleRequest{Bundle: newBundle(9, alpha).Encode()})); err != nil {
		t.Fatalf("the place was not freed: %v", err)
	}
}

// A stream lasts, by any protocol, although no write or read of it may take long.
func TestStreamsOutliveTimeouts(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	c.commit(nil)
	const timeout = time.Second
	url, _ := serve(t, c, func(o *api.Options) { o.Limits = api.Limits{ReadTimeout: timeout, WriteTimeout: timeout} })
	streams := map[string]*connect.ServerStreamForClient[v1.SubscribeRollupResponse]{}
	for name, cl := range map[string]sequencerv1connect.SequencerServiceClient{
		"connect over HTTP/2": client(url), "gRPC": client(url, connect.WithGRPC()),
		"connect over HTTP/1": sequencerv1connect.NewSequencerServiceClient(new(http.Client), url),
	} {
		s, err := cl.SubscribeRollup(await.Context(t), connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}))
		if err != nil {
			t.Fatal(name, err)
		}
		if !s.Receive() {
			t.Fatal(name, s.Err())
		}
		streams[name] = s
	}
	time.Sleep(2 * timeout) // nothing happens for longer than any timeout
	c.commit(nil)
	for name, s := range streams {
		if !s.Receive() {
			t.Errorf("%s: %v", name, s.Err())
		}
	}
}

// streams returns how many streams are open.
func streams(t testing.TB, metrics prometheus.Gatherer) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "ordo_api_streams" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("open streams are not counted")
	return 0
}

func TestReaderThatTakesNothingIsCutOff(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	fill := func() {
		b := &order.Bundle{Expiry: 99, Legs: []order.Leg{{RollupID: alpha, Transactions: [][]byte{make([]byte, 900<<10)}}}}
		b.Sign(chainID, laneOwner, ed25519.NewKeyFromSeed(make([]byte, 32)))
		c.commit([]*order.Bundle{b, newBundle(99, alpha)})
	}
	for range 24 {
		fill() // more than sockets buffer
	}
	metrics := prometheus.NewRegistry()
	url, _ := serve(t, c, func(o *api.Options) {
		o.Limits, o.Registerer = api.Limits{Streams: 2, ClientShare: 1, WriteTimeout: 2 * time.Second}, metrics
	})
	subscribe := func() *connect.ServerStreamForClient[v1.SubscribeRollupResponse] {
		s, err := client(url).SubscribeRollup(await.Context(t), connect.NewRequest(&v1.SubscribeRollupRequest{RollupId: alpha[:], FromHeight: 1}))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	_ = subscribe() // and never reads: HTTP/2
	body := string([]byte{0, 0, 0, 0, 36, 10, 32}) + string(alpha[:]) + string([]byte{16, 1})
	postHead(t, dial(t, url), sequencerv1connect.SequencerServiceSubscribeRollupProcedure, "application/connect+proto", len(body), body) // likewise: HTTP/1
	await.Until(t, "both readers are there", func() bool { return streams(t, metrics) == 2 })
	var reader *connect.ServerStreamForClient[v1.SubscribeRollupResponse]
	await.Until(t, "a reader that takes nothing frees its place", func() bool {
		reader = subscribe()
		return reader.Receive()
	})
	for range 23 {
		if !reader.Receive() {
			t.Fatalf("a reader that does read: %v", reader.Err())
		}
	}
}

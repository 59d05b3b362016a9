package api_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/dispersal"
	"github.com/ordo-network/ordo/dispersal/store"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/api"
	"github.com/ordo-network/ordo/sequencer/api/shares"
	v1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/test/await"
)

// testLanes stands for the node's dispersal.
type testLanes struct {
	mu        sync.Mutex
	certified map[order.BundleID]bool
	shares    map[order.BatchID][]byte
	feed      chan *order.Certificate
}

func newTestLanes() *testLanes {
	return &testLanes{certified: make(map[order.BundleID]bool), shares: make(map[order.BatchID][]byte), feed: make(chan *order.Certificate)}
}

func (l *testLanes) Status(id order.BundleID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.certified[id]
}

func (l *testLanes) set(id order.BundleID, certified bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.certified[id] = certified
}

func (l *testLanes) Certificates(ctx context.Context) api.Certificates {
	return nextFunc(func() (*order.Certificate, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case c, ok := <-l.feed:
			if !ok {
				return nil, errors.New("too slow")
			}
			return c, nil
		}
	})
}

type nextFunc func() (*order.Certificate, error)

func (f nextFunc) Next() (*order.Certificate, error) { return f() }

func (l *testLanes) Share(_ context.Context, _ order.Position, epoch uint64, id order.BatchID) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if raw, ok := l.shares[id]; ok && epoch == testEpoch {
		return raw, nil
	}
	return nil, store.ErrNotFound
}

func TestCertifiedStream(t *testing.T) {
	t.Parallel()
	c, lanes := newTestChain(t, 1), newTestLanes()
	url, stop := serve(t, c, func(o *api.Options) { o.Lanes = lanes })
	cl, ctx := client(url), await.Context(t)
	stream, err := cl.SubscribeCertified(ctx, connect.NewRequest(&v1.SubscribeCertifiedRequest{RollupId: alpha[:]}))
	if err != nil {
		t.Fatal(err)
	}
	if !stream.Receive() || len(stream.Msg().Bundles) > 0 || len(stream.Msg().BatchId) > 0 {
		t.Fatalf("first message %v: %v; want an empty one", stream.Msg(), stream.Err())
	}
	var bundles []*order.Bundle
	for _, r := range []order.RollupID{beta, alpha, beta, alpha} {
		bundles = append(bundles, newBundle(9, r))
	}
	bundles[3] = newBundle(9, alpha, beta, order.NewRollupID("gamma"))
	disperse := func(bundles ...*order.Bundle) *order.Certificate {
		return c.disperse(bundles, &order.Batch{Bundles: bundles})
	}
	start := time.Now()
	first, last := disperse(bundles...), disperse(bundles[3], bundles[0])
	first.Attestations = []order.Attestation{{Member: 0, Clock: 900}, {Member: 1, Clock: 700}, {Member: 3, Clock: 100}}
	noise := (&order.Batch{Bundles: bundles}).Encode()
	clear(noise)
	lanes.feed <- first
	lanes.feed <- disperse(bundles[0], bundles[2])                                      // nothing for alpha
	lanes.feed <- c.batches.add(t, order.Mark{Session: 9, Sequence: 1}, bundles, noise) // void
	lanes.feed <- last
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	m, id := stream.Msg(), first.Header.ID(chainID)
	if m.Owner[0] != 1 || m.Session != 1 || m.Sequence != 1 || !bytes.Equal(m.BatchId, id[:]) || m.OrderTime != 700 || m.CertifiedMs < uint64(start.UnixMilli()) {
		t.Errorf("message %v", m)
	}
	if len(m.Bundles) != 2 {
		t.Fatalf("bundles %v", m.Bundles)
	}
	for i, at := range []int{1, 3} {
		id, b := bundles[at].ID(chainID), m.Bundles[i]
		if !bytes.Equal(b.BundleId, id[:]) || b.BatchPosition != uint64(at) || !slices.EqualFunc(b.Transactions, bundles[at].Legs[0].Transactions, bytes.Equal) ||
			b.LegCount != uint64(len(bundles[at].Legs)) {
			t.Errorf("bundle %v", b)
		}
	}
	if !stream.Receive() || stream.Msg().Sequence != 2 || len(stream.Msg().Bundles) != 1 {
		t.Fatalf("message %v: %v", stream.Msg(), stream.Err())
	}
	// The feed ends where this node can not keep up, and so does the stream.
	broken, err := cl.SubscribeCertified(ctx, connect.NewRequest(&v1.SubscribeCertifiedRequest{RollupId: beta[:]}))
	if err != nil || !broken.Receive() {
		t.Fatal(err, broken.Err())
	}
	close(lanes.feed)
	if broken.Receive() {
		t.Fatal("a message from a feed that ended")
	}
	wantCode(t, broken.Err(), connect.CodeUnavailable)
	alone, _ := serve(t, c, func(o *api.Options) { o.Lanes = nil })
	none, err := client(alone).SubscribeCertified(ctx, connect.NewRequest(&v1.SubscribeCertifiedRequest{RollupId: beta[:]}))
	if err != nil {
		t.Fatal(err)
	}
	if none.Receive() {
		t.Fatal("a message from a node that takes no part")
	}
	wantCode(t, none.Err(), connect.CodeFailedPrecondition)
	stop()
	if stream.Receive() {
		t.Fatal("a message from a stopped server")
	}
	wantCode(t, stream.Err(), connect.CodeUnavailable)
}

func TestCertifiedStatus(t *testing.T) {
	t.Parallel()
	c, lanes, waiting := newTestChain(t, 1), newTestLanes(), new(testPool)
	url, _ := serve(t, c, func(o *api.Options) { o.Lanes, o.Pool = lanes, waiting })
	cl := client(url)
	b := newBundle(50, alpha)
	id := b.ID(chainID)
	status(t, cl, id, v1.BundleState_BUNDLE_STATE_UNKNOWN)
	if _, err := cl.SubmitBundle(await.Context(t), connect.NewRequest(&v1.SubmitBundleRequest{Bundle: b.Encode()})); err != nil {
		t.Fatal(err)
	}
	status(t, cl, id, v1.BundleState_BUNDLE_STATE_RECEIVED)
	lanes.set(id, true)
	status(t, cl, id, v1.BundleState_BUNDLE_STATE_CERTIFIED)
	waiting.set(nil, id)
	lanes.set(id, false) // by the block that orders it, which is not served yet
	status(t, cl, id, v1.BundleState_BUNDLE_STATE_CERTIFIED)
	c.commit([]*order.Bundle{b})
	status(t, cl, id, v1.BundleState_BUNDLE_STATE_ORDERED)
	// Another lane brings it once more, and the chain drops that.
	c.commitCertified([]*order.Certificate{c.disperse([]*order.Bundle{b}, &order.Batch{Bundles: []*order.Bundle{b}})}, 0)
	c.commit([]*order.Bundle{newBundle(50, beta)})
	if s := status(t, cl, id, v1.BundleState_BUNDLE_STATE_ORDERED); s.Height != 1 {
		t.Errorf("ordered at %d, want 1", s.Height)
	}
}

// TestFullNodeReadsFromValidators has a node that takes no part in dispersal rebuild
// batches from what validators' APIs give.
func TestFullNodeReadsFromValidators(t *testing.T) {
	t.Parallel()
	c := newTestChain(t, 1)
	b := []*order.Bundle{newBundle(9, alpha)}
	cert := c.disperse(b, &order.Batch{Bundles: b})
	c.commitCertified([]*order.Certificate{cert})
	core := cert.Header.Core(chainID)
	id := core.ID()
	urls := make(map[order.Owner]string)
	var second *testLanes
	for i := byte(1); i <= 3; i++ { // the fourth has registered no API
		lanes := newTestLanes()
		lanes.shares[id] = c.batches.shares[id][i-1].Append(nil)
		urls[order.Owner{i}], _ = serve(t, c, func(o *api.Options) { o.Lanes = lanes })
		if i == 2 {
			second = lanes
		}
	}
	source := shares.New(func(o order.Owner) string { return urls[o] })
	t.Cleanup(source.Close)
	ctx := await.Context(t)
	full := func() *dispersal.Retriever {
		r, err := dispersal.NewRetriever(dispersal.RetrieverOptions{ChainID: chainID, Sources: []dispersal.ShareSource{source}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// The second validator gives garbage, and then nothing.
	for _, gives := range []map[order.BatchID][]byte{second.shares, {id: []byte("garbage")}, {}} {
		second.mu.Lock()
		second.shares = gives
		second.mu.Unlock()
		url, _ := serve(t, c, func(o *api.Options) { o.Lanes, o.Batches = nil, full() })
		if got := c.follow(t, url, alpha, 1)[0].Transactions(); len(got) != 2 {
			t.Fatalf("%d transactions", len(got))
		}
		// It has no share itself, and says so.
		_, err := client(url).GetShare(ctx, connect.NewRequest(&v1.GetShareRequest{Owner: core.Owner[:], Session: 1, Sequence: 1, BatchId: id[:]}))
		wantCode(t, err, connect.CodeNotFound)
	}
	cl := client(urls[order.Owner{1}])
	for name, req := range map[string]*v1.GetShareRequest{
		"nothing": {}, "no owner": {Session: 1, Sequence: 1, BatchId: id[:]}, "short ID": {Owner: core.Owner[:], Session: 1, Sequence: 1, BatchId: id[1:]},
		"no session": {Owner: core.Owner[:], Sequence: 1, BatchId: id[:]}, "no sequence": {Owner: core.Owner[:], Session: 1, BatchId: id[:]},
	} {
		if _, err := cl.GetShare(ctx, connect.NewRequest(req)); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := core
	other.Sequence++
	for name, ask := range map[string]func() error{
		"another batch":  func() error { _, _, err := source.Share(ctx, order.Owner{1}, other); return err },
		"nobody's API":   func() error { _, _, err := source.Share(ctx, order.Owner{4}, core); return err },
		"gives no share": func() error { _, _, err := source.Share(ctx, order.Owner{2}, core); return err },
	} {
		if err := ask(); !errors.Is(err, dispersal.ErrNoShare) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Whoever registers a URL does not get to choose another one later.
	elsewhere := httptest.NewUnstartedServer(http.RedirectHandler(urls[order.Owner{1}], http.StatusTemporaryRedirect))
	elsewhere.Config.Protocols = new(http.Protocols)
	elsewhere.Config.Protocols.SetUnencryptedHTTP2(true)
	elsewhere.Start()
	t.Cleanup(elsewhere.Close)
	for _, bad := range []string{"127.0.0.1:1", "file:///etc/passwd", "http://", elsewhere.URL} {
		urls[order.Owner{3}] = bad
		if _, _, err := source.Share(ctx, order.Owner{3}, core); err == nil {
			t.Errorf("%q gave a share", bad)
		}
	}
}

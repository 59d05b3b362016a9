package gateway

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/ordo-network/ordo/order"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// service answers as a sequencer's API does.
type service struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	mu     sync.Mutex
	submit error
	state  sequencerv1.BundleState
	info   *sequencerv1.GetInfoResponse
	raw    []byte
}

func (s *service) set(f func(*service)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *service) SubmitBundle(_ context.Context, req *connect.Request[sequencerv1.SubmitBundleRequest]) (*connect.Response[sequencerv1.SubmitBundleResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw = req.Msg.Bundle
	return connect.NewResponse(&sequencerv1.SubmitBundleResponse{}), s.submit
}

func (s *service) GetBundleStatus(context.Context, *connect.Request[sequencerv1.GetBundleStatusRequest]) (*connect.Response[sequencerv1.GetBundleStatusResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return connect.NewResponse(&sequencerv1.GetBundleStatusResponse{State: s.state}), nil
}

func (s *service) GetInfo(context.Context, *connect.Request[sequencerv1.GetInfoRequest]) (*connect.Response[sequencerv1.GetInfoResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return connect.NewResponse(s.info), nil
}

func serve(t *testing.T, s sequencerv1connect.SequencerServiceHandler) string {
	t.Helper()
	_, handler := sequencerv1connect.NewSequencerServiceHandler(s)
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

func TestRemote(t *testing.T) {
	t.Parallel()
	info := &sequencerv1.GetInfoResponse{ChainId: simChain, LatestHeight: 100, FeePerKilobyte: 1000, MaxExpiryBlocks: 50, MaxBundleBytes: 1000, LaneOwner: make([]byte, 20)}
	s := &service{info: info}
	r := NewRemote(serve(t, s) + "/")
	t.Cleanup(r.http.CloseIdleConnections)
	bundle := func(expiry, feeLimit uint64, txs ...string) []byte {
		b := &order.Bundle{Expiry: expiry, FeeLimit: feeLimit, Legs: []order.Leg{{RollupID: simRollup}}}
		for _, tx := range txs {
			b.Legs[0].Transactions = append(b.Legs[0].Transactions, []byte(tx))
		}
		b.Sign(simChain, simKey)
		return b.Encode()
	}
	good := bundle(120, 1000, "tx")
	got, err := r.Info(t.Context())
	if err != nil || got != (Info{ChainID: simChain, Height: 100, FeePerKilobyte: 1000, MaxExpiryBlocks: 50, MaxBundleBytes: 1000, HasLane: true}) {
		t.Errorf("info: %+v, %v", got, err)
	}
	refuse := func(c connect.Code) error { return connect.NewError(c, errors.New("says why")) }
	for _, c := range []struct {
		name  string
		code  connect.Code
		state sequencerv1.BundleState
		raw   []byte
		want  error
	}{
		{"known", connect.CodeAlreadyExists, 0, good, nil},
		{"busy", connect.CodeResourceExhausted, 0, good, ErrBusy},
		{"malformed", connect.CodeInvalidArgument, 0, good, ErrRefused},
		{"cannot pay", connect.CodeFailedPrecondition, 0, good, ErrUnfunded},
		{"dropped", connect.CodeFailedPrecondition, sequencerv1.BundleState_BUNDLE_STATE_DROPPED, good, ErrDropped},
		{"expired", connect.CodeFailedPrecondition, 0, bundle(100, 1000, "tx"), ErrRefused},
		{"expiry too far", connect.CodeFailedPrecondition, 0, bundle(151, 1000, "tx"), ErrRefused},
		{"fee limit too low", connect.CodeFailedPrecondition, 0, bundle(120, 100, "tx"), ErrRefused},
		{"too large", connect.CodeFailedPrecondition, 0, bundle(120, 5000, strings.Repeat("x", 1000)), ErrRefused},
	} {
		s.set(func(s *service) { s.submit, s.state = refuse(c.code), c.state })
		err := r.SubmitBundle(t.Context(), c.raw)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), "says why") {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	s.set(func(s *service) { s.submit, s.info.LaneOwner = refuse(connect.CodeFailedPrecondition), nil })
	if err := r.SubmitBundle(t.Context(), good); !errors.Is(err, ErrNoLane) {
		t.Errorf("no lane: %v", err)
	}
	s.set(func(s *service) { s.submit = refuse(connect.CodeUnavailable) })
	err = r.SubmitBundle(t.Context(), good)
	for _, known := range []error{nil, ErrBusy, ErrRefused, ErrUnfunded, ErrDropped} {
		if errors.Is(err, known) {
			t.Errorf("unavailable: %v", err)
		}
	}
	s.set(func(s *service) { s.submit = nil })
	if err := r.SubmitBundle(t.Context(), good); err != nil || string(s.raw) != string(good) {
		t.Errorf("taken: %v", err)
	}
	// An answer beyond all bounds is not read.
	s.set(func(s *service) { s.info = &sequencerv1.GetInfoResponse{ChainId: strings.Repeat("x", 1<<20)} })
	if _, err := r.Info(t.Context()); err == nil {
		t.Error("info of a megabyte: no error")
	}
}

// TestFailover: what the first sequencer took and then did not order goes to the
// next one, in the order of making, before anything newer does.
func TestFailover(t *testing.T) {
	t.Parallel()
	first, second := newNode(), newNode()
	cfg := Config{
		RollupID: simRollup, ChainID: simChain, Key: simKey, Dir: t.TempDir(),
		Sequencers: []Sequencer{first, second}, Chain: second, ResendAfter: 700 * time.Millisecond,
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	for nonce := range uint64(5) { // each in a bundle of its own
		if err := g.Submit(t.Context(), simTx("a", nonce, 0)); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "bundled", func() bool { _, st, _ := g.Get(simTx("a", nonce, 0).Hash); return st.Phase == PhaseInFlight })
	}
	waitFor(t, "all at the second", func() bool { second.mu.Lock(); defer second.mu.Unlock(); return len(second.pool) == 5 })
	for nonce, b := range second.pool {
		if _, got := parseSim(b.Legs[0].Transactions[0]); got != uint64(nonce) {
			t.Errorf("bundle %d holds nonce %d", nonce, got)
		}
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	if !maps.Equal(first.ids, second.ids) {
		t.Errorf("the first one took %d bundles, the second one %d, want the same", len(first.ids), len(second.ids))
	}
}

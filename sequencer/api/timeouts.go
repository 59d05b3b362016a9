package api

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// timed gives each request its deadlines. The server's own would also end the
// streams, which are meant to last.
func (l Limits) timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctl := http.NewResponseController(w)
		_ = ctl.SetReadDeadline(time.Now().Add(l.ReadTimeout)) // supported by net/http's own writers
		r.Body = &timedBody{r.Body, ctl}
		next.ServeHTTP(&timedWriter{w, ctl, l.WriteTimeout, r.ProtoMajor >= 2}, r)
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
	ctl     *http.ResponseController
	timeout time.Duration
	lift    bool
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
	_ = w.ctl.SetWriteDeadline(time.Now().Add(w.timeout))
	if !w.lift {
		return func() {}
	}
	return func() { _ = w.ctl.SetWriteDeadline(time.Time{}) }
}

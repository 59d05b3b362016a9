package remote

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/da"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns an endpoint whose requests handle answers.
func open(t *testing.T, o Options, handle http.HandlerFunc) *Endpoint {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	e, err := New(server.URL+"/base/", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() }) // idle connections alone
	return e
}

func TestCallAsksAsJSONRPC(t *testing.T) {
	t.Parallel()
	e := open(t, Options{Token: "secret"}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a short body fails the comparison
		const want = `{"jsonrpc":"2.0","id":1,"method":"blob.Get","params":[7,"AQI="]}`
		if string(body) != want || r.URL.Path != "/base/" || r.Header.Get("Authorization") != "Bearer secret" ||
			r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v", r.URL.Path, body, r.Header)
		}
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":[1,2]}`) // the caller notices
	})
	var got []int
	if err := e.Call(t.Context(), "blob.Get", 100, &got, 7, []byte{1, 2}); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAnswersAreClassed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		body   string
		want   error // nil: success
	}{
		{200, `{"result":5}`, nil},
		{200, `{"result":null}`, nil},
		{200, `{}`, da.ErrUnavailable},
		{200, `{"result":"x"}`, da.ErrUnavailable},
		{200, `<html>`, da.ErrUnavailable},
		{200, ``, da.ErrUnavailable},
		{200, `{"result":5}` + strings.Repeat(" ", 1000), da.ErrUnavailable},
		{302, ``, da.ErrUnavailable},
		{401, `no`, da.ErrRejected},
		{403, `no`, da.ErrRejected},
		{413, `too long`, da.ErrTooLarge},
		{500, `{"result":5}`, da.ErrUnavailable},
		{502, `bad gateway`, da.ErrUnavailable},
	} {
		e := open(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body) // the caller notices
		})
		var got *int
		if err := e.Call(t.Context(), "m", 500, &got); !errors.Is(err, tt.want) {
			t.Errorf("%d %.40q: %v, want %v", tt.status, tt.body, err, tt.want)
		}
	}
}

func TestErrorsOfTheEndpointKeepTheirCode(t *testing.T) {
	t.Parallel()
	e := open(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"error":{"code":-32601,"message":"no\nsuch method"}}`) // the caller notices
	})
	err := e.Call(t.Context(), "m", 500, new(int))
	var rpc *RPCError
	if !errors.As(err, &rpc) || rpc.Code != -32601 || err.Error() != "m: no such method (code -32601)" {
		t.Errorf("%v", err)
	}
}

// A request that arrived is not sent again, whatever became of its connection.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	e := open(t, Options{}, func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, `{"result":5}`) // the caller notices
	})
	for range 2 { // the second finds an open connection
		_ = e.Call(t.Context(), "m", 500, new(int)) // one of them fails
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests for 2 calls", n)
	}
}

func TestSilenceEnds(t *testing.T) {
	t.Parallel()
	e := open(t, Options{Timeout: 50 * time.Millisecond}, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // so that the server sees the client go
		<-r.Context().Done()
	})
	if err := e.Call(t.Context(), "m", 500, new(int)); !errors.Is(err, da.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Call(ctx, "m", 500, new(int)); !errors.Is(err, da.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want ErrUnavailable and Canceled", err)
	}
}

func TestEndpointsAreChecked(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"", "127.0.0.1:26658", "ftp://x", "http://", "http://a b"} {
		if _, err := New(endpoint, Options{}); err == nil {
			t.Errorf("%q was accepted", endpoint)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"jsonrpc":"2.0","id":1,"result":[{"namespace":"","data":"aGVsbG8="}]}`))
	f.Add(500, []byte(`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}`))
	f.Add(200, []byte(`{"result":null}`))
	f.Add(404, []byte(`null`))
	f.Fuzz(func(t *testing.T, status int, raw []byte) {
		var result json.RawMessage
		err := decodeAnswer(Answer{status, raw}, &result)
		var rpc *RPCError
		known := errors.As(err, &rpc) || errors.Is(err, da.ErrTooLarge) || errors.Is(err, da.ErrRejected) || errors.Is(err, da.ErrUnavailable)
		if err != nil && !known {
			t.Fatalf("%q gives an error of no known kind: %v", raw, err)
		}
	})
}

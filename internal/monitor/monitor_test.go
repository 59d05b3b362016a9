package monitor

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

func TestServes(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	promauto.With(registry).NewCounter(prometheus.CounterOpts{Name: "ordo_test_things_total", Help: "Things."}).Add(7)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, ln, registry, map[string]http.HandlerFunc{
			"GET /health": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") },
		})
	}()
	for path, want := range map[string]string{"/metrics": "ordo_test_things_total 7", "/health": "ok", "/else": "404"} {
		resp, err := http.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %q, %v, want %q", path, body, err, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
	if again, err := net.Listen("tcp", ln.Addr().String()); err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		_ = again.Close()
	}
}

package devnet

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
)

// fakeRollup answers as a rollup node and as its metrics.
type fakeRollup struct {
	down     atomic.Bool
	executed atomic.Int64
}

func (f *fakeRollup) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case f.down.Load():
		http.Error(w, "down", http.StatusServiceUnavailable)
	case r.URL.Path == "/metrics":
		fmt.Fprintf(w, "# TYPE ordo_rollup_transactions_total counter\nordo_rollup_transactions_total{outcome=\"executed\"} %d\n", f.executed.Load())
	default:
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":{"number":"0x1f"}}`)
	}
}

func TestStatusKeepsWhatItKnewOfANodeThatIsDown(t *testing.T) {
	t.Parallel()
	f := new(fakeRollup)
	s := httptest.NewServer(f)
	defer s.Close()
	p := NewProbe(&Endpoints{Rollups: []RollupEndpoint{{Name: "alpha", RPC: s.URL}}, Metrics: []string{s.URL + "/relayer", s.URL + "/metrics"}})
	defer p.http.CloseIdleConnections()

	want := []RollupStatus{{Name: "alpha", Up: true, Latest: 31, Safe: 31}}
	if got := p.status(context.Background()); !slices.Equal(got.Rollups, want) || got.PerSecond != 0 {
		t.Errorf("status is %+v, want %+v and no rate yet", got, want)
	}
	f.executed.Store(1000)
	if got := p.status(context.Background()); got.PerSecond <= 0 {
		t.Errorf("1000 more transactions make %v a second", got.PerSecond)
	}
	f.down.Store(true)
	want[0].Up = false
	if got := p.status(context.Background()); !slices.Equal(got.Rollups, want) || got.PerSecond != 0 {
		t.Errorf("status is %+v, want %+v and no rate", got, want)
	}
}

func TestMissingNamesEachOnce(t *testing.T) {
	t.Parallel()
	f := new(fakeRollup)
	s := httptest.NewServer(f)
	defer s.Close()
	p := NewProbe(&Endpoints{
		Sequencers: []string{s.URL},
		Rollups:    []RollupEndpoint{{Name: "alpha", RPC: s.URL}},
		Metrics:    []string{s.URL + "/metrics", s.URL + "/metrics", s.URL + "/metrics"},
	})
	defer p.http.CloseIdleConnections()
	// What answers there is no sequencer.
	if got := p.missing(context.Background()); !slices.Equal(got, []string{"validator-0"}) {
		t.Errorf("missing are %v", got)
	}
	f.down.Store(true)
	if got := p.missing(context.Background()); !slices.Equal(got, []string{"validator-0", "rollup alpha", "relayer"}) {
		t.Errorf("missing are %v", got)
	}
}

func TestEndpointsWithoutMetricsAreNoMishap(t *testing.T) {
	t.Parallel()
	p := NewProbe(&Endpoints{Sequencers: []string{"http://127.0.0.1:1"}})
	if _, err := p.RelayedHeight(context.Background(), "alpha"); err == nil {
		t.Error("a height was made up")
	}
}

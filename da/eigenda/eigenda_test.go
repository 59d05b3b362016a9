package eigenda

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/datest"
	proxy "github.com/ordo-network/ordo/devnet/eigenda"
)

// conform runs the suite against a proxy. The sequencer chain is a double: what it
// does goes by other ways than HTTP.
func conform(t *testing.T, endpoint string, maxBlobBytes int) {
	datest.Run(t, datest.Harness{
		Open: func(t *testing.T, transport http.RoundTripper) da.Layer {
			index := lossyChain{newChain(), transport.(*datest.Faults)}
			return open(t, endpoint, Options{Index: index, Transport: transport, MaxBlobBytes: maxBlobBytes})
		},
		Remote: true,
		// A blob is on the layer once it is recorded, and not before.
		Stores: func(*http.Request) bool { return false },
	})
}

func TestConformance(t *testing.T) {
	t.Parallel()
	conform(t, newProxyDouble(t).URL, 0)
}

// startProxy starts the real proxy, or skips the test where there is none.
func startProxy(t *testing.T, o proxy.Options) *proxy.Proxy {
	t.Helper()
	binary, err := proxy.Binary(t.Context())
	if errors.Is(err, proxy.ErrNotBuilt) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	o.Binary, o.Dir = binary, filepath.Join(t.TempDir(), "proxy")
	p, err := proxy.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return p
}

func TestConformanceOfTheRealProxy(t *testing.T) {
	for name, o := range map[string]proxy.Options{
		"V1": {}, // with EigenDA's own limit
		"V2": {V2: true, MaxBlobBytes: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			conform(t, startProxy(t, o).Endpoint(), o.MaxBlobBytes)
		})
	}
}

// The in-memory backend forgets when it ends: what it stored before is given up, and what
// comes after is read.
func TestRealProxyThatForgets(t *testing.T) {
	chain, clock, ns := newChain(), newClock(), namespace("a")
	before := startProxy(t, proxy.Options{MaxBlobBytes: 1 << 20})
	old := submitOne(t, open(t, before.Endpoint(), Options{Index: chain}), ns, []byte("old"))
	if err := before.Stop(); err != nil {
		t.Fatal(err)
	}
	after := startProxy(t, proxy.Options{MaxBlobBytes: 1 << 20})
	c := open(t, after.Endpoint(), Options{Index: chain, Patience: patience, Now: clock.Now})
	fresh := submitOne(t, c, ns, []byte("fresh"))
	s := &scene{T: t, chain: chain, clock: clock, Client: c, ns: ns}
	if data, took := s.readAll(old.Height, fresh.Height); len(data) != 1 || data[0] != "fresh" || took > 2*patience {
		t.Errorf("read %q after %v", data, took)
	}
	if _, err := c.Get(t.Context(), ns, old); !errors.Is(err, da.ErrNotFound) {
		t.Errorf("the error is %v, want ErrNotFound", err)
	}
}

func submitOne(t *testing.T, c *Client, ns da.Namespace, data []byte) da.Ref {
	t.Helper()
	refs, err := c.Submit(t.Context(), []da.Blob{{Namespace: ns, Data: data}})
	if err != nil {
		t.Fatal(err)
	}
	return refs[0]
}

func wantBlobs(t *testing.T, c *Client, height uint64, ns da.Namespace, want ...[]byte) {
	t.Helper()
	got, err := c.Blobs(t.Context(), height, ns)
	if err != nil {
		t.Fatalf("blobs at %d: %v", height, err)
	}
	if len(got) != len(want) {
		t.Fatalf("height %d holds %d blobs, want %d", height, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i].Data, want[i]) {
			t.Errorf("blob %d at height %d has %d bytes that are not the %d submitted", i, height, len(got[i].Data), len(want[i]))
		}
	}
}

func TestWhatAnAnswerToAPutMeans(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		body   string
		want   error // nil: stored
	}{
		{200, "\x01certificate", nil},
		{200, strings.Repeat("x", da.MaxCommitmentBytes), nil},
		{200, "", da.ErrUnavailable},
		{200, strings.Repeat("x", da.MaxCommitmentBytes+1), da.ErrUnavailable},
		{200, strings.Repeat("x", 1<<20), da.ErrUnavailable},
		{302, "", da.ErrUnavailable},
		{400, "encoded blob is larger than max blob size", da.ErrTooLarge},
		{401, "", da.ErrRejected},
		{403, "", da.ErrRejected},
		{404, "404 page not found", da.ErrRejected},
		{413, "", da.ErrTooLarge},
		{429, "", da.ErrUnavailable},
		{500, "post request failed", da.ErrUnavailable},
		{503, "failover", da.ErrUnavailable},
	} {
		p, chain := newProxyDouble(t), newChain()
		p.setPut(answer(tt.status, tt.body))
		c := open(t, p.URL, Options{Index: chain})
		refs, err := c.Submit(t.Context(), []da.Blob{{Data: []byte("x")}})
		if !errors.Is(err, tt.want) {
			t.Errorf("%d with %d bytes: %v, want %v", tt.status, len(tt.body), err, tt.want)
		}
		if tt.want == nil && (len(refs) != 1 || string(refs[0].Commitment) != tt.body || refs[0].Height != 2) {
			t.Errorf("%d with %d bytes: the references are %v", tt.status, len(tt.body), refs)
		}
		if tt.want != nil && len(chain.recorded) > 0 {
			t.Errorf("%d with %d bytes: something was recorded", tt.status, len(tt.body))
		}
	}
}

// What the proxy stored and nobody recorded is not on the layer.
func TestPutThatFails(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{false, true} {
		p, chain, ns := newProxyDouble(t), newChain(), namespace("a")
		faults := datest.NewFaults(nil)
		c := open(t, p.URL, Options{Index: chain, Transport: faults})
		if stored {
			faults.DropAnswers(1)
		} else {
			faults.DropRequests(1)
		}
		_, err := c.Submit(t.Context(), []da.Blob{{Namespace: ns, Data: []byte("blob")}})
		if !errors.Is(err, da.ErrUnavailable) {
			t.Errorf("stored %v: %v, want ErrUnavailable", stored, err)
		}
		if len(chain.recorded) > 0 {
			t.Errorf("stored %v: something was recorded", stored)
		}
		ref := submitOne(t, c, ns, []byte("blob"))
		wantBlobs(t, c, ref.Height, ns, []byte("blob"))
	}
}

// A blob that was paid is not paid again because the chain did not answer.
func TestRecordThatFailsKeepsTheCertificates(t *testing.T) {
	t.Parallel()
	p, chain, clock := newProxyDouble(t), newChain(), newClock()
	c := open(t, p.URL, Options{Index: chain, Now: clock.Now})
	blobs := []da.Blob{{Namespace: namespace("a"), Data: []byte("1")}, {Namespace: namespace("b"), Data: []byte("2")}}
	chain.failing = errors.New("no votes")
	for range 3 {
		if _, err := c.Submit(t.Context(), blobs); !errors.Is(err, da.ErrUnavailable) || !errors.Is(err, chain.failing) {
			t.Fatalf("the error is %v", err)
		}
	}
	if n := p.putCount(); n != 2 {
		t.Errorf("%d blobs were stored, want 2", n)
	}
	chain.failing = nil
	refs, err := c.Submit(t.Context(), blobs)
	if err != nil || p.putCount() != 2 {
		t.Fatalf("%v, %d blobs were stored, want 2", err, p.putCount())
	}
	for i, b := range blobs {
		wantBlobs(t, c, refs[i].Height, b.Namespace, b.Data)
	}
	// Recorded certificates are used up: the same data is stored twice.
	again, err := c.Submit(t.Context(), blobs)
	if err != nil || p.putCount() != 4 || bytes.Equal(again[0].Commitment, refs[0].Commitment) {
		t.Errorf("%v, %d blobs were stored, want 4", err, p.putCount())
	}
	// So are those that are too old.
	chain.failing = errors.New("no votes")
	_, _ = c.Submit(t.Context(), blobs) // it fails
	clock.advance(unrecordedAge + time.Second)
	chain.failing = nil
	if _, err := c.Submit(t.Context(), blobs); err != nil || p.putCount() != 8 {
		t.Errorf("%v, %d blobs were stored, want 8", err, p.putCount())
	}
}

func TestErrorsOfTheChainKeepTheirClass(t *testing.T) {
	t.Parallel()
	p, chain := newProxyDouble(t), newChain()
	c := open(t, p.URL, Options{Index: chain})
	for _, want := range []error{da.ErrRejected, da.ErrTooLarge, da.ErrUnavailable} {
		chain.failing = want
		if _, err := c.Submit(t.Context(), []da.Blob{{Data: []byte("x")}}); !errors.Is(err, want) {
			t.Errorf("the error is %v, want %v", err, want)
		}
	}
}

func TestUnrecordedIsBounded(t *testing.T) {
	t.Parallel()
	clock := newClock()
	u := newUnrecorded(clock.Now)
	for i := range 3 * maxUnrecorded {
		u.keep([]Entry{{Commitment: []byte("c"), Data: []byte{byte(i), byte(i >> 8)}}, {Data: []byte("no certificate")}})
		clock.advance(time.Second)
	}
	if len(u.certs) != maxUnrecorded {
		t.Errorf("%d are kept", len(u.certs))
	}
	last := 3*maxUnrecorded - 1
	if u.take(da.ID([]byte{byte(last), byte(last >> 8)})) == nil || u.take(da.ID([]byte{0, 0})) != nil {
		t.Error("the newest is gone, or the oldest is there")
	}
}

func TestLimitsAreThoseOfTheProxy(t *testing.T) {
	t.Parallel()
	// Measured on the real one: the largest blob that it takes by its max-blob-length.
	for encoded, want := range map[int]int{16 << 20: 16252897, 4 << 20: 4063201, 1 << 20: 1015777, 3 << 20: 2031585, 64: 31} {
		if got := maxDataBytes(encoded); got != want {
			t.Errorf("%d encoded bytes hold %d, want %d", encoded, got, want)
		}
	}
	for _, n := range []int{-5, 1, 63, 16<<20 + 1} {
		if _, err := New("http://127.0.0.1:1", Options{Index: newChain(), MaxBlobBytes: n}); err == nil {
			t.Errorf("%d encoded bytes pass", n)
		}
	}
	if _, err := New("http://127.0.0.1:1", Options{}); err == nil {
		t.Error("a client without an index passes")
	}
	if _, err := New("127.0.0.1:1", Options{Index: newChain()}); err == nil {
		t.Error("an endpoint that is no URL passes")
	}
}

func TestTokenAndPrice(t *testing.T) {
	t.Parallel()
	tokens := make(chan string, 1)
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		tokens <- r.Header.Get("Authorization")
		return nil, errors.New("no")
	})
	c := open(t, "http://127.0.0.1:1/prefix", Options{Index: newChain(), Token: "secret", PricePerMB: 0.5, Transport: transport})
	if _, err := c.Get(t.Context(), da.Namespace{}, da.Ref{Commitment: []byte{1}}); !errors.Is(err, da.ErrUnavailable) {
		t.Errorf("the error is %v", err)
	}
	if got := <-tokens; got != "Bearer secret" {
		t.Errorf("Authorization is %q", got)
	}
	if p, err := c.Price(t.Context()); err != nil || p != (da.Price{PerMB: 0.5, Unit: "ETH"}) {
		t.Errorf("the price is %v, %v", p, err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// One question to the chain answers for many heights.
func TestWindows(t *testing.T) {
	t.Parallel()
	p, chain, ns := newProxyDouble(t), newChain(), namespace("a")
	c := open(t, p.URL, Options{Index: chain})
	var last uint64
	for range 50 {
		last = submitOne(t, c, ns, []byte("x")).Height
	}
	for h := uint64(1); h <= last; h++ {
		if _, err := c.Blobs(t.Context(), h, ns); err != nil {
			t.Fatal(err)
		}
	}
	if chain.asked != 1 {
		t.Errorf("%d questions for %d heights", chain.asked, last)
	}
	if _, err := c.Blobs(t.Context(), last+1, ns); !errors.Is(err, da.ErrNotYet) {
		t.Errorf("the error is %v, want ErrNotYet", err)
	}
	chain.window = 10
	c = open(t, p.URL, Options{Index: chain})
	for h := uint64(1); h <= last; h++ {
		if h > 1 { // nothing is recorded in the first block
			wantBlobs(t, c, h, ns, []byte("x"))
		}
	}
}

func TestWindowsAreBounded(t *testing.T) {
	t.Parallel()
	ws := newWindows()
	for i := range 3 * maxWindows {
		ws.put(&window{ns: da.Namespace{byte(i), byte(i >> 8)}, from: 1, to: 2, entries: make([]Recorded, i%40)})
		if ws.lru.Len() > maxWindows || ws.entries > maxWindowEntries || len(ws.byNS) != ws.lru.Len() {
			t.Fatalf("%d windows with %d entries", ws.lru.Len(), ws.entries)
		}
	}
	ws.put(&window{entries: make([]Recorded, 2*maxWindowEntries)})
	if ws.lru.Len() != 1 {
		t.Errorf("%d windows beside one over the limit", ws.lru.Len()-1)
	}
}

// An index that lies about heights is no reason to believe anything.
type lyingIndex struct {
	*chain
	recorded []Recorded
	to       uint64
}

func (l lyingIndex) Entries(context.Context, da.Namespace, uint64) ([]Recorded, uint64, error) {
	return l.recorded, l.to, nil
}

func TestIndexThatLies(t *testing.T) {
	t.Parallel()
	cert := []byte{1}
	for _, recorded := range [][]Recorded{
		{{Height: 4, Commitment: cert}}, {{Height: 10, Commitment: cert}},
		{{Height: 7, Commitment: cert}, {Height: 6, Commitment: cert}},
	} {
		c := open(t, newProxyDouble(t).URL, Options{Index: lyingIndex{newChain(), recorded, 9}})
		if _, err := c.Blobs(t.Context(), 5, da.Namespace{}); !errors.Is(err, da.ErrUnavailable) {
			t.Errorf("the error is %v, want ErrUnavailable", err)
		}
	}
}

func leftOut(t *testing.T, c *Client, reason string) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.metrics.leftOut.WithLabelValues(reason).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	r := prometheus.NewPedanticRegistry()
	o := Options{Index: newChain(), Registerer: r}
	open(t, "http://127.0.0.1:1", o)
	if _, err := New("http://127.0.0.1:1", o); err == nil {
		t.Error("a second client registers the same metrics")
	}
	if all, err := r.Gather(); err != nil || len(all) != 1 || len(all[0].Metric) != 3 {
		t.Errorf("the metrics are %v, %v", all, err)
	}
}

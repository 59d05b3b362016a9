package eigenda

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/datest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// proxyDouble answers as the proxy's documentation says, and as the real one was seen
// to. Faults are set by the test.
type proxyDouble struct {
	URL string

	mu    sync.Mutex
	blobs map[string][]byte
	puts  int
	gets  map[string]int
	onPut func(w http.ResponseWriter, data []byte) bool // true: it has answered
	onGet func(w http.ResponseWriter, cert []byte) bool
}

func newProxyDouble(t *testing.T) *proxyDouble {
	t.Helper()
	p := &proxyDouble{blobs: map[string][]byte{}, gets: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /put", p.put)
	mux.HandleFunc("GET /get/{cert}", p.get)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

func (p *proxyDouble) put(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 32<<20))
	if err != nil || r.URL.Query().Get("commitment_mode") != "standard" {
		http.Error(w, "reading at most 33554432 bytes from body: http: request body too large", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.puts++
	hook := p.onPut
	p.mu.Unlock()
	if hook != nil && hook(w, data) {
		return
	}
	_, _ = w.Write(p.store(data)) // the client notices
}

func (p *proxyDouble) store(data []byte) []byte {
	cert := make([]byte, 413)
	rand.Read(cert)
	cert[0] = 1
	p.mu.Lock()
	defer p.mu.Unlock()
	p.blobs[string(cert)] = data
	return cert
}

func (p *proxyDouble) get(w http.ResponseWriter, r *http.Request) {
	cert, err := hex.DecodeString(r.PathValue("cert"))
	if err != nil || r.URL.Query().Get("commitment_mode") != "standard" {
		http.Error(w, "decoding cert from hex string", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.gets[string(cert)]++
	hook := p.onGet
	data, ok := p.blobs[string(cert)]
	p.mu.Unlock()
	if hook != nil && hook(w, cert) {
		return
	}
	if !ok {
		http.Error(w, fmt.Sprintf("get request failed with serializedCert (version %d) %x: payload not found", cert[0], cert[1:]), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(data) // the client notices
}

// answer makes a hook that answers with a status and a body.
func answer(status int, body string) func(http.ResponseWriter, []byte) bool {
	return func(w http.ResponseWriter, _ []byte) bool {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // the client notices
		return true
	}
}

// hangUp is a hook that cuts the connection.
func hangUp(http.ResponseWriter, []byte) bool { panic(http.ErrAbortHandler) }

func (p *proxyDouble) setPut(hook func(http.ResponseWriter, []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onPut = hook
}

func (p *proxyDouble) setGet(hook func(http.ResponseWriter, []byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onGet = hook
}

func (p *proxyDouble) putCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.puts
}

func (p *proxyDouble) getCount(cert []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gets[string(cert)]
}

// chain is a sequencer chain that records certificates, and its own Index.
type chain struct {
	mu       sync.Mutex
	head     uint64
	grown    chan struct{} // closed at the next block
	recorded map[da.Namespace][]Recorded
	asked    int // calls of Entries
	window   uint64
	failing  error // of Record
}

func newChain() *chain {
	return &chain{head: 1, grown: make(chan struct{}), recorded: map[da.Namespace][]Recorded{}, window: 1 << 40}
}

// block adds a block that records things. The caller holds the lock.
func (c *chain) block() uint64 {
	c.head++
	close(c.grown)
	c.grown = make(chan struct{})
	return c.head
}

// forge records what a stranger says.
func (c *chain) forge(ns da.Namespace, rs ...Recorded) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	height := c.block()
	for _, r := range rs {
		r.Height = height
		c.recorded[ns] = append(c.recorded[ns], r)
	}
	return height
}

func (c *chain) Record(_ context.Context, entries []Entry) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failing != nil {
		return 0, c.failing
	}
	height := c.block()
	for _, e := range entries {
		r := Recorded{Height: height, Commitment: bytes.Clone(e.Commitment), ID: da.ID(e.Data)}
		c.recorded[e.Namespace] = append(c.recorded[e.Namespace], r)
	}
	return height, nil
}

func (c *chain) Entries(_ context.Context, ns da.Namespace, from uint64) ([]Recorded, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	to := min(c.head, from+c.window-1)
	if c.head < from {
		return nil, from - 1, nil
	}
	var out []Recorded
	for _, r := range c.recorded[ns] {
		if r.Height >= from && r.Height <= to {
			out = append(out, r)
		}
	}
	return out, to, nil
}

func (c *chain) Head(context.Context) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head, nil
}

func (c *chain) WaitHead(ctx context.Context, above uint64) (uint64, error) {
	for {
		c.mu.Lock()
		head, grown := c.head, c.grown
		c.mu.Unlock()
		if head > above {
			return head, nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %w", ctx.Err(), da.ErrUnavailable)
		}
	}
}

// lossyChain is a chain whose answers can be lost.
type lossyChain struct {
	*chain
	faults *datest.Faults
}

func (l lossyChain) Record(ctx context.Context, entries []Entry) (height uint64, err error) {
	err = l.faults.Do(func() error { height, err = l.chain.Record(ctx, entries); return err })
	return height, err
}

func (l lossyChain) Entries(ctx context.Context, ns da.Namespace, from uint64) (out []Recorded, to uint64, err error) {
	err = l.faults.Do(func() error { out, to, err = l.chain.Entries(ctx, ns, from); return err })
	return out, to, err
}

func (l lossyChain) Head(ctx context.Context) (height uint64, err error) {
	err = l.faults.Do(func() error { height, err = l.chain.Head(ctx); return err })
	return height, err
}

func (l lossyChain) WaitHead(ctx context.Context, above uint64) (height uint64, err error) {
	err = l.faults.Do(func() error { height, err = l.chain.WaitHead(ctx, above); return err })
	return height, err
}

// clock is a time that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Unix(1_700_000_000, 0)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// open returns a client of the endpoint.
func open(t *testing.T, endpoint string, o Options) *Client {
	t.Helper()
	c, err := New(endpoint, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // idle connections alone
	return c
}

func namespace(name string) da.Namespace {
	var ns da.Namespace
	copy(ns[:], name)
	return ns
}

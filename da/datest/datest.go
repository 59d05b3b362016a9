// Package datest is the conformance suite of DA layers: what package da promises,
// as tests that every layer passes. In comes a harness that opens the layer; the suite shares the
// layer with whatever else is on it, so that it runs against a real network too.
package datest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
)

// Harness is what a layer brings along.
type Harness struct {
	// Open returns the layer. Where it is remote over HTTP, its requests go through
	// transport; where it is not, transport is ignored.
	Open func(t *testing.T, transport http.RoundTripper) da.Layer
	// Remote says that there is a transport that can fail.
	Remote bool
	// Timeout bounds each test; 30 s by default.
	Timeout time.Duration
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	if h.Timeout == 0 {
		h.Timeout = 30 * time.Second
	}
	tests := []struct {
		name   string
		remote bool
		run    func(*suite)
	}{
		{"submitted blobs are read back in order", false, readBack},
		{"the same data twice is stored twice", false, twice},
		{"above the head is ErrNotYet", false, notYet},
		{"nothing there is no error", false, empty},
		{"too large is ErrTooLarge", false, tooLarge},
		{"the largest blob fits", false, largest},
		{"no blobs and empty blobs are ErrRejected", false, rejected},
		{"namespaces do not mix", false, namespaces},
		{"concurrent submissions all arrive", false, concurrent},
		{"a later submission is never lower", false, order},
		{"a submission whose context has ended is ErrUnavailable", false, canceled},
		{"failed and not stored", true, failedNotStored},
		{"failed but stored", true, failedButStored},
		{"a failed read is ErrUnavailable", true, failedRead},
	}
	for _, tt := range tests {
		if tt.remote && !h.Remote {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			faults := NewFaults(nil)
			ctx, cancel := context.WithTimeout(t.Context(), h.Timeout)
			defer cancel()
			tt.run(&suite{T: t, ctx: ctx, layer: h.Open(t, faults), faults: faults})
		})
	}
}

// suite is what each test has.
type suite struct {
	*testing.T
	ctx    context.Context
	layer  da.Layer
	faults *Faults
}

func (s *suite) submit(ns da.Namespace, blobs ...[]byte) uint64 {
	s.Helper()
	height, err := s.layer.Submit(s.ctx, ns, blobs)
	if err != nil {
		s.Fatalf("submit: %v", err)
	}
	if height == 0 {
		s.Fatal("submit returned height 0")
	}
	return height
}

func (s *suite) blobs(height uint64, ns da.Namespace) [][]byte {
	s.Helper()
	blobs, err := s.layer.Blobs(s.ctx, height, ns)
	if err != nil {
		s.Fatalf("blobs at %d: %v", height, err)
	}
	var out [][]byte
	for _, b := range blobs {
		if b.Height != height {
			s.Errorf("a blob of height %d says height %d", height, b.Height)
		}
		out = append(out, b.Data)
	}
	return out
}

func (s *suite) head() uint64 {
	s.Helper()
	head, err := s.layer.Head(s.ctx)
	if err != nil {
		s.Fatalf("head: %v", err)
	}
	return head
}

func (s *suite) want(height uint64, ns da.Namespace, want ...[]byte) {
	s.Helper()
	got := s.blobs(height, ns)
	if len(got) != len(want) {
		s.Fatalf("height %d holds %d blobs, want %d", height, len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			s.Errorf("blob %d at height %d has %d bytes that are not the %d submitted", i, height, len(got[i]), len(want[i]))
		}
	}
}

func (s *suite) wantErr(err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("the error is %v, want %v", err, want)
	}
}

// namespace returns one that nobody else uses.
func namespace() da.Namespace {
	var ns da.Namespace
	rand.Read(ns[:]) // it never fails
	return ns
}

func data(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func readBack(s *suite) {
	ns := namespace()
	blobs := [][]byte{data(1), data(70_000), {0}, data(300)}
	height := s.submit(ns, blobs...)
	if head := s.head(); head < height {
		s.Errorf("head is %d after a submission at %d", head, height)
	}
	s.want(height, ns, blobs...)
	s.want(height, ns, blobs...)
}

func twice(s *suite) {
	ns, blob := namespace(), data(100)
	first := s.submit(ns, blob, blob)
	s.want(first, ns, blob, blob)
	second := s.submit(ns, blob)
	if second <= first {
		s.Fatalf("a submission after height %d is at %d", first, second)
	}
	s.want(second, ns, blob)
}

func notYet(s *suite) {
	ns := namespace()
	head := s.submit(ns, data(10))
	_, err := s.layer.Blobs(s.ctx, head+1_000_000, ns)
	s.wantErr(err, da.ErrNotYet)
}

func empty(s *suite) {
	height := s.submit(namespace(), data(10))
	s.want(height, namespace())
}

func tooLarge(s *suite) {
	limit := s.layer.Limits().MaxBlobBytes
	if limit <= 0 {
		s.Fatalf("MaxBlobBytes is %d", limit)
	}
	_, err := s.layer.Submit(s.ctx, namespace(), [][]byte{make([]byte, limit+1)})
	s.wantErr(err, da.ErrTooLarge)
	_, err = s.layer.Submit(s.ctx, namespace(), [][]byte{make([]byte, limit/2+1), make([]byte, limit/2+1)})
	s.wantErr(err, da.ErrTooLarge)
}

func largest(s *suite) {
	ns, blob := namespace(), data(s.layer.Limits().MaxBlobBytes)
	s.want(s.submit(ns, blob), ns, blob)
}

func rejected(s *suite) {
	_, err := s.layer.Submit(s.ctx, namespace(), nil)
	s.wantErr(err, da.ErrRejected)
	_, err = s.layer.Submit(s.ctx, namespace(), [][]byte{data(5), nil})
	s.wantErr(err, da.ErrRejected)
}

func namespaces(s *suite) {
	const n = 50
	var wg sync.WaitGroup
	heights := make([]uint64, n)
	spaces, blobs := make([]da.Namespace, n), make([][]byte, n)
	for i := range n {
		spaces[i], blobs[i] = namespace(), data(100+i)
		wg.Go(func() {
			var err error
			if heights[i], err = s.layer.Submit(s.ctx, spaces[i], [][]byte{blobs[i]}); err != nil {
				s.Errorf("submit %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if s.Failed() {
		return
	}
	for i := range n {
		s.want(heights[i], spaces[i], blobs[i])
	}
}

func concurrent(s *suite) {
	const n = 20
	ns := namespace()
	var wg sync.WaitGroup
	var mu sync.Mutex
	want := map[string]uint64{}
	for i := range n {
		wg.Go(func() {
			blob := []byte(fmt.Sprintf("blob %d", i))
			height, err := s.layer.Submit(s.ctx, ns, [][]byte{blob})
			if err != nil {
				s.Errorf("submit %d: %v", i, err)
			}
			mu.Lock()
			want[string(blob)] = height
			mu.Unlock()
		})
	}
	wg.Wait()
	seen := map[uint64]bool{}
	for _, height := range want {
		if s.Failed() || seen[height] {
			continue
		}
		seen[height] = true
		for _, blob := range s.blobs(height, ns) {
			if want[string(blob)] != height {
				s.Errorf("%q is at height %d, Submit said %d", blob, height, want[string(blob)])
			}
			delete(want, string(blob))
		}
	}
	if len(want) > 0 {
		s.Errorf("not found where Submit said: %v", want)
	}
}

func order(s *suite) {
	ns := namespace()
	last := uint64(0)
	for i := range 5 {
		height := s.submit(ns, []byte{byte(i + 1)})
		if height <= last {
			s.Fatalf("submission %d is at height %d, the one before at %d", i, height, last)
		}
		last = height
	}
}

func canceled(s *suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.layer.Submit(ctx, namespace(), [][]byte{data(5)})
	s.wantErr(err, da.ErrUnavailable)
}

// stored counts where the namespace holds the blob above height from, as a reader
// would look for it.
func (s *suite) stored(from uint64, ns da.Namespace, blob []byte) int {
	// What was on its way has landed once something sent later has.
	barrier := s.submit(ns, []byte("barrier"))
	n := 0
	for height := from + 1; height <= barrier; height++ {
		for _, b := range s.blobs(height, ns) {
			if bytes.Equal(b, blob) {
				n++
			}
		}
	}
	return n
}

func failedNotStored(s *suite) {
	ns, blob := namespace(), data(1000)
	from := s.head()
	s.faults.DropRequests(1)
	_, err := s.layer.Submit(s.ctx, ns, [][]byte{blob})
	s.wantErr(err, da.ErrUnavailable)
	if n := s.stored(from, ns, blob); n != 0 {
		s.Errorf("the blob is there %d times, want 0", n)
	}
}

func failedButStored(s *suite) {
	ns, blob := namespace(), data(1000)
	from := s.head()
	s.faults.DropAnswers(1)
	_, err := s.layer.Submit(s.ctx, ns, [][]byte{blob})
	s.wantErr(err, da.ErrUnavailable)
	if n := s.stored(from, ns, blob); n != 1 {
		s.Errorf("the blob is there %d times, want once", n)
	}
}

func failedRead(s *suite) {
	ns := namespace()
	height := s.submit(ns, data(5))
	s.faults.DropRequests(1)
	_, err := s.layer.Blobs(s.ctx, height, ns)
	s.wantErr(err, da.ErrUnavailable)
	s.faults.DropAnswers(1)
	_, err = s.layer.Head(s.ctx)
	s.wantErr(err, da.ErrUnavailable)
}

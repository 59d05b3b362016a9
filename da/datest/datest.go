// Package datest is the conformance suite of DA layers: what package da promises,
// as tests that every layer passes. In comes a harness that opens the layer; the suite shares the
// layer with whatever else is on it, so that it runs against a real network too.
package datest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/test/await"
)

// Harness is what a layer brings along.
type Harness struct {
	// Open returns the layer. Where it is remote over HTTP, its requests go through
	// transport, which is a *Faults; where it is not, transport is ignored. What it does by
	// other ways than HTTP goes through Faults.Do.
	Open func(t *testing.T, transport http.RoundTripper) da.Layer
	// Remote says that there is a transport that can fail.
	Remote bool
	// Stores says which requests carry a submission out, where a Submit makes several.
	// What goes through Faults.Do counts as one always; nil: all do.
	Stores func(*http.Request) bool
	// Timeout bounds each test; await.Limit by default.
	Timeout time.Duration
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	if h.Timeout == 0 {
		h.Timeout = await.Limit
	}
	tests := []struct {
		name   string
		remote bool
		run    func(*suite)
	}{
		{"the layer says what it is", false, describes},
		{"submitted blobs are read back in order", false, readBack},
		{"the same data twice is stored twice", false, twice},
		{"blobs of many namespaces go in one Submit", false, manyNamespaces},
		{"submissions at once all arrive", false, concurrent},
		{"a later submission is never lower", false, order},
		{"a blob is had by its reference", false, get},
		{"a wrong reference is ErrNotFound", false, wrongRef},
		{"above the head is ErrNotYet", false, notYet},
		{"nothing there is no error", false, empty},
		{"too large is ErrTooLarge and stores nothing", false, tooLarge},
		{"the largest blob fits", false, largest},
		{"no blobs and empty blobs are ErrRejected and store nothing", false, rejected},
		{"a submission whose context has ended is ErrUnavailable", false, canceled},
		{"WaitHead returns a new head", false, waitHead},
		{"WaitHead ends with its context", false, waitHeadEnds},
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
			t.Cleanup(faults.CloseIdleConnections)
			ctx, cancel := context.WithTimeout(t.Context(), h.Timeout)
			defer cancel()
			tt.run(&suite{T: t, ctx: ctx, layer: h.Open(t, faults), faults: faults, stores: h.Stores})
		})
	}
}

// suite is what each test has.
type suite struct {
	*testing.T
	ctx    context.Context
	layer  da.Layer
	faults *Faults
	stores func(*http.Request) bool
}

// submit stores the data under one namespace.
func (s *suite) submit(ns da.Namespace, data ...[]byte) []da.Ref {
	s.Helper()
	return s.submitAll(of(ns, data...))
}

func (s *suite) submitAll(blobs []da.Blob) []da.Ref {
	s.Helper()
	refs, err := s.layer.Submit(s.ctx, blobs)
	if err != nil {
		s.Fatalf("submit: %v", err)
	}
	s.checkRefs(blobs, refs)
	return refs
}

// checkRefs makes sure of what every answer of Submit has.
func (s *suite) checkRefs(blobs []da.Blob, refs []da.Ref) {
	s.Helper()
	if len(refs) != len(blobs) {
		s.Fatalf("%d blobs have %d references", len(blobs), len(refs))
	}
	last := map[da.Namespace]uint64{}
	for i, r := range refs {
		ns := blobs[i].Namespace
		switch {
		case r.Height == 0:
			s.Fatalf("blob %d stands at height 0", i)
		case r.Height < last[ns]:
			s.Fatalf("blob %d stands at height %d, one of the namespace before it at %d", i, r.Height, last[ns])
		case len(r.Commitment) > da.MaxCommitmentBytes:
			s.Fatalf("blob %d has a commitment of %d bytes", i, len(r.Commitment))
		}
		last[ns] = r.Height
	}
}

func (s *suite) blobs(height uint64, ns da.Namespace) []da.Stored {
	s.Helper()
	blobs, err := s.layer.Blobs(s.ctx, height, ns)
	if err != nil {
		s.Errorf("blobs at %d: %v", height, err)
	}
	for _, b := range blobs {
		if b.Height != height {
			s.Errorf("a blob of height %d says height %d", height, b.Height)
		}
	}
	return blobs
}

func (s *suite) head() uint64 {
	s.Helper()
	head, err := s.layer.Head(s.ctx)
	if err != nil {
		s.Fatalf("head: %v", err)
	}
	return head
}

// want makes sure that the namespace holds the data, in order and nothing else,
// where refs say.
func (s *suite) want(ns da.Namespace, refs []da.Ref, data ...[]byte) {
	s.Helper()
	var got []da.Stored
	for i, r := range refs {
		if i == 0 || refs[i-1].Height != r.Height {
			got = append(got, s.blobs(r.Height, ns)...)
		}
	}
	if len(got) != len(data) {
		s.Errorf("the namespace holds %d blobs, want %d", len(got), len(data))
		return
	}
	for i := range data {
		if !bytes.Equal(got[i].Data, data[i]) {
			s.Errorf("blob %d has %d bytes that are not the %d submitted", i, len(got[i].Data), len(data[i]))
		}
		if got[i].Height != refs[i].Height || !bytes.Equal(got[i].Commitment, refs[i].Commitment) {
			s.Errorf("blob %d is read at (%d, %x), Submit said (%d, %x)",
				i, got[i].Height, got[i].Commitment, refs[i].Height, refs[i].Commitment)
		}
	}
}

// stored counts where the namespace holds the data above a height, as a reader
// would look for it.
func (s *suite) stored(above uint64, ns da.Namespace, data []byte) int {
	s.Helper()
	// What was on its way has landed once something sent later has.
	barrier := s.submit(ns, []byte("barrier"))[0].Height
	n := 0
	for height := above + 1; height <= barrier; height++ {
		for _, b := range s.blobs(height, ns) {
			if bytes.Equal(b.Data, data) {
				n++
			}
		}
	}
	return n
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

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// of returns blobs of one namespace.
func of(ns da.Namespace, data ...[]byte) []da.Blob {
	blobs := make([]da.Blob, len(data))
	for i := range data {
		blobs[i] = da.Blob{Namespace: ns, Data: data[i]}
	}
	return blobs
}

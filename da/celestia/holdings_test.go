package celestia

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/da"
)

// A reference to another namespace than the rollup's readers look into is confirmed by
// nobody, and denied by nobody either: it is the setting here that may be wrong.
func TestReferencesToOtherNamespaces(t *testing.T) {
	t.Parallel()
	for _, unproven := range []bool{false, true} {
		r, n := record(t), newNode(t)
		n.play(t, r)
		all := result[[]rpcBlob](t, r, "all")
		n.on("blob.Get", says(t, all[0]))
		c := open(t, n, Options{Namespaces: recordedNamespaces, Unproven: unproven})
		ref := da.Ref{Height: r.Height, Commitment: append(bytes.Clone(all[0].Namespace), all[0].Commitment...)}
		if data, err := c.Get(t.Context(), rollupC, ref); err != nil || !bytes.Equal(data, all[0].Data) {
			t.Fatalf("%d bytes, %v", len(data), err)
		}
		for _, rollup := range []da.Namespace{rollupA, rollupZ, {'x'}} {
			data, err := c.Get(t.Context(), rollup, ref)
			if !errors.Is(err, da.ErrUnavailable) || errors.Is(err, da.ErrNotFound) || data != nil {
				t.Errorf("rollup %q, unproven %v: %d bytes, %v, want ErrUnavailable", rollup[0], unproven, len(data), err)
			}
		}
	}
}

// The parts of a claim cost one transfer of what the namespace holds there, at once or in turn.
func TestPartsCostOneTransfer(t *testing.T) {
	t.Parallel()
	r, n, c := opened(t)
	var refs []da.Ref
	for _, b := range result[[]rpcBlob](t, r, "all") {
		refs = append(refs, da.Ref{Height: r.Height, Commitment: append(bytes.Clone(b.Namespace), b.Commitment...)})
	}
	errs := make(chan error, len(refs))
	for _, ref := range refs {
		go func() {
			data, err := c.Get(t.Context(), rollupC, ref)
			for i := range data {
				data[i] = 0 // it is the caller's
			}
			errs <- err
		}()
	}
	for range refs {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	blobs, err := c.Blobs(t.Context(), r.Height, rollupC)
	if err != nil || len(blobs) != len(refs) {
		t.Fatalf("%d blobs, %v", len(blobs), err)
	}
	for i, b := range result[[]rpcBlob](t, r, "all") {
		if !bytes.Equal(blobs[i].Data, b.Data) {
			t.Errorf("blob %d was changed by its reader", i)
		}
	}
	if n := n.called("share.GetNamespaceData"); n != 1 {
		t.Errorf("the namespace was transferred %d times", n)
	}
}

func TestHoldingsAreBounded(t *testing.T) {
	t.Parallel()
	var h holdings
	for i := range uint64(100) {
		h.put(place{height: i}, []found{{data: make([]byte, keptPlaceBytes/5)}})
		h.put(place{height: i}, []found{{data: make([]byte, keptPlaceBytes/5)}})
	}
	h.put(place{height: 200}, []found{{data: make([]byte, keptPlaceBytes)}})
	if len(h.known) != 4 || len(h.oldest) != 4 || h.bytes > keptPlaceBytes {
		t.Errorf("%d places in an order of %d, %d bytes", len(h.known), len(h.oldest), h.bytes)
	}
	if _, ok := h.look(place{height: 99}); !ok {
		t.Error("the last place is not there")
	}
	for i := range uint64(100) {
		h.put(place{height: 1000 + i}, nil)
	}
	if len(h.known) != keptPlaces || h.bytes != 0 {
		t.Errorf("%d places, %d bytes", len(h.known), h.bytes)
	}
}

// An array of many empty elements would take many times the memory of its text.
func TestArraysAreBounded(t *testing.T) {
	t.Parallel()
	many := func(one string, n int) string { return "[" + strings.Repeat(one+",", n-1) + one + "]" }
	r, n := record(t), newNode(t)
	n.play(t, r)
	for _, tt := range []struct {
		method, result string
		unproven       bool
	}{
		{"share.GetNamespaceData" + params(t, r, "rows"), many("{}", maxSquare+1), false},
		{"share.GetNamespaceData" + params(t, r, "rows"), `[{"shares":` + many(`""`, maxSquare+1) + `}]`, false},
		{"share.GetNamespaceData" + params(t, r, "rows"), `[{"proof":{"nodes":` + many(`""`, maxSquare+1) + `}}]`, false},
		{"blob.GetAll" + params(t, r, "all"), many("{}", 1<<16+1), true},
		{"header.LocalHead", `{"header":{"chain_id":"test","height":"9"},"dah":{"row_roots":` + many(`""`, 2*maxSquare+1) + `}}`, false},
	} {
		n.play(t, r)
		n.on(tt.method, raw(http.StatusOK, `{"id":1,"jsonrpc":"2.0","result":`+tt.result+`}`))
		c := open(t, n, Options{Namespaces: recordedNamespaces, Unproven: tt.unproven})
		_, err := c.Blobs(t.Context(), r.Height, rollupC)
		if !errors.Is(err, da.ErrUnavailable) || !strings.Contains(err.Error(), "an array of more than") {
			t.Errorf("%.40s after %.40s: %v", tt.method, tt.result, err)
		}
	}
}

package celestia

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
)

// The rollups of the recorded block.
var (
	rollupA, rollupB, rollupC, rollupZ = da.Namespace{'a'}, da.Namespace{'b'}, da.Namespace{'c'}, da.Namespace{'z'}

	recordedNamespaces = map[da.Namespace][29]byte{
		rollupA: userNamespace("aaaa"), rollupB: userNamespace("bbbb"), rollupC: userNamespace("cccc"),
		rollupZ: userNamespace("zzzz"),
	}
)

func opened(t *testing.T) (*recording, *fakeNode, *Client) {
	t.Helper()
	r, n := record(t), newNode(t)
	n.play(t, r)
	return r, n, open(t, n, Options{Namespaces: recordedNamespaces})
}

// What a real node proved is read: the blobs in order, with the share commitments
// that Celestia itself gave them.
func TestBlobsOfARealBlock(t *testing.T) {
	t.Parallel()
	r, n, c := opened(t)
	want := result[[]rpcBlob](t, r, "all")
	got, err := c.Blobs(t.Context(), r.Height, rollupC)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || len(got) != 9 {
		t.Fatalf("%d blobs, want %d", len(got), len(want))
	}
	for i, b := range got {
		if !bytes.Equal(b.Data, want[i].Data) || b.Height != r.Height {
			t.Errorf("blob %d has %d bytes at height %d, want %d at %d", i, len(b.Data), b.Height, len(want[i].Data), r.Height)
		}
		named := append(bytes.Clone(want[i].Namespace), want[i].Commitment...)
		if !bytes.Equal(b.Commitment, named) {
			t.Errorf("blob %d has commitment %x, want %x", i, b.Commitment, named)
		}
		data, err := c.Get(t.Context(), rollupC, b.Ref)
		if err != nil || !bytes.Equal(data, b.Data) {
			t.Errorf("get blob %d: %d bytes, %v", i, len(data), err)
		}
	}
	first, err := c.Get(t.Context(), rollupC, da.Ref{Height: r.Height})
	if err != nil || !bytes.Equal(first, want[0].Data) {
		t.Errorf("get without a commitment: %d bytes, %v", len(first), err)
	}
	if n := n.called("header.GetByHeight"); n != 1 {
		t.Errorf("the header was asked for %d times, want once", n)
	}
}

func TestAbsenceIsProven(t *testing.T) {
	t.Parallel()
	r, n, c := opened(t)
	const emptyBlock = 2
	for _, at := range []struct {
		rollup da.Namespace
		height uint64
		asked  int
	}{
		{rollupB, r.Height, 1},   // between two namespaces that are there
		{rollupZ, r.Height, 2},   // above all of them
		{rollupC, emptyBlock, 2}, // the roots alone prove it
	} {
		got, err := c.Blobs(t.Context(), at.height, at.rollup)
		if err != nil || len(got) != 0 {
			t.Errorf("%d blobs, %v; want none", len(got), err)
		}
		_, err = c.Get(t.Context(), at.rollup, da.Ref{Height: at.height})
		wantErr(t, err, da.ErrNotFound)
		if n := n.called("share.GetNamespaceData"); n != at.asked {
			t.Errorf("asked %d times for shares, want %d", n, at.asked)
		}
	}
	_, err := c.Get(t.Context(), rollupC, da.Ref{Height: r.Height, Commitment: reference(userNamespace("cccc"), commitment{1})})
	wantErr(t, err, da.ErrNotFound)
	for _, bad := range [][]byte{{1}, make([]byte, 61), bytes.Repeat([]byte{255}, 61), make([]byte, 4096)} {
		_, err := c.Get(t.Context(), rollupC, da.Ref{Height: r.Height, Commitment: bad})
		wantErr(t, err, da.ErrNotFound)
	}
	if got, err := c.Blobs(t.Context(), 0, rollupC); err != nil || len(got) != 0 {
		t.Errorf("height 0: %d blobs, %v", len(got), err)
	}
}

// A node that lies about what stands on Celestia is caught.
func TestLiesAreCaught(t *testing.T) {
	t.Parallel()
	rows := func(change func([]row) []row) func(*testing.T, *recording, *fakeNode) {
		return func(t *testing.T, r *recording, n *fakeNode) {
			n.play(t, r)
			n.on("share.GetNamespaceData"+params(t, r, "rows"), says(t, change(result[[]row](t, r, "rows"))))
		}
	}
	head := func(change func(*header)) func(*testing.T, *recording, *fakeNode) {
		return func(t *testing.T, r *recording, n *fakeNode) {
			n.play(t, r)
			h := result[header](t, r, "header")
			change(&h)
			n.on("header.GetByHeight"+params(t, r, "header"), says(t, headerText(h, uint64(h.Header.Height))))
		}
	}
	tests := map[string]func(*testing.T, *recording, *fakeNode){
		"a byte is changed":    rows(func(r []row) []row { r[2].Shares[3][100] ^= 1; return r }),
		"a share is left out":  rows(func(r []row) []row { r[1].Shares = r[1].Shares[1:]; return r }),
		"the last is left out": rows(func(r []row) []row { l := &r[6]; l.Shares = l.Shares[:9]; l.Proof.End--; return r }),
		"the first is left out": rows(func(r []row) []row {
			f := &r[0]
			f.Shares = f.Shares[1:]
			f.Proof.Start++
			return r
		}),
		"shares are swapped": rows(func(r []row) []row { s := r[1].Shares; s[0], s[1] = s[1], s[0]; return r }),
		"a share is doubled": rows(func(r []row) []row { r[6].Shares = append(r[6].Shares, r[6].Shares[9]); r[6].Proof.End++; return r }),
		"a share is short":   rows(func(r []row) []row { r[0].Shares[0] = r[0].Shares[0][:511]; return r }),
		"a share is empty":   rows(func(r []row) []row { r[0].Shares[0] = nil; return r }),
		"a row is left out":  rows(func(r []row) []row { return r[:6] }),
		"a row is doubled":   rows(func(r []row) []row { return append(r, r[6]) }),
		"rows are swapped":   rows(func(r []row) []row { r[1], r[2] = r[2], r[1]; return r }),
		"no rows":            rows(func([]row) []row { return nil }),
		"empty rows":         rows(func(r []row) []row { return make([]row, len(r)) }),
		"a node is changed":  rows(func(r []row) []row { r[0].Proof.Nodes[0][80] ^= 1; return r }),
		"a node is left out": rows(func(r []row) []row { r[0].Proof.Nodes = r[0].Proof.Nodes[1:]; return r }),
		"a node is short":    rows(func(r []row) []row { r[0].Proof.Nodes[0] = r[0].Proof.Nodes[0][:50]; return r }),
		"a thousand nodes":   rows(func(r []row) []row { r[0].Proof.Nodes = make([][]byte, 1000); return r }),
		"a negative start":   rows(func(r []row) []row { r[1].Proof.Start, r[1].Proof.End = -1, 15; return r }),
		"a huge range":       rows(func(r []row) []row { r[1].Proof.Start, r[1].Proof.End = 1<<62, 1<<62+16; return r }),
		"an overflow": rows(func(r []row) []row {
			r[1].Proof.Start, r[1].Proof.End = 1<<63-1, -(1<<63)+15
			return r
		}),
		"absence with shares": rows(func(r []row) []row { r[0].Proof.LeafHash = r[0].Proof.Nodes[0]; return r }),
		"absence of what is there": func(t *testing.T, r *recording, n *fakeNode) {
			n.play(t, r)
			n.on("share.GetNamespaceData"+params(t, r, "rows"), raw(http.StatusOK, string(r.Calls["rows_absent"].Answer)))
		},
		"absence in every row": func(t *testing.T, r *recording, n *fakeNode) {
			n.play(t, r)
			absent := result[[]row](t, r, "rows_absent")[0]
			all := make([]row, 7)
			for i := range all {
				all[i] = absent
			}
			n.on("share.GetNamespaceData"+params(t, r, "rows"), says(t, all))
		},
		"another namespace's rows": func(t *testing.T, r *recording, n *fakeNode) {
			n.play(t, r)
			n.on("share.GetNamespaceData"+params(t, r, "rows"), raw(http.StatusOK, string(r.Calls["rows_first"].Answer)))
		},

		"another height":         head(func(h *header) { h.Header.Height-- }),
		"a row root is changed":  head(func(h *header) { h.DAH.Rows[3][70] ^= 1 }),
		"a row root is short":    head(func(h *header) { h.DAH.Rows[3] = h.DAH.Rows[3][:10] }),
		"row roots are left out": head(func(h *header) { h.DAH.Rows = h.DAH.Rows[:16] }),
		"no roots":               head(func(h *header) { h.DAH.Rows, h.DAH.Columns = nil, nil }),
		"an odd square":          head(func(h *header) { h.DAH.Rows, h.DAH.Columns = h.DAH.Rows[:31], h.DAH.Columns[:31] }),
		"a square of three":      head(func(h *header) { h.DAH.Rows, h.DAH.Columns = h.DAH.Rows[:6], h.DAH.Columns[:6] }),
		"a square too wide":      head(func(h *header) { h.DAH.Rows, h.DAH.Columns = make([][]byte, 2048), make([][]byte, 2048) }),
		"another data hash":      head(func(h *header) { h.Header.DataHash = strings.Repeat("00", 32) }),
		"no data hash":           head(func(h *header) { h.Header.DataHash = "" }),
		"a data hash not of hex": head(func(h *header) { h.Header.DataHash = "x" }),
		"no chain ID":            head(func(h *header) { h.Header.ChainID = "" }),
	}
	for name, lie := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, n := record(t), newNode(t)
			lie(t, r, n)
			c := open(t, n, Options{Namespaces: recordedNamespaces})
			got, err := c.Blobs(t.Context(), r.Height, rollupC)
			wantErr(t, err, da.ErrUnavailable)
			if got != nil {
				t.Errorf("%d blobs came with the error", len(got))
			}
			_, err = c.Get(t.Context(), rollupC, da.Ref{Height: r.Height})
			wantErr(t, err, da.ErrUnavailable)
			if errors.Is(err, da.ErrNotFound) {
				t.Error("a lie counts as absence")
			}
		})
	}
}

func TestUnprovenChecksCommitments(t *testing.T) {
	t.Parallel()
	r, n := record(t), newNode(t)
	n.play(t, r)
	c := open(t, n, Options{Namespaces: recordedNamespaces, Unproven: true})
	want := result[[]rpcBlob](t, r, "all")
	got, err := c.Blobs(t.Context(), r.Height, rollupC)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d blobs, %v", len(got), err)
	}
	n.on("blob.Get", says(t, want[6])) // of share version 1
	if data, err := c.Get(t.Context(), rollupC, got[6].Ref); err != nil || !bytes.Equal(data, want[6].Data) {
		t.Errorf("get: %d bytes, %v", len(data), err)
	}
	_, err = c.Get(t.Context(), rollupC, got[7].Ref)
	wantErr(t, err, da.ErrUnavailable) // another blob than was asked for
	n.on("blob.Get", fails(t, 1, "blob: not found"))
	_, err = c.Get(t.Context(), rollupC, got[5].Ref)
	wantErr(t, err, da.ErrNotFound)

	all := "blob.GetAll" + params(t, r, "all")
	n.on(all, raw(http.StatusOK, `{"id":1,"jsonrpc":"2.0","result":null}`))
	if got, err := c.Blobs(t.Context(), r.Height, rollupC); err != nil || len(got) != 0 {
		t.Errorf("null: %d blobs, %v", len(got), err)
	}
	n.on(all, raw(http.StatusOK, `{"id":1,"jsonrpc":"2.0"}`))
	_, err = c.Blobs(t.Context(), r.Height, rollupC)
	wantErr(t, err, da.ErrUnavailable)
	for name, change := range map[string]func(*rpcBlob){
		"data":       func(b *rpcBlob) { b.Data[0] ^= 1 },
		"no data":    func(b *rpcBlob) { b.Data = nil },
		"commitment": func(b *rpcBlob) { b.Commitment = b.Commitment[:31] },
		"namespace":  func(b *rpcBlob) { b.Namespace[28]++ },
		"version":    func(b *rpcBlob) { b.Version = 7 },
		"signer":     func(b *rpcBlob) { b.Signer = []byte{1} },
	} {
		blobs := result[[]rpcBlob](t, r, "all")
		change(&blobs[3])
		n.on(all, says(t, blobs))
		_, err = c.Blobs(t.Context(), r.Height, rollupC)
		if !errors.Is(err, da.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeights(t *testing.T) {
	t.Parallel()
	r, n, c := opened(t)
	head, err := c.Head(t.Context())
	if err != nil || head != r.Height {
		t.Fatalf("head %d, %v; want %d", head, err, r.Height)
	}
	_, err = c.Blobs(t.Context(), r.Height+1, rollupC)
	wantErr(t, err, da.ErrNotYet)
	_, err = c.Get(t.Context(), rollupC, da.Ref{Height: r.Height + 1})
	wantErr(t, err, da.ErrNotYet)
	if n := n.called("header.GetByHeight"); n != 0 {
		t.Errorf("the node was asked %d times for what is above its head", n)
	}
	if head, err = c.WaitHead(t.Context(), r.Height-1); err != nil || head != r.Height {
		t.Errorf("wait for what is there: %d, %v", head, err)
	}
	// The next block comes while it is waited for.
	come := make(chan struct{})
	next := result[header](t, r, "header")
	n.on("header.WaitForHeight", func(w http.ResponseWriter, req *http.Request) {
		<-come
		says(t, headerText(next, r.Height+1))(w, req)
	})
	done := make(chan error, 1)
	go func() {
		head, err := c.WaitHead(t.Context(), r.Height)
		if err == nil && head != r.Height+1 {
			err = errors.New("not the next height")
		}
		done <- err
	}()
	close(come)
	if err := <-done; err != nil {
		t.Error(err)
	}
	// What the node says instead of waiting.
	n.on("header.WaitForHeight", says(t, headerText(next, r.Height)))
	_, err = c.WaitHead(t.Context(), r.Height)
	wantErr(t, err, da.ErrUnavailable)
}

// A wait goes on over a slow network, and ends with its context.
func TestWaitHeadGoesOn(t *testing.T) {
	t.Parallel()
	r, n := record(t), newNode(t)
	n.play(t, r)
	c := open(t, n, Options{Timeout: 200 * time.Millisecond})
	n.on("header.WaitForHeight", func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.WaitHead(ctx, r.Height)
		done <- err
	}()
	for n.called("header.WaitForHeight") < 3 {
		select {
		case err := <-done:
			t.Fatalf("the wait ended: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	wantErr(t, <-done, da.ErrUnavailable)
}

func TestOtherNetworkIsRejected(t *testing.T) {
	t.Parallel()
	r, n := record(t), newNode(t)
	n.play(t, r)
	_, err := open(t, n, Options{ChainID: "celestia"}).Head(t.Context())
	wantErr(t, err, da.ErrRejected)
	if !strings.Contains(err.Error(), `"test"`) || !strings.Contains(err.Error(), `"celestia"`) {
		t.Errorf("%q does not name both networks", err)
	}
	c := open(t, n, Options{ChainID: "test"})
	if _, err := c.Head(t.Context()); err != nil {
		t.Error(err)
	}
	// Behind one endpoint, the network does not change.
	c = open(t, n, Options{})
	if _, err := c.Head(t.Context()); err != nil {
		t.Error(err)
	}
	h := result[header](t, r, "header")
	h.Header.ChainID = "mocha-4"
	n.on("header.LocalHead", says(t, headerText(h, r.Height)))
	_, err = c.Head(t.Context())
	wantErr(t, err, da.ErrRejected)
}

// Squares that were read are forgotten in turn.
func TestSquaresAreBounded(t *testing.T) {
	t.Parallel()
	var s squares
	for i := range uint64(3 * keptSquares) {
		s.put(i, &square{})
		s.put(i, &square{})
	}
	if len(s.known) != keptSquares || len(s.oldest) != keptSquares {
		t.Errorf("%d squares are kept in an order of %d, want %d", len(s.known), len(s.oldest), keptSquares)
	}
	if s.get(3*keptSquares-1) == nil || s.get(2*keptSquares-1) != nil {
		t.Error("it is not the last ones that are kept")
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("the error is %v, want %v", err, want)
	}
}

// params returns the recorded parameters of a call as they are sent.
func params(t testing.TB, r *recording, name string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, r.Calls[name].Params); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func decimalText(d decimal) string {
	b, _ := json.Marshal(uint64(d)) // a number always encodes
	return string(b)
}

// headerText is a header as the node writes it.
func headerText(h header, height uint64) any {
	return map[string]any{
		"header": map[string]any{"chain_id": h.Header.ChainID, "height": decimalText(decimal(height)), "data_hash": h.Header.DataHash},
		"dah":    map[string]any{"row_roots": h.DAH.Rows, "column_roots": h.DAH.Columns},
	}
}

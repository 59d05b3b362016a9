package celestia

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/remote"
)

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"", "127.0.0.1:26658", "ws://127.0.0.1:26658", "http://", "http://a b", "\x00"} {
		if _, err := New(endpoint, Options{}); err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:26658") {
			t.Errorf("endpoint %q: %v", endpoint, err)
		}
	}
	reserved, version := userNamespace(""), userNamespace("aaaa")
	version[0] = 1
	for name, o := range map[string]Options{
		"gas price below 0":     {GasPrice: -1},
		"gas price NaN":         {GasPrice: math.NaN()},
		"endless gas price":     {GasPrice: math.Inf(1)},
		"no room for blobs":     {MaxTxBytes: 1000},
		"more than a tx may be": {MaxTxBytes: 100 << 20},
		"reserved namespace":    {Namespaces: map[da.Namespace][29]byte{{}: reserved}},
		"version 1":             {Namespaces: map[da.Namespace][29]byte{{}: version}},
	} {
		if _, err := New("http://127.0.0.1:1", o); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]error{
		"header: given height is from the future: networkHeight: 87, requestedHeight: 137": da.ErrNotYet,
		"header: syncing in progress: localHeadHeight: 80, requestedHeight: 84":            da.ErrNotYet,
		"requested header (3) is below Tail (1000)":                                        da.ErrUnavailable,
		"share: data not available":                                                        da.ErrUnavailable,
		"all getters failed to get namespace data: context deadline exceeded":              da.ErrUnavailable,
		"missing permission to invoke 'GetAll' (need 'read')":                              da.ErrRejected,
		"blob: not found": da.ErrNotFound,
		"incomplete blob with the namespace: 00 detected at 5: blob: not found":                    da.ErrUnavailable,
		"wrong param count (method 'blob.GetAll'): 1 != 2":                                         da.ErrUnavailable,
		"unmarshaling params for 'blob.GetAll' (param: *[]share.Namespace): unsupported namespace": da.ErrUnavailable,
		"fatal error calling 'blob.GetAll': panic in rpc method 'blob.GetAll': index out of range": da.ErrUnavailable,
		"hash 41: header: not found": da.ErrUnavailable,
		"":                           da.ErrUnavailable,
	} {
		err := classRead(&remote.RPCError{Code: 1, Message: message})
		for _, sentinel := range []error{da.ErrNotYet, da.ErrNotFound, da.ErrRejected, da.ErrUnavailable} {
			if errors.Is(err, sentinel) != errors.Is(want, sentinel) {
				t.Errorf("%q is %v, want %v", message, err, want)
			}
		}
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{
		http.StatusUnauthorized:        da.ErrRejected,
		http.StatusForbidden:           da.ErrRejected,
		http.StatusTooManyRequests:     da.ErrUnavailable,
		http.StatusServiceUnavailable:  da.ErrUnavailable,
		http.StatusInternalServerError: da.ErrUnavailable,
		http.StatusFound:               da.ErrUnavailable,
	} {
		for _, body := range []string{"", "no", `{"id":1,"result":7}`, "null"} {
			n := newNode(t)
			n.on("header.LocalHead", raw(status, body))
			_, err := open(t, n, Options{Token: "secret"}).Head(t.Context())
			if !errors.Is(err, want) {
				t.Errorf("status %d, body %q: %v, want %v", status, body, err, want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%v tells the token", err)
			}
		}
	}
	// The node's own errors come with any status.
	n := newNode(t)
	_, err := open(t, n, Options{}).Head(t.Context())
	if wantErr(t, err, da.ErrUnavailable); !strings.Contains(err.Error(), "method 'header.LocalHead' not found") {
		t.Errorf("%v does not say what the node said", err)
	}
}

// Reads are repeated where the request failed, and only there.
func TestReadsAreRepeated(t *testing.T) {
	t.Parallel()
	r, n := record(t), newNode(t)
	n.play(t, r)
	head := raw(http.StatusOK, string(r.Calls["header"].Answer))
	n.on("header.LocalHead", func(w http.ResponseWriter, req *http.Request) {
		if n.called("header.LocalHead") < 3 {
			panic(http.ErrAbortHandler)
		}
		head(w, req)
	})
	c := open(t, n, Options{Retries: 2})
	if _, err := c.Head(t.Context()); err != nil {
		t.Error(err)
	}
	n.on("header.GetByHeight"+params(t, r, "header"), fails(t, 1, "share: data not available"))
	_, err := c.Blobs(t.Context(), r.Height, rollupC)
	wantErr(t, err, da.ErrUnavailable)
	if calls := n.called("header.GetByHeight"); calls != 1 {
		t.Errorf("what the node refused was asked for %d times", calls)
	}
	n.on("header.LocalHead", raw(http.StatusBadGateway, ""))
	before := n.called("header.LocalHead")
	_, err = open(t, n, Options{Retries: -1}).Head(t.Context())
	wantErr(t, err, da.ErrUnavailable)
	if calls := n.called("header.LocalHead") - before; calls != 1 {
		t.Errorf("asked %d times, want once", calls)
	}
}

// endless is a body that never ends.
type endless struct{ chunk []byte }

func (e endless) answer(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := w.Write(e.chunk); err != nil {
			return
		}
	}
}

func TestHostileAnswers(t *testing.T) {
	t.Parallel()
	r := record(t)
	answers := map[string]http.HandlerFunc{
		"endless zeros": endless{make([]byte, 1<<16)}.answer,
		"endless string": func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.WriteString(w, `{"result":"`)
			endless{bytes.Repeat([]byte("A"), 1<<16)}.answer(w, req)
		},
		"endless nesting": endless{bytes.Repeat([]byte("["), 1<<16)}.answer,
		"deep nesting":    raw(http.StatusOK, strings.Repeat(`{"result":`, 1<<16)),
		"never":           func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() },
		"half": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		},
		"null":           raw(http.StatusOK, "null"),
		"an array":       raw(http.StatusOK, "[]"),
		"nothing":        raw(http.StatusOK, ""),
		"a null result":  raw(http.StatusOK, `{"result":null}`),
		"a wrong result": raw(http.StatusOK, `{"result":[[[]]]}`),
		"a long error":   fails(t, 1, strings.Repeat("x", 1<<20)),
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			n.play(t, r)
			n.on("header.LocalHead", answer)
			c := open(t, n, Options{Timeout: time.Second, Namespaces: recordedNamespaces})
			_, err := c.Head(t.Context())
			wantErr(t, err, da.ErrUnavailable)
			if len(err.Error()) > 2048 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			n.play(t, r)
			n.on("share.GetNamespaceData"+params(t, r, "rows"), answer)
			_, err = c.Blobs(t.Context(), r.Height, rollupC)
			wantErr(t, err, da.ErrUnavailable)
		})
	}
}

// What a namespace's rows may take is known before they are read, and what a real
// node says fits.
func TestRowsAreBounded(t *testing.T) {
	t.Parallel()
	r := record(t)
	h := result[header](t, r, "header")
	width := len(h.DAH.Rows) / 2
	if limit := 7*rowBytes(width) + 4096; int64(len(r.Calls["rows"].Answer)) > limit {
		t.Errorf("a real answer has %d bytes, the limit is %d", len(r.Calls["rows"].Answer), limit)
	}
	full := make([]row, 1)
	full[0].Shares = make([][]byte, width)
	for i := range full[0].Shares {
		full[0].Shares[i] = make([]byte, 512)
	}
	full[0].Proof.Nodes = make([][]byte, maxNodes(width))
	for i := range full[0].Proof.Nodes {
		full[0].Proof.Nodes[i] = make([]byte, rootSize)
	}
	encoded, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(encoded)) > rowBytes(width) {
		t.Errorf("a full row has %d bytes, the limit is %d", len(encoded), rowBytes(width))
	}
}

package celestia

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"github.com/ordo-network/ordo/da/remote"
)

// recording is a block of a real network: what a celestia-node of v0.31.6 answered
// about it. Namespace cccc holds nine blobs, among them one twice and one of share
// version 1, aaaa holds one, and bbbb none between them.
type recording struct {
	Height uint64
	Calls  map[string]struct {
		Method string
		Params json.RawMessage
		Answer json.RawMessage
	}
}

func record(t testing.TB) *recording {
	t.Helper()
	raw, err := os.ReadFile("testdata/block.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// result returns a recorded result, to change it.
func result[T any](t testing.TB, r *recording, name string) T {
	t.Helper()
	var a struct{ Result T }
	if err := json.Unmarshal(r.Calls[name].Answer, &a); err != nil {
		t.Fatal(err)
	}
	return a.Result
}

// userNamespace is one with readable free bytes.
func userNamespace(name string) namespace {
	var ns namespace
	copy(ns[len(ns)-len(name):], name)
	return ns
}

// fakeNode answers as it is told, and counts what it was asked.
type fakeNode struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by method
	calls   map[string]int
	params  map[string]json.RawMessage // of the last call
	header  http.Header                // of the last call
}

func newNode(t testing.TB) *fakeNode {
	n := &fakeNode{answers: map[string]http.HandlerFunc{}, calls: map[string]int{}, params: map[string]json.RawMessage{}}
	n.Server = httptest.NewServer(n)
	t.Cleanup(n.Close)
	return n
}

func (n *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var req struct {
		Method string
		Params json.RawMessage
	}
	if err == nil {
		err = json.Unmarshal(body, &req)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	n.calls[req.Method]++
	n.params[req.Method], n.header = req.Params, r.Header
	answer := n.answers[req.Method]
	if exact := n.answers[req.Method+string(req.Params)]; exact != nil {
		answer = exact
	}
	n.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"id":1,"jsonrpc":"2.0","error":{"code":-32601,"message":"method '%s' not found"}}`, req.Method)
		return
	}
	answer(w, r)
}

// on sets the answer to a method, or to a method with its parameters.
func (n *fakeNode) on(method string, answer http.HandlerFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[method] = answer
}

func (n *fakeNode) called(method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[method]
}

// raw answers with a body.
func raw(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// says answers with a result.
func says(t testing.TB, result any) http.HandlerFunc {
	t.Helper()
	body, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	return raw(http.StatusOK, `{"id":1,"jsonrpc":"2.0","result":`+string(body)+`}`)
}

// fails answers with an error, as the node does for those of its methods.
func fails(t testing.TB, code int, message string) http.HandlerFunc {
	t.Helper()
	body, err := json.Marshal(remote.RPCError{Code: code, Message: message})
	if err != nil {
		t.Fatal(err)
	}
	return raw(http.StatusOK, `{"error":`+string(body)+`,"id":1,"jsonrpc":"2.0"}`)
}

// play has the node answer what was recorded, with the block as its head.
func (n *fakeNode) play(t testing.TB, r *recording) {
	t.Helper()
	for _, c := range r.Calls {
		var params bytes.Buffer
		if err := json.Compact(&params, c.Params); err != nil {
			t.Fatal(err)
		}
		n.on(c.Method+params.String(), raw(http.StatusOK, string(c.Answer)))
	}
	n.on("header.LocalHead", raw(http.StatusOK, string(r.Calls["header"].Answer)))
}

func open(t testing.TB, n *fakeNode, o Options) *Client {
	t.Helper()
	if o.Retries == 0 {
		o.Retries = -1
	}
	c, err := New(n.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

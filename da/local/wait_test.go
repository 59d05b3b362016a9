package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/test/await"
)

func TestWaitForHeightWaits(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{})
	url := serve(t, l, ServerOptions{})
	answers := make(chan string, 1)
	go func() {
		_, got := post(t, url, `{"id":1,"jsonrpc":"2.0","method":"header.WaitForHeight","params":[2]}`)
		answers <- got
	}()
	for i := range 2 {
		if _, err := submit(t.Context(), l, da.Namespace{1}, []byte{byte(i + 1)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-answers; !strings.Contains(got, `"height":"2"`) {
		t.Errorf("%s", got)
	}
}

// Who waits for a height must not keep a server from ending.
func TestWaitingEndsWithTheServer(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := NewServer(l, ServerOptions{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, listener) }()
	url := "http://" + listener.Addr().String()
	c := newClient(t, url, ClientOptions{})
	failed := make(chan error, 2)
	for _, wait := range []func() error{
		func() error { _, err := c.WaitHead(t.Context(), 7); return err },
		func() error { return c.call(t.Context(), "header.WaitForHeight", 1000, new(any), 7) },
	} {
		go func() { failed <- wait() }()
	}
	await.Until(t, "both wait", func() bool { return s.waiting.Load() == 2 })
	started := time.Now()
	cancel()
	if err := <-served; err != nil || time.Since(started) >= shutdownGrace {
		t.Errorf("it ended after %s: %v", time.Since(started), err)
	}
	for range cap(failed) {
		if err := <-failed; !errors.Is(err, da.ErrUnavailable) && !errors.Is(err, da.ErrNotYet) {
			t.Errorf("%v", err)
		}
	}
}

// A server that does not wait is asked again at a rest.
func TestAServerThatDoesNotWait(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":3}`) // the client notices
	}))
	defer server.Close()
	c := newClient(t, server.URL, ClientOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), pollPause/2)
	defer cancel()
	if _, err := c.WaitHead(ctx, 3); !errors.Is(err, da.ErrUnavailable) || asked.Load() != 1 {
		t.Errorf("after %d requests: %v", asked.Load(), err)
	}
}

// What strangers put under a namespace costs a reader their bytes and no more: a
// blob among them is found by its commitment without looking at them.
//
//nolint:paralleltest // counts allocations
func TestGarbageDoesNotHideABlob(t *testing.T) {
	l := openLayer(t, t.TempDir(), Options{BlockTime: time.Millisecond})
	ns := da.Namespace{1}
	alone, err := l.Submit(t.Context(), []da.Blob{{Namespace: ns, Data: []byte("mine")}})
	if err != nil {
		t.Fatal(err)
	}
	blobs := make([]da.Blob, 10_001)
	for i := range blobs {
		blobs[i] = da.Blob{Namespace: ns, Data: fmt.Appendf(make([]byte, 500), "garbage %d", i)}
	}
	blobs[5000].Data = []byte("mine")
	crowded, err := l.Submit(t.Context(), blobs)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, serve(t, l, ServerOptions{}), ClientOptions{})
	all, err := c.Blobs(t.Context(), crowded[0].Height, ns)
	if err != nil || len(all) != len(blobs) || string(all[5000].Data) != "mine" {
		t.Fatalf("%d blobs, %v", len(all), err)
	}
	allocs := func(ref da.Ref) float64 {
		return testing.AllocsPerRun(50, func() {
			if got, err := l.Get(t.Context(), ns, ref); err != nil || string(got) != "mine" {
				t.Fatalf("%q, %v", got, err)
			}
		})
	}
	if a, c := allocs(alone[0]), allocs(crowded[5000]); c > a+20 {
		t.Errorf("getting a blob makes %v allocations alone and %v in a crowd", a, c)
	}
}

// Of the same commitments at one height, each is there, and the first is found.
func TestTheSameBlobTwiceAtOneHeight(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{})
	if _, err := submit(t.Context(), l, da.Namespace{1}, []byte("a"), []byte("b"), []byte("a")); err != nil {
		t.Fatal(err)
	}
	url := serve(t, l, ServerOptions{})
	namespace := da.Namespace{1}.V0()
	ns, _ := json.Marshal(namespace[:]) // bytes
	_, got := post(t, url, fmt.Sprintf(`{"id":1,"jsonrpc":"2.0","method":"blob.GetAll","params":[1,[%s]]}`, ns))
	if strings.Count(got, `"commitment"`) != 3 {
		t.Errorf("get all: %s", got)
	}
	all, err := l.Blobs(t.Context(), 1, da.Namespace{1})
	if err != nil {
		t.Fatal(err)
	}
	commitment, _ := json.Marshal(all[0].Commitment) // bytes
	_, got = post(t, url, fmt.Sprintf(`{"id":1,"jsonrpc":"2.0","method":"blob.Get","params":[1,%s,%s]}`, ns, commitment))
	if !strings.Contains(got, `"index":0`) {
		t.Errorf("get: %s", got)
	}
}

// Whatever a server answers, the client returns an error of package da, and no more
// than was asked for.
func TestAHostileServer(t *testing.T) {
	t.Parallel()
	ns := da.Namespace{1}
	own := ns.V0()
	name, _ := json.Marshal(own[:]) // bytes
	for _, result := range []string{
		`null`, `0`, `-1`, `"x"`, `[]`, `{}`, `[null]`, `18446744073709551616`,
		`{"height":0,"commitments":["AA=="]}`, `{"height":1,"commitments":[]}`, `{"height":1,"commitments":["AA==","AA=="]}`,
		`{"height":1,"commitments":["` + strings.Repeat("AAAA", da.MaxCommitmentBytes) + `"]}`,
		`{"namespace":"AAAA","data":"AA==","commitment":"AA=="}`,
		`{"namespace":` + string(name) + `,"data":"","commitment":"AA=="}`,
		`{"namespace":` + string(name) + `,"data":"AA==","commitment":"AQ=="}`,
		`[{"namespace":"AAAA","data":"AA==","commitment":"AA=="}]`,
		`[{"namespace":` + string(name) + `,"data":"AA==","commitment":"` + strings.Repeat("AAAA", da.MaxCommitmentBytes) + `"}]`,
		`[{"namespace":` + string(name) + `,"data":"","commitment":"AA=="}]`,
		`{"header":{"height":"-5"}}`,
		`{"header":{"height":"5"}}`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":`+result+`}`) // the client notices
		}))
		c := newClient(t, server.URL, ClientOptions{})
		check := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, da.ErrUnavailable) {
				t.Errorf("%s answered with %.60s: %v, want ErrUnavailable", what, result, err)
			}
		}
		_, err := c.Submit(t.Context(), []da.Blob{{Namespace: ns, Data: []byte{1}}})
		check("submit", err)
		_, err = c.Get(t.Context(), ns, da.Ref{Height: 1, Commitment: []byte{0}})
		check("get", err)
		_, err = c.Head(t.Context())
		check("head", err)
		if blobs, err := c.Blobs(t.Context(), 1, ns); len(blobs) > 0 {
			t.Errorf("blobs answered with %.60s: %d blobs, %v", result, len(blobs), err)
		}
		server.Close()
	}
}

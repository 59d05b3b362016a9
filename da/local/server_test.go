package local

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/da"
)

func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// The requests stand as celestia-node documents them.
func TestShapeOfTheAPI(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{})
	url := serve(t, l, ServerOptions{})
	const ns = "AAAAAAAAAAAAAAAAAAAAAAAAAAECAwQFBgcICRA="

	status, got := post(t, url, `{"id":1,"jsonrpc":"2.0","method":"blob.Submit","params":[[{"namespace":"`+ns+
		`","data":"aGVsbG8=","share_version":0,"commitment":"AA==","index":-1}],{"gas_price":0.002,"is_gas_price_set":true}]}`)
	if want := `{"jsonrpc":"2.0","id":1,"result":1}`; status != 200 || strings.TrimSpace(got) != want {
		t.Fatalf("submit: %d %s, want %s", status, got, want)
	}

	id := da.ID([]byte("hello"))
	blob := fmt.Sprintf(`{"namespace":"%s","data":"aGVsbG8=","share_version":0,"commitment":"%s","index":0}`,
		ns, base64.StdEncoding.EncodeToString(id[:]))
	_, got = post(t, url, `{"id":"x","jsonrpc":"2.0","method":"blob.GetAll","params":[1,["`+ns+`"]]}`)
	if want := `{"jsonrpc":"2.0","id":"x","result":[` + blob + `]}`; strings.TrimSpace(got) != want {
		t.Errorf("get all: %s, want %s", got, want)
	}
	_, got = post(t, url, `{"id":2,"jsonrpc":"2.0","method":"blob.Get","params":[1,"`+ns+`","`+base64.StdEncoding.EncodeToString(id[:])+`"]}`)
	if want := `{"jsonrpc":"2.0","id":2,"result":` + blob + `}`; strings.TrimSpace(got) != want {
		t.Errorf("get: %s, want %s", got, want)
	}
	_, got = post(t, url, `{"id":3,"jsonrpc":"2.0","method":"blob.GetAll","params":[1,["AAAAAAAAAAAAAAAAAAAAAAAAAAECAwQFBgcICRE="]]}`)
	if want := `{"jsonrpc":"2.0","id":3,"result":null}`; strings.TrimSpace(got) != want {
		t.Errorf("get all of nothing: %s, want %s", got, want)
	}

	for _, call := range []string{`"header.LocalHead","params":[]`, `"header.NetworkHead"`, `"header.GetByHeight","params":[1]`} {
		_, got = post(t, url, `{"id":4,"jsonrpc":"2.0","method":`+call+`}`)
		var resp struct {
			Result struct {
				Header struct {
					ChainID string `json:"chain_id"`
					Height  string `json:"height"`
				} `json:"header"`
				Commit struct {
					BlockID struct {
						Hash string `json:"hash"`
					} `json:"block_id"`
				} `json:"commit"`
			} `json:"result"`
		}
		if err := json.Unmarshal([]byte(got), &resp); err != nil {
			t.Fatalf("%s: %v in %s", call, err, got)
		}
		hash := l.lastHeader().hash()
		if resp.Result.Header.Height != "1" || resp.Result.Header.ChainID != chainID ||
			resp.Result.Commit.BlockID.Hash != fmt.Sprintf("%X", hash) {
			t.Errorf("%s: %s", call, got)
		}
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{MaxBlobBytes: 1 << 10})
	url := serve(t, l, ServerOptions{})
	const ns = `"AAAAAAAAAAAAAAAAAAAAAAAAAAECAwQFBgcICRA="`
	for _, tt := range []struct {
		body   string
		status int
		want   string
	}{
		{``, 200, "-32700"},
		{`[]`, 200, "-32700"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":{"a":1}}`, 200, "-32700"},
		{`{"id":1,"method":"header.LocalHead"}`, 200, "-32600"},
		{`{"jsonrpc":"2.0","method":"header.LocalHead"}`, 200, "-32600"},
		{`{"jsonrpc":"2.0","id":1,"method":"state.Balance"}`, 200, "-32601"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit"}`, 200, "-32602"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[],null]}`, 200, "1004"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[{"namespace":"AAAA","data":"AA=="}]]}`, 200, "namespace has 3 bytes"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[{"namespace":"AQAAAAAAAAAAAAAAAAAAAAAAAAECAwQFBgcICRA=","data":"AA=="}]]}`, 200, "version 0"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[{"namespace":` + ns + `,"data":"AA==","share_version":1}]]}`, 200, "share version 1"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[{"namespace":` + ns + `,"data":"` + strings.Repeat("AAAA", 400) + `"}]]}`, 200, "1003"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.GetAll","params":[-1,[` + ns + `]]}`, 200, "is not a number"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.GetAll","params":[7,[` + ns + `]]}`, 200, "1002"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.GetAll","params":[0,[` + strings.Repeat(ns+",", 64) + ns + `]]}`, 200, "65 namespaces"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Get","params":[0,` + ns + `,"AAAA"]}`, 200, "1001"},
		{`{"jsonrpc":"2.0","id":1,"method":"header.GetByHeight","params":[9]}`, 200, "1002"},
		{`{"jsonrpc":"2.0","id":1,"method":"header.GetByHeight","params":[0]}`, 200, "1001"},
		{`{"pad":"` + strings.Repeat("a", 2<<20) + `"}`, 413, "body"},
	} {
		status, got := post(t, url, tt.body)
		if status != tt.status || !strings.Contains(got, tt.want) {
			t.Errorf("%.90s: %d %s, want %d and %q", tt.body, status, got, tt.status, tt.want)
		}
	}
}

func TestOtherRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s := NewServer(openLayer(t, t.TempDir(), Options{}), ServerOptions{})
	for _, tt := range []struct {
		method, path, kind string
		status             int
	}{
		{http.MethodGet, "/", "", http.StatusMethodNotAllowed},
		{http.MethodPost, "/", "", http.StatusUnsupportedMediaType},
		{http.MethodPost, "/", "text/plain", http.StatusUnsupportedMediaType},
		{http.MethodPost, "/", "application/json; charset=utf-8", http.StatusOK},
		{http.MethodPost, "/other", "application/json", http.StatusNotFound},
		{http.MethodGet, "/health", "", http.StatusOK},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", tt.kind)
		w := newRecorder()
		if s.ServeHTTP(w, r); w.status != tt.status {
			t.Errorf("%s %s of type %q: %d, want %d", tt.method, tt.path, tt.kind, w.status, tt.status)
		}
	}
}

func TestTokenIsAskedFor(t *testing.T) {
	t.Parallel()
	l := openLayer(t, t.TempDir(), Options{})
	url := serve(t, l, ServerOptions{Token: "right"})
	for token, want := range map[string]error{"": da.ErrRejected, "wrong": da.ErrRejected, "right": nil} {
		_, err := newClient(t, url, ClientOptions{Token: token}).Head(t.Context())
		if !errors.Is(err, want) {
			t.Errorf("token %q: %v, want %v", token, err, want)
		}
	}
}

func TestNobodyHomeIsUnavailable(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1", ClientOptions{})
	if _, err := c.Head(t.Context()); !errors.Is(err, da.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
}

func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		`{"id":1,"jsonrpc":"2.0","method":"blob.Submit","params":[[{"namespace":"AAAAAAAAAAAAAAAAAAAAAAAAAAECAwQFBgcICRA=","data":"aGVsbG8="}],{}]}`,
		`{"id":1,"jsonrpc":"2.0","method":"blob.GetAll","params":[0,["AAAAAAAAAAAAAAAAAAAAAAAAAAECAwQFBgcICRA="]]}`,
		`{"id":1,"jsonrpc":"2.0","method":"blob.Get","params":[0,"",""]}`,
		`{"id":{},"jsonrpc":"2.0","method":"header.GetByHeight","params":[18446744073709551615]}`,
		`{"id":null,"jsonrpc":"2.0","method":"header.LocalHead","params":null}`,
	} {
		f.Add([]byte(body))
	}
	l, err := Open(f.TempDir(), Options{BlockTime: 1, MaxBlobBytes: 1 << 10})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = l.Close() })
	s := NewServer(l, ServerOptions{})
	f.Fuzz(func(t *testing.T, body []byte) {
		w := newRecorder()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		s.ServeHTTP(w, r)
		if w.status == http.StatusOK {
			var resp rpcResponse
			if err := json.Unmarshal(w.body, &resp); err != nil {
				t.Fatalf("the answer to %q is not JSON-RPC: %v: %s", body, err, w.body)
			}
			if (resp.Error == nil) == (resp.Result == nil) {
				t.Fatalf("the answer to %q has not one of result and error: %s", body, w.body)
			}
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":[{"namespace":"","data":"aGVsbG8="}]}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"error":{"code":1002,"message":"x"}}`))
	f.Add([]byte(`{"result":null}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var blobs []wireBlob
		var head wireHeader
		var height uint64
		for _, result := range []any{&blobs, &head, &height} {
			err := decodeAnswer("m", raw, result)
			known := errors.Is(err, da.ErrNotFound) || errors.Is(err, da.ErrNotYet) || errors.Is(err, da.ErrTooLarge) ||
				errors.Is(err, da.ErrRejected) || errors.Is(err, da.ErrUnavailable)
			if err != nil && !known {
				t.Fatalf("%q gives an error of no known kind: %v", raw, err)
			}
		}
	})
}

type recorder struct {
	header http.Header
	status int
	body   []byte
}

func newRecorder() *recorder                    { return &recorder{header: http.Header{}, status: http.StatusOK} }
func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { r.body = append(r.body, b...); return len(b), nil }

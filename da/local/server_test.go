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
	"github.com/ordo-network/ordo/da/remote"
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

	const commitment = "3FZu7uDskwQrVwaQuIYlkkzLIrtJxJ+xIBhpTkusbiU=" // as a real node says
	blob := fmt.Sprintf(`{"namespace":"%s","data":"aGVsbG8=","share_version":0,"commitment":"%s","index":0}`, ns, commitment)
	_, got = post(t, url, `{"id":"x","jsonrpc":"2.0","method":"blob.GetAll","params":[1,["`+ns+`"]]}`)
	if want := `{"jsonrpc":"2.0","id":"x","result":[` + blob + `]}`; strings.TrimSpace(got) != want {
		t.Errorf("get all: %s, want %s", got, want)
	}
	_, got = post(t, url, `{"id":2,"jsonrpc":"2.0","method":"blob.Get","params":[1,"`+ns+`","`+commitment+`"]}`)
	if want := `{"jsonrpc":"2.0","id":2,"result":` + blob + `}`; strings.TrimSpace(got) != want {
		t.Errorf("get: %s, want %s", got, want)
	}
	_, got = post(t, url, `{"id":3,"jsonrpc":"2.0","method":"blob.GetAll","params":[1,["AAAAAAAAAAAAAAAAAAAAAAAAAAECAwQFBgcICRE="]]}`)
	if want := `{"jsonrpc":"2.0","id":3,"result":null}`; strings.TrimSpace(got) != want {
		t.Errorf("get all of nothing: %s, want %s", got, want)
	}

	for _, call := range []string{`"header.LocalHead","params":[]`, `"header.NetworkHead"`, `"header.GetByHeight","params":[1]`, `"header.WaitForHeight","params":[1]`} {
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
	l := openLayer(t, t.TempDir(), Options{MaxBlobBytes: 1 << 10, MaxSubmitBytes: 2 << 10})
	url := serve(t, l, ServerOptions{})
	const ns = `"AAAAAAAAAAAAAAAAAAAAAAAAAAECAwQFBgcICRA="`
	for _, tt := range []struct {
		body   string
		status int
		want   string
	}{
		{``, 500, "-32700"},
		{`[]`, 500, "-32700"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":{"a":1}}`, 500, "-32700"},
		{`{"id":1,"method":"header.LocalHead"}`, 500, "-32600"},
		{`{"jsonrpc":"2.0","method":"header.LocalHead"}`, 500, "-32600"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Nope"}`, 500, `"code":-32601,"message":"method 'blob.Nope' not found"`},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[]]}`, 500, `"code":-32602,"message":"wrong param count (method 'blob.Submit'): 1 != 2"`},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[],{}]}`, 200, `"code":1,"message":"state: no blobs provided"`},
		{`{"jsonrpc":"2.0","id":1,"method":"local.Submit","params":[[]]}`, 200, "rejected"},
		{`{"jsonrpc":"2.0","id":1,"method":"local.Submit","params":[]}`, 500, "wrong param count"},
		{`{"jsonrpc":"2.0","id":1,"method":"local.WaitHead","params":["a"]}`, 500, "is not a height"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[{"namespace":"YWJj","data":"eA=="}],{}]}`, 500, `invalid namespace length: 3. Must be 29 bytes`},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[{"namespace":"AQAAAAAAAAAAAAAAAAAAAAAAAAECAwQFBgcICRA=","data":"AA=="}],{}]}`, 500, "unsupported namespace version 1"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[{"namespace":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQ=","data":"AA=="}],{}]}`, 500, "reserved"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[{"namespace":` + ns + `,"data":"AA==","share_version":1}],{}]}`, 500, "share version 1"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[{"namespace":` + ns + `,"data":""}],{}]}`, 500, "data can not be empty"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Submit","params":[[{"namespace":` + ns + `,"data":"` + strings.Repeat("AAAA", 400) + `"}],{}]}`, 200, "too_large"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.GetAll","params":[-1,[` + ns + `]]}`, 500, "is not a height"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.GetAll","params":[7,[` + ns + `]]}`, 200,
			`{"code":1,"message":"header: given height is from the future: networkHeight: 0, requestedHeight: 7","data":"not_yet"}`},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.GetAll","params":[0,[` + strings.Repeat(ns+",", 64) + ns + `]]}`, 500, "65 namespaces"},
		{`{"jsonrpc":"2.0","id":1,"method":"blob.Get","params":[0,` + ns + `,"AAAA"]}`, 200, `{"code":1,"message":"blob: not found","data":"not_found"}`},
		{`{"jsonrpc":"2.0","id":1,"method":"header.GetByHeight","params":[9]}`, 200, "from the future"},
		{`{"jsonrpc":"2.0","id":1,"method":"header.GetByHeight","params":[0]}`, 200, `"code":1,"message":"height is equal to 0"`},
		{`{"jsonrpc":"2.0","id":1,"method":"header.WaitForHeight","params":[0]}`, 200, "height is equal to 0"},
		{`{"jsonrpc":"2.0","id":1,"method":"local.Submit","params":[[` + strings.Repeat("{},", remote.MaxElements) + `{}]]}`, 500, "an array of more than"},
		{`{"jsonrpc":"2.0","id":1,"method":"local.Submit","params":[` + strings.Repeat("1,", remote.MaxElements) + `1]}`, 500, "an array of more than"},
		{`{"jsonrpc":"2.0","id":"` + strings.Repeat("a", maxID) + `","method":"header.LocalHead","params":[]}`, 500, "258 bytes"},
		{`{"pad":"` + strings.Repeat("a", bodySlack+1<<20) + `"}`, 413, "body"},
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
		// {} is JSON, and no request.
		{http.MethodPost, "/", "application/json; charset=utf-8", http.StatusInternalServerError},
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

// The commitments are those that a real node gave the same blobs.
func TestCommitmentsAreCelestias(t *testing.T) {
	t.Parallel()
	large := make([]byte, 100_000)
	for i := range large {
		large[i] = byte(i * i >> 3)
	}
	ns := namespace{19: 1, 2, 3, 4, 5, 6, 7, 8, 9, 16}
	entries := []entry{{ns: ns, data: []byte("hello")}, {ns: ns, data: large}}
	if err := commit(entries); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"3FZu7uDskwQrVwaQuIYlkkzLIrtJxJ+xIBhpTkusbiU=", "4NC0VQ34Fj33fCDOXwaonq2AUKmeDxPS31y7Mk//S/8="} {
		if got := base64.StdEncoding.EncodeToString(entries[i].commitment[:]); got != want {
			t.Errorf("commitment %d is %s, want %s", i, got, want)
		}
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
	l, err := Open(f.TempDir(), Options{BlockTime: 1, MaxBlobBytes: 1 << 10, MaxSubmitBytes: 2 << 10})
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
		if w.status == http.StatusOK || w.status == http.StatusInternalServerError {
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

type recorder struct {
	header http.Header
	status int
	body   []byte
}

func newRecorder() *recorder                    { return &recorder{header: http.Header{}, status: http.StatusOK} }
func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { r.body = append(r.body, b...); return len(b), nil }

package engine_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ordo-network/ordo/devnet/ethclients"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/engine"
	"github.com/ordo-network/ordo/execution/evm"
)

func TestDialRefusesNonsense(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"text":        {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, engine.ErrAnswer},
		"nothing":     {func(http.ResponseWriter, *http.Request) {}, engine.ErrAnswer},
		"other types": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"result":7}`) }, engine.ErrAnswer},
		"a list":      {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `[{"result":[]}]`) }, engine.ErrAnswer},
		"not found":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) }, engine.ErrAnswer},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, engine.ErrAnswer},
		"unauthorized": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnauthorized) }, engine.ErrSecret},
		"too long": {func(w http.ResponseWriter, _ *http.Request) {
			chunk := bytes.Repeat([]byte(" "), 1<<20)
			for range 64 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, engine.ErrAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(test.answer)
			defer s.Close()
			if _, err := engine.Dial(t.Context(), engine.Config{URL: s.URL, Logger: quiet()}); !errors.Is(err, test.want) {
				t.Errorf("the error is %v, want %v", err, test.want)
			}
		})
	}
	for _, url := range []string{"", "127.0.0.1:8551", "ws://127.0.0.1:8551", "http://"} {
		if _, err := engine.Dial(t.Context(), engine.Config{URL: url}); err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:8551") {
			t.Errorf("dial %q: the error is %v", url, err)
		}
	}
}

// TestDialWaits for a client that is not there, is not ready, and then is.
func TestDialWaits(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // else the end of the connection is not seen
		switch calls.Add(1) {
		case 1:
			http.Error(w, "starting", http.StatusServiceUnavailable)
		case 2:
			select { // says nothing
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		default:
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":[{"code":"GE","name":"x","version":"1","commit":"0x00"}]}`)
		}
	}))
	defer s.Close()
	if _, err := engine.Dial(t.Context(), engine.Config{URL: s.URL, Timeout: 200 * time.Millisecond, Logger: quiet()}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := engine.Dial(ctx, engine.Config{URL: "http://127.0.0.1:1", Logger: quiet()})
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("the error is %v", err)
	}
}

// FuzzAnswer: whatever a client answers to whatever it is asked, there is an error and no
// panic.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"result":null}`))
	f.Add([]byte(`{"result":{"payloadStatus":{"status":"VALID"},"payloadId":"0x0000000000000001"}}`))
	f.Add([]byte(`{"result":{"executionPayload":{"transactions":["0x"]},"executionRequests":["0x01"]}}`))
	f.Add([]byte(`{"result":{"number":"0x0","hash":"0x00"}}`))
	f.Add([]byte(`{"error":{"code":-38003,"message":"x","data":{"err":7}}}`))
	f.Add([]byte(`[{"id":9}]`))
	genesis := encode(f, evm.DevGenesis(chainID, nil))
	f.Fuzz(func(t *testing.T, answer []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		var calls atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if calls.Add(1) == 1 {
				fmt.Fprint(w, `{"result":[]}`)
				return
			}
			_, _ = w.Write(answer)
		}))
		defer s.Close()
		api, err := engine.Dial(ctx, engine.Config{URL: s.URL, Logger: quiet()})
		if err != nil {
			return // the time was too short
		}
		o, err := engine.NewOP(engine.OPConfig{API: api, Dir: t.TempDir(), Genesis: genesis, Logger: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = o.Close() }()
		if _, err := o.Execute(ctx, execution.Hash{}, block(1)); err == nil {
			t.Error("a block was executed by nobody")
		}
	})
}

// between stands between Ordo and a client and changes what the client answers.
func between(t testing.TB, p *peer, twist func(method string, answer map[string]any)) *engine.API {
	t.Helper()
	target := p.process.EngineURL()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, target, bytes.NewReader(asked))
		if err != nil {
			return
		}
		req.Header = r.Header.Clone()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			return
		}
		var question struct{ Method string }
		var answer map[string]any
		if json.Unmarshal(asked, &question) == nil && json.Unmarshal(raw, &answer) == nil {
			twist(question.Method, answer)
			raw, _ = json.Marshal(answer)
		}
		_, _ = w.Write(raw)
	}))
	t.Cleanup(s.Close)
	secret, err := engine.LoadSecret(p.process.SecretFile())
	if err != nil {
		t.Fatal(err)
	}
	api, err := engine.Dial(t.Context(), engine.Config{URL: s.URL, Secret: secret, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// TestBuiltBlockIsChecked: a client that builds another block than it was asked for is
// found out before the block is anywhere.
func TestBuiltBlockIsChecked(t *testing.T) {
	t.Parallel()
	need(t, ethclients.OPGeth)
	for kind, genesis := range map[string][]byte{"plain": plainGenesis(t), "optimism": optimismGenesis(t)} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			p := peerOf(t, ethclients.OPGeth, genesis, dir)
			twists := map[string]func(payload map[string]any){
				"no transactions": func(x map[string]any) { x["transactions"] = []any{} },
				"one more":        func(x map[string]any) { x["transactions"] = append(x["transactions"].([]any), "0x01") },
				"another parent":  func(x map[string]any) { x["parentHash"] = common.Hash{1} },
				"another number":  func(x map[string]any) { x["blockNumber"] = "0x9" },
				"another time":    func(x map[string]any) { x["timestamp"] = "0x9" },
				"another owner":   func(x map[string]any) { x["feeRecipient"] = common.Address{1} },
				"more gas":        func(x map[string]any) { x["gasLimit"] = "0xffffffff" },
				"withdrawals": func(x map[string]any) {
					x["withdrawals"] = []any{map[string]any{"index": "0x0", "validatorIndex": "0x0", "address": common.Address{1}, "amount": "0x9"}}
				},
				"no bloom":   func(x map[string]any) { x["logsBloom"] = "0x" },
				"no payload": func(x map[string]any) { clear(x) },
			}
			want := map[string]error{"another state": execution.ErrDisagree} // only who executes it sees that
			twists["another state"] = func(x map[string]any) { x["stateRoot"] = common.Hash{1} }
			if kind == "optimism" {
				clear(want) // the hash does not fit
				twists["another hash"] = func(x map[string]any) { x["blockHash"] = common.Hash{1} }
				twists["other withdrawals"] = func(x map[string]any) { x["withdrawalsRoot"] = common.Hash{1} }
			}
			for name, twist := range twists {
				o, err := engine.NewOP(engine.OPConfig{Dir: filepath.Join(t.TempDir(), "journal"), Genesis: genesis, Logger: quiet(), API: between(t, p, func(method string, answer map[string]any) {
					if result, ok := answer["result"].(map[string]any); ok && strings.HasPrefix(method, "engine_getPayload") {
						twist(result["executionPayload"].(map[string]any))
					}
				})})
				if err != nil {
					t.Fatal(err)
				}
				s, err := o.Open(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := o.Execute(t.Context(), s.Soft.Hash, block(1, transfer(t, 0, 0))); !errors.Is(err, cmp.Or(want[name], engine.ErrAnswer)) {
					t.Errorf("%s: the error is %v", name, err)
				}
				if now, err := o.Open(t.Context()); err != nil || now.Soft != s.Soft {
					t.Errorf("%s: the soft head is %+v, %v", name, now.Soft, err)
				}
				if err := o.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestWordsOfRefusalDoNotMatter: whether the client names the transaction that it
// refuses, another one, or none, the block and what is skipped are the same.
func TestWordsOfRefusalDoNotMatter(t *testing.T) {
	t.Parallel()
	need(t, ethclients.OPGeth)
	genesis := plainGenesis(t)
	var txs [][]byte
	for i := range 12 {
		txs = append(txs, transfer(t, 0, uint64(i)))
		if i%3 == 0 {
			txs = append(txs, stranger(t, i))
		}
	}
	b := block(1, txs...)
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(txs[7]); err != nil {
		t.Fatal(err)
	}
	var results []execution.Result
	for _, words := range []string{"", "it does not please me", "transaction " + tx.Hash().Hex() + " is bad", "0x" + strings.Repeat("f", 64)} {
		p := peerOf(t, ethclients.OPGeth, genesis, t.TempDir())
		o, err := engine.NewOP(engine.OPConfig{Dir: filepath.Join(t.TempDir(), "journal"), Genesis: genesis, Logger: quiet(), API: between(t, p, func(_ string, answer map[string]any) {
			if refusal, ok := answer["error"].(map[string]any); ok && words != "" {
				refusal["data"] = map[string]any{"err": words}
			}
		})})
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, executeOn(t, o, b))
		if err := o.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(results[0].Skipped) != 4 {
		t.Errorf("skipped %v, want the four strangers", results[0].Skipped)
	}
	for i, r := range results[1:] {
		if r.Head != results[0].Head || !slices.Equal(r.Skipped, results[0].Skipped) {
			t.Errorf("with other words (%d) the result is %+v, want %+v", i, r, results[0])
		}
	}
}

// TestOneWordIsDoubted: a client that is being stopped may call a block invalid which it
// cannot finish, and forgets what it built; that is no disagreement.
func TestOneWordIsDoubted(t *testing.T) {
	t.Parallel()
	need(t, ethclients.OPGeth)
	genesis := plainGenesis(t)
	p := peerOf(t, ethclients.OPGeth, genesis, t.TempDir())
	var invalid, forgotten atomic.Bool
	o, err := engine.NewOP(engine.OPConfig{Dir: filepath.Join(t.TempDir(), "journal"), Genesis: genesis, Logger: quiet(), API: between(t, p, func(method string, answer map[string]any) {
		switch {
		case strings.HasPrefix(method, "engine_getPayload") && !forgotten.Swap(true):
			delete(answer, "result")
			answer["error"] = map[string]any{"code": -38001, "message": "Unknown payload"}
		case strings.HasPrefix(method, "engine_newPayload") && !invalid.Swap(true):
			answer["result"] = map[string]any{"status": "INVALID", "validationError": "blockchain is stopped"}
		}
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	executeOn(t, o, block(1, transfer(t, 0, 0)))
	if !invalid.Load() || !forgotten.Load() {
		t.Error("nothing was doubted")
	}
}

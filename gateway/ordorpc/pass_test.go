package ordorpc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"

	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/test/await"
)

// ethClient is the client that executes a rollup, as far as the door sees it.
type ethClient struct {
	mu       sync.Mutex
	calls    []string
	receipts map[ordorpc.Hash]bool
	nonce    uint64
}

func (c *ethClient) note(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, method)
}

func (c *ethClient) noted(method string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.calls, method)
}

func (c *ethClient) BlockNumber() hexutil.Uint64       { c.note("blockNumber"); return 42 }
func (c *ethClient) ChainId() hexutil.Uint64           { c.note("chainId"); return 999 }
func (c *ethClient) SendRawTransaction(hexutil.Bytes)  { c.note("sendRawTransaction") }
func (c *ethClient) SendTransaction(json.RawMessage)   { c.note("sendTransaction") }
func (c *ethClient) Sign(string, hexutil.Bytes) string { c.note("sign"); return "0x" }
func (c *ethClient) SignTypedData_v4()                 { c.note("signTypedData_v4") }
func (c *ethClient) Echo(v json.RawMessage, n *int) []any {
	return []any{v, n}
}
func (c *ethClient) GetTransactionCount(string, *string) hexutil.Uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return hexutil.Uint64(c.nonce)
}
func (c *ethClient) GetBalance(string, *string) *hexutil.Big         { return (*hexutil.Big)(big.NewInt(1000)) }
func (c *ethClient) Nothing() *int                                   { return nil }
func (c *ethClient) Fail() error                                     { return failure{} }
func (c *ethClient) GetProof(_ string, _ []string, at string) string { return at }
func (c *ethClient) GetTransactionReceipt(h ordorpc.Hash) map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.receipts[h] {
		return nil
	}
	return map[string]any{"transactionHash": h, "status": "0x1"}
}

func (c *ethClient) GetBlockByNumber(n hexutil.Uint64, _ bool) map[string]any {
	c.note("getBlockByNumber")
	return map[string]any{"number": n, "transactions": []string{}, "uncles": []string{}, "size": "0x1", "parentHash": ordorpc.Hash{1}}
}

func (c *ethClient) GetLogs(q map[string]json.RawMessage) ([]map[string]any, error) {
	if string(q["address"]) == `"0xbad"` {
		return nil, errors.New("invalid address")
	}
	return []map[string]any{{"blockNumber": q["fromBlock"], "address": q["address"], "to": q["toBlock"]}, {"second": true}}, nil
}

func (c *ethClient) NewFilter(q map[string]json.RawMessage) (string, error) {
	if string(q["address"]) == `"0xbad"` {
		return "", errors.New("invalid address")
	}
	return "0x1", nil
}
func (c *ethClient) NewBlockFilter() string              { return "0x2" }
func (c *ethClient) GetFilterChanges(id string) []string { return []string{id} }
func (c *ethClient) UninstallFilter(string) bool         { return true }

type admin struct{ c *ethClient }

func (a admin) AddPeer(string) { a.c.note("admin_addPeer") }

type failure struct{}

func (failure) Error() string  { return "execution reverted" }
func (failure) ErrorCode() int { return 3 }
func (failure) ErrorData() any { return "0x1234" }

func serveClient(t testing.TB) (*ethClient, *httptest.Server) {
	t.Helper()
	c := &ethClient{receipts: make(map[ordorpc.Hash]bool)}
	s := rpc.NewServer()
	if err := errors.Join(s.RegisterName("eth", c), s.RegisterName("admin", admin{c})); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	t.Cleanup(s.Stop)
	return c, srv
}

func behind(url string, more func(*ordorpc.Config)) func(*ordorpc.Config) {
	return func(c *ordorpc.Config) {
		c.Client = url
		if more != nil {
			more(c)
		}
	}
}

// post sends a message and returns the answer.
func (r *rollup) post(body string) string {
	r.t.Helper()
	resp, err := http.Post("http://"+r.addr, "application/json", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// messages are what is sent to a door with a client behind it, and what must come back.
var messages = []struct{ name, body, want string }{
	{"the client's", `{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}`, `{"jsonrpc":"2.0","id":1,"result":"0x2a"}`},
	{"no parameters", `{"jsonrpc":"2.0","id":"a b","method":"eth_blockNumber"}`, `{"jsonrpc":"2.0","id":"a b","result":"0x2a"}`},
	{"parameters", `{"jsonrpc":"2.0","id":1,"method":"eth_echo","params":[{"a":[1,null]},null]}`, `{"jsonrpc":"2.0","id":1,"result":[{"a":[1,null]},null]}`},
	{"nothing", `{"jsonrpc":"2.0","id":1,"method":"eth_nothing","params":[]}`, `{"jsonrpc":"2.0","id":1,"result":null}`},
	{"its error", `{"jsonrpc":"2.0","id":2,"method":"eth_fail","params":[]}`, `{"jsonrpc":"2.0","id":2,"error":{"code":3,"message":"execution reverted","data":"0x1234"}}`},
	{"unknown to it", `{"jsonrpc":"2.0","id":2,"method":"eth_no","params":[]}`, `{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"the method eth_no does not exist/is not available"}}`},
	{"by name", `{"jsonrpc":"2.0","id":2,"method":"eth_echo","params":{"v":1}}`, `{"jsonrpc":"2.0","id":2,"error":{"code":-32602,"message":"parameters must be a list"}}`},
	{"the door's", `{"jsonrpc":"2.0","id":3,"method":"ordo_transactionStatus","params":["0x0000000000000000000000000000000000000000000000000000000000000001"]}`, `{"jsonrpc":"2.0","id":3,"result":null}`},
	{"of both", `[{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"},{"jsonrpc":"2.0","id":2,"method":"ordo_getReceipt","params":["0x0000000000000000000000000000000000000000000000000000000000000001"]},{"jsonrpc":"2.0","id":3,"method":"eth_fail"},{"jsonrpc":"2.0","id":4,"method":"eth_sign","params":["0x","0x"]}]`,
		`[{"jsonrpc":"2.0","id":1,"result":"0x2a"},{"jsonrpc":"2.0","id":2,"result":null},{"jsonrpc":"2.0","id":3,"error":{"code":3,"message":"execution reverted","data":"0x1234"}},{"jsonrpc":"2.0","id":4,"error":{"code":-32601,"message":"the method eth_sign does not exist/is not available"}}]`},
	{"not offered", `{"jsonrpc":"2.0","id":1,"method":"admin_addPeer","params":["x"]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method admin_addPeer does not exist/is not available"}}`},
	{"transactions", `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x12"]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method eth_sendRawTransaction does not exist/is not available"}}`},
	{"the client's keys", `{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[{}]}`, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method eth_sendTransaction does not exist/is not available"}}`},
	{"a proof of what is not a block yet", `{"jsonrpc":"2.0","id":2,"method":"eth_getProof","params":["0x12",[],"pending"]}`, `{"jsonrpc":"2.0","id":2,"result":"latest"}`},
}

// TestPassOn: what the door does not answer itself the client does, in its own words,
// over HTTP and WebSocket; but nothing that gets past the order or was not offered.
func TestPassOn(t *testing.T) {
	t.Parallel()
	client, srv := serveClient(t)
	r := start(t, behind(srv.URL, nil))
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, m := range messages {
		if got := r.post(m.body); got != m.want {
			t.Errorf("%s:\n got %s\nwant %s", m.name, got, m.want)
		}
		if err := conn.WriteMessage(websocket.TextMessage, []byte(m.body)); err != nil {
			t.Fatal(err)
		}
		_, got, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(bytes.TrimSpace(got)); got != m.want {
			t.Errorf("%s, by WebSocket:\n got %s\nwant %s", m.name, got, m.want)
		}
	}
	for _, method := range []string{"sendRawTransaction", "sendTransaction", "sign", "admin_addPeer"} {
		if client.noted(method) {
			t.Errorf("%s was passed on", method)
		}
	}
	if got := r.post(`{"jsonrpc":"2.0","method":"eth_blockNumber"}`); got != "" {
		t.Errorf("a notification was answered: %s", got)
	}
	if got := r.post(`{"jsonrpc":`); !strings.Contains(got, `"code":-32700`) {
		t.Errorf("no JSON: %s", got)
	}
	many := "[" + strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"},`, 1000) + `{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}]`
	if got := r.post(many); !strings.Contains(got, "batch too large") {
		t.Errorf("a batch of 1001: %.100s", got)
	}
	// Subscriptions of the door's own, and calls beside them, on one connection.
	ws := r.dial("ws")
	states := make(chan *ordorpc.Status, 10)
	tx := []byte("set z=1")
	if _, err := ws.Subscribe(t.Context(), "ordo", states, "transactionStatus", ordorpc.Hash(sha256.Sum256(tx))); err != nil {
		t.Fatal(err)
	}
	var number hexutil.Uint64
	if err := ws.Call(&number, "eth_blockNumber"); err != nil || number != 42 {
		t.Errorf("number %d, %v", number, err)
	}
	r.call(nil, "ordo_sendTransaction", hexutil.Bytes(tx))
	if s := await.Receive(t, "received", states); s.Status != "received" {
		t.Errorf("status: %+v", s)
	}
	r.sentOn(1)
	r.order()
	for {
		if s := await.Receive(t, "ordered", states); s.Status == "ordered" {
			break
		}
	}
	// A message that is none ends its connection, and no other.
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"jsonrpc":`)); err != nil {
		t.Fatal(err)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`}}`)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(await.Limit))
	for err == nil {
		_, _, err = conn.ReadMessage()
	}
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection was kept")
	}
	if err := ws.Call(&number, "eth_blockNumber"); err != nil {
		t.Errorf("another connection: %v", err)
	}
}

// TestClientAway: while the rollup's client does not answer, the door does, and says so.
func TestClientAway(t *testing.T) {
	t.Parallel()
	_, srv := serveClient(t)
	r := start(t, behind(srv.URL, nil))
	srv.Close()
	if got := r.post(messages[0].body); !strings.Contains(got, "the rollup's client does not answer") || !strings.Contains(got, "-32603") {
		t.Errorf("client away: %s", got)
	}
	if got := r.post(messages[8].body); !strings.Contains(got, `{"jsonrpc":"2.0","id":2,"result":null}`) || strings.Count(got, "does not answer") != 2 {
		t.Errorf("of both, client away: %s", got)
	}
	r.call(nil, "ordo_sendTransaction", hexutil.Bytes("x"))
	for _, url := range []string{"127.0.0.1:8545", "ws://127.0.0.1:8545", "/tmp/geth.ipc"} {
		if _, err := ordorpc.NewServer(ordorpc.Config{Backend: ordorpc.Backend{Gateway: r.gateway, Order: r, Chain: r}, Client: url}); err == nil || !strings.Contains(err.Error(), "client_rpc") {
			t.Errorf("client at %s: %v", url, err)
		}
	}
}

// TestLongAnswer: a client that answers without end is cut off.
func TestLongAnswer(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":"0x`)
		part := bytes.Repeat([]byte("0"), 1<<20)
		for {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	r := start(t, behind(srv.URL, nil))
	if got := r.post(messages[0].body); !strings.Contains(got, "the answer is longer than 25 MiB") {
		t.Errorf("%.200s", got)
	}
}

// FuzzMessage: whatever is posted, the door answers in JSON or not at all, and hands the
// client nothing that it must not have.
func FuzzMessage(f *testing.F) {
	for _, m := range messages {
		f.Add([]byte(m.body))
	}
	for _, s := range []string{"", "[]", "[[]]", "null", "[null]", `{"method":1}`, `[{"method":"eth_blockNumber","id":{}}]`, `{"method":"eth_sendRawTransaction ","id":1}`, `{"METHOD":"eth_sign","id":1}`, `{"method":"eth_blockNumber","method":"eth_sign","id":1,"params":["0x","0x"]}`} {
		f.Add([]byte(s))
	}
	client, srv := serveClient(f)
	r := start(f, behind(srv.URL, nil))
	f.Fuzz(func(t *testing.T, body []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), await.Limit)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.addr, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		out, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if len(out) > 0 && !json.Valid(out) {
			t.Errorf("%q was answered with %q", body, out)
		}
		for _, method := range []string{"sendRawTransaction", "sendTransaction", "sign", "admin_addPeer"} {
			if client.noted(method) {
				t.Fatalf("%q made the client serve %s", body, method)
			}
		}
	})
}

package ordorpc_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"

	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/test/await"
)

// TestEndlessMessage: messages that begin a value and never end it are not gathered, nor
// are numbers, which could go on.
func TestEndlessMessage(t *testing.T) {
	t.Parallel()
	_, srv := serveClient(t)
	r := start(t, behind(srv.URL, nil))
	for _, part := range []string{`[`, `1`} {
		conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+r.addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if err := conn.WriteMessage(websocket.TextMessage, bytes.Repeat([]byte(part), 1<<10)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(await.Limit))
		if _, got, err := conn.ReadMessage(); err != nil || !strings.Contains(string(got), `"code":-32`) {
			t.Errorf("%s: answered %q, %v", part, got, err)
		}
	}
}

// TestSubscribeInBatch: a batch with calls for the client cannot carry what the door's
// own connection to itself would go on being told.
func TestSubscribeInBatch(t *testing.T) {
	t.Parallel()
	_, srv := serveClient(t)
	r := start(t, behind(srv.URL, nil))
	body := `[{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"},{"jsonrpc":"2.0","id":2,"method":"ordo_subscribe","params":["transactionStatus","0x0000000000000000000000000000000000000000000000000000000000000001"]}]`
	if got := r.post(body); !strings.Contains(got, `"id":1,"result":"0x2a"`) || !strings.Contains(got, `"id":2,"error":{"code":-32001`) {
		t.Errorf("answered %s", got)
	}
}

// TestSubscriptionsOfOneConnection: no connection takes the places of all.
func TestSubscriptionsOfOneConnection(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	greedy, modest := r.dial("ws"), r.dial("ws")
	watch := func(c *rpc.Client, i int) (*rpc.ClientSubscription, error) {
		return c.Subscribe(t.Context(), "ordo", make(chan json.RawMessage), "transactionStatus", ordorpc.Hash{1, byte(i), byte(i >> 8)})
	}
	var first *rpc.ClientSubscription
	var err error
	n := 0
	for ; n < 5000; n++ {
		var sub *rpc.ClientSubscription
		if sub, err = watch(greedy, n); err != nil {
			break
		}
		if n == 0 {
			first = sub
		}
	}
	var coded rpc.Error
	if n != 256 || !errors.As(err, &coded) || coded.ErrorCode() != -32005 || !strings.Contains(err.Error(), "256 subscriptions, the most") {
		t.Fatalf("after %d subscriptions of one connection: %v", n, err)
	}
	if _, err := watch(modest, 0); err != nil {
		t.Errorf("another connection: %v", err)
	}
	// A place that is given back is free.
	first.Unsubscribe()
	await.Until(t, "a place", func() bool { _, err := watch(greedy, n); return err == nil })
	// And so are those of a connection that ends.
	greedy.Close()
	again := r.dial("ws")
	for i := range 256 {
		if _, err := watch(again, i); err != nil {
			t.Fatalf("subscription %d of a new connection: %v", i, err)
		}
	}
}

// TestAnswersAtTheBound: what the client says is passed on up to the bound of the door's own answers.
func TestAnswersAtTheBound(t *testing.T) {
	t.Parallel()
	length := make(chan int, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c struct{ ID json.RawMessage }
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":"%s"}`, c.ID, strings.Repeat("a", <-length))
	}))
	t.Cleanup(srv.Close)
	r := start(t, behind(srv.URL, nil))
	for n, want := range map[int]string{
		ordorpc.MaxBatchResponse - 1<<10: `"result":"aaa`,
		ordorpc.MaxBatchResponse:         `"error":{"code":-32003,"message":"the answer is longer than 25 MiB`,
	} {
		length <- n
		if got := r.post(`{"jsonrpc":"2.0","id":1,"method":"eth_echo","params":[1]}`); !strings.Contains(got[:min(len(got), 200)], want) {
			t.Errorf("an answer of %d bytes: %.200s", n, got)
		}
	}
}

// TestNotPassedOn: whatever sends, signs or cancels at the client is not passed on, by
// whichever name its client has it.
func TestNotPassedOn(t *testing.T) {
	t.Parallel()
	client, srv := serveClient(t)
	r := start(t, behind(srv.URL, nil))
	if got := r.post(`{"jsonrpc":"2.0","id":1,"method":"eth_echo","params":[1]}`); !strings.Contains(got, "result") {
		t.Errorf("the client's own: %s", got)
	}
	for _, method := range []string{"eth_signTypedData_v4", "eth_sendPrivateBundle", "eth_sendUserOperation", "eth_submitWork", "eth_cancelPrivateTransaction"} {
		if got := r.post(`{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":[]}`); !strings.Contains(got, "-32601") {
			t.Errorf("%s: %s", method, got)
		}
		if client.noted(strings.TrimPrefix(method, "eth_")) {
			t.Errorf("%s was passed on", method)
		}
	}
}

// TestBlocksAreReadOnce: many who ask about the same block of the order at once have it
// fetched and verified once.
func TestBlocksAreReadOnce(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var hash ordorpc.Hash
	r.call(&hash, "ordo_sendTransaction", hexutil.Bytes("one"))
	r.sentOn(1)
	lag := func(heights uint64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.lag = heights
	}
	lag(1)
	r.order()
	answers := make(chan error)
	const n = 40
	for range n {
		go func() { answers <- r.rpc.CallContext(t.Context(), nil, "ordo_getInclusionProof", hash) }()
	}
	select {
	case err := <-answers:
		t.Fatalf("answered before the node has noted the block: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	lag(0)
	for range n {
		if err := await.Receive(t, "proof", answers); err != nil {
			t.Error(err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fetched != 1 {
		t.Errorf("it was fetched %d times", r.fetched)
	}
}

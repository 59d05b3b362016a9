package ordorpc_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
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
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
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

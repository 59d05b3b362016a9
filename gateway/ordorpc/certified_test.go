package ordorpc_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"

	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/test/await"
)

// TestCertifiedByThePlainDoor: each transaction is told once, to all who have subscribed,
// and nothing that is none.
func TestCertifiedByThePlainDoor(t *testing.T) {
	t.Parallel()
	certified := ordorpc.NewCertified()
	certified.Tell([][]byte{[]byte("before")}) // nobody hears
	r := start(t, func(c *ordorpc.Config) { c.Backend.Certified = certified })
	ws := r.dial("ws")
	hashes, whole := make(chan ordorpc.Hash, 10_000), make(chan hexutil.Bytes, 10_000)
	if _, err := ws.Subscribe(t.Context(), "ordo", hashes, "certifiedTransactions"); err != nil {
		t.Fatal(err)
	}
	if _, err := ws.EthSubscribe(t.Context(), whole, "certifiedTransactions", true); err != nil {
		t.Fatal(err)
	}
	var many [][]byte
	for i := range 2000 {
		many = append(many, fmt.Appendf(nil, "tx %d", i))
	}
	certified.Tell(many)
	certified.Tell(append([][]byte{terms.Terms{MaxBlock: 7}.Encode(), []byte("last")}, many...)) // as it is ordered
	for _, tx := range append(many, []byte("last")) {
		if got := await.Receive(t, "hash", hashes); got != sha256.Sum256(tx) {
			t.Fatalf("told of %s, want %q", got, tx)
		}
		if got := await.Receive(t, "transaction", whole); string(got) != string(tx) {
			t.Fatalf("told of %q, want %q", got, tx)
		}
	}
}

// TestSlowCertified: who does not read holds up nobody, and learns that it has missed some.
func TestSlowCertified(t *testing.T) {
	t.Parallel()
	certified := ordorpc.NewCertified()
	r := start(t, func(c *ordorpc.Config) { c.Backend.Certified = certified })
	slow, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+r.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	if err := slow.WriteMessage(websocket.TextMessage, []byte(`{"jsonrpc":"2.0","id":1,"method":"ordo_subscribe","params":["certifiedTransactions",true]}`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := slow.ReadMessage(); err != nil {
		t.Fatal(err)
	}
	hashes := make(chan ordorpc.Hash, 10_000)
	sub, err := r.dial("ws").Subscribe(t.Context(), "ordo", hashes, "certifiedTransactions")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	for i := range 600 { // 75 MB: more than is kept for one, and than a connection takes
		tx := append(make([]byte, 128<<10), byte(i), byte(i>>8))
		certified.Tell([][]byte{tx})
		if got := await.Receive(t, "hash", hashes); got != sha256.Sum256(tx) {
			t.Fatalf("told of %s", got)
		}
	}
	// It reads on, and would wait for ever for what nobody sends.
	if err := slow.SetReadDeadline(time.Now().Add(await.Limit)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, _, err = slow.ReadMessage()
	}
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		t.Error("it is not disconnected")
	}
}

// TestCertifiedWhole: in full a transaction is what the rollup's users know it as.
func TestCertifiedWhole(t *testing.T) {
	t.Parallel()
	certified := ordorpc.NewCertified()
	r := start(t, func(c *ordorpc.Config) {
		c.Backend.Certified = certified
		c.Backend.Whole = func(raw []byte) any { return map[string]string{"text": string(raw)} }
		c.Backend.Decode = func(raw []byte) (tx gateway.Tx, err error) {
			if string(raw) == "garbage" {
				return tx, errors.New("it is garbage")
			}
			return ordorpc.Opaque(raw)
		}
	})
	whole := make(chan map[string]string, 10)
	if _, err := r.dial("ws").EthSubscribe(t.Context(), whole, "certifiedTransactions", true); err != nil {
		t.Fatal(err)
	}
	certified.Tell([][]byte{[]byte("garbage"), []byte("one")})
	if got := await.Receive(t, "transaction", whole); got["text"] != "one" {
		t.Errorf("told of %v", got)
	}
}

// TestPendingTransactionFilter: filters of accepted transactions are the door's, all others
// the client's.
func TestPendingTransactionFilter(t *testing.T) {
	t.Parallel()
	_, srv := serveClient(t)
	r := start(t, behind(srv.URL, func(c *ordorpc.Config) { c.ChainID = 31337 }))
	changes := func(id rpc.ID) (hashes []ordorpc.Hash) {
		r.call(&hashes, "eth_getFilterChanges", id)
		if hashes == nil {
			t.Error("null changes")
		}
		return hashes
	}
	var early, late rpc.ID
	r.call(&early, "eth_newPendingTransactionFilter")
	if got := changes(early); len(got) != 0 {
		t.Errorf("before anything was sent: %v", got)
	}
	var first, second ordorpc.Hash
	r.call(&first, "eth_sendRawTransaction", hexutil.Bytes("one"))
	r.call(&late, "eth_newPendingTransactionFilter")
	r.call(&second, "eth_sendRawTransaction", hexutil.Bytes("two"))
	r.call(nil, "eth_sendRawTransaction", hexutil.Bytes("one")) // known
	if got := changes(early); len(got) != 2 || got[0] != first || got[1] != second {
		t.Errorf("the first filter has %v", got)
	}
	if got := changes(late); len(got) != 1 || got[0] != second {
		t.Errorf("the second filter has %v", got)
	}
	if got := changes(early); len(got) != 0 {
		t.Errorf("told twice: %v", got)
	}
	var gone bool
	r.call(&gone, "eth_uninstallFilter", early)
	if !gone {
		t.Error("the filter was not there")
	}
	if err := r.rpc.Call(nil, "eth_newPendingTransactionFilter", true); err == nil || !strings.Contains(err.Error(), "only their hashes") {
		t.Errorf("whole transactions: %v", err)
	}
	if err := r.rpc.Call(nil, "eth_getFilterChanges", early); err == nil || err.Error() != "filter not found" {
		t.Errorf("a filter that is gone: %v", err)
	}
	// With or without transactions of the door's own, others are made by the client.
	for _, r := range []*rollup{r, start(t, behind(srv.URL, nil))} {
		for method, query := range map[string][]any{"eth_newBlockFilter": nil, "eth_newFilter": {map[string]any{"address": "0x12"}}} {
			var id rpc.ID
			r.call(&id, method, query...)
			var got []string
			r.call(&got, "eth_getFilterChanges", id)
			if len(got) != 1 || got[0] != string(id) {
				t.Errorf("changes of %s, %s: %v", method, id, got)
			}
			if r.call(&gone, "eth_uninstallFilter", id); !gone {
				t.Errorf("the filter of %s was not there", method)
			}
		}
	}
	if err := r.rpc.Call(nil, "eth_newFilter", map[string]any{"address": "0xbad"}); err == nil || !strings.Contains(err.Error(), "invalid address") {
		t.Errorf("a query that the client refuses: %v", err)
	}
}

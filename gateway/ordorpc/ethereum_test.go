package ordorpc_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/test/await"
)

// TestEthereumBehind: transactions of an Ethereum client's rollup come in here, and
// receipts from the client.
func TestEthereumBehind(t *testing.T) {
	t.Parallel()
	client, srv := serveClient(t)
	r := start(t, behind(srv.URL, func(c *ordorpc.Config) { c.ChainID = 31337 }))
	var id hexutil.Uint64
	r.call(&id, "eth_chainId")
	if id != 31337 || client.noted("chainId") {
		t.Errorf("chain ID %d", id)
	}
	var hash ordorpc.Hash
	r.call(&hash, "eth_sendRawTransaction", hexutil.Bytes("one"))
	if s := r.status(hash); s == nil || s.Status != "received" {
		t.Errorf("sent: %+v", s)
	}
	r.sentOn(1)
	r.order()
	type answer struct {
		receipt map[string]any
		err     error
	}
	sync := func(tx string, timeout any) <-chan answer {
		done := make(chan answer, 1)
		go func() {
			var a answer
			a.err = r.rpc.Call(&a.receipt, "eth_sendRawTransactionSync", hexutil.Bytes(tx), timeout)
			done <- a
		}()
		return done
	}
	// The receipt is there a moment after the block.
	hash = ordorpc.Hash(sha256.Sum256([]byte("two")))
	done := sync("two", 20_000)
	r.sentOn(1)
	r.order()
	client.mu.Lock()
	client.receipts[hash] = true
	client.mu.Unlock()
	if a := await.Receive(t, "receipt", done); a.err != nil || a.receipt["transactionHash"] != hash.String() {
		t.Errorf("receipt: %v, %v", a.receipt, a.err)
	}
	// What is new is told without asking.
	ws := r.dial("ws")
	heads, logs := make(chan map[string]any, 10), make(chan map[string]any, 10)
	if _, err := ws.EthSubscribe(t.Context(), heads, "newHeads"); err != nil {
		t.Fatal(err)
	}
	if _, err := ws.EthSubscribe(t.Context(), logs, "logs", map[string]any{"address": "0x12"}); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan ordorpc.Hash, 10)
	if _, err := ws.EthSubscribe(t.Context(), accepted, "newPendingTransactions"); err != nil {
		t.Fatal(err)
	}
	if _, err := ws.EthSubscribe(t.Context(), accepted, "newPendingTransactions", true); err == nil || !strings.Contains(err.Error(), "only their hashes") {
		t.Errorf("whole transactions: %v", err)
	}
	if _, err := ws.EthSubscribe(t.Context(), logs, "logs", map[string]any{"address": "0xbad"}); err == nil || !strings.Contains(err.Error(), "invalid address") {
		t.Errorf("a query that the client refuses: %v", err)
	}
	for range 3 {
		want := hexutil.Uint64(r.order().Number).String()
		if h := await.Receive(t, "head", heads); h["number"] != want || h["parentHash"] == nil || h["transactions"] != nil || h["size"] != nil {
			t.Errorf("head %v, want %s", h, want)
		}
		if l := await.Receive(t, "log", logs); l["blockNumber"] != want || l["to"] != want || l["address"] != "0x12" {
			t.Errorf("log %v, want %s", l, want)
		}
		if l := await.Receive(t, "second log", logs); l["second"] != true {
			t.Errorf("log %v", l)
		}
	}
	code := func(err error) (int, any) {
		var coded rpc.Error
		var data rpc.DataError
		if !errors.As(err, &coded) || !errors.As(err, &data) {
			return 0, nil
		}
		return coded.ErrorCode(), data.ErrorData()
	}
	hash = ordorpc.Hash(sha256.Sum256([]byte("bad")))
	done = sync("bad", "0x4e20")
	r.sentOn(1)
	r.order()
	if h := await.Receive(t, "accepted", accepted); h != hash {
		t.Errorf("accepted %s, want %s", h, hash)
	}
	a := await.Receive(t, "refusal", done)
	if c, data := code(a.err); c != 5 || data != hash.String() || !strings.Contains(a.err.Error(), "it is bad") {
		t.Errorf("left out: %v, %d, %v", a.err, c, data)
	}
	a = await.Receive(t, "timeout", sync("three", 30))
	if c, data := code(a.err); c != 4 || data != ordorpc.Hash(sha256.Sum256([]byte("three"))).String() {
		t.Errorf("timeout: %v, %d, %v", a.err, c, data)
	}
	r.mu.Lock()
	r.unfunded, r.pool = true, nil
	r.mu.Unlock()
	r.call(nil, "eth_sendRawTransaction", hexutil.Bytes("four"))
	await.Until(t, "unfunded", func() bool { return r.gateway.Counts().Unfunded != "" })
	a = await.Receive(t, "unfunded", sync("five", nil))
	if c, _ := code(a.err); c != 5 {
		t.Errorf("unfunded: %v, %d", a.err, c)
	}
}

// TestAccountsBehind: what an account's state speaks against is refused in geth's words,
// and the pending nonce counts what was accepted.
func TestAccountsBehind(t *testing.T) {
	t.Parallel()
	client, srv := serveClient(t)
	const from = "0xabcdef"
	r := start(t, behind(srv.URL, func(c *ordorpc.Config) {
		c.ChainID = 31337
		// A transaction is its nonce, and what it costs.
		c.Backend.Decode = func(raw []byte) (gateway.Tx, error) {
			tx, err := ordorpc.Opaque(raw)
			var nonce, cost uint64
			if _, err := fmt.Sscanf(string(raw), "%d %d", &nonce, &cost); err != nil {
				return tx, err
			}
			tx.Note = ordorpc.Account{Address: from, Nonce: nonce, Cost: new(big.Int).SetUint64(cost)}
			return tx, err
		}
	}))
	send := func(tx string) error { return r.rpc.Call(nil, "eth_sendRawTransaction", hexutil.Bytes(tx)) }
	next := func(tag string) uint64 {
		var n hexutil.Uint64
		r.call(&n, "eth_getTransactionCount", "0xABCdef", tag)
		return uint64(n)
	}
	for _, tx := range []string{"0 10", "1 10", "1 10"} {
		if err := send(tx); err != nil {
			t.Errorf("%s: %v", tx, err)
		}
	}
	if latest, pending := next("latest"), next("pending"); latest != 0 || pending != 2 {
		t.Errorf("nonces %d and %d, want 0 and 2", latest, pending)
	}
	for tx, want := range map[string]string{"1 11": "replacement transaction underpriced", "5 10": "nonce too high: next nonce 2, tx nonce 5", "2 1001": "insufficient funds for gas * price + value: balance 1000, tx cost 1001"} {
		if err := send(tx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", tx, err, want)
		}
	}
	err := r.rpc.Call(nil, "eth_sendRawTransactionSync", hexutil.Bytes("5 10"), 20_000)
	var coded rpc.Error
	var data rpc.DataError
	if !errors.As(err, &coded) || coded.ErrorCode() != 6 || !errors.As(err, &data) || data.ErrorData() != "0x2" {
		t.Errorf("gap: %v", err)
	}
	await.Until(t, "both executed", func() bool {
		r.order()
		return r.gateway.Counts().Queued+r.gateway.Counts().InFlight == 0
	})
	client.mu.Lock()
	client.nonce = 2
	client.mu.Unlock()
	if err := send("1 12"); err == nil || !strings.Contains(err.Error(), "nonce too low: next nonce 2, tx nonce 1") {
		t.Errorf("executed nonce: %v", err)
	}
	if n := next("pending"); n != 2 {
		t.Errorf("pending nonce %d, want 2", n)
	}
	var none []string
	r.call(&none, "eth_accounts")
	srv.Close() // while the client is away, what comes in is taken
	if err := send("9 10"); err != nil {
		t.Errorf("client away: %v", err)
	}
}

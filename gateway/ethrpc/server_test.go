package ethrpc_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/test/await"
)

// logger emits a log with the topic 7 when it is deployed.
var logger = common.FromHex("60075f5fa100")

func socket(t *testing.T, r *rollup) *rpc.Client {
	t.Helper()
	c, err := rpc.Dial("ws://" + r.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	r := start(t)
	ws := socket(t, r)
	client := ethclient.NewClient(ws)
	heads := make(chan *types.Header, 100)
	logs, otherLogs := make(chan types.Log, 100), make(chan types.Log, 100)
	hashes, full := make(chan common.Hash, 100), make(chan map[string]any, 100)
	receipts := make(chan []*types.Receipt, 100)
	deploy := transfer(0, 0, func(tx *types.DynamicFeeTx) { tx.To = nil; tx.Gas = 100_000; tx.Data = logger; tx.Value.SetInt64(0) })
	topic := common.BigToHash(common.Big1)
	topic[31] = 7
	for _, start := range []func() (ethereum.Subscription, error){
		func() (ethereum.Subscription, error) { return client.SubscribeNewHead(t.Context(), heads) },
		func() (ethereum.Subscription, error) {
			return client.SubscribeFilterLogs(t.Context(), ethereum.FilterQuery{Topics: [][]common.Hash{{topic}}}, logs)
		},
		func() (ethereum.Subscription, error) {
			return client.SubscribeFilterLogs(t.Context(), ethereum.FilterQuery{Addresses: []common.Address{{1}}}, otherLogs)
		},
		func() (ethereum.Subscription, error) {
			return ws.EthSubscribe(t.Context(), hashes, "newPendingTransactions")
		},
		func() (ethereum.Subscription, error) {
			return ws.EthSubscribe(t.Context(), full, "newPendingTransactions", true)
		},
		func() (ethereum.Subscription, error) {
			return ws.EthSubscribe(t.Context(), receipts, "transactionReceipts", map[string]any{"transactionHashes": []common.Hash{deploy.Hash()}})
		},
	} {
		if _, err := start(); err != nil {
			t.Fatal(err)
		}
	}
	var blockFilter, logFilter, txFilter string
	r.call(&blockFilter, "eth_newBlockFilter")
	r.call(&logFilter, "eth_newFilter", map[string]any{"topics": []any{topic}})
	r.call(&txFilter, "eth_newPendingTransactionFilter")

	r.mustSend(deploy)
	if got := await.Receive(t, "pending hash", hashes); got != deploy.Hash() {
		t.Errorf("pending hash %s", got)
	}
	if got := await.Receive(t, "pending transaction", full); got["hash"] != deploy.Hash().Hex() || got["blockHash"] != nil {
		t.Errorf("pending transaction %v", got)
	}
	r.run()
	log := await.Receive(t, "log", logs)
	if log.TxHash != deploy.Hash() || log.BlockHash == (common.Hash{}) || log.Topics[0] != topic {
		t.Errorf("log %+v", log)
	}
	if got := await.Receive(t, "receipts", receipts); len(got) != 1 || got[0].TxHash != deploy.Hash() {
		t.Errorf("receipts %+v", got)
	}
	for last := uint64(0); last < log.BlockNumber; {
		head := await.Receive(t, "head", heads)
		if last > 0 && head.Number.Uint64() != last+1 {
			t.Fatalf("head %d after %d", head.Number, last)
		}
		last = head.Number.Uint64()
	}
	if len(otherLogs) > 0 {
		t.Error("a log that was not asked for")
	}

	var polled []common.Hash
	r.call(&polled, "eth_getFilterChanges", txFilter)
	if len(polled) != 1 || polled[0] != deploy.Hash() {
		t.Errorf("polled transactions %v", polled)
	}
	r.call(&polled, "eth_getFilterChanges", blockFilter)
	if len(polled) == 0 {
		t.Error("no polled blocks")
	}
	var polledLogs []types.Log
	r.call(&polledLogs, "eth_getFilterChanges", logFilter)
	if len(polledLogs) != 1 || polledLogs[0].TxHash != deploy.Hash() {
		t.Errorf("polled logs %v", polledLogs)
	}
	r.call(&polledLogs, "eth_getLogs", map[string]any{"fromBlock": "0x0", "topics": []any{topic}})
	if len(polledLogs) != 1 || polledLogs[0].TxHash != deploy.Hash() {
		t.Errorf("searched logs %v", polledLogs)
	}
	for _, id := range []string{blockFilter, logFilter, txFilter} {
		var found bool
		r.call(&found, "eth_uninstallFilter", id)
		if !found {
			t.Errorf("filter %s was gone", id)
		}
	}
	if err := r.rpc.Call(nil, "eth_getFilterChanges", txFilter); err == nil || err.Error() != "filter not found" {
		t.Errorf("changes of a filter that is gone: %v", err)
	}
}

// TestDeafSubscriber: a client that subscribes and never reads holds up neither
// blocks nor other subscribers, and loses its connection.
func TestDeafSubscriber(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.pace = time.Second // a block at each height
	conn, err := net.Dial("tcp", r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(1024); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "101") {
		t.Fatalf("upgrade: %q, %v", line, err)
	}
	frame := func(text string) []byte { // a masked text frame, with a mask of zeros
		return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
	}
	for range 200 { // enough notifications to fill every buffer on the way
		if _, err := conn.Write(frame(`{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}`)); err != nil {
			t.Fatal(err)
		}
	}
	heads := make(chan *types.Header, 4096)
	if _, err := ethclient.NewClient(socket(t, r)).SubscribeNewHead(t.Context(), heads); err != nil {
		t.Fatal(err)
	}
	const blocks = 700
	var longest time.Duration
	for range blocks {
		begin := time.Now()
		r.order()
		longest = max(longest, time.Since(begin))
	}
	var last *types.Header
	for last == nil || last.Number.Uint64() < blocks {
		last = await.Receive(t, "head", heads)
	}
	if longest > 5*time.Second { // geth gives up on a write after 10
		t.Errorf("a block took %s", longest)
	}
	// Whatever is buffered can be read; then the connection is at its end.
	if err := conn.SetReadDeadline(time.Now().Add(await.Limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

func post(t *testing.T, r *rollup, body io.Reader, edit func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if edit != nil {
		edit(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer), resp.Header
}

// TestHostileJSON: what is too large, too deep or too many is refused, and the node
// goes on.
func TestHostileJSON(t *testing.T) {
	t.Parallel()
	r := start(t)
	batch := func(n int) string {
		return "[" + strings.Repeat(`{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]},`, n-1) + `{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}]`
	}
	deep := strings.Repeat("[", 20_000)
	for _, c := range []struct {
		name, body string
		status     int
		want       string
	}{
		{"huge", `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x` + strings.Repeat("00", 3<<20) + `"]}`, 413, "content length too large"},
		{"deep", deep, 200, "parse error"},
		{"deep parameters", `{"jsonrpc":"2.0","id":1,"method":"eth_call","params":` + deep + strings.Repeat("]", 20_000) + `}`, 200, `"error"`},
		{"batch of 10,000", batch(10_000), 200, "batch too large"},
		{"batch of 1,000", batch(1000), 200, `"result":"0x7a69"`},
		{"no JSON", "\x00\xff", 200, "parse error"},
		{"empty batch", "[]", 200, "empty batch"},
		{"wrong types", `{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":[{"a":1}]}`, 200, "invalid argument 0"},
		{"null parameters", `{"jsonrpc":"2.0","id":1,"method":"eth_fillTransaction","params":[null]}`, 200, `"error"`},
		{"odd nonce", `{"jsonrpc":"2.0","id":1,"method":"eth_fillTransaction","params":[{"from":7}]}`, 200, `"error"`},
		{"not a hash", `{"jsonrpc":"2.0","id":1,"method":"ordo_transactionStatus","params":["0x12"]}`, 200, "invalid argument 0"},
	} {
		status, answer, _ := post(t, r, strings.NewReader(c.body), nil)
		if status != c.status || !strings.Contains(answer, c.want) {
			t.Errorf("%s: %d %.200s, want %d %s", c.name, status, answer, c.status, c.want)
		}
	}
	// The same over WebSocket: the connection may be closed, the node is not.
	for _, body := range []string{deep, batch(10_000), strings.Repeat("a", 6<<20)} {
		c, err := rpc.Dial("ws://" + r.url)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_ = c.CallContext(ctx, nil, "eth_call", json.RawMessage(`"`+body+`"`)) // any answer will do
		cancel()
		c.Close()
	}
	r.run()
	tx := transfer(0, 0, nil)
	r.mustSend(tx)
	r.receipt(tx)
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	r := start(t)
	resp, err := http.Get("http://" + r.url + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var health map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&health); err != nil || resp.StatusCode != http.StatusOK || health["status"] != "ok" || health["rollup"] != "alpha" {
		t.Errorf("health: %d %v %v", resp.StatusCode, health, err)
	}
	call := []byte(`{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}`)
	status, _, header := post(t, r, bytes.NewReader(call), func(req *http.Request) { req.Header.Set("Origin", "https://wallet.example") })
	if status != http.StatusOK || header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("CORS: %d %v", status, header)
	}
	if status, _, _ := post(t, r, bytes.NewReader(call), func(req *http.Request) { req.Host = "rebound.example" }); status != http.StatusOK {
		t.Errorf("other host name: %d", status)
	}
	if status, _, _ := post(t, r, bytes.NewReader(call), func(req *http.Request) { req.Header.Set("Content-Type", "text/html") }); status != http.StatusUnsupportedMediaType {
		t.Errorf("other content type: %d", status)
	}
}

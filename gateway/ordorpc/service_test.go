package ordorpc_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/gateway/receipt"
	"github.com/ordo-network/ordo/order"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/test/await"
)

// TestLifeOfATransaction follows opaque transactions from acceptance to finality.
func TestLifeOfATransaction(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	good, bad := []byte("set a=1"), []byte("bad thing")
	hash, badHash := ordorpc.Hash(sha256.Sum256(good)), ordorpc.Hash(sha256.Sum256(bad))
	if s := r.status(hash); s != nil {
		t.Errorf("before: %+v", s)
	}
	var got ordorpc.Hash
	for range 2 { // who asks again has the same answer
		r.call(&got, "ordo_sendTransaction", hexutil.Bytes(good))
		if got != hash {
			t.Fatalf("hash %s, want %s", got, hash)
		}
	}
	r.call(&got, "ordo_sendTransaction", hexutil.Bytes(bad))
	if s := r.status(hash); s == nil || s.Status != "received" || s.ReceivedAt == nil || is(s.Executed) || s.OrderedAt != nil {
		t.Errorf("received: %+v", s)
	}
	if err := r.rpc.Call(nil, "ordo_getInclusionProof", hash); err == nil || !strings.Contains(err.Error(), "not ordered") {
		t.Errorf("proof of what is not ordered: %v", err)
	}
	r.sentOn(1)
	await.Until(t, "both sent", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		n := 0
		for _, b := range r.pool {
			n += len(b.Legs[0].Transactions)
		}
		return n == 2
	})
	block := r.order()
	s := r.status(hash)
	if s.Status != "ordered" || !is(s.Executed) || uint64(*s.BlockNumber) != block.Number || *s.BlockHash != ordorpc.Hash(block.Hash) ||
		uint64(*s.SequencerHeight) != block.To || s.BundleID == nil || s.OrderedAt == nil || s.SafeAt != nil {
		t.Errorf("ordered: %+v", s)
	}
	if s := r.status(badHash); s.Status != "dropped" || is(s.Executed) || s.Reason != "it is bad" || uint64(*s.SequencerHeight) != block.To {
		t.Errorf("left out: %+v", s)
	}
	for _, h := range []ordorpc.Hash{hash, badHash} {
		var p *ordorpc.InclusionProof
		r.call(&p, "ordo_getInclusionProof", h)
		var wire orderv1.RollupBlock
		if err := proto.Unmarshal(p.RollupBlock, &wire); err != nil {
			t.Fatal(err)
		}
		if sha256.Sum256(wire.Legs[p.Leg].Transactions[p.TransactionIndex]) != h || p.TransactionHash != h || p.RollupID != ordorpc.Hash(rollupID) || uint64(p.SequencerHeight) != block.To {
			t.Errorf("proof of %s: %+v", h, p)
		}
	}
	var signed *receipt.Receipt
	r.call(&signed, "ordo_getReceipt", hash)
	if signed == nil || signed.Verify() != nil || signed.TxHash != hash {
		t.Errorf("receipt: %+v", signed)
	}
	r.mu.Lock()
	r.firm = block.Number
	r.mu.Unlock()
	if s := r.status(hash); s.Status != "finalized" || s.SafeAt == nil || s.FinalizedAt == nil {
		t.Errorf("finalized: %+v", s)
	}
	// A transaction of another gateway.
	other := ordorpc.Hash{7}
	r.mu.Lock()
	r.certain[other] = true
	r.mu.Unlock()
	if s := r.status(other); s == nil || s.Status != "certified" || s.ReceivedAt != nil {
		t.Errorf("certified elsewhere: %+v", s)
	}
	var info ordorpc.InfoResult
	r.call(&info, "ordo_info")
	if info.Name != "kv" || info.Mode != "go" || info.BlockTime != 2000 || info.Payer != "ordo1" || info.RollupID != ordorpc.Hash(rollupID) {
		t.Errorf("info: %+v", info)
	}
	if err := r.rpc.Call(nil, "ordo_sendTransaction", hexutil.Bytes{}); err == nil || !strings.Contains(err.Error(), "transaction is empty") {
		t.Errorf("empty transaction: %v", err)
	}
}

// TestNotNotedYet: who asks between a block and the node's note of it waits for a moment.
func TestNotNotedYet(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	tx := []byte("set a=1")
	r.call(nil, "ordo_sendTransaction", hexutil.Bytes(tx))
	r.sentOn(1)
	r.mu.Lock()
	r.lag = 2
	r.mu.Unlock()
	r.order()
	failed := make(chan error, 2)
	for method, arg := range map[string]any{"ordo_getInclusionProof": ordorpc.Hash(sha256.Sum256(tx)), "ordo_getBlockBundles": "latest"} {
		go func() { failed <- r.rpc.Call(nil, method, arg) }()
	}
	select {
	case err := <-failed:
		t.Errorf("answered before the height was noted: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	r.mu.Lock()
	r.lag = 0
	r.mu.Unlock()
	for range 2 {
		if err := await.Receive(t, "answer", failed); err != nil {
			t.Error(err)
		}
	}
}

// TestBlockBundles: a block's legs, with those of others, and what was left out.
func TestBlockBundles(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	r.order()
	var ref ordorpc.Hash
	args := map[string]any{"legs": []any{
		map[string]any{"rollup": "kv", "transactions": []hexutil.Bytes{hexutil.Bytes("set b=1"), hexutil.Bytes("bad b")}},
		map[string]any{"rollup": "other", "transactions": []hexutil.Bytes{hexutil.Bytes("x")}},
	}}
	r.call(&ref, "ordo_sendBundle", args)
	r.sentOn(1)
	block := r.order()
	for _, at := range []any{"latest", hexutil.Uint64(block.Number), block.Number} {
		var b *ordorpc.BlockBundles
		r.call(&b, "ordo_getBlockBundles", at)
		if b == nil || uint64(b.BlockNumber) != block.Number || uint64(b.FirstSequencerHeight) != block.From || uint64(b.LastSequencerHeight) != block.To || len(b.Bundles) != 1 {
			t.Fatalf("block %v: %+v", at, b)
		}
		l := b.Bundles[0]
		if !is(l.Applied) || l.Reason != "" || l.LegCount != 2 || len(l.Legs) != 2 || l.Legs[1].RollupID != ordorpc.Hash(order.NewRollupID("other")) ||
			!is(l.Transactions[0].Executed) || is(l.Transactions[1].Executed) || l.Transactions[1].Reason != "it is bad" || l.Terms != nil || l.Void {
			t.Errorf("leg: %+v", l)
		}
	}
	for _, at := range []any{"safe", "finalized", "earliest", 0} {
		var b *ordorpc.BlockBundles
		r.call(&b, "ordo_getBlockBundles", at)
		if b == nil || b.BlockNumber != 0 || len(b.Bundles) != 0 {
			t.Errorf("%v: %+v", at, b)
		}
	}
	var none *ordorpc.BlockBundles
	r.call(&none, "ordo_getBlockBundles", 99)
	if none != nil {
		t.Errorf("block 99: %+v", none)
	}
	for _, at := range []any{"pending", "soon", -1, nil} {
		if err := r.rpc.Call(nil, "ordo_getBlockBundles", at); err == nil {
			t.Errorf("%v was taken", at)
		}
	}
	// One that came through another gateway is found by its ID.
	var b *ordorpc.Bundle
	r.call(&b, "ordo_getBundle", ref)
	foreign := &order.Bundle{Payer: order.Payer{9}, Expiry: 100, FeeLimit: 1000, Legs: []order.Leg{{RollupID: rollupID, Transactions: [][]byte{[]byte("set c=1")}}}}
	r.mu.Lock()
	r.pool = append(r.pool, foreign)
	r.mu.Unlock()
	block = r.order()
	id := ordorpc.Hash(foreign.ID(chainID))
	r.call(&b, "ordo_getBundle", id)
	if b == nil || b.Ref != nil || b.Status != "ordered" || b.Reason != "" || b.BlockNumber == nil || uint64(*b.BlockNumber) != block.Number || len(b.Transactions) != 1 || uint64(*b.SequencerHeight) != block.To || len(b.Legs) != 1 || !is(b.Legs[0].Applied) {
		t.Errorf("another gateway's: %+v", b)
	}
	r.mu.Lock()
	r.firm = block.Number
	r.mu.Unlock()
	if r.call(&b, "ordo_getBundle", id); b.Status != "finalized" || b.FinalizedAt == nil {
		t.Errorf("another gateway's, finalized: %+v", b)
	}
	var s *ordorpc.BundleStatus
	if r.call(&s, "ordo_bundleStatus", id); s.Status != "finalized" || uint64(*s.BlockNumber) != block.Number {
		t.Errorf("its status alone: %+v", s)
	}
	// One whose transaction was executed by another one has the block's reason.
	again := &order.Bundle{Payer: order.Payer{9}, Expiry: 101, FeeLimit: 1000, Legs: []order.Leg{{RollupID: rollupID, Transactions: [][]byte{[]byte("bad again")}}}}
	r.mu.Lock()
	r.pool = append(r.pool, again)
	r.mu.Unlock()
	r.order()
	if r.call(&b, "ordo_getBundle", ordorpc.Hash(again.ID(chainID))); b.Status != "ordered" || b.Reason != "it is bad" || is(b.Legs[0].Applied) || b.Legs[0].Reason != "it is bad" {
		t.Errorf("left out: %+v", b)
	}
	// What was read of the order once is not fetched again.
	r.mu.Lock()
	before := r.fetched
	r.mu.Unlock()
	for range 20 {
		r.call(&b, "ordo_getBundle", id)
	}
	if r.mu.Lock(); r.fetched != before {
		t.Errorf("%d blocks were fetched again", r.fetched-before)
	}
	r.mu.Unlock()
}

// TestBundleRefusals: what cannot become a bundle is refused with the reason.
func TestBundleRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	leg := func(rollup string, more ...any) map[string]any {
		l := map[string]any{"rollup": rollup, "transactions": []hexutil.Bytes{hexutil.Bytes("x")}}
		for i := 0; i+1 < len(more); i += 2 {
			l[more[i].(string)] = more[i+1]
		}
		return l
	}
	legs := func(l ...any) map[string]any { return map[string]any{"legs": l} }
	many := make([]any, 65)
	for i := range many {
		many[i] = leg("r" + strings.Repeat("i", i))
	}
	with := func(m map[string]any, name string, v any) map[string]any { m[name] = v; return m }
	for _, c := range []struct {
		name string
		args map[string]any
		want string
	}{
		{"no legs", legs(), "bundle has 0 legs, want 1 to 64"},
		{"many legs", legs(many...), "bundle has 65 legs"},
		{"none for this rollup", legs(leg("other")), "no leg is for this rollup, kv (0x"},
		{"two for one", legs(leg("kv"), leg("0x"+rollupID.String())), "a second leg of rollup"},
		{"no rollup", legs(leg("")), "no rollup"},
		{"short ID", legs(leg("0x1234")), "rollup ID has 2 bytes, want 32"},
		{"no hex", legs(leg("0xyz")), "rollup ID \"0xyz\""},
		{"no transactions", legs(leg("kv", "transactions", []string{})), "leg 0: no transactions"},
		{"empty transaction", legs(leg("kv", "transactions", []string{"0x"})), "leg 0 (rollup kv), transaction 0 (0x): transaction is empty; want it signed"},
		{"terms", legs(leg("kv", "transactions", []hexutil.Bytes{append([]byte("\xffordo\x01\x00"), make([]byte, 32)...)})), "no transaction but terms"},
		{"conditions", with(legs(leg("kv")), "maxBlock", 5), "rollup kv does not know conditions"},
		{"as one", legs(leg("kv", "revertingTxHashes", []string{})), "rollup kv does not know conditions"},
		{"range", with(with(legs(leg("kv")), "maxBlock", 5), "minBlock", "0x6"), "the first block allowed, 6, is after the last, 5"},
		{"guessable", with(legs(leg("kv")), "replacement", "mine"), "replacement has 4 characters, want 16"},
	} {
		if err := r.rpc.Call(nil, "ordo_sendBundle", c.args); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
	if err := r.rpc.Call(nil, "ordo_cancelBundle", map[string]any{"replacement": "nobody sent one by it"}); err == nil || !strings.Contains(err.Error(), "no bundle is known by this name") {
		t.Errorf("cancel: %v", err)
	}
}

// TestHTTP: whoever calls over HTTP is answered as a browser and a health check expect.
func TestHTTP(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *ordorpc.Config) {
		c.Settings.CORS, c.Settings.VHosts = []string{"https://app.example"}, []string{"node.example"}
		c.VM = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, io.MultiReader(strings.NewReader(r.URL.Path+" "), r.Body))
		})
	})
	do := func(method, path, host, origin, kind, body string) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		for k, v := range map[string]string{"Origin": origin, "Content-Type": kind} {
			if v != "" {
				req.Header.Set(k, v)
			}
		}
		if method == http.MethodOptions {
			req.Header.Set("Access-Control-Request-Method", "POST")
			req.Header.Set("Access-Control-Request-Headers", "content-type")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		out, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header, string(out)
	}
	const info, kind = `{"jsonrpc":"2.0","id":1,"method":"ordo_info"}`, "application/json"
	for _, c := range []struct {
		name, host, origin, kind string
		code                     int
		allow                    string
	}{
		{"by address", "", "", kind, 200, ""},
		{"by name", "node.example", "", kind, 200, ""},
		{"by name and port", "Node.Example:80", "", kind, 200, ""},
		{"by a foreign name", "evil.example", "", kind, 403, ""},
		{"by IPv6", "[::1]:80", "", kind, 200, ""},
		{"from a page", "", "https://app.example", kind, 200, "https://app.example"},
		{"from another page", "", "https://evil.example", kind, 200, ""},
		{"as a form", "", "", "text/plain", 415, ""},
	} {
		code, header, body := do(http.MethodPost, "/", c.host, c.origin, c.kind, info)
		if code != c.code || header.Get("Access-Control-Allow-Origin") != c.allow || code == 200 && !strings.Contains(body, `"name":"kv"`) {
			t.Errorf("%s: %d, %v, %s", c.name, code, header, body)
		}
	}
	code, header, _ := do(http.MethodOptions, "/", "", "https://app.example", "", "")
	if code != 204 || header.Get("Access-Control-Allow-Headers") != "content-type" || !strings.Contains(header.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("preflight: %d, %v", code, header)
	}
	if code, _, body := do(http.MethodPost, "/vm/get/a", "", "", "", "hello"); code != 200 || body != "/get/a hello" {
		t.Errorf("VM: %d, %s", code, body)
	}
	if code, _, _ := do(http.MethodPost, "/vm/get/a", "evil.example", "", "", "hello"); code != 403 {
		t.Errorf("VM by a foreign name: %d", code)
	}
	code, _, body := do(http.MethodGet, "/health", "", "", "", "")
	var health map[string]any
	if err := json.Unmarshal([]byte(body), &health); err != nil || code != 200 || health["status"] != "ok" || health["rollup"] != "kv" {
		t.Errorf("health: %d, %s", code, body)
	}
	r.mu.Lock()
	r.unfunded = true
	r.mu.Unlock()
	r.call(nil, "ordo_sendTransaction", hexutil.Bytes("x"))
	await.Until(t, "unfunded", func() bool { code, _, _ := do(http.MethodGet, "/health", "", "", "", ""); return code == 503 })
	if err := r.rpc.Call(nil, "ordo_sendTransaction", hexutil.Bytes("y")); err == nil || !strings.Contains(err.Error(), gateway.ErrUnfunded.Error()) {
		t.Errorf("while unfunded: %v", err)
	}
	if code, _, _ := do(http.MethodPost, "/", "", "", kind, `{"jsonrpc":"2.0","id":1,"method":"`+string(bytes.Repeat([]byte("x"), ordorpc.MaxBody))+`"}`); code == 200 {
		t.Errorf("a body above the bound: %d", code)
	}
}

// TestSilentClient: where the rollup's client does not say what it skips, nobody is told that
// a transaction was executed, nor that it was not.
func TestSilentClient(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *ordorpc.Config) { c.Backend.Silent = func() bool { return true } })
	var hash, ref ordorpc.Hash
	r.call(&hash, "ordo_sendTransaction", hexutil.Bytes("one"))
	if s := r.status(hash); s.Executed == nil || *s.Executed {
		t.Errorf("before it is ordered: %+v", s)
	}
	r.sentOn(1)
	block := r.order()
	r.call(&ref, "ordo_sendBundle", map[string]any{"legs": []any{map[string]any{"rollup": "kv", "transactions": []any{hexutil.Bytes("two")}}}})
	r.sentOn(1)
	r.order()
	if s := r.status(hash); s.Status != "ordered" || s.Executed != nil || s.BlockNumber == nil || uint64(*s.BlockNumber) != block.Number || s.Reason != "" {
		t.Errorf("ordered: %+v", s)
	}
	var b *ordorpc.Bundle
	r.call(&b, "ordo_getBundle", ref)
	if b.Status != "ordered" || b.Reason != "" || len(b.Transactions) != 1 || b.Transactions[0].Executed != nil || len(b.Legs) != 1 || b.Legs[0].Applied != nil || b.Legs[0].Reason != "" {
		t.Errorf("bundle: %+v", b)
	}
	// What was kept from it is known.
	r.call(&hash, "ordo_sendTransaction", hexutil.Bytes("bad"))
	r.sentOn(1)
	r.order()
	if s := r.status(hash); s.Executed == nil || *s.Executed || s.Reason != "it is bad" {
		t.Errorf("skipped: %+v", s)
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ordo-network/ordo/devnet"
	"github.com/ordo-network/ordo/execution/terms"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/receipt"
	"github.com/ordo-network/ordo/internal/jsonrpc"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/order"
)

// methods returns a client of a server that answers each method with its result, and with
// null what it does not know. It notes the parameters of each method's last call.
func methods(t *testing.T, results map[string]string) (*jsonrpc.Client, map[string]string) {
	t.Helper()
	asked := make(map[string]string) // calls come one at a time
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct {
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
		}
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			t.Error(err)
		}
		asked[call.Method] = string(call.Params)
		result := results[call.Method]
		if result == "" {
			result = "null"
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"jsonrpc": "2.0", "id": 1, "result": json.RawMessage(result)})
	}))
	t.Cleanup(s.Close)
	return jsonrpc.New(s.URL, rpcTimeout), asked
}

func TestParseLegs(t *testing.T) {
	t.Parallel()
	alpha := order.NewRollupID("alpha")
	legs, err := parseLegs([]string{"alpha=0x01, 0x0203", "0x" + alpha.String() + "=0x04"})
	if err != nil {
		t.Fatal(err)
	}
	if len(legs) != 2 || legs[0].id != alpha || legs[1].id != alpha || !bytes.Equal(legs[0].txs[1], []byte{2, 3}) || len(legs[1].txs) != 1 {
		t.Errorf("legs are %+v", legs)
	}
	for typed, want := range map[string]string{
		"alpha":                    "want ROLLUP=",
		"=0x01":                    "want ROLLUP=",
		"alpha=":                   "want ROLLUP=",
		"alpha=01":                 "transaction 0 is not",
		"alpha=0x01,0x":            "transaction 1 is not",
		"alpha=0x01,0xzz":          "transaction 1 is not",
		"0x01=0x01":                "1 bytes, want 32",
		"0xzz=0x01":                "64 hexadecimal digits",
		"0x" + zeros(64) + "=0x01": "zero",
	} {
		if _, err := parseLegs([]string{typed}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", typed, err, want)
		}
	}
}

func zeros(n int) string { return strings.Repeat("0", n) }

func TestBundleIsSentToANodeOfIt(t *testing.T) {
	t.Parallel()
	node, params := methods(t, map[string]string{"ordo_sendBundle": `"0x0a"`})
	legs, err := parseLegs([]string{"other=0x01", "beta=0x02,0x03"})
	if err != nil {
		t.Fatal(err)
	}
	e := &devnet.Endpoints{Rollups: []devnet.RollupEndpoint{{Name: "alpha", RPC: "http://alpha"}, {Name: "beta", RPC: node.URL}}}
	rpc, err := nodeOf(e, legs)
	if err != nil || rpc != node.URL {
		t.Fatalf("node %q, %v", rpc, err)
	}
	if _, err := nodeOf(e, legs[:1]); err == nil {
		t.Error("a node for a rollup that the network does not run")
	}
	var out strings.Builder
	if err := (sendBundleOptions{rpc: rpc, allOrNothing: true}).toNode(context.Background(), &out, legs); err != nil {
		t.Fatal(err)
	}
	want := `[{"legs":[{"rollup":"other","transactions":["0x01"]},{"rollup":"beta","transactions":["0x02","0x03"]}],"allOrNothing":true}]`
	if params["ordo_sendBundle"] != want || !strings.Contains(out.String(), "accepted as 0x0a\n") {
		t.Errorf("it sent %s and told %s", params, out.String())
	}
}

func TestMakeBundle(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	legs, err := parseLegs([]string{"alpha=0x01", "beta=0x02"})
	if err != nil {
		t.Fatal(err)
	}
	info := gateway.Info{ChainID: "c", Height: 100, MaxExpiryBlocks: 80, FeePerKilobyte: 1000}
	b, err := makeBundle(legs, true, info, key)
	if err != nil {
		t.Fatal(err)
	}
	if b.Expiry != 170 || b.FeeLimit < uint64(b.Size()) || b.FeeLimit > 3*uint64(b.Size()) {
		t.Errorf("expiry %d, fee limit %d of %d bytes", b.Expiry, b.FeeLimit, b.Size())
	}
	for i, leg := range b.Legs {
		tm, is, err := terms.Decode(leg.Transactions[0])
		if !is || err != nil || !tm.AllOrNothing || !bytes.Equal(leg.Transactions[1], []byte{byte(i + 1)}) {
			t.Errorf("leg %d: %x, %v", i, leg.Transactions, err)
		}
	}
	b.Sign("c", order.Owner{1}, key)
	if _, valid := order.VerifySummaries("c", order.Owner{1}, []order.BundleSummary{b.Summary()}); !valid[0] {
		t.Error("the bundle's signature does not hold")
	}
	if b, err := makeBundle(legs, false, info, key); err != nil || len(b.Legs[0].Transactions) != 1 {
		t.Errorf("without terms: %x, %v", b.Legs, err)
	}
	if _, err := makeBundle(append(legs, legs[0]), false, info, key); err == nil {
		t.Error("two legs for one rollup: no error")
	}
}

func TestBundleStatus(t *testing.T) {
	t.Parallel()
	none, _ := methods(t, nil)
	node, _ := methods(t, map[string]string{"ordo_bundleStatus": `{"ref":"0x0a","bundleId":"0x0b","status":"ordered","reason":"","sequencerHeight":"0xc",
		"blockNumber":"0x9","receivedAt":"0x3e8","orderedAt":"0x44c","transactions":[{"hash":"0x01","executed":true},{"hash":"0x02","executed":false,"reason":"no gas"}]}`})
	var out strings.Builder
	if err := printBundleStatus(context.Background(), &out, []*jsonrpc.Client{none, node}, someHash); err != nil {
		t.Fatal(err)
	}
	want := `status     ordered
reference  0x0a
bundle     0x0b
height     12 of the order
block      9 of this rollup
received   T
ordered    T
  0x01  executed
  0x02  not executed: no gas
`
	if got := regexp.MustCompile(`\d\d:\d\d:\d\d\.\d{3}`).ReplaceAllString(out.String(), "T"); got != want {
		t.Errorf("it told\n%s\nwant\n%s", got, want)
	}
	err := printBundleStatus(context.Background(), &out, []*jsonrpc.Client{none}, someHash)
	if err == nil || !strings.Contains(err.Error(), "no node that was asked knows bundle") {
		t.Errorf("of an unknown one: %v", err)
	}
}

func TestBundleShowsAllLegs(t *testing.T) {
	t.Parallel()
	const legs = `"legs":[{"rollupId":"0xaa","transactions":"0x2","length":"0x9"},{"rollupId":"0xbb","transactions":"0x1","length":"0x9"},{"rollupId":"0xcc","transactions":"0x1","length":"0x9"}]`
	alpha, _ := methods(t, map[string]string{
		"ordo_info": `{"name":"alpha","rollupId":"0xaa"}`,
		"ordo_getBundle": `{"bundleId":"0x0b","status":"ordered","sequencerHeight":"0xc","blockNumber":"0x9","legs":[{"legIndex":"0x0","legCount":"0x3",` + legs + `,
			"applied":true,"transactions":[{"hash":"0x01","executed":true}]}]}`,
	})
	beta, asked := methods(t, map[string]string{
		"ordo_info":              `{"name":"beta","rollupId":"0xbb"}`,
		"ordo_transactionStatus": `{"status":"ordered","executed":true,"blockNumber":"0x7"}`,
		"ordo_getBundle": `{"bundleId":"0x0b","status":"ordered","sequencerHeight":"0xc","legs":[{"legIndex":"0x1","legCount":"0x3",` + legs + `,
			"applied":true,"transactions":[{"hash":"0x02","executed":false,"reason":"no funds"},{"hash":"0x03","executed":true}]}]}`,
	})
	var out strings.Builder
	if err := showBundle(context.Background(), &out, []*jsonrpc.Client{alpha, beta}, someHash); err != nil {
		t.Fatal(err)
	}
	want := `bundle 0x0b, 3 legs, ordered at height 12
  leg 0, rollup alpha (0xaa), 2 transactions
    block 9, applied
    0x01  executed
  leg 1, rollup beta (0xbb), 1 transaction
    block 7, applied
    0x02  not executed: no funds
    0x03  executed
  leg 2, rollup 0xcc, 1 transaction
    its rollup's node was not asked: name it with --rpc
`
	if out.String() != want {
		t.Errorf("it told\n%s\nwant\n%s", out.String(), want)
	}
	if asked["ordo_getBundle"] != `["0x0b"]` || asked["ordo_transactionStatus"] != `["0x03"]` {
		t.Errorf("the second, which does not know it by its reference, was asked for %v", asked)
	}
	out.Reset()
	refused, _ := methods(t, map[string]string{
		"ordo_info": `{"name":"alpha","rollupId":"0xaa"}`,
		"ordo_getBundle": `{"bundleId":"0x0b","sequencerHeight":"0xc","blockNumber":"0x9","legs":[{"legIndex":"0x0","legCount":"0x1","legs":[{"rollupId":"0xaa","transactions":"0x2"}],
			"applied":false,"reason":"leg not applied","transactions":[{"hash":"0x01","executed":false,"reason":"leg not applied"}]}]}`,
	})
	if err := showBundle(context.Background(), &out, []*jsonrpc.Client{refused}, someHash); err != nil || !strings.HasSuffix(out.String(), "block 9, not applied: leg not applied\n    0x01  not executed\n") {
		t.Errorf("of one that was not applied it told %s, %v", out.String(), err)
	}
	out.Reset()
	dropped, _ := methods(t, map[string]string{"ordo_getBundle": `{"status":"dropped","reason":"cancelled","legs":[]}`})
	if err := showBundle(context.Background(), &out, []*jsonrpc.Client{dropped}, someHash); err != nil || !strings.Contains(out.String(), "dropped: cancelled") {
		t.Errorf("of one that was dropped it told %s, %v", out.String(), err)
	}
	out.Reset()
	printTransactions(&out, []bundleTransaction{{Hash: "0x04"}}, true)
	if out.String() != "  0x04  "+handedOver+"\n" {
		t.Errorf("where nobody knows it told %q", out.String())
	}
}

func TestReceiptIsChecked(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	payer := keys.Address(key.Public().(ed25519.PublicKey))
	r := receipt.Receipt{ChainID: "ordo-1", RollupID: order.NewRollupID("alpha"), Received: 1_700_000_000_123}
	r.TxHash = [32]byte(bytes.Repeat([]byte{0x11}, 32))
	r.Sign(key)
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	info := func(rollup, chain, payer string) string {
		return fmt.Sprintf(`{"rollupId":"0x%s","sequencerChainId":%q,"payer":%q}`, order.NewRollupID(rollup), chain, payer)
	}
	ask := func(o receiptOptions, receipt, info string) (string, error) {
		none, _ := methods(t, nil)
		node, _ := methods(t, map[string]string{"ordo_getReceipt": receipt, "ordo_info": info})
		var out strings.Builder
		err := o.fetch(context.Background(), &out, []*jsonrpc.Client{none, node}, someHash)
		return out.String(), err
	}
	file := filepath.Join(t.TempDir(), "receipt.json")
	out, err := ask(receiptOptions{save: file}, string(raw), info("alpha", "ordo-1", payer))
	if err != nil || !strings.Contains(out, "at 2023-11-14T22:13:20.123Z") || !strings.Contains(out, "by whom the node says that it is\nkept in") {
		t.Errorf("it told %s, %v", out, err)
	}
	for name, x := range map[string]struct {
		o             receiptOptions
		receipt, info string
		want          string
	}{
		"another payer":       {receiptOptions{payer: "ordo1x"}, string(raw), info("alpha", "ordo-1", "ordo1x"), "want ordo1x"},
		"not the node's":      {receiptOptions{}, string(raw), info("alpha", "ordo-1", "ordo1x"), "want ordo1x"},
		"another rollup":      {receiptOptions{}, string(raw), info("beta", "ordo-1", payer), "the node's are"},
		"another chain":       {receiptOptions{}, string(raw), info("alpha", "ordo-2", payer), "the node's are"},
		"another transaction": {receiptOptions{}, strings.Replace(string(raw), "0x1111", "0x2222", 1), info("alpha", "ordo-1", payer), "does not verify"},
		"unknown":             {receiptOptions{}, "null", info("alpha", "ordo-1", payer), "no node that was asked accepted"},
		"malformed":           {receiptOptions{}, `{"chainId":1}`, info("alpha", "ordo-1", payer), "decode receipt"},
	} {
		if out, err := ask(x.o, x.receipt, x.info); err == nil || !strings.Contains(err.Error(), x.want) || strings.Contains(out, "verified:") {
			t.Errorf("%s: it told %s, %v, want %q", name, out, err, x.want)
		}
	}

	var kept strings.Builder
	if err := (receiptOptions{file: file, payer: payer}).check(&kept, someHash); err != nil || !strings.Contains(kept.String(), "by the payer that you named") {
		t.Errorf("of the kept one it told %s, %v", kept.String(), err)
	}
	other := txHash("0x" + strings.Repeat("2", 64))
	if err := (receiptOptions{file: file}).check(&kept, other); err == nil || !strings.Contains(err.Error(), "is for transaction 0x1111") {
		t.Errorf("for another transaction: %v", err)
	}
	if err := os.WriteFile(file, raw[:40], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (receiptOptions{file: file}).check(&kept, someHash); err == nil || !strings.Contains(err.Error(), "receipt.json: ") {
		t.Errorf("half a file: %v", err)
	}
}

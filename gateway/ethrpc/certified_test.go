package ethrpc_test

import (
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/gateway/receipt"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// TestCertifiedTransactions: each is told once, when the pending block takes it in or,
// where that was not seen, when a block holds it.
func TestCertifiedTransactions(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.order()
	ws := socket(t, r)
	hashes, full := make(chan common.Hash, 1000), make(chan map[string]any, 1000)
	if _, err := ws.EthSubscribe(t.Context(), hashes, "certifiedTransactions"); err != nil {
		t.Fatal(err)
	}
	if _, err := ws.EthSubscribe(t.Context(), full, "certifiedTransactions", true); err != nil {
		t.Fatal(err)
	}
	// More at once than a subscriber may be behind.
	var many []*types.Transaction
	for n := range uint64(600) {
		many = append(many, transfer(0, n, nil))
	}
	r.certify(many...)
	for i, tx := range many {
		if got := await.Receive(t, "certified", hashes); got != tx.Hash() {
			t.Fatalf("transaction %d is %s, want %s", i, got, tx.Hash())
		}
		if got := await.Receive(t, "certified in full", full); got["hash"] != tx.Hash().Hex() || got["from"] == nil {
			t.Fatalf("transaction %d in full is %v", i, got)
		}
	}
	direct := transfer(1, 0, nil)
	r.mustSend(many[0], direct)
	r.sentOn(1)
	await.Until(t, "both ordered", func() bool { r.order(); s := r.status(direct.Hash()); return is(s.Executed) })
	if got := await.Receive(t, "ordered", hashes); got != direct.Hash() {
		t.Errorf("ordered: %s, want %s alone", got, direct.Hash())
	}
}

// TestPendingLogsAndOverrides: logs of the pending block come last, and calls on it may
// change the block.
func TestPendingLogsAndOverrides(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.order()
	at := crypto.CreateAddress(address(0), 0)
	use := func(nonce uint64) *types.Transaction {
		return transfer(0, nonce, func(tx *types.DynamicFeeTx) {
			tx.To, tx.Gas, tx.Value, tx.Data = &at, 100_000, new(big.Int), []byte{1, 2, 3}
		})
	}
	ordered := []*types.Transaction{create(0, 0), use(1)}
	r.mustSend(ordered...)
	await.Until(t, "ordered", func() bool { r.order(); s := r.status(ordered[1].Hash()); return is(s.Executed) })
	certified := use(2)
	r.certify(certified)
	logs := func(from, to string, more map[string]any) (txs []common.Hash) {
		query := map[string]any{"fromBlock": from, "toBlock": to}
		for k, v := range more {
			query[k] = v
		}
		var got []map[string]any
		r.call(&got, "eth_getLogs", query)
		for _, log := range got {
			hash := common.HexToHash(log["transactionHash"].(string))
			if (log["blockHash"] == nil) != (hash == certified.Hash()) {
				t.Errorf("block hash of the log of %s is %v", hash, log["blockHash"])
			}
			txs = append(txs, hash)
		}
		return txs
	}
	for _, c := range []struct {
		from, to string
		more     map[string]any
		want     []common.Hash
	}{
		{"earliest", "latest", nil, []common.Hash{ordered[1].Hash()}},
		{"earliest", "pending", nil, []common.Hash{ordered[1].Hash(), certified.Hash()}},
		{"pending", "pending", nil, []common.Hash{certified.Hash()}},
		{"earliest", "pending", map[string]any{"address": at}, []common.Hash{ordered[1].Hash(), certified.Hash()}},
		{"earliest", "pending", map[string]any{"address": common.Address{1}}, nil},
		{"pending", "pending", map[string]any{"topics": []common.Hash{{1}}}, nil},
	} {
		if got := logs(c.from, c.to, c.more); !slices.Equal(got, c.want) {
			t.Errorf("logs from %s to %s, %v: %v, want %v", c.from, c.to, c.more, got, c.want)
		}
	}
	many := make([]common.Address, 1001)
	for _, c := range []struct {
		query map[string]any
		want  string
	}{
		{map[string]any{"address": many}, "exceed max addresses or topics per search position"},
		{map[string]any{"topics": [][]common.Hash{make([]common.Hash, 1001)}}, "exceed max topics"},
		{map[string]any{"topics": make([]common.Hash, 5)}, "exceed max topics"},
	} {
		for _, method := range []string{"eth_getLogs", "eth_newFilter"} {
			if err := r.rpc.Call(nil, method, c.query); err == nil || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", method, err, c.want)
			}
		}
	}
	var raw hexutil.Bytes
	r.call(&raw, "eth_getRawTransactionByBlockNumberAndIndex", "pending", "0x0")
	if crypto.Keccak256Hash(raw) != certified.Hash() {
		t.Errorf("raw pending transaction %x", raw)
	}
	// Code that returns one word of the block.
	for opcode, o := range map[string]struct{ name, value, want string }{
		"43": {"number", "0x1234", "0x1234"}, "42": {"time", "0x5678", "0x5678"}, "45": {"gasLimit", "0x9abc", "0x9abc"},
		"41": {"feeRecipient", address(7).Hex(), address(7).Hex()}, "44": {"prevRandao", common.HexToHash("0xde").Hex(), "0xde"},
	} {
		var out hexutil.Bytes
		code := hexutil.Bytes(common.FromHex(opcode + "60005260206000f3"))
		r.call(&out, "eth_call", map[string]any{"to": address(8), "gas": "0x7000"}, "pending",
			map[string]any{address(8).Hex(): map[string]any{"code": code}}, map[string]any{o.name: o.value})
		if common.BytesToHash(out) != common.HexToHash(o.want) {
			t.Errorf("%s is %x, want %s", o.name, out, o.want)
		}
	}
}

// TestStatusSubscription follows a transaction from acceptance to finality without asking.
func TestStatusSubscription(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.order()
	ws := socket(t, r)
	tx := transfer(0, 0, nil)
	states := make(chan *ordorpc.Status, 100)
	if _, err := ws.Subscribe(t.Context(), "ordo", states, "transactionStatus", tx.Hash()); err != nil {
		t.Fatal(err)
	}
	same := make(chan *ordorpc.Status, 100)
	if _, err := ws.EthSubscribe(t.Context(), same, "transactionStatus", tx.Hash()); err != nil {
		t.Fatal(err)
	}
	expect := func(want string) *ordorpc.Status {
		t.Helper()
		s := await.Receive(t, want, states)
		if s.Status != want || s.Hash != ordorpc.Hash(tx.Hash()) {
			t.Fatalf("status is %+v, want %s", s, want)
		}
		if s := await.Receive(t, want, same); s.Status != want {
			t.Fatalf("by eth_subscribe it is %+v, want %s", s, want)
		}
		return s
	}
	r.mustSend(tx)
	expect("received")
	r.sentOn(1)
	r.mu.Lock()
	id := r.pool[0].ID
	r.mu.Unlock()
	r.gateway.Certified(id)
	expect("certified")
	head := r.order()
	if s := expect("ordered"); !is(s.Executed) || uint64(*s.BlockNumber) != head.Number || s.CertifiedAt == nil || s.OrderedAt == nil {
		t.Errorf("ordered: %+v", s)
	}
	r.mu.Lock()
	r.firm = head.Height
	r.mu.Unlock()
	if err := r.evm.SetFirm(t.Context(), head.Hash); err != nil {
		t.Fatal(err)
	}
	if s := expect("finalized"); s.FinalizedAt == nil {
		t.Errorf("finalized: %+v", s)
	}

	var signed *receipt.Receipt
	r.call(&signed, "ordo_getReceipt", tx.Hash())
	if signed == nil || signed.Verify() != nil || signed.TxHash != [32]byte(tx.Hash()) || signed.ChainID != sequencerChain || signed.RollupID != rollupID {
		t.Errorf("receipt: %+v", signed)
	}
	var none *receipt.Receipt
	r.call(&none, "ordo_getReceipt", common.Hash{1})
	if none != nil {
		t.Errorf("receipt of what was never sent: %+v", none)
	}
}

// TestBundleOverRollups: a bundle with legs for several rollups goes out as one, and
// the block tells of the others.
func TestBundleOverRollups(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.order()
	tx := transfer(0, 0, nil)
	leg := func(rollup string, txs ...hexutil.Bytes) map[string]any {
		return map[string]any{"rollup": rollup, "transactions": txs}
	}
	beta := order.NewRollupID("beta")
	args := map[string]any{"legs": []any{leg("beta", hexutil.Bytes("one"), hexutil.Bytes("two")), leg("alpha", raws(t, tx)...), leg("0x"+order.NewRollupID("gamma").String(), hexutil.Bytes("three"))}}
	var ref ordorpc.Hash
	r.call(&ref, "ordo_sendBundle", args)
	r.sentOn(1)
	r.mu.Lock()
	bundle := r.pool[0].Bundle
	r.mu.Unlock()
	if len(bundle.Legs) != 3 || bundle.Legs[0].RollupID != beta || bundle.Legs[1].RollupID != rollupID || string(bundle.Legs[0].Transactions[1]) != "two" || len(bundle.Legs[1].Transactions) != 1 {
		t.Fatalf("bundle %+v", bundle)
	}
	head := r.order()
	var b *ordorpc.Bundle
	r.call(&b, "ordo_getBundle", ref)
	if b == nil || b.Status != "ordered" || uint64(*b.BlockNumber) != head.Number || !is(b.Transactions[0].Executed) || len(b.Legs) != 1 {
		t.Fatalf("bundle: %+v", b)
	}
	if l := b.Legs[0]; l.LegIndex != 1 || l.LegCount != 3 || len(l.Legs) != 3 || l.Legs[0].RollupID != ordorpc.Hash(beta) || l.Legs[0].Transactions != 2 || !is(l.Applied) || l.Terms != nil {
		t.Errorf("leg: %+v", l)
	}
	if r.receipt(tx).Status != 1 {
		t.Error("not executed")
	}

	// All or nothing: each leg says so; a node that runs one rollup alone applies nothing.
	args["allOrNothing"] = true
	args["legs"].([]any)[1] = leg("alpha", raws(t, transfer(0, 1, nil))...)
	r.call(&ref, "ordo_sendBundle", args)
	r.sentOn(1)
	r.mu.Lock()
	bundle = r.pool[0].Bundle
	r.mu.Unlock()
	for i, l := range bundle.Legs {
		if string(l.Transactions[0][:5]) != "\xffordo" {
			t.Errorf("leg %d has no terms", i)
		}
	}
	r.order()
	r.call(&b, "ordo_getBundle", ref)
	if is(b.Legs[0].Applied) || b.Legs[0].Terms == nil || !b.Legs[0].Terms.AllOrNothing || b.Legs[0].Reason == "" || b.Legs[0].Reason != b.Transactions[0].Reason {
		t.Errorf("all or nothing: %+v", b)
	}
}

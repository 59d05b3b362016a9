package ethrpc_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// TestBundle: a searcher's transactions are executed together, and the block shows it.
func TestBundle(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.order() // the gateway learns where the head is
	txs := []*types.Transaction{transfer(0, 0, nil), transfer(1, 0, nil), transfer(0, 1, nil)}
	args := map[string]any{"txs": raws(t, txs...), "blockNumber": "0x1", "maxBlockNumber": "0x20", "minTimestamp": 0, "maxTimestamp": 4102444800}
	var got, again sent
	if err := r.searcher(2, &got, "eth_sendBundle", args); err != nil {
		t.Fatal(err)
	}
	if err := r.searcher(2, &again, "eth_sendBundle", args); err != nil || again != got {
		t.Errorf("the same bundle again: %v, %v", again, err)
	}
	if s := r.bundleStatus(got.BundleHash); s == nil || s.Status != "received" || len(s.Transactions) != 3 {
		t.Errorf("received: %+v", s)
	}
	r.sentOn(1)
	head := r.order()
	s := r.bundleStatus(got.BundleHash)
	if s.Status != "ordered" || s.BundleID == nil || s.BlockNumber == nil || uint64(*s.BlockNumber) != head.Number || uint64(*s.SequencerHeight) != head.Height {
		t.Fatalf("ordered: %+v", s)
	}
	for i, tx := range txs {
		if receipt := r.receipt(tx); receipt.Status != 1 || receipt.TransactionIndex != uint(i) || receipt.BlockNumber.Uint64() != head.Number {
			t.Errorf("receipt %d: %+v", i, receipt)
		}
		if !is(s.Transactions[i].Executed) || s.Transactions[i].Hash != ordorpc.Hash(tx.Hash()) {
			t.Errorf("transaction %d: %+v", i, s.Transactions[i])
		}
		if s := r.status(tx.Hash()); s.Status != "ordered" || s.BundleID == nil {
			t.Errorf("status of transaction %d: %+v", i, s)
		}
	}
	var block ordorpc.BlockBundles
	r.call(&block, "ordo_getBlockBundles", hexutil.Uint64(head.Number))
	if len(block.Bundles) != 1 || block.BlockHash != ordorpc.Hash(head.Hash) || uint64(block.LastSequencerHeight) != head.Height {
		t.Fatalf("block: %+v", block)
	}
	leg := block.Bundles[0]
	if leg.BundleID != *s.BundleID || leg.LegCount != 1 || len(leg.Legs) != 1 || leg.Legs[0].Transactions != 4 || !is(leg.Applied) || len(leg.Transactions) != 3 ||
		leg.Terms == nil || leg.Terms.MaxBlock != 0x20 || leg.Terms.MaxTimestamp != 4102444800 {
		t.Errorf("leg: %+v", leg)
	}
	for _, name := range []ordorpc.Hash{*s.Ref, *s.BundleID} {
		var b *ordorpc.Bundle
		r.call(&b, "ordo_getBundle", name)
		if b == nil || len(b.Legs) != 1 || b.Legs[0].BundleID != leg.BundleID || !is(b.Legs[0].Applied) || b.Status != "ordered" {
			t.Errorf("bundle %s: %+v", name, b)
		}
	}
	if s := r.bundleStatus(common.Hash{1}); s != nil {
		t.Errorf("unknown bundle: %+v", s)
	}
	var proof *ordorpc.InclusionProof
	r.call(&proof, "ordo_getInclusionProof", txs[2].Hash())
	if proof.TransactionIndex != 3 { // the terms stand first
		t.Errorf("index in the leg is %d", proof.TransactionIndex)
	}
}

// TestBundleLeftOut: one transaction of a bundle reverts, so none is executed; and the
// reason can be asked for, by the bundle and by the block.
func TestBundleLeftOut(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.order()
	fine, fails := transfer(0, 0, nil), creation(1, 0, 0, revertingCode)
	var got sent
	r.call(&got, "eth_sendBundle", map[string]any{"txs": raws(t, fine, fails), "blockNumber": "0x1", "maxBlockNumber": "0x10"})
	r.sentOn(1)
	head := r.order()
	s := r.bundleStatus(got.BundleHash)
	if s.Status != "ordered" || s.Reason != s.Transactions[0].Reason || is(s.Transactions[0].Executed) || !strings.Contains(s.Transactions[0].Reason, "reverted") || !strings.Contains(s.Transactions[0].Reason, fails.Hash().Hex()) {
		t.Errorf("status: %+v", s)
	}
	if r, err := r.eth.TransactionReceipt(t.Context(), fine.Hash()); err == nil {
		t.Errorf("executed: %+v", r)
	}
	var block ordorpc.BlockBundles
	r.call(&block, "ordo_getBlockBundles", "latest")
	if uint64(block.BlockNumber) != head.Number || len(block.Bundles) != 1 || is(block.Bundles[0].Applied) || !strings.Contains(block.Bundles[0].Reason, "reverted") {
		t.Errorf("block: %+v", block)
	}

	// Allowed to revert, all of it is executed.
	r.call(&got, "eth_sendBundle", map[string]any{
		"txs": raws(t, fine, fails), "blockNumber": "0x1", "maxBlockNumber": "0x10", "revertingTxHashes": []common.Hash{fails.Hash()},
	})
	r.sentOn(1)
	r.order()
	if s := r.bundleStatus(got.BundleHash); s.Status != "ordered" || !is(s.Transactions[0].Executed) || !is(s.Transactions[1].Executed) {
		t.Errorf("with one that may revert: %+v", s)
	}
	if a, b := r.receipt(fine), r.receipt(fails); a.Status != 1 || b.Status != 0 {
		t.Errorf("receipts: %d, %d", a.Status, b.Status)
	}
}

// TestBundleTooLate: a bundle that is not ordered in time is not executed, wherever it
// was when its time passed.
func TestBundleTooLate(t *testing.T) {
	t.Parallel()
	r := start(t)
	next := r.order().Number + 1
	mine := func(account int) {
		r.mustSend(transfer(account, r.pendingNonce(account), nil))
		r.sentOn(1)
		r.order()
	}
	// Of the next block alone, and another one comes first.
	var sentOn, held sent
	r.call(&sentOn, "eth_sendBundle", map[string]any{"txs": raws(t, transfer(0, 0, nil)), "blockNumber": next})
	r.sentOn(1)
	r.mu.Lock()
	late := r.pool
	r.pool = nil
	r.mu.Unlock()
	mine(3)
	r.mu.Lock()
	r.pool = append(r.pool, late...)
	r.mu.Unlock()
	r.order()
	if s := r.bundleStatus(sentOn.BundleHash); s.Status != "ordered" || is(s.Transactions[0].Executed) || !strings.Contains(s.Transactions[0].Reason, fmt.Sprintf("after the last, %d", next)) {
		t.Errorf("ordered too late: %+v", s)
	}
	// Of a later block, held until then, and cancelled; and one whose block passes.
	if err := r.searcher(2, &held, "eth_sendBundle", map[string]any{"txs": raws(t, transfer(0, 0, nil)), "blockNumber": 1000, "replacementUuid": "5b7ffad4-1c3b"}); err != nil {
		t.Fatal(err)
	}
	if s := r.bundleStatus(held.BundleHash); s.Status != "held" {
		t.Errorf("held: %+v", s)
	}
	if err := r.searcher(3, nil, "eth_cancelBundle", map[string]any{"replacementUuid": "5b7ffad4-1c3b"}); err == nil || !strings.Contains(err.Error(), "no bundle is known") {
		t.Errorf("cancelled by somebody else: %v", err)
	}
	if err := r.rpc.Call(nil, "eth_cancelBundle", map[string]any{"replacementUuid": "5b7ffad4-1c3b"}); err == nil || !strings.Contains(err.Error(), "X-Flashbots-Signature") {
		t.Errorf("cancelled without signature: %v", err)
	}
	var cancelled []common.Hash
	if err := r.searcher(2, &cancelled, "eth_cancelBundle", map[string]any{"replacementUuid": "5b7ffad4-1c3b"}); err != nil || len(cancelled) != 1 || cancelled[0] != held.BundleHash {
		t.Fatalf("cancelled %v, %v", cancelled, err)
	}
	if s := r.bundleStatus(held.BundleHash); s.Status != "dropped" || !strings.Contains(s.Reason, "cancelled") {
		t.Errorf("cancelled: %+v", s)
	}
	// Again, and replaced.
	args := map[string]any{"txs": raws(t, transfer(0, 0, nil)), "blockNumber": 1000, "replacementUuid": "5b7ffad4-1c3b"}
	var again, instead sent
	if err := r.searcher(2, &again, "eth_sendBundle", args); err != nil || again == held {
		t.Fatalf("again: %v, %v", again, err)
	}
	args["blockNumber"] = 1001
	if err := r.searcher(2, &instead, "eth_sendBundle", args); err != nil {
		t.Fatal(err)
	}
	if a, b := r.bundleStatus(again.BundleHash), r.bundleStatus(instead.BundleHash); a.Status != "dropped" || !strings.Contains(a.Reason, "replaced") || b.Status != "held" {
		t.Errorf("replaced: %+v, %+v", a, b)
	}
}

// TestBundleRefusals: what cannot become a bundle is refused with the reason.
func TestBundleRefusals(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.mustSend(transfer(0, 0, nil))
	r.sentOn(1)
	r.order()
	tx := transfer(0, 1, nil)
	other := types.MustSignNewTx(key(0), types.LatestSignerForChainID(big.NewInt(1)), &types.DynamicFeeTx{ChainID: big.NewInt(1), Nonce: 1, Gas: 21000, To: &common.Address{}, GasFeeCap: big.NewInt(1e10)})
	terms := append([]byte("\xffordo\x01\x00"), make([]byte, 32)...)
	many := make([]*types.Transaction, 101)
	for i := range many {
		many[i] = transfer(0, uint64(i+1), nil)
	}
	for _, c := range []struct {
		name string
		args map[string]any
		want string
	}{
		{"nothing", map[string]any{"blockNumber": "0x5"}, "bundle has 0 transactions, want 1 to 100"},
		{"too many", map[string]any{"txs": raws(t, many...)}, "bundle has 101 transactions"},
		{"not a transaction", map[string]any{"txs": []string{"0x1234"}}, "transaction 0: transaction type not supported"},
		{"terms as a transaction", map[string]any{"txs": []hexutil.Bytes{terms}}, "transaction 0: these are terms and no transaction"},
		{"another chain's", map[string]any{"txs": raws(t, tx, other)}, "transaction 1: invalid sender"},
		{"executed", map[string]any{"txs": raws(t, transfer(0, 0, nil))}, "transaction 0: nonce too low"},
		{"twice", map[string]any{"txs": raws(t, tx, tx)}, "transaction 1 is there twice"},
		{"past block", map[string]any{"txs": raws(t, tx), "blockNumber": "0x1"}, "block 1 is past: the head is 1"},
		{"empty range", map[string]any{"txs": raws(t, tx), "blockNumber": "0x9", "maxBlockNumber": "0x8"}, "the first block allowed, 9, is after the last, 8"},
		{"past time", map[string]any{"txs": raws(t, tx), "maxTimestamp": 1000}, "bundle's time has passed"},
		{"stranger that may revert", map[string]any{"txs": raws(t, tx), "revertingTxHashes": []common.Hash{{1}}}, "may revert, and is not in the bundle"},
		{"dropping", map[string]any{"txs": raws(t, tx), "droppingTxHashes": []common.Hash{tx.Hash()}}, "droppingTxHashes is not offered"},
		{"refund", map[string]any{"txs": raws(t, tx), "refundPercent": 90}, "refundPercent is not offered"},
		{"unsigned name", map[string]any{"txs": raws(t, tx), "replacementUuid": "x"}, "replacementUuid needs the header X-Flashbots-Signature"},
		{"no number", map[string]any{"txs": raws(t, tx), "blockNumber": "five"}, "neither a number from 0 nor a hex quantity"},
		{"negative", map[string]any{"txs": raws(t, tx), "minTimestamp": -1}, "neither a number from 0 nor a hex quantity"},
	} {
		if err := r.rpc.Call(nil, "eth_sendBundle", c.args); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}

	body := []byte(`{"jsonrpc":"2.0","id":1,"method":"eth_cancelBundle","params":[{"replacementUuid":"x"}]}`)
	good := signature(1, body)
	for _, c := range []struct{ name, header, want string }{
		{"no signature", address(1).Hex(), "want an address, a colon and a signature"},
		{"short", address(1).Hex() + ":0x1234", "signature is not 65 bytes"},
		{"another's", address(2).Hex() + good[42:], "it was signed by " + address(1).Hex()},
		{"of something else", signature(1, []byte("other")), "it was signed by"},
		{"no point of the curve", address(1).Hex() + ":0x" + strings.Repeat("ff", 65), "signature: "},
		{"right", good, "no bundle is known by this name"},
	} {
		if err := r.signed(body, c.header, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
	// Methods that do not ask who calls do not mind.
	var id string
	if err := r.signed([]byte(`{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}`), "nonsense", &id); err != nil || id != "0x7a69" {
		t.Errorf("chain ID under a wrong signature: %s, %v", id, err)
	}
}

// TestBundlesOfSome: where the operator names who may send bundles, nobody else does.
func TestBundlesOfSome(t *testing.T) {
	t.Parallel()
	r := startIn(t, t.TempDir(), nil, strings.ToLower(address(2).Hex()))
	args := map[string]any{"txs": raws(t, transfer(0, 0, nil))}
	legs := map[string]any{"legs": []any{map[string]any{"rollup": "alpha", "transactions": raws(t, transfer(0, 0, nil))}}}
	for method, params := range map[string]any{"eth_sendBundle": args, "ordo_sendBundle": legs} {
		if err := r.rpc.Call(nil, method, params); err == nil || !strings.Contains(err.Error(), "sign the request") {
			t.Errorf("%s, not signed: %v", method, err)
		}
		if err := r.searcher(1, nil, method, params); err == nil || !strings.Contains(err.Error(), "rpc.bundles") {
			t.Errorf("%s of a stranger: %v", method, err)
		}
		if err := r.searcher(2, nil, method, params); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// TestCallBundle: what a bundle would do, in Flashbots' words.
func TestCallBundle(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.mustSend(transfer(5, 0, nil))
	r.sentOn(1)
	head := r.order()
	type result struct {
		BundleGasPrice, CoinbaseDiff, EthSentToCoinbase, GasFees string
		BundleHash                                               common.Hash
		StateBlockNumber, TotalGasUsed                           uint64
		Results                                                  []struct {
			CoinbaseDiff, EthSentToCoinbase, GasFees, GasPrice, ToAddress, Value, Error, Revert string
			GasUsed                                                                             uint64
			FromAddress                                                                         string
			TxHash                                                                              common.Hash
		}
	}
	plain, pays, fails := transfer(0, 0, nil), creation(0, 1, 1000, payingCode), creation(1, 0, 0, revertingCode)
	var got result
	r.call(&got, "eth_callBundle", map[string]any{
		"txs": raws(t, plain, pays, fails), "blockNumber": hexutil.Uint64(head.Number + 1), "stateBlockNumber": "latest", "timestamp": 1_900_000_000,
	})
	if len(got.Results) != 3 || got.StateBlockNumber != head.Number ||
		got.BundleHash != crypto.Keccak256Hash(plain.Hash().Bytes(), pays.Hash().Bytes(), fails.Hash().Bytes()) {
		t.Fatalf("%+v", got)
	}
	a, b, c := got.Results[0], got.Results[1], got.Results[2]
	if a.GasUsed != 21000 || a.GasPrice != "1" || a.GasFees != "21000" || a.CoinbaseDiff != "21000" || a.EthSentToCoinbase != "0" || a.Value != "0x" ||
		a.FromAddress != address(0).Hex() || a.ToAddress != plain.To().Hex() || a.TxHash != plain.Hash() || a.Error != "" {
		t.Errorf("transfer: %+v", a)
	}
	if b.EthSentToCoinbase != "1000" || b.ToAddress != "0x" || b.Error != "" {
		t.Errorf("payment: %+v", b)
	}
	if c.Error != "execution reverted" || c.Revert != "no luck" || c.Value != "" || c.EthSentToCoinbase != "0" {
		t.Errorf("revert: %+v", c)
	}
	if got.TotalGasUsed != a.GasUsed+b.GasUsed+c.GasUsed || got.EthSentToCoinbase != "1000" || got.GasFees != fmt.Sprint(got.TotalGasUsed) {
		t.Errorf("sums: %+v", got)
	}
	// It changed nothing; on the pending state it builds on what is certified there.
	if n, err := r.eth.NonceAt(t.Context(), address(0), nil); err != nil || n != 0 {
		t.Errorf("nonce %d, %v", n, err)
	}
	r.call(&got, "eth_callBundle", map[string]any{"txs": raws(t, plain), "stateBlockNumber": "pending"})
	if len(got.Results) != 1 || got.Results[0].GasUsed != 21000 {
		t.Errorf("pending: %+v", got)
	}
	for _, e := range []struct {
		name string
		args map[string]any
		want string
	}{
		{"empty", map[string]any{"stateBlockNumber": "latest"}, "bundle missing txs"},
		{"gap", map[string]any{"txs": raws(t, pays)}, "err: nonce too high"},
		{"not after", map[string]any{"txs": raws(t, plain), "blockNumber": "0x1"}, "blockNumber 1 is not after"},
		{"no state", map[string]any{"txs": raws(t, plain), "stateBlockNumber": "0xffff"}, "not found"},
		{"no room", map[string]any{"txs": raws(t, plain), "gasLimit": 20000}, "gas limit reached"},
		{"below base fee", map[string]any{"txs": raws(t, plain), "baseFee": "0x2540be401"}, "max fee per gas less than block base fee"},
	} {
		if err := r.rpc.Call(nil, "eth_callBundle", e.args); err == nil || !strings.Contains(err.Error(), e.want) {
			t.Errorf("%s:\n got %v\nwant %s", e.name, err, e.want)
		}
	}
}

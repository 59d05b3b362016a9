package ethrpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/test/await"
)

// certify tries transactions out as the block that follows: what an overlay does
// with what is certified.
func (r *rollup) certify(txs ...*types.Transaction) {
	r.t.Helper()
	session, err := r.evm.Open(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	b := execution.Block{Height: session.Soft.Height + 1, Time: session.Soft.Time}
	for _, tx := range txs {
		raw, err := tx.MarshalBinary()
		if err != nil {
			r.t.Fatal(err)
		}
		b.Transactions = append(b.Transactions, raw)
	}
	if _, err := r.evm.Speculate(context.Background(), session.Soft.Hash, b); err != nil {
		r.t.Fatal(err)
	}
}

// contract stores 42 at 0 when it is created. Its code logs its input's length under
// topic 1, and returns what is stored at 0; called with two bytes, it reverts with
// what Solidity makes of require(false, "no").
var contract = struct{ create, code []byte }{create: contractCreate, code: contractCode}

var (
	contractCode = common.FromHex("" +
		"36600214" + "6016" + "57" + // two bytes: to the revert
		"36600052" + "60016020" + "6000" + "a1" + // log
		"600054" + "600052" + "60206000" + "f3" + // return storage 0
		"5b" + "7f08c379a000000000000000000000000000000000000000000000000000000000" + "600052" +
		"6020600452" + "6002602452" + "7f6e6f000000000000000000000000000000000000000000000000000000000000" + "604452" +
		"60646000fd")
	contractCreate = func() []byte {
		store := common.FromHex("602a600055")
		n := len(contractCode)
		deploy := []byte{0x60, byte(n), 0x60, 17, 0x60, 0, 0x39, 0x60, byte(n), 0x60, 0, 0xf3}
		return append(append(store, deploy...), contractCode...)
	}()
)

func create(from int, nonce uint64) *types.Transaction {
	return transfer(from, nonce, func(tx *types.DynamicFeeTx) {
		tx.To, tx.Gas, tx.Data, tx.Value = nil, 500_000, contract.create, new(big.Int)
	})
}

// What is certified is seen at pending, through whichever gateway it came, and at
// latest only when it is ordered.
func TestPendingShowsCertified(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.order()
	beef, at := common.HexToAddress("0xbeef"), crypto.CreateAddress(address(0), 0)
	deploy := create(0, 0)
	pay := transfer(0, 1, func(tx *types.DynamicFeeTx) { tx.Value = big.NewInt(7) })
	use := transfer(1, 0, func(tx *types.DynamicFeeTx) {
		tx.To, tx.Gas, tx.Value, tx.Data = &at, 100_000, new(big.Int), []byte{1, 2, 3}
	})
	r.certify(deploy, pay, use)

	ctx := t.Context()
	if got, err := r.eth.PendingBalanceAt(ctx, beef); err != nil || got.Int64() != 7 {
		t.Errorf("pending balance %v, %v", got, err)
	}
	if got, err := r.eth.BalanceAt(ctx, beef, nil); err != nil || got.Sign() != 0 {
		t.Errorf("latest balance %v, %v", got, err)
	}
	if got, err := r.eth.PendingCodeAt(ctx, at); err != nil || string(got) != string(contract.code) {
		t.Errorf("pending code %x, %v", got, err)
	}
	for _, key := range []string{"0x0", "0x00", "0", common.Hash{}.Hex()} {
		var word hexutil.Bytes
		r.call(&word, "eth_getStorageAt", at, key, "pending")
		if common.BytesToHash(word) != common.BigToHash(big.NewInt(42)) {
			t.Errorf("pending storage at %s: %x", key, word)
		}
	}
	for _, key := range []string{"0xzz", strings.Repeat("0", 65)} {
		if c, _ := code(r.rpc.Call(nil, "eth_getStorageAt", at, key, "pending")); c != -32602 {
			t.Errorf("storage key %q: code %d", key, c)
		}
	}
	call := map[string]any{"from": address(2), "to": at}
	var out hexutil.Bytes
	r.call(&out, "eth_call", call, "pending")
	if common.BytesToHash(out) != common.BigToHash(big.NewInt(42)) {
		t.Errorf("pending call returns %x", out)
	}
	r.call(&out, "eth_call", call, "latest")
	if len(out) != 0 {
		t.Errorf("latest call returns %x", out)
	}
	var gas hexutil.Uint64
	r.call(&gas, "eth_estimateGas", call, "pending")
	if gas <= 21_000 {
		t.Errorf("estimate at pending %d", gas)
	}
	for tag, want := range map[string]int{"pending": 1, "latest": 0} {
		var touched struct{ AccessList types.AccessList }
		r.call(&touched, "eth_createAccessList", call, tag)
		if len(touched.AccessList) != want || want > 0 && touched.AccessList[0].Address != at {
			t.Errorf("access list at %s: %+v", tag, touched.AccessList)
		}
	}
	if n := r.pendingNonce(0); n != 2 {
		t.Errorf("pending nonce %d, want 2", n)
	}

	// A transaction is pending: no block hash, and no receipt of its own.
	got, isPending, err := r.eth.TransactionByHash(ctx, use.Hash())
	if err != nil || !isPending || got.Hash() != use.Hash() {
		t.Errorf("by hash: %v, pending %v, %v", got, isPending, err)
	}
	var raw hexutil.Bytes
	r.call(&raw, "eth_getRawTransactionByHash", use.Hash())
	if crypto.Keccak256Hash(raw) != use.Hash() {
		t.Errorf("raw: %x", raw)
	}
	if receipt, err := r.eth.TransactionReceipt(ctx, use.Hash()); err == nil {
		t.Errorf("receipt of what is not ordered: %+v", receipt)
	}
	if s := r.status(use.Hash()); s == nil || s.Status != "certified" || is(s.Executed) {
		t.Errorf("status: %+v", s)
	}

	var block map[string]any
	r.call(&block, "eth_getBlockByNumber", "pending", false)
	if txs := block["transactions"].([]any); len(txs) != 3 || txs[2] != use.Hash().Hex() || block["number"] != "0x2" || block["hash"] != nil {
		t.Errorf("pending block %v", block)
	}
	parent := r.evm.BlockChain().CurrentBlock()
	if block["parentHash"] != parent.Hash().Hex() || block["gasLimit"] != hexutil.EncodeUint64(parent.GasLimit) {
		t.Errorf("pending block %v on %s", block, parent.Hash())
	}
	var full struct{ Transactions []map[string]any }
	r.call(&full, "eth_getBlockByNumber", "pending", true)
	if full.Transactions[1]["hash"] != pay.Hash().Hex() || full.Transactions[1]["blockHash"] != nil {
		t.Errorf("pending block in full: %v", full.Transactions)
	}
	var latest map[string]any
	r.call(&latest, "eth_getBlockByNumber", "latest", false)
	for name := range latest {
		if _, ok := block[name]; !ok {
			t.Errorf("pending block has no %s", name)
		}
	}
	var count hexutil.Uint
	r.call(&count, "eth_getBlockTransactionCountByNumber", "pending")
	var second, none map[string]any
	r.call(&second, "eth_getTransactionByBlockNumberAndIndex", "pending", "0x1")
	r.call(&none, "eth_getTransactionByBlockNumberAndIndex", "pending", "0x3")
	if count != 3 || second["hash"] != pay.Hash().Hex() || none != nil {
		t.Errorf("count %d, second %v, behind the last %v", count, second, none)
	}
	var tried []*types.Receipt
	r.call(&tried, "eth_getBlockReceipts", "pending")
	var shown []map[string]any
	r.call(&shown, "eth_getBlockReceipts", "pending")

	// The same transactions are ordered: all that was shown turns out so.
	for _, tx := range []*types.Transaction{deploy, pay, use} {
		r.mustSendPast(tx)
	}
	r.order()
	for i, tx := range []*types.Transaction{deploy, pay, use} {
		want := r.receipt(tx)
		if got := tried[i]; got.Status != want.Status || got.GasUsed != want.GasUsed || got.CumulativeGasUsed != want.CumulativeGasUsed || got.TxHash != want.TxHash ||
			got.ContractAddress != want.ContractAddress || got.BlockNumber.Cmp(want.BlockNumber) != 0 || got.TransactionIndex != want.TransactionIndex ||
			got.Bloom != want.Bloom || got.EffectiveGasPrice.Cmp(want.EffectiveGasPrice) != 0 || len(got.Logs) != len(want.Logs) {
			t.Errorf("receipt %d tried %+v, ordered %+v", i, got, want)
		}
		var ordered map[string]any
		r.call(&ordered, "eth_getTransactionReceipt", tx.Hash())
		for name := range ordered {
			if _, ok := shown[i][name]; !ok {
				t.Errorf("receipt tried has no %s", name)
			}
		}
		if i == 2 && (len(tried[i].Logs) != 1 || tried[i].Logs[0].Index != want.Logs[0].Index || tried[i].Logs[0].Topics[0] != want.Logs[0].Topics[0]) {
			t.Errorf("logs tried %+v, ordered %+v", tried[i].Logs, want.Logs)
		}
	}
	if got, err := r.eth.BalanceAt(ctx, beef, nil); err != nil || got.Int64() != 7 {
		t.Errorf("latest balance %v, %v", got, err)
	}
}

// mustSendPast puts a transaction into the order past the gateway.
func (r *rollup) mustSendPast(tx *types.Transaction) {
	r.t.Helper()
	raw, err := tx.MarshalBinary()
	if err != nil {
		r.t.Fatal(err)
	}
	b := &order.Bundle{Expiry: 1000, Legs: []order.Leg{{RollupID: rollupID, Transactions: [][]byte{raw}}}}
	if err := r.SubmitBundle(context.Background(), func(order.Owner) []byte { return b.Encode() }); err != nil {
		r.t.Fatal(err)
	}
}

// The pending nonce is the greater of what was accepted here and what is certified,
// and goes on from there.
func TestPendingNonce(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.order()
	r.set(true)
	r.mustSend(transfer(0, 0, nil), transfer(0, 1, nil), transfer(0, 2, nil))
	if n := r.pendingNonce(0); n != 3 {
		t.Errorf("pending nonce %d, want the 3 accepted", n)
	}
	r.certify(transfer(0, 0, nil))
	if n := r.pendingNonce(0); n != 3 {
		t.Errorf("pending nonce %d, want 3: certified are fewer", n)
	}
	r.certify(transfer(1, 0, nil), transfer(1, 1, nil))
	if n := r.pendingNonce(1); n != 2 {
		t.Errorf("pending nonce %d, want the 2 certified", n)
	}
	r.mustSend(transfer(1, 2, nil))
	if n := r.pendingNonce(1); n != 3 {
		t.Errorf("pending nonce %d, want 3: one accepted behind two certified", n)
	}
	// The nonce that the node names is one that it takes.
	var receipt *types.Receipt
	raw, err := transfer(1, 3, nil).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if c, _ := code(r.rpc.Call(&receipt, "eth_sendRawTransactionSync", hexutil.Bytes(raw), 50)); c != 4 {
		t.Errorf("transaction behind certified ones: code %d, want a timeout", c)
	}
}

var baseFee = regexp.MustCompile(`baseFee: [0-9]+`)

// At pending, calls are executed here; they answer as geth does at latest.
func TestPendingCallsAreGeths(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.mustSend(create(0, 0))
	await.Until(t, "bundle sent", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.pool) > 0 })
	r.order()
	at, from := crypto.CreateAddress(address(0), 0), address(1)
	type object = map[string]any
	poor, identity := common.HexToAddress("0x900d"), common.HexToAddress("0x4")
	ether := hexutil.EncodeBig(big.NewInt(params.Ether))
	for i, args := range [][]any{
		{object{"to": at}},
		{object{}},
		{object{"from": from, "to": at, "value": ether}},
		{object{"from": poor, "to": from, "value": ether}},
		{object{"to": at, "data": "0x010203"}},
		{object{"to": at, "input": "0x010203", "data": "0x010203"}},
		{object{"to": at, "input": "0x01", "data": "0x02"}},
		{object{"to": at, "data": "0x0102"}}, // reverts
		{object{"to": at, "data": "0x0102", "gas": "0x5300"}},
		{object{"to": at, "gas": "0x5208"}}, // out of gas
		{object{"to": at, "gas": "0x1"}},
		{object{"to": at, "gas": "0xffffffffffffffff"}},
		{object{"from": from, "to": at, "gasPrice": "0x3b9aca00"}},
		{object{"from": poor, "to": at, "gasPrice": "0x3b9aca00"}},
		{object{"from": from, "to": at, "gasPrice": "0x1"}},
		{object{"from": from, "to": at, "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x1"}},
		{object{"from": from, "to": at, "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"}},
		{object{"from": from, "to": at, "gasPrice": "0x1", "maxFeePerGas": "0x1"}},
		{object{"from": from, "to": at, "nonce": "0x99"}},
		{object{"from": from, "to": at, "chainId": "0x1"}},
		{object{"from": from, "to": at, "chainId": hexutil.EncodeUint64(evmChain)}},
		{object{"from": at, "to": at}}, // a contract as the sender
		{object{"from": from, "to": at, "accessList": []any{object{"address": at, "storageKeys": []common.Hash{{}}}}}},
		{object{"from": from, "data": hexutil.Bytes(contract.create)}},
		{object{"from": from, "authorizationList": []any{}}},
		{object{"from": "nobody"}},
		{object{"to": at, "value": "0x-1"}},
		{object{"to": at}, object{at.Hex(): object{"stateDiff": object{common.Hash{}.Hex(): common.HexToHash("0x55").Hex()}}}},
		{object{"to": at}, object{at.Hex(): object{"state": object{common.Hash{31: 1}.Hex(): common.HexToHash("0x55").Hex()}}}},
		{object{"to": at}, object{at.Hex(): object{"state": object{}, "stateDiff": object{}}}},
		{object{"to": at}, object{at.Hex(): object{"code": "0x"}}},
		{object{"from": poor, "to": from, "value": ether}, object{poor.Hex(): object{"balance": hexutil.EncodeBig(new(big.Int).Mul(big.NewInt(5), big.NewInt(params.Ether)))}}},
		{object{"from": poor, "to": at}, object{poor.Hex(): object{"nonce": "0xffffffffffffffff"}}},
		{object{"to": at}, "what"},
		{object{"to": at}, nil, object{"number": "0x5", "unknown": 1}},
		{object{"to": at}, nil, object{"number": "5"}},
		{object{"to": at}, nil, object{"baseFeePerGas": "0x1"}},
		{object{"from": from, "to": at, "maxFeePerGas": "0x5", "maxPriorityFeePerGas": "0x1"}, nil, object{"baseFeePerGas": "0x3"}},
		{object{"to": at}, nil, object{"beaconRoot": common.Hash{}}},
		{object{"to": at}, nil, object{"withdrawals": []any{}}},
		{object{"to": identity, "data": "0x1234"}, object{identity.Hex(): object{"code": "0x"}}},
		{object{"to": poor, "data": "0x1234"}, object{identity.Hex(): object{"movePrecompileToAddress": poor}}},
		{object{"to": identity, "data": "0x1234"}, object{identity.Hex(): object{"movePrecompileToAddress": poor}}},
		{object{"to": at}, object{at.Hex(): object{"movePrecompileToAddress": poor}}},
		{object{"to": at}, object{identity.Hex(): object{"movePrecompileToAddress": at}, at.Hex(): object{"nonce": "0x1"}}},
		{object{"to": at, "blobVersionedHashes": []common.Hash{{1}}}},
		{object{"to": at, "blobVersionedHashes": []common.Hash{}}},
		{object{"to": at, "blobVersionedHashes": []common.Hash{{1}}, "maxFeePerBlobGas": "0x0"}},
		{object{"data": "0x", "blobVersionedHashes": []common.Hash{{1}}}},
	} {
		for _, method := range []string{"eth_call", "eth_estimateGas", "eth_createAccessList"} {
			answer := func(tag string) string {
				var res json.RawMessage
				err := r.rpc.Call(&res, method, append([]any{args[0], tag}, args[1:]...)...)
				c, data := code(err)
				if method == "eth_createAccessList" && (err != nil || strings.Contains(fmt.Sprint(args), "movePrecompile") || strings.Contains(fmt.Sprint(args), "maxFeePerBlobGas")) {
					return "an error" // the words differ; geth moves no precompiles here, and looks at fees for blobs, of which there are none
				}
				if c == -32602 {
					return "invalid params" // the words differ
				}
				text := fmt.Sprintf("%s, error %v, code %d, data %v", res, err, c, data)
				return baseFee.ReplaceAllString(text, "baseFee: any") // the next block has another one
			}
			if here, geth := answer("pending"), answer("latest"); here != geth {
				t.Errorf("%d: %s(%v)\n  pending %s\n  geth    %s", i, method, args, here, geth)
			}
		}
	}
	var out hexutil.Bytes
	r.call(&out, "eth_call", object{"to": at}, "latest", nil, object{"number": "0x5"})
	if common.BytesToHash(out) != common.BigToHash(big.NewInt(42)) {
		t.Errorf("block overrides at latest: %x", out)
	}
	for _, at := range [][]any{{object{"to": at}}, {object{"to": at}, object{"blockNumber": "0x1"}}} {
		r.call(&out, "eth_call", at...)
		if common.BytesToHash(out) != common.BigToHash(big.NewInt(42)) {
			t.Errorf("%v: %x", at, out)
		}
	}
}

// Who asks for it is answered when the transaction is certified, and not later than
// when it is ordered.
func TestSendSyncUntilCertified(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.order()
	send := func(tx *types.Transaction, options any) (receipt *types.Receipt, err error) {
		raw, merr := tx.MarshalBinary()
		if merr != nil {
			t.Fatal(merr)
		}
		err = r.rpc.Call(&receipt, "eth_sendRawTransactionSync", hexutil.Bytes(raw), 20_000, options)
		return receipt, err
	}
	for _, options := range []any{map[string]any{"until": "never"}, "certified", 5} {
		if _, err := send(transfer(0, 0, nil), options); err == nil {
			t.Errorf("options %v were taken", options)
		} else if c, _ := code(err); c != -32602 {
			t.Errorf("options %v: %v, code %d", options, err, c)
		}
	}
	type answer struct {
		receipt *types.Receipt
		err     error
	}
	wait := func(tx *types.Transaction) <-chan answer {
		done := make(chan answer, 1)
		go func() {
			receipt, err := send(tx, map[string]any{"until": "certified"})
			done <- answer{receipt, err}
		}()
		await.Until(t, "accepted", func() bool { s := r.status(tx.Hash()); return s != nil })
		return done
	}
	first := transfer(0, 0, nil)
	done := wait(first)
	r.certify(transfer(1, 0, nil)) // another's
	select {
	case a := <-done:
		t.Fatalf("answered too early: %+v", a)
	case <-time.After(20 * time.Millisecond):
	}
	r.certify(transfer(1, 0, nil), first)
	if a := <-done; a.err != nil || a.receipt.TxHash != first.Hash() || a.receipt.Status != 1 || a.receipt.BlockHash != (common.Hash{}) || a.receipt.BlockNumber.Uint64() != 2 {
		t.Errorf("certified: %+v, %v", a.receipt, a.err)
	}
	if latest := r.evm.BlockChain().CurrentBlock().Number.Uint64(); latest != 1 {
		t.Errorf("latest is %d", latest)
	}
	// The gateway knows of its own bundle by its ID.
	var bundle order.BundleID
	await.Until(t, "bundled", func() bool {
		_, st, _ := r.gateway.Get(first.Hash())
		bundle = st.Bundle
		return st.Phase == gateway.PhaseInFlight
	})
	before := r.status(first.Hash())
	r.gateway.Certified(bundle)
	after := r.status(first.Hash())
	if before.CertifiedAt != nil || after.Status != "certified" || after.CertifiedAt == nil || *after.CertifiedAt < *after.ReceivedAt {
		t.Errorf("status %+v, then %+v", before, after)
	}
	second := transfer(2, 0, nil)
	done = wait(second)
	r.run()
	if a := <-done; a.err != nil || a.receipt.TxHash != second.Hash() || a.receipt.BlockHash == (common.Hash{}) {
		t.Errorf("ordered first: %+v, %v", a.receipt, a.err)
	}
	await.Until(t, "ordered", func() bool { return r.status(first.Hash()).Status == "ordered" })
	if s := r.status(first.Hash()); s.CertifiedAt == nil || *s.CertifiedAt != *after.CertifiedAt {
		t.Errorf("ordered: %+v", s)
	}
}

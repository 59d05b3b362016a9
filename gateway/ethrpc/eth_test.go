package ethrpc_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"
	"google.golang.org/protobuf/proto"

	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
	orderv1 "github.com/ordo-network/ordo/order/v1"
	"github.com/ordo-network/ordo/test/await"
)

// TestLifeOfATransaction follows one transaction from acceptance to finality.
func TestLifeOfATransaction(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.set(true)
	tx := transfer(0, 0, nil)
	if s := r.status(tx.Hash()); s != nil {
		t.Errorf("before: %+v", s)
	}
	r.mustSend(tx)
	var waiting map[string]any
	r.call(&waiting, "eth_getTransactionByHash", tx.Hash())
	if s := r.status(tx.Hash()); s == nil || s.Status != "received" || is(s.Executed) || s.ReceivedAt == nil || s.OrderedAt != nil {
		t.Errorf("received: %+v", s)
	}
	if got, pending, err := r.eth.TransactionByHash(t.Context(), tx.Hash()); err != nil || !pending || got.Hash() != tx.Hash() {
		t.Errorf("by hash: %v, pending %v, %v", got, pending, err)
	}
	var proof *ordorpc.InclusionProof
	if err := r.rpc.Call(&proof, "ordo_getInclusionProof", tx.Hash()); err == nil {
		t.Error("inclusion proof of what is not ordered")
	}

	r.set(false)
	await.Until(t, "bundle sent", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.pool) > 0 })
	head := r.order()
	var mined map[string]any
	r.call(&mined, "eth_getTransactionByHash", tx.Hash())
	if a, b := slices.Sorted(maps.Keys(waiting)), slices.Sorted(maps.Keys(mined)); !slices.Equal(a, b) {
		t.Errorf("fields of a waiting transaction %v\nof a mined one %v", a, b)
	}
	for name, v := range waiting {
		if v != nil && name != "gasPrice" && !reflect.DeepEqual(v, mined[name]) {
			t.Errorf("%s is %v while waiting, %v when mined", name, v, mined[name])
		}
	}
	s := r.status(tx.Hash())
	at, _ := r.OrderedAt(head.Height)
	if s.Status != "ordered" || !is(s.Executed) || *s.BlockHash != ordorpc.Hash(head.Hash) || uint64(*s.BlockNumber) != head.Number || uint64(*s.SequencerHeight) != head.Height ||
		s.TransactionIndex == nil || s.BundleID == nil || uint64(*s.OrderedAt) != uint64(at.UnixMilli()) || s.SafeAt != nil || s.ReceivedAt == nil {
		t.Errorf("ordered: %+v", s)
	}
	r.call(&proof, "ordo_getInclusionProof", tx.Hash())
	var block orderv1.RollupBlock
	if err := proto.Unmarshal(proof.RollupBlock, &block); err != nil {
		t.Fatal(err)
	}
	leg := block.Legs[proof.Leg]
	if crypto.Keccak256Hash(leg.Transactions[proof.TransactionIndex]) != tx.Hash() || proof.Rollup != "alpha" || uint64(proof.SequencerHeight) != head.Height ||
		proof.TransactionHash != ordorpc.Hash(tx.Hash()) || string(s.BundleID[:]) != string(leg.Record.BundleId) {
		t.Errorf("proof: %+v", proof)
	}

	if err := r.evm.SetFirm(t.Context(), head.Hash); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.firm = head.Height
	r.mu.Unlock()
	if s := r.status(tx.Hash()); s.Status != "finalized" || s.SafeAt == nil || s.FinalizedAt == nil || *s.SafeAt <= *s.OrderedAt {
		t.Errorf("finalized: %+v", s)
	}
	var info ordorpc.InfoResult
	r.call(&info, "ordo_info")
	if info.Name != "alpha" || string(info.RollupID[:]) != string(rollupID[:]) || uint64(info.FirmHeight) != head.Height {
		t.Errorf("info: %+v", info)
	}
}

// TestDropped: an ordered transaction that cannot be executed ends with the reason,
// and it can be proven that it was ordered.
func TestDropped(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.set(true)
	all := func(tx *types.DynamicFeeTx) { tx.Value, _ = new(big.Int).SetString("9999000000000000000000", 10) }
	spend, late := transfer(0, 0, all), transfer(0, 1, nil)
	r.mustSend(spend, late)
	r.set(false)
	// Somebody else's copy of the account's key spends the rest in between: here a
	// transaction that the gateway never saw.
	await.Until(t, "bundles sent", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		n := 0
		for _, b := range r.pool {
			n += len(b.Bundle.Legs[0].Transactions)
		}
		return n == 2
	})
	other, err := transfer(0, 0, func(tx *types.DynamicFeeTx) {
		tx.Value, _ = new(big.Int).SetString("9999999000000000000000", 10)
	}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	txs := &r.pool[0].Bundle.Legs[0].Transactions
	*txs = append([][]byte{other}, *txs...)
	r.mu.Unlock()
	r.order()
	s := r.status(spend.Hash())
	if s.Status != "dropped" || is(s.Executed) || !strings.HasPrefix(s.Reason, "nonce too low") || s.SequencerHeight == nil || s.BundleID == nil || s.OrderedAt == nil {
		t.Errorf("status: %+v", s)
	}
	var proof *ordorpc.InclusionProof
	r.call(&proof, "ordo_getInclusionProof", spend.Hash())
	if uint64(proof.SequencerHeight) != uint64(*s.SequencerHeight) {
		t.Errorf("proof at height %d", proof.SequencerHeight)
	}
}

// code returns the JSON-RPC code and data of an error.
func code(err error) (int, any) {
	var coded rpc.Error
	var data rpc.DataError
	if !errors.As(err, &coded) {
		return 0, nil
	}
	if errors.As(err, &data) {
		return coded.ErrorCode(), data.ErrorData()
	}
	return coded.ErrorCode(), nil
}

func TestSendSync(t *testing.T) {
	t.Parallel()
	r := start(t)
	sync := func(tx *types.Transaction, args ...any) (receipt *types.Receipt, err error) {
		raw, merr := tx.MarshalBinary()
		if merr != nil {
			t.Fatal(merr)
		}
		err = r.rpc.Call(&receipt, "eth_sendRawTransactionSync", append([]any{hexutil.Bytes(raw)}, args...)...)
		return receipt, err
	}
	// Nobody orders: the wait ends, and the transaction stays accepted.
	first := transfer(0, 0, nil)
	for _, timeout := range []any{50, "0x32"} {
		_, err := sync(first, timeout)
		if c, data := code(err); c != 4 || data != first.Hash().Hex() || !strings.HasSuffix(err.Error(), "wasn't processed in 50ms") {
			t.Errorf("timeout %v: %v, code %d, data %v", timeout, err, c, data)
		}
		first = transfer(0, 1, nil)
	}
	// A nonce gap is told at once, and nothing is kept.
	gap := transfer(0, 5, nil)
	_, err := sync(gap)
	if c, data := code(err); c != 6 || data != "0x2" {
		t.Errorf("nonce gap: %v, code %d, data %v", err, c, data)
	}
	if s := r.status(gap.Hash()); s != nil {
		t.Errorf("refused for a nonce gap, and kept: %+v", s)
	}
	if _, err := sync(transfer(0, 2, func(tx *types.DynamicFeeTx) { tx.Gas = 1 })); err == nil || !strings.HasPrefix(err.Error(), "intrinsic gas too low") {
		t.Errorf("invalid: %v", err)
	}
	r.run()
	tx := transfer(0, 2, nil)
	receipt, err := sync(tx, 20_000)
	if err != nil || receipt == nil || receipt.TxHash != tx.Hash() || receipt.Status != 1 {
		t.Errorf("receipt %+v, %v", receipt, err)
	}
	// A timeout that is no number, or above the bound, counts as not given.
	for i, timeout := range []any{"soon", -1, 1_000_000, nil, 0, "0x0", 1.5, "0xffffffffff", "20000"} {
		if _, err := sync(transfer(0, uint64(3+i), nil), timeout); err != nil {
			t.Errorf("timeout %v: %v", timeout, err)
		}
	}
	for i, timeout := range []any{20_000, "0x4e20"} {
		if _, err := sync(transfer(0, uint64(12+i), nil), timeout); err != nil {
			t.Errorf("timeout %v: %v", timeout, err)
		}
	}
	if _, err := sync(transfer(0, 14, nil)); err != nil {
		t.Errorf("no timeout: %v", err)
	}
}

// TestSendSyncNotReady: a transaction that is not executed after all, or cannot be taken
// in now, is told so by its own code, as soon as that is known.
func TestSendSyncNotReady(t *testing.T) {
	t.Parallel()
	r := start(t)
	sync := func(tx *types.Transaction) error {
		raw, err := tx.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return r.rpc.Call(nil, "eth_sendRawTransactionSync", hexutil.Bytes(raw), 20_000)
	}
	// Another transaction of the nonce comes first, as if through another gateway.
	first := transfer(0, 0, nil)
	failed := make(chan error, 1)
	go func() { failed <- sync(first) }()
	r.sentOn(1)
	r.mu.Lock()
	txs := &r.pool[0].Bundle.Legs[0].Transactions
	*txs = [][]byte{raws(t, transfer(0, 0, func(tx *types.DynamicFeeTx) { tx.Value.SetInt64(5) }))[0], (*txs)[0]}
	r.mu.Unlock()
	r.order()
	err := await.Receive(t, "answer", failed)
	if c, data := code(err); c != 5 || data != first.Hash().Hex() || !strings.Contains(err.Error(), "accepted and then dropped: nonce too low") {
		t.Errorf("dropped: %v, code %d, data %v", err, c, data)
	}
	// The payer cannot pay.
	r.refuse(fmt.Errorf("%w: balance 3uordo, needs 5uordo", gateway.ErrUnfunded))
	r.mustSend(transfer(0, 1, nil))
	await.Until(t, "unfunded", func() bool { return r.gateway.Counts().Unfunded != "" })
	second := transfer(0, 2, nil)
	err = sync(second)
	if c, data := code(err); c != 5 || data != second.Hash().Hex() || !strings.Contains(err.Error(), "balance 3uordo") {
		t.Errorf("unfunded: %v, code %d, data %v", err, c, data)
	}
}

// TestPricesOnAnIdleChain: what the node suggests to wallets is accepted, also after
// many empty blocks.
func TestPricesOnAnIdleChain(t *testing.T) {
	t.Parallel()
	r := start(t)
	for range 300 {
		r.order()
	}
	price, err := r.eth.SuggestGasPrice(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to := common.HexToAddress("0xbeef")
	legacy := sign(0, &types.LegacyTx{Nonce: 0, Gas: 21000, To: &to, GasPrice: price})
	tip, err := r.eth.SuggestGasTipCap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	history, err := r.eth.FeeHistory(t.Context(), 5, nil, []float64{10, 50})
	if err != nil {
		t.Fatal(err)
	}
	base := history.BaseFee[len(history.BaseFee)-1]
	dynamic := transfer(0, 1, func(tx *types.DynamicFeeTx) {
		tx.GasTipCap = tip
		tx.GasFeeCap = new(big.Int).Add(tip, new(big.Int).Mul(base, big.NewInt(2)))
	})
	noTip := transfer(0, 2, func(tx *types.DynamicFeeTx) { tx.GasTipCap = new(big.Int); tx.GasFeeCap = base })
	var filled struct {
		Tx *types.Transaction `json:"tx"`
	}
	r.mustSend(legacy, dynamic, noTip)
	r.call(&filled, "eth_fillTransaction", map[string]any{"from": address(0), "to": to, "value": "0x1"})
	if filled.Tx.Nonce() != 3 {
		t.Errorf("filled nonce %d, want 3", filled.Tx.Nonce())
	}
	fromFill := transfer(0, 3, func(tx *types.DynamicFeeTx) {
		tx.Gas, tx.GasTipCap, tx.GasFeeCap = filled.Tx.Gas(), filled.Tx.GasTipCap(), filled.Tx.GasFeeCap()
	})
	r.mustSend(fromFill)
	r.run()
	for _, tx := range []*types.Transaction{legacy, dynamic, noTip, fromFill} {
		if receipt := r.receipt(tx); receipt.Status != 1 {
			t.Errorf("status %d", receipt.Status)
		}
	}
}

// TestPendingTag: no method that takes a block fails at pending.
func TestPendingTag(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.order()
	r.set(true)
	r.mustSend(transfer(0, 0, nil))
	a := address(0)
	call := map[string]any{"from": a, "to": a, "value": "0x1"}
	for _, c := range [][]any{
		{"eth_getBlockByNumber", "pending", true},
		{"eth_getHeaderByNumber", "pending"},
		{"eth_getBalance", a, "pending"},
		{"eth_getCode", a, "pending"},
		{"eth_getStorageAt", a, "0x0", "pending"},
		{"eth_getProof", a, []string{"0x0"}, "pending"},
		{"eth_getTransactionCount", a, "pending"},
		{"eth_getBlockTransactionCountByNumber", "pending"},
		{"eth_getBlockReceipts", "pending"},
		{"eth_call", call, "pending"},
		{"eth_estimateGas", call, "pending"},
		{"eth_createAccessList", call, "pending"},
		{"eth_simulateV1", map[string]any{"blockStateCalls": []any{map[string]any{}}}, "pending"},
		{"eth_feeHistory", "0x2", "pending", []float64{50}},
		{"eth_getLogs", map[string]any{"fromBlock": "latest", "toBlock": "pending"}},
		{"eth_getLogs", map[string]any{"fromBlock": "pending", "toBlock": "pending"}},
		{"eth_newFilter", map[string]any{"fromBlock": "pending"}},
	} {
		var res json.RawMessage
		r.call(&res, c[0].(string), c[1:]...)
		if string(res) == "null" {
			t.Errorf("%v: null", c)
		}
	}
}

// TestNoAccounts: the node signs nothing, in geth's words.
func TestNoAccounts(t *testing.T) {
	t.Parallel()
	r := start(t)
	var accounts []common.Address
	r.call(&accounts, "eth_accounts")
	if len(accounts) != 0 {
		t.Errorf("accounts: %v", accounts)
	}
	args := map[string]any{"from": address(0), "to": address(1), "gas": "0x5208", "gasPrice": "0x1", "nonce": "0x0", "value": "0x1"}
	for _, c := range [][]any{{"eth_sendTransaction", args}, {"eth_signTransaction", args}, {"eth_sign", address(0), "0x00"}, {"eth_resend", args, nil, nil}} {
		if err := r.rpc.Call(nil, c[0].(string), c[1:]...); err == nil || err.Error() != "unknown account" {
			t.Errorf("%s: %v, want unknown account", c[0], err)
		}
	}
	for _, method := range []string{"admin_peers", "admin_addPeer", "personal_listAccounts", "miner_start", "engine_exchangeCapabilities", "debug_setHead", "debug_chaindbCompact", "debug_cpuProfile"} {
		if c, _ := code(r.rpc.Call(nil, method)); c != -32601 {
			t.Errorf("%s: code %d, want method not found", method, c)
		}
	}
}

// TestPoolViews: what geth says of its pool is said of the gateway's queue.
func TestPoolViews(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.set(true)
	r.mustSend(transfer(0, 0, nil), transfer(0, 1, nil), transfer(0, 3, nil), sign(1, &types.LegacyTx{Gas: 53000, GasPrice: big.NewInt(1e10)}))
	type views map[string]map[string]map[string]map[string]any
	var content views
	r.call(&content, "txpool_content")
	of := func(part string, account int) []string {
		return slices.Sorted(maps.Keys(content[part][address(account).Hex()]))
	}
	if p, q := of("pending", 0), of("queued", 0); !slices.Equal(p, []string{"0", "1"}) || !slices.Equal(q, []string{"3"}) {
		t.Errorf("pending %v, queued %v", p, q)
	}
	if tx := content["pending"][address(1).Hex()]["0"]; tx["from"] != strings.ToLower(address(1).Hex()) || tx["gasPrice"] != "0x2540be400" || tx["to"] != nil {
		t.Errorf("legacy: %v", tx)
	}
	var from map[string]map[string]map[string]any
	r.call(&from, "txpool_contentFrom", address(0))
	if len(from["pending"]) != 2 || len(from["queued"]) != 1 {
		t.Errorf("contentFrom: %v", from)
	}
	var inspect map[string]map[string]map[string]string
	r.call(&inspect, "txpool_inspect")
	if got := inspect["queued"][address(0).Hex()]["3"]; got != "0x000000000000000000000000000000000000bEEF: 1 wei + 21000 gas × 10000000000 wei" {
		t.Errorf("inspect: %q", got)
	}
	var pending []map[string]any
	r.call(&pending, "eth_pendingTransactions")
	if len(pending) != 4 {
		t.Errorf("%d pending transactions, want 4", len(pending))
	}
	var raw hexutil.Bytes
	r.call(&raw, "eth_getRawTransactionByHash", transfer(0, 3, nil).Hash())
	if crypto.Keccak256Hash(raw) != transfer(0, 3, nil).Hash() {
		t.Errorf("raw: %s", raw)
	}
}

package ethrpc_test

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/holiman/uint256"

	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/test/await"
	"github.com/ordo-network/ordo/test/killed"
)

// TestRefusals: each kind of bad transaction is refused in geth's words.
func TestRefusals(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.run()
	first := transfer(0, 0, nil)
	r.mustSend(first)
	r.receipt(first)
	await.Until(t, "the gateway to know", func() bool { c := r.gateway.Counts(); return c.InFlight == 0 })
	held := transfer(1, 2, nil) // waits behind a gap
	r.mustSend(held)

	dyn := func(edit func(*types.DynamicFeeTx)) []byte {
		raw, err := transfer(0, 1, edit).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	raw := func(tx *types.Transaction) []byte {
		b, err := tx.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	to := common.HexToAddress("0xbeef")
	// The other of the two values of s that verify, which EIP-2 forbids.
	v, x, y := transfer(0, 1, nil).RawSignatureValues()
	badSignature := raw(types.NewTx(&types.DynamicFeeTx{
		ChainID: big.NewInt(evmChain), Nonce: 1, Gas: 21000, To: &to, Value: big.NewInt(1), GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(10_000_000_000),
		V: new(big.Int).Xor(v, common.Big1), R: x, S: new(big.Int).Sub(crypto.S256().Params().N, y),
	}))
	legacyOther := types.MustSignNewTx(key(0), types.LatestSignerForChainID(big.NewInt(1)), &types.LegacyTx{Nonce: 1, Gas: 21000, To: &to, GasPrice: big.NewInt(1e10)})
	unprotected := types.MustSignNewTx(key(0), types.HomesteadSigner{}, &types.LegacyTx{Nonce: 1, Gas: 21000, To: &to, GasPrice: big.NewInt(1e10)})
	blob := types.MustSignNewTx(key(0), types.LatestSignerForChainID(big.NewInt(evmChain)), &types.BlobTx{
		ChainID: uint256.NewInt(evmChain), Nonce: 1, Gas: 21000, GasFeeCap: uint256.NewInt(1e10), BlobFeeCap: uint256.NewInt(1), BlobHashes: []common.Hash{{1}},
	})
	otherChain := types.MustSignNewTx(key(0), types.LatestSignerForChainID(big.NewInt(1)), &types.DynamicFeeTx{ChainID: big.NewInt(1), Nonce: 1, Gas: 21000, To: &to, GasFeeCap: big.NewInt(1e10)})

	for _, c := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"empty", nil, "typed transaction too short"},
		{"not a transaction", []byte("hello"), "transaction type not supported"},
		{"cut off", raw(transfer(0, 1, nil))[:40], "rlp: value size exceeds available input length"},
		{"trailing bytes", append(raw(transfer(0, 1, nil)), 0), "rlp: input contains more than one value"},
		{"bad signature", badSignature, "invalid sender: invalid transaction v, r, s values"},
		{"wrong chain ID", raw(otherChain), "invalid sender: invalid chain id for signer: have 1 want 31337"},
		{"wrong chain ID, legacy", raw(legacyOther), "invalid sender: invalid chain id for signer: have 1 want 31337"},
		{"unprotected", raw(unprotected), "only replay-protected (EIP-155) transactions allowed over RPC"},
		{"nonce too low", raw(transfer(0, 0, func(tx *types.DynamicFeeTx) { tx.Value = big.NewInt(2) })), "nonce too low: next nonce 1, tx nonce 0"},
		{"executed", raw(first), "nonce too low: next nonce 1, tx nonce 0"},
		{"nonce far ahead", raw(transfer(0, 66, nil)), "nonce too high: tx nonce 66, gapped nonce 65"},
		{"insufficient funds", dyn(func(tx *types.DynamicFeeTx) { tx.Value, _ = new(big.Int).SetString("20000000000000000000000", 10) }), "insufficient funds for gas * price + value: balance"},
		{"intrinsic gas", dyn(func(tx *types.DynamicFeeTx) { tx.Gas = 20999 }), "intrinsic gas too low: gas 20999, minimum needed 21000"},
		{"floor gas", dyn(func(tx *types.DynamicFeeTx) { tx.Data = make([]byte, 1000); tx.Gas = 26000 }), "insufficient gas for floor data gas cost: gas 26000, minimum needed 31000"},
		{"gas above the cap of EIP-7825", dyn(func(tx *types.DynamicFeeTx) { tx.Gas = 1 << 25 }), "transaction gas limit too high (cap: 16777216, tx: 33554432)"},
		{"oversized", dyn(func(tx *types.DynamicFeeTx) { tx.Data = make([]byte, 129<<10); tx.Gas = 16_000_000 }), "oversized data: transaction size"},
		{"init code", dyn(func(tx *types.DynamicFeeTx) { tx.To = nil; tx.Data = make([]byte, 49153); tx.Gas = 16_000_000 }), "max initcode size exceeded: code size 49153 limit 49152"},
		{"tip above fee cap", dyn(func(tx *types.DynamicFeeTx) { tx.GasTipCap = big.NewInt(1e11) }), "max priority fee per gas higher than max fee per gas"},
		{"below base fee", dyn(func(tx *types.DynamicFeeTx) { tx.GasFeeCap = big.NewInt(1) }), "max fee per gas less than block base fee: address 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266, maxFeePerGas: 1, baseFee: "},
		{"fee cap of the node", dyn(func(tx *types.DynamicFeeTx) { tx.GasFeeCap = big.NewInt(1e15) }), "tx fee (21.00 ether) exceeds the configured cap (1.00 ether)"},
		{"blob", raw(blob), "transaction type not supported: tx type 3 not supported by this pool"},
		{"no authorization", raw(sign(0, &types.SetCodeTx{ChainID: uint256.NewInt(evmChain), Nonce: 1, Gas: 21000, GasFeeCap: uint256.NewInt(1e10), To: to})), "set code tx must have at least one authorization tuple"},
		{"already known", raw(held), "already known"},
		{"same price for the same nonce", raw(transfer(1, 2, func(tx *types.DynamicFeeTx) { tx.Value = big.NewInt(2) })), "replacement transaction underpriced"},
		{"9 % more for the same nonce", raw(transfer(1, 2, func(tx *types.DynamicFeeTx) {
			tx.GasFeeCap = big.NewInt(10_900_000_000)
			tx.GasTipCap = big.NewInt(100)
		})), "replacement transaction underpriced"},
	} {
		err := r.rpc.CallContext(t.Context(), nil, "eth_sendRawTransaction", hexutil.Bytes(c.raw))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
	// 10 % more replaces, and what it replaced is known to be gone.
	better := transfer(1, 2, func(tx *types.DynamicFeeTx) { tx.GasFeeCap = big.NewInt(11_000_000_000); tx.GasTipCap = big.NewInt(2) })
	r.mustSend(better)
	if s := r.status(held.Hash()); s.Status != "dropped" || !strings.HasPrefix(s.Reason, "replaced by transaction 0x") {
		t.Errorf("replaced transaction: %+v", s)
	}
	r.mustSend(transfer(1, 0, nil), transfer(1, 1, nil))
	r.receipt(better)
}

// TestFundsCountWhatIsQueued: together, transactions may not cost more than the
// sender has.
func TestFundsCountWhatIsQueued(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.set(true)
	most := func(tx *types.DynamicFeeTx) { tx.Value, _ = new(big.Int).SetString("6000000000000000000000", 10) }
	r.mustSend(transfer(0, 0, most))
	err := r.send(transfer(0, 1, most))
	if err == nil || !strings.Contains(err.Error(), "insufficient funds for gas * price + value: balance 10000000000000000000000, queued cost 6000") {
		t.Errorf("second: %v", err)
	}
	r.mustSend(transfer(0, 1, nil))
}

// TestDelegatedAccount: an account whose code may spend its funds has one
// transaction under way at a time.
func TestDelegatedAccount(t *testing.T) {
	t.Parallel()
	r := start(t)
	auth, err := types.SignSetCode(key(1), types.SetCodeAuthorization{ChainID: *uint256.NewInt(evmChain), Address: common.HexToAddress("0xc0de")})
	if err != nil {
		t.Fatal(err)
	}
	r.mustSend(sign(0, &types.SetCodeTx{
		ChainID: uint256.NewInt(evmChain), Gas: 100_000, GasFeeCap: uint256.NewInt(1e10), To: address(2), AuthList: []types.SetCodeAuthorization{auth},
	}))
	await.Until(t, "bundle sent", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.pool) > 0 })
	r.order()
	if err := r.send(transfer(1, 2, nil)); err == nil || err.Error() != "gapped-nonce tx from delegated accounts" {
		t.Errorf("gap: %v", err)
	}
	r.mustSend(transfer(1, 1, nil))
	if err := r.send(transfer(1, 2, nil)); err == nil || err.Error() != "in-flight transaction limit reached for delegated accounts" {
		t.Errorf("second: %v", err)
	}
}

// TestOrderOfOneSender: whatever order transactions of one sender come in, within
// the gap that is allowed, they are executed by nonce; those behind a gap are shown as
// queued, and the pending nonce stops before it.
func TestOrderOfOneSender(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.run()
	const n = 60
	txs := make([]*types.Transaction, n)
	for i := range txs {
		txs[i] = transfer(0, uint64(i), nil)
	}
	shuffled := append([]*types.Transaction(nil), txs[1:]...)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	var wg sync.WaitGroup
	for _, tx := range shuffled {
		wg.Go(func() {
			if err := r.send(tx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := r.pendingNonce(0); got != 0 {
		t.Errorf("pending nonce %d before the gap is filled, want 0", got)
	}
	var status map[string]hexutil.Uint
	r.call(&status, "txpool_status")
	if status["pending"] != 0 || status["queued"] != n-1 {
		t.Errorf("txpool_status: %v", status)
	}
	r.mustSend(txs[0])
	if got := r.pendingNonce(0); got != n {
		t.Errorf("pending nonce %d, want %d", got, n)
	}
	var last uint64
	for i, tx := range txs {
		receipt := r.receipt(tx)
		at := receipt.BlockNumber.Uint64()<<32 | uint64(receipt.TransactionIndex)
		if i > 0 && at <= last {
			t.Fatalf("nonce %d stands before the one below it", i)
		}
		last = at
	}
	r.call(&status, "txpool_status")
	if status["pending"] != 0 || status["queued"] != 0 {
		t.Errorf("txpool_status at the end: %v", status)
	}
}

// TestManySenders: all accounts at once, each transaction executed once.
func TestManySenders(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.run()
	const n = 40
	var wg sync.WaitGroup
	for i := range evm.DevAccounts {
		wg.Go(func() {
			for nonce := range uint64(n) {
				if err := r.send(transfer(i, nonce, nil)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	await.Until(t, "all executed", func() bool {
		for i := range evm.DevAccounts {
			if got, err := r.eth.NonceAt(t.Context(), address(i), nil); err != nil || got != n {
				return false
			}
		}
		return true
	})
	balance, err := r.eth.BalanceAt(t.Context(), common.HexToAddress("0xbeef"), nil)
	if err != nil || balance.Int64() != n*int64(len(evm.DevAccounts)) {
		t.Errorf("recipient has %s wei (%v), want %d", balance, err, n*len(evm.DevAccounts))
	}
}

// TestFullBlock: what finds a block full is executed in the next one.
func TestFullBlock(t *testing.T) {
	t.Parallel()
	r := start(t)
	// An init code that loops until its gas is gone: four of these fill a block.
	burn := func(nonce uint64) *types.Transaction {
		return transfer(0, nonce, func(tx *types.DynamicFeeTx) { tx.To = nil; tx.Gas = 16_000_000; tx.Data = common.FromHex("5b600056") })
	}
	var txs []*types.Transaction
	for nonce := range uint64(5) {
		txs = append(txs, burn(nonce))
	}
	r.set(true)
	r.mustSend(txs...)
	r.set(false)
	await.Until(t, "all bundled and sent", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		n := 0
		for _, b := range r.pool {
			n += len(b.Bundle.Legs[0].Transactions)
		}
		return n == len(txs)
	})
	r.order()
	if got, err := r.eth.NonceAt(t.Context(), address(0), nil); err != nil || got != 3 {
		t.Fatalf("first block executed %d (%v), want 3", got, err)
	}
	r.run()
	for _, tx := range txs {
		r.receipt(tx)
	}
}

// TestKilled: a node that is killed right after it answered loses nothing, whether
// its bundles had been sent or not.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := startIn(t, dir, nil)
	r.order()
	var txs []*types.Transaction
	for nonce := range uint64(10) {
		txs = append(txs, transfer(0, nonce, nil))
	}
	r.mustSend(txs[:5]...)
	await.Until(t, "first ones sent", func() bool { r.mu.Lock(); defer r.mu.Unlock(); return len(r.pool) > 0 })
	r.order()
	r.set(true)
	r.mustSend(txs[5:]...)
	held := transfer(1, 1, nil)
	r.mustSend(held)

	again := startIn(t, killed.Copy(t, dir), r)
	if got := again.pendingNonce(0); got != 10 {
		t.Errorf("pending nonce %d after the restart, want 10", got)
	}
	again.run()
	for _, tx := range txs {
		again.receipt(tx)
	}
	again.mustSend(transfer(1, 0, nil))
	again.receipt(held)
}

// FuzzSendRawTransaction: no bytes make the door panic or accept what does not
// encode to the same bytes.
func FuzzSendRawTransaction(f *testing.F) {
	for _, tx := range []*types.Transaction{
		transfer(0, 0, nil),
		sign(0, &types.LegacyTx{Gas: 21000, GasPrice: big.NewInt(1e10)}),
		sign(1, &types.AccessListTx{ChainID: big.NewInt(evmChain), Gas: 30000, GasPrice: big.NewInt(1e10), AccessList: types.AccessList{{}}}),
	} {
		raw, err := tx.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{})
	f.Add([]byte{0x02, 0xc0})
	f.Add([]byte{0xf8, 0xff})
	r := start(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var hash common.Hash
		if err := r.rpc.Call(&hash, "eth_sendRawTransaction", hexutil.Bytes(raw)); err != nil {
			return
		}
		tx, _, ok := r.gateway.Get(hash)
		if !ok || string(tx.Raw) != string(raw) {
			t.Errorf("accepted %x, holds %x", raw, tx.Raw)
		}
	})
}

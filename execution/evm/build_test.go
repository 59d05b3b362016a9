package evm_test

import (
	"context"
	"crypto/sha256"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

// deployLogger is the creation of a contract that logs 42 under topic 1 when it
// is called.
var deployLogger = common.FromHex("600d600c600039600d6000f3" + "602a60005260016020" + "6000a100")

// dynamicFee returns a transaction of the account that pays at most 10 gwei.
func dynamicFee(t testing.TB, from int, nonce, gas uint64, to *common.Address, value int64, data []byte) []byte {
	return sign(t, key(t, from), &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: nonce, Gas: gas, To: to, Value: big.NewInt(value), Data: data,
		GasTipCap: big.NewInt(1_000_000), GasFeeCap: big.NewInt(10_000_000_000),
	})
}

// eventful returns blocks with every kind of transaction and system call.
func eventful(t testing.TB) []execution.Block {
	to := common.HexToAddress("0x1234")
	logger := crypto.CreateAddress(evm.DevAccounts[0].Address, 0)
	auth, err := types.SignSetCode(key(t, 3), types.SetCodeAuthorization{
		ChainID: *uint256.NewInt(chainID), Address: logger, Nonce: 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	withdrawal := make([]byte, 56) // EIP-7002: a validator's key and an amount
	return []execution.Block{
		block(1, dynamicFee(t, 0, 0, 200_000, nil, 0, deployLogger), transfer(t, 1, 0, to)),
		block(2),
		block(3,
			[]byte("garbage"),
			dynamicFee(t, 0, 1, 100_000, &logger, 0, nil),                                 // a log
			dynamicFee(t, 1, 1, 25_000, &logger, 0, []byte{1}),                            // more gas than that
			dynamicFee(t, 1, 2, 100_000, &params.HistoryStorageAddress, 0, []byte{1}),     // reverts
			dynamicFee(t, 1, 3, 300_000, &params.WithdrawalQueueAddress, 500, withdrawal), // a request in the header
			transfer(t, 1, 0, to), // once more: skipped
			sign(t, key(t, 2), &types.LegacyTx{Nonce: 0, Gas: 21000, GasPrice: big.NewInt(10_000_000_000), To: &to, Value: big.NewInt(5)}),
			sign(t, key(t, 2), &types.AccessListTx{
				ChainID: big.NewInt(chainID), Nonce: 1, Gas: 60_000, GasPrice: big.NewInt(10_000_000_000), To: &logger,
				AccessList: types.AccessList{{Address: logger, StorageKeys: []common.Hash{{1}}}},
			}),
			sign(t, key(t, 2), &types.SetCodeTx{
				ChainID: uint256.NewInt(chainID), Nonce: 2, Gas: 200_000, To: evm.DevAccounts[3].Address,
				GasTipCap: uint256.NewInt(1), GasFeeCap: uint256.NewInt(10_000_000_000), AuthList: []types.SetCodeAuthorization{auth},
			}),
		),
		block(25),
		block(26, transfer(t, 1, 4, to)),
	}
}

// What the builder makes, geth's own block processor accepts: state root,
// receipts, bloom, gas, requests. And where seconds rise, its header check does too.
func TestProcessorAgrees(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	chain := c.BlockChain()
	kinds := map[uint8]int{}
	for _, b := range eventful(t) {
		parent := chain.CurrentBlock()
		execute(t, c, b)
		built := chain.GetBlockByHash(chain.CurrentBlock().Hash())
		if _, err := chain.ProcessBlock(context.Background(), parent.Root, built, core.ExecuteConfig{}); err != nil {
			t.Errorf("block %s: %v", built.Number(), err)
		}
		if err := chain.Validator().ValidateBody(built); err != nil && !strings.Contains(err.Error(), "already known") {
			t.Errorf("block %s: %v", built.Number(), err)
		}
		if built.Time() > parent.Time {
			if err := chain.Engine().VerifyHeader(chain, built.Header()); err != nil {
				t.Errorf("header %s: %v", built.Number(), err)
			}
		}
		for _, r := range chain.GetReceiptsByHash(built.Hash()) {
			kinds[r.Type]++
			if r.BlockHash != built.Hash() {
				t.Errorf("receipt of block %s names block %s", built.Hash(), r.BlockHash)
			}
		}
	}
	want := map[uint8]int{types.LegacyTxType: 1, types.AccessListTxType: 1, types.DynamicFeeTxType: 7, types.SetCodeTxType: 1}
	for kind, n := range want {
		if kinds[kind] != n {
			t.Errorf("%d transactions of type %d, want %d", kinds[kind], kind, n)
		}
	}
	busy := chain.GetHeaderByNumber(3)
	if *busy.RequestsHash == types.EmptyRequestsHash {
		t.Error("the withdrawal request is not in the header")
	}
	if logs := chain.GetReceiptsByHash(busy.Hash())[0].Logs; len(logs) != 1 || logs[0].BlockHash != busy.Hash() {
		t.Errorf("logs %v, want one of the block", logs)
	}
	if status := chain.GetReceiptsByHash(busy.Hash())[2].Status; status != types.ReceiptStatusFailed {
		t.Error("a transaction that reverts is part of the block as failed")
	}
}

// A vector for other implementations and for later versions of this one: a change
// here is a fork of every chain.
func TestVector(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	for _, b := range eventful(t) {
		execute(t, c, b)
	}
	var got []string
	for n := range uint64(6) {
		got = append(got, c.BlockChain().GetCanonicalHash(n).Hex())
	}
	want := []string{
		"0xd9f429b27eadeacd303aefba00dc98373a163bb61113f9e255f606ac47b62688",
		"0xecdf39d14c1f25c7d7368e4f682058f41bae80f9f5c0afcfd79ec351d757c9c5",
		"0xbbaafb3e8fb5215d4cfd5f99f5e42b5dd0e67646a400127a5817d0a82ad4f6b7",
		"0xc0af91e828efbc2edd0c43534d2d09566d80e27f456249e15c866083018f7e31",
		"0x185742daf6f3714bfed5f4dfba2965f4c2ec8d0d1faacc6bee922defd2fcf7ee",
		"0xb9748965a52fbcbf22626d48ae723e9584d4ecbfab1d4eb3f94d55515645ac3f",
	}
	if !slices.Equal(got, want) {
		t.Errorf("block hashes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	coinbase := common.HexToAddress("0xfee")
	genesis := evm.DevGenesis(chainID, nil)
	genesis.Coinbase = coinbase
	genesis.ExtraData = []byte{0, 0, 0, 0, 0, 0, 0, 99}
	c := openGenesis(t, t.TempDir(), genesis)
	if got := session(t, c).Soft.Height; got != 99 {
		t.Errorf("genesis is of sequencer height %d, want 99", got)
	}
	b := block(107, transfer(t, 0, 0, coinbase))
	head := execute(t, c, b).Head
	h := c.BlockChain().CurrentBlock()
	if h.Time != uint64(b.Time.Unix()) || !head.Time.Equal(b.Time.Truncate(time.Second)) {
		t.Errorf("time %d, want %d", h.Time, b.Time.Unix())
	}
	if evm.SequencerHeight(h) != 107 || evm.SequencerHash(h) != b.Hash {
		t.Errorf("header names sequencer block %d %x", evm.SequencerHeight(h), evm.SequencerHash(h))
	}
	if want := sha256.Sum256(append([]byte("ordo/evm/prevrandao/v1\x00"), b.Hash[:]...)); h.MixDigest != want {
		t.Errorf("mix digest %x, want %x", h.MixDigest, want)
	}
	if h.GasLimit != genesis.GasLimit || h.Coinbase != coinbase || h.Difficulty.Sign() != 0 || *h.ExcessBlobGas != 0 {
		t.Errorf("header %+v", h)
	}
	state, err := c.BlockChain().State()
	if err != nil {
		t.Fatal(err)
	}
	if tip := state.GetBalance(coinbase).Uint64(); tip != 21000+1 { // a tip of 1 wei per gas, and the transfer
		t.Errorf("coinbase has %d wei, want 21001", tip)
	}
}

// Only what waits for another transaction is worth a second try.
func TestSkippedMayRetry(t *testing.T) {
	c := openGenesis(t, t.TempDir(), evm.DevGenesis(chainID, nil))
	to := common.HexToAddress("0x1234")
	res := execute(t, c, block(1, transfer(t, 0, 1, to), transfer(t, 0, 0, to), transfer(t, 0, 0, to), []byte("garbage")))
	var got []bool
	for i, s := range res.Skipped {
		if want := []int{0, 2, 3}[i]; s.Index != want {
			t.Fatalf("skipped %v, want transactions 0, 2 and 3", res.Skipped)
		}
		got = append(got, s.Retry)
	}
	if !slices.Equal(got, []bool{true, false, false}) {
		t.Errorf("skipped %v, want only the first, whose nonce is too high, to be tried again", res.Skipped)
	}
}

func TestFullBlock(t *testing.T) {
	t.Parallel()
	to := common.HexToAddress("0x1234")

	t.Run("gas", func(t *testing.T) {
		c := open(t, t.TempDir())
		var txs [][]byte
		for nonce := range uint64(4) { // of 16.7 million gas each; 60 million are in a block
			data := []byte{0xfe} // fails, and takes all
			txs = append(txs, dynamicFee(t, 0, nonce, params.MaxTxGas, nil, 0, data))
		}
		txs = append(txs, transfer(t, 1, 0, to)) // fits behind the one that does not
		res := execute(t, c, block(1, txs...))
		if len(res.Skipped) != 1 || res.Skipped[0].Index != 3 || res.Skipped[0].Reason != core.ErrGasLimitReached.Error() || !res.Skipped[0].Retry {
			t.Errorf("skipped %v, want transaction 3 for gas, to be tried again", res.Skipped)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		genesis := evm.DevGenesis(chainID, nil)
		genesis.GasLimit = 1_000_000_000
		c := openGenesis(t, t.TempDir(), genesis)
		var txs [][]byte
		for nonce := range uint64(70) {
			txs = append(txs, dynamicFee(t, 2, nonce, 1_300_000, &to, 0, make([]byte, 120_000)))
		}
		txs = append(txs, transfer(t, 1, 0, to))
		res := execute(t, c, block(1, txs...))
		if len(res.Skipped) == 0 || !strings.HasPrefix(res.Skipped[0].Reason, "block is full") || !res.Skipped[0].Retry {
			t.Fatalf("skipped %v, want some for bytes, to be tried again", res.Skipped)
		}
		if last := res.Skipped[len(res.Skipped)-1]; last.Index == len(txs)-1 {
			t.Errorf("a small transaction behind large ones was skipped: %s", last.Reason)
		}
		head := c.BlockChain().CurrentBlock()
		if size := c.BlockChain().GetBlockByHash(head.Hash()).Size(); size > params.MaxBlockSize || size < 7_000_000 {
			t.Errorf("block of %d bytes, want nearly %d", size, params.MaxBlockSize)
		}
	})
}

// FuzzExecute: no bytes stop the chain, and what geth's processor would refuse
// never gets into a block.
func FuzzExecute(f *testing.F) {
	for _, b := range eventful(f) {
		for _, tx := range b.Transactions {
			f.Add(tx)
		}
	}
	for _, tx := range invalid(f) {
		if len(tx) < 4096 {
			f.Add(tx)
		}
	}
	c := open(f, f.TempDir())
	f.Fuzz(func(t *testing.T, raw []byte) {
		parent := c.BlockChain().CurrentBlock()
		b := block(evm.SequencerHeight(parent)+1, raw, raw)
		execute(t, c, b)
		head := c.BlockChain().CurrentBlock()
		built := c.BlockChain().GetBlock(head.Hash(), head.Number.Uint64())
		if _, err := c.BlockChain().ProcessBlock(context.Background(), parent.Root, built, core.ExecuteConfig{}); err != nil {
			t.Fatalf("transaction %x: %v", raw, err)
		}
	})
}

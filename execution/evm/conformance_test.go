package evm_test

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/execution/executiontest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	executiontest.Run(t, executiontest.Harness{
		Open:        func(t *testing.T, dir string) execution.Client { return open(t, dir) },
		Transaction: func(t *testing.T, n uint64) []byte { return transfer(t, 0, n, common.HexToAddress("0x1234")) },
		Invalid:     invalid(t),
	})
}

// invalid are transactions of account 1 that look right and are never applied.
func invalid(t testing.TB) [][]byte {
	to := common.HexToAddress("0x1234")
	tx := func(change func(*types.DynamicFeeTx)) []byte {
		data := &types.DynamicFeeTx{
			ChainID: big.NewInt(chainID), Gas: 21000, To: &to, Value: big.NewInt(1),
			GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(10_000_000_000),
		}
		change(data)
		return sign(t, key(t, 1), data)
	}
	huge := new(big.Int).Lsh(big.NewInt(1), 255)
	valid := transfer(t, 1, 0, to)
	foreign := transfer(t, 1, 0, to)
	foreign[len(foreign)-40] ^= 1 // another signature is of another account, without funds
	return [][]byte{
		foreign,
		append(bytes.Clone(valid), 0),
		valid[:len(valid)-1],
		tx(func(d *types.DynamicFeeTx) { d.Nonce = 1 }),
		tx(func(d *types.DynamicFeeTx) { d.Nonce = 1<<64 - 1 }),
		tx(func(d *types.DynamicFeeTx) { d.Gas = 20999 }),
		tx(func(d *types.DynamicFeeTx) { d.Gas = 1<<24 + 1 }), // EIP-7825
		tx(func(d *types.DynamicFeeTx) { d.Gas = 1<<64 - 1 }),
		tx(func(d *types.DynamicFeeTx) { d.Value = huge }),
		tx(func(d *types.DynamicFeeTx) { d.GasFeeCap, d.GasTipCap = huge, huge }),
		tx(func(d *types.DynamicFeeTx) { d.GasFeeCap = new(big.Int).Lsh(huge, 8) }),
		tx(func(d *types.DynamicFeeTx) { d.GasFeeCap = big.NewInt(0) }),
		tx(func(d *types.DynamicFeeTx) { d.GasTipCap = new(big.Int).Add(d.GasFeeCap, big.NewInt(1)) }),
		tx(func(d *types.DynamicFeeTx) { d.Data = make([]byte, evm.MaxTransactionBytes) }),
		tx(func(d *types.DynamicFeeTx) { d.To, d.Gas, d.Data = nil, 1<<24, make([]byte, 49153) }), // EIP-3860
		sign(t, key(t, 1), &types.BlobTx{
			ChainID: uint256.NewInt(chainID), Gas: 21000, To: to, BlobFeeCap: uint256.NewInt(1),
			GasTipCap: uint256.NewInt(1), GasFeeCap: uint256.NewInt(10_000_000_000),
			BlobHashes: []common.Hash{{1}},
		}),
		sign(t, key(t, 1), &types.SetCodeTx{
			ChainID: uint256.NewInt(chainID), Gas: 100_000, To: to,
			GasTipCap: uint256.NewInt(1), GasFeeCap: uint256.NewInt(10_000_000_000),
		}),
		otherChain(t),
	}
}

func otherChain(t testing.TB) []byte {
	to := common.HexToAddress("0x1234")
	raw, err := types.MustSignNewTx(key(t, 1), types.LatestSignerForChainID(big.NewInt(chainID+1)), &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID + 1), Gas: 21000, To: &to, GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(10_000_000_000),
	}).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestLegConformance(t *testing.T) {
	t.Parallel()
	h := executiontest.LegHarness{
		Harness: executiontest.Harness{
			Open:        func(t *testing.T, dir string) execution.Client { return open(t, dir) },
			Transaction: func(t *testing.T, n uint64) []byte { return transfer(t, 0, n, common.HexToAddress("0x1234")) },
			Invalid:     invalid(t),
		},
		Reverts: func(t *testing.T, n uint64) []byte {
			return dynamicFee(t, 0, n, 100_000, &params.HistoryStorageAddress, 0, []byte{1})
		},
		TransactionHash: hashOf,
	}
	executiontest.RunTerms(t, h)
	executiontest.RunLockstep(t, h)
}

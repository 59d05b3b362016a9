package evm_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
)

const chainID = 31337

// epoch is the time of sequencer block 0.
var epoch = time.Unix(1_750_000_000, 0)

func open(t testing.TB, dir string) *evm.Client {
	t.Helper()
	c, err := evm.New(evm.Config{DataDir: dir, Genesis: evm.DevGenesis(chainID, nil)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func session(t testing.TB, c execution.Client) execution.Session {
	t.Helper()
	s, err := c.Open(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// block is the sequencer block of that height on a chain of ten a second.
func block(height uint64, txs ...[]byte) execution.Block {
	return execution.Block{
		Height:       height,
		Hash:         sha256.Sum256(binary.BigEndian.AppendUint64([]byte("block"), height)),
		Time:         epoch.Add(time.Duration(height) * 100 * time.Millisecond),
		Transactions: txs,
	}
}

func execute(t testing.TB, c execution.Client, b execution.Block) execution.Result {
	t.Helper()
	res, err := c.Execute(context.Background(), session(t, c).Soft.Hash, b)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func key(t testing.TB, i int) *ecdsa.PrivateKey {
	t.Helper()
	k, err := crypto.HexToECDSA(evm.DevAccounts[i].PrivateKey[2:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sign encodes the transaction as a wallet sends it.
func sign(t testing.TB, k *ecdsa.PrivateKey, tx types.TxData) []byte {
	t.Helper()
	raw, err := types.MustSignNewTx(k, types.LatestSignerForChainID(big.NewInt(chainID)), tx).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func transfer(t testing.TB, from int, nonce uint64, to common.Address) []byte {
	return sign(t, key(t, from), &types.DynamicFeeTx{
		ChainID: big.NewInt(chainID), Nonce: nonce, Gas: 21000, To: &to, Value: big.NewInt(1),
		GasTipCap: big.NewInt(1), GasFeeCap: big.NewInt(10_000_000_000),
	})
}

func TestTransfer(t *testing.T) {
	c := open(t, t.TempDir())
	to := common.HexToAddress("0x1234")
	res := execute(t, c, block(1, transfer(t, 0, 0, to), transfer(t, 0, 1, to)))
	if len(res.Skipped) != 0 {
		t.Fatal(res.Skipped)
	}
	state, err := c.BlockChain().State()
	if err != nil {
		t.Fatal(err)
	}
	if got := state.GetBalance(to).Uint64(); got != 2 {
		t.Errorf("recipient has %d wei, want 2", got)
	}
}

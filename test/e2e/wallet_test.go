package e2e

import (
	"context"
	"crypto/ecdsa"
	_ "embed"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/ordo-network/ordo/devnet"
)

var (
	gwei  = big.NewInt(1e9)
	ether = big.NewInt(1e18)
)

// wallet signs for one account of a rollup.
type wallet struct {
	key     *ecdsa.PrivateKey
	address common.Address
	chainID *big.Int
	client  *ethclient.Client
}

// newWallet returns account i of the test mnemonic.
func newWallet(t *testing.T, r devnet.RollupEndpoint, client *ethclient.Client, i int) *wallet {
	t.Helper()
	key, err := crypto.HexToECDSA(strings.TrimPrefix(devnet.Accounts[i].PrivateKey, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return &wallet{key: key, address: crypto.PubkeyToAddress(key.PublicKey), chainID: new(big.Int).SetUint64(r.ChainID), client: client}
}

// sign signs a transaction; to is nil for a deployment.
func (w *wallet) sign(nonce uint64, to *common.Address, value *big.Int, data []byte, gas uint64) (*types.Transaction, error) {
	return types.SignNewTx(w.key, types.LatestSignerForChainID(w.chainID), &types.DynamicFeeTx{
		ChainID: w.chainID, Nonce: nonce, To: to, Value: value, Data: data, Gas: gas,
		GasTipCap: gwei, GasFeeCap: new(big.Int).Mul(gwei, big.NewInt(100)),
	})
}

// send sends a transaction and waits for its receipt.
func (w *wallet) send(t *testing.T, to *common.Address, value *big.Int, data []byte, gas uint64) *types.Receipt {
	t.Helper()
	nonce, err := w.client.PendingNonceAt(t.Context(), w.address)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := w.sign(nonce, to, value, data, gas)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.SendTransaction(t.Context(), tx); err != nil {
		t.Fatalf("send transaction: %v", err)
	}
	return receipt(t, w.client, tx.Hash())
}

func receipt(t *testing.T, client *ethclient.Client, hash common.Hash) *types.Receipt {
	t.Helper()
	var got *types.Receipt
	eventually(t, settleTime, "the receipt of "+hash.Hex(), func() (err error) {
		got, err = client.TransactionReceipt(t.Context(), hash)
		return err
	})
	return got
}

//go:embed contract/Tally.json
var tallyJSON []byte

// tally returns the interface and the code of contract/Tally.sol.
func tally(t *testing.T) (abi.ABI, []byte) {
	t.Helper()
	var file struct {
		ABI      json.RawMessage
		Bytecode string
	}
	if err := json.Unmarshal(tallyJSON, &file); err != nil {
		t.Fatal(err)
	}
	parsed, err := abi.JSON(strings.NewReader(string(file.ABI)))
	if err != nil {
		t.Fatal(err)
	}
	return parsed, common.FromHex(file.Bytecode)
}

// block is a block with the hashes of its transactions.
type block struct {
	Hash common.Hash
	Txs  []common.Hash
}

// chain reads the blocks of a rollup from one number to another, both included.
func chain(ctx context.Context, client *ethclient.Client, from, to uint64) ([]block, error) {
	var out []block
	for n := from; n <= to; n++ {
		var b struct {
			Hash         common.Hash   `json:"hash"`
			Transactions []common.Hash `json:"transactions"`
		}
		if err := client.Client().CallContext(ctx, &b, "eth_getBlockByNumber", fmt.Sprintf("0x%x", n), false); err != nil {
			return nil, fmt.Errorf("block %d: %w", n, err)
		}
		if b.Hash == (common.Hash{}) {
			return nil, fmt.Errorf("block %d: %w", n, ethereum.NotFound)
		}
		out = append(out, block{Hash: b.Hash, Txs: b.Transactions})
	}
	return out, nil
}

func mustChain(t *testing.T, client *ethclient.Client, to uint64) []block {
	t.Helper()
	blocks, err := chain(t.Context(), client, 0, to)
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

// sameChain fails where two nodes have different blocks up to a number. The second
// may still be on its way there.
func sameChain(t *testing.T, want []block, second *ethclient.Client) {
	t.Helper()
	last := uint64(len(want) - 1)
	eventually(t, settleTime, fmt.Sprintf("block %d on the second node", last), func() error {
		n, err := second.BlockNumber(t.Context())
		if err == nil && n < last {
			err = fmt.Errorf("it has %d", n)
		}
		return err
	})
	for n, got := range mustChain(t, second, last) {
		if got.Hash != want[n].Hash {
			t.Fatalf("block %d is %s on one node and %s on the other", n, want[n].Hash, got.Hash)
		}
	}
}

// tagged returns the header that a rollup has under a tag.
func tagged(ctx context.Context, client *ethclient.Client, tag string) (*types.Header, error) {
	var h *types.Header
	err := client.Client().CallContext(ctx, &h, "eth_getBlockByNumber", tag, false)
	if err == nil && h == nil {
		err = ethereum.NotFound
	}
	return h, err
}

// waitTag waits until the block under a tag is at least n.
func waitTag(t *testing.T, client *ethclient.Client, tag string, n uint64) {
	t.Helper()
	eventually(t, settleTime, fmt.Sprintf("block %d to be %s", n, tag), func() error {
		h, err := tagged(t.Context(), client, tag)
		if err == nil && h.Number.Uint64() < n {
			err = fmt.Errorf("it stands at %d", h.Number)
		}
		return err
	})
}

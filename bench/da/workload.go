package da

import (
	"crypto/ecdsa"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"runtime"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/order"
)

// Kinds of transactions.
const (
	kindTransfer = "transfers"
	kindToken    = "ERC-20"
)

const (
	// senders of a rollup take turns.
	senders = 250
	// holders are those who are paid, some far more often than others.
	holders = 5000
	// gasLimit of a block is beyond what is ordered in one, so that none is left out.
	gasLimit = 1 << 40
	chainIDs = 7_001 // of the first rollup
)

// workload makes the transactions of one rollup.
type workload struct {
	name    string
	id      order.RollupID
	kind    string
	genesis *core.Genesis

	signer  types.Signer
	keys    []*ecdsa.PrivateKey
	holders []common.Address
	random  *rand.Rand
	made    uint64 // transactions
	bytes   int    // of them
}

// newWorkload makes the i-th rollup. Its keys, and what it will send, depend on i alone.
func newWorkload(i int, kind string) (*workload, error) {
	name := fmt.Sprintf("bench-da-%d", i)
	w := &workload{
		name: name, id: order.NewRollupID(name), kind: kind,
		signer: types.LatestSignerForChainID(big.NewInt(chainIDs + int64(i))),
		random: rand.New(rand.NewPCG(uint64(i), 0x6f72646f)),
	}
	alloc := types.GenesisAlloc{}
	token := types.Account{Code: tokenCode(), Balance: new(big.Int), Nonce: 1, Storage: map[common.Hash]common.Hash{}}
	funds := new(big.Int).Mul(big.NewInt(1_000_000_000), big.NewInt(params.Ether))
	for range senders {
		key, err := w.key()
		if err != nil {
			return nil, err
		}
		w.keys = append(w.keys, key)
		address := crypto.PubkeyToAddress(key.PublicKey)
		alloc[address] = types.Account{Balance: funds}
		token.Storage[balanceSlot(address)] = common.BigToHash(funds)
	}
	for range holders {
		var a common.Address
		for j := 0; j+4 <= len(a); j += 4 {
			binary.BigEndian.PutUint32(a[j:], w.random.Uint32())
		}
		w.holders = append(w.holders, a)
	}
	alloc[tokenAddress] = token
	w.genesis = evm.DevGenesis(chainIDs+uint64(i), alloc)
	w.genesis.GasLimit = gasLimit
	return w, nil
}

// key returns a private key that is the same in each run.
func (w *workload) key() (*ecdsa.PrivateKey, error) {
	for range 10 {
		var raw [32]byte
		for i := 0; i < len(raw); i += 8 {
			binary.BigEndian.PutUint64(raw[i:], w.random.Uint64())
		}
		if key, err := crypto.ToECDSA(raw[:]); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("no key of 10 is on the curve")
}

// next returns the next signed transactions, of about that many bytes together.
func (w *workload) next(size int) ([][]byte, error) {
	estimate := map[string]int{kindTransfer: 118, kindToken: 178}[w.kind]
	unsigned := make([]*types.DynamicFeeTx, max(size/estimate, 1))
	first := w.made
	for i := range unsigned {
		unsigned[i] = w.unsigned()
	}
	out := make([][]byte, len(unsigned))
	var group errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < len(unsigned); i += workers {
				tx, err := types.SignNewTx(w.keys[(first+uint64(i))%senders], w.signer, unsigned[i])
				if err != nil {
					return fmt.Errorf("sign: %w", err)
				}
				if out[i], err = tx.MarshalBinary(); err != nil {
					return fmt.Errorf("encode: %w", err)
				}
			}
			return nil
		})
	}
	err := group.Wait()
	w.bytes += sizeOf(out)
	return out, err
}

// unsigned makes the next transaction: to someone, some amount of a few digits, for
// one of the tips that wallets suggest.
func (w *workload) unsigned() *types.DynamicFeeTx {
	tips := [...]int64{1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 1_500_000_000}
	tx := &types.DynamicFeeTx{
		ChainID: w.signer.ChainID(), Nonce: w.made / senders,
		GasTipCap: big.NewInt(tips[w.random.IntN(len(tips))]), GasFeeCap: big.NewInt(20 * params.GWei),
	}
	w.made++
	skew := w.random.Float64()
	to := w.holders[int(skew*skew*holders)]
	amount := new(big.Int).Mul(big.NewInt(1+w.random.Int64N(999_999)), big.NewInt(1_000_000_000_000))
	switch w.kind {
	case kindTransfer:
		tx.To, tx.Value, tx.Gas = &to, amount, params.TxGas
	case kindToken:
		tx.To, tx.Value, tx.Gas, tx.Data = &tokenAddress, new(big.Int), 70_000, transferCall(to, amount)
	}
	return tx
}

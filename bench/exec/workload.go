package exec

import (
	"crypto/ecdsa"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
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
	KindTransfers = "transfers" // of ether
	KindTokens    = "tokens"    // ERC-20 transfers
	KindSwaps     = "swaps"     // of one token for another at a pair, by a router
)

// Kinds are all there are.
var Kinds = []string{KindTransfers, KindTokens, KindSwaps}

const (
	// senders take turns.
	senders = 256
	// holders are those who are paid, some far more often than others.
	holders = 20_000
	// gasLimit of a block is beyond what is ordered in one, so that none is left out.
	gasLimit = 1 << 40
	chainIDs = 7_101 // of the first rollup
)

// workload makes the transactions of one rollup.
type workload struct {
	name    string
	id      order.RollupID
	kind    string
	genesis *core.Genesis

	signer  types.Signer
	keys    []*ecdsa.PrivateKey
	owners  []common.Address // of the keys
	holders []common.Address
	random  *rand.Rand
	made    int // transactions
}

// newWorkload makes the rollup of a kind. Its keys, and what it will send, hang on the kind
// alone.
func newWorkload(kind string, number int) (*workload, error) {
	name := "bench-exec-" + kind
	w := &workload{
		name: name, id: order.NewRollupID(name), kind: kind,
		signer: types.LatestSignerForChainID(big.NewInt(chainIDs + int64(number))),
		random: rand.New(rand.NewPCG(uint64(number), 0x6f72646f)),
	}
	for range senders {
		key, err := w.key()
		if err != nil {
			return nil, err
		}
		w.keys, w.owners = append(w.keys, key), append(w.owners, crypto.PubkeyToAddress(key.PublicKey))
	}
	for range holders {
		var a common.Address
		for i := 0; i+4 <= len(a); i += 4 {
			binary.BigEndian.PutUint32(a[i:], w.random.Uint32())
		}
		w.holders = append(w.holders, a)
	}
	funds := new(big.Int).Mul(big.NewInt(1_000_000_000), big.NewInt(params.Ether))
	alloc, err := contracts(w.owners, funds, funds)
	if err != nil {
		return nil, err
	}
	for _, owner := range w.owners {
		alloc[owner] = types.Account{Balance: funds}
	}
	w.genesis = evm.DevGenesis(w.signer.ChainID().Uint64(), alloc)
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

// next returns the next n signed transactions. The i-th of all is of sender i modulo senders.
func (w *workload) next(n int) ([][]byte, error) {
	unsigned, first := make([]*types.DynamicFeeTx, n), w.made
	for i := range unsigned {
		unsigned[i] = w.unsigned()
	}
	out := make([][]byte, n)
	var group errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < n; i += workers {
				tx, err := types.SignNewTx(w.keys[(first+i)%senders], w.signer, unsigned[i])
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
	return out, group.Wait()
}

// unsigned makes the next transaction: some amount of a few digits, for one of the tips that
// wallets suggest.
func (w *workload) unsigned() *types.DynamicFeeTx {
	tips := [...]int64{1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 1_500_000_000}
	tx := &types.DynamicFeeTx{
		ChainID: w.signer.ChainID(), Nonce: uint64(w.made / senders), Value: new(big.Int),
		GasTipCap: big.NewInt(tips[w.random.IntN(len(tips))]), GasFeeCap: big.NewInt(20 * params.GWei),
	}
	sender := w.owners[w.made%senders]
	w.made++
	skew := w.random.Float64()
	to := w.holders[int(skew*skew*holders)]
	amount := new(big.Int).Mul(big.NewInt(1+w.random.Int64N(999_999)), big.NewInt(1_000_000_000_000))
	switch w.kind {
	case KindTransfers:
		tx.To, tx.Value, tx.Gas = &to, amount, params.TxGas
	case KindTokens:
		tx.To, tx.Gas, tx.Data = &token0, 70_000, call(selectTransfer, word(to), amount)
	case KindSwaps:
		least := new(big.Int).Div(new(big.Int).Mul(amount, big.NewInt(98)), big.NewInt(100))
		tx.To, tx.Gas = &router, 300_000
		tx.Data = call(selectSwap, word(pair), big.NewInt(w.random.Int64N(2)), amount, least, word(sender), big.NewInt(math.MaxInt64))
	}
	return tx
}

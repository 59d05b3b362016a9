package exec

import (
	"math"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"

	"github.com/ordo-network/ordo/bench/payments"
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

	payments *payments.Source
	owners   []common.Address // of ether and tokens: the senders
}

// newWorkload makes the rollup of a kind. Its keys, and what it will send, hang on the kind
// alone.
func newWorkload(kind string, number int) (*workload, error) {
	name := "bench-exec-" + kind
	chainID := chainIDs + uint64(number)
	people, err := payments.New(chainID, uint64(number), senders, holders)
	if err != nil {
		return nil, err
	}
	w := &workload{name: name, id: order.NewRollupID(name), kind: kind, payments: people, owners: people.Senders}
	funds := new(big.Int).Mul(big.NewInt(1_000_000_000), big.NewInt(params.Ether))
	alloc, err := contracts(w.owners, funds, funds)
	if err != nil {
		return nil, err
	}
	for _, owner := range w.owners {
		alloc[owner] = types.Account{Balance: funds}
	}
	w.genesis = evm.DevGenesis(chainID, alloc)
	w.genesis.GasLimit = gasLimit
	return w, nil
}

// next returns the next n signed transactions. The i-th of all is of sender i modulo senders.
func (w *workload) next(n int) ([][]byte, error) { return w.payments.Sign(n, w.complete) }

// complete makes a payment a transaction of the workload's kind.
func (w *workload) complete(p payments.Payment) *types.DynamicFeeTx {
	tx := p.Tx
	switch w.kind {
	case KindTransfers:
		tx.To, tx.Value, tx.Gas = &p.To, p.Amount, params.TxGas
	case KindTokens:
		tx.To, tx.Gas, tx.Data = &token0, 70_000, call(selectTransfer, word(p.To), p.Amount)
	case KindSwaps:
		least := new(big.Int).Div(new(big.Int).Mul(p.Amount, big.NewInt(98)), big.NewInt(100))
		tx.To, tx.Gas = &router, 300_000
		tx.Data = call(selectSwap, word(pair), big.NewInt(w.payments.Random.Int64N(2)), p.Amount, least, word(p.From), big.NewInt(math.MaxInt64))
	}
	return tx
}

package da

import (
	"fmt"
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

	payments *payments.Source
	bytes    int // of the transactions so far
}

// newWorkload makes the i-th rollup. Its keys, and what it will send, depend on i alone.
func newWorkload(i int, kind string) (*workload, error) {
	name := fmt.Sprintf("bench-da-%d", i)
	chainID := chainIDs + uint64(i)
	people, err := payments.New(chainID, uint64(i), senders, holders)
	if err != nil {
		return nil, err
	}
	w := &workload{name: name, id: order.NewRollupID(name), kind: kind, payments: people}
	alloc := types.GenesisAlloc{}
	token := types.Account{Code: tokenCode(), Balance: new(big.Int), Nonce: 1, Storage: map[common.Hash]common.Hash{}}
	funds := new(big.Int).Mul(big.NewInt(1_000_000_000), big.NewInt(params.Ether))
	for _, address := range people.Senders {
		alloc[address] = types.Account{Balance: funds}
		token.Storage[balanceSlot(address)] = common.BigToHash(funds)
	}
	alloc[tokenAddress] = token
	w.genesis = evm.DevGenesis(chainID, alloc)
	w.genesis.GasLimit = gasLimit
	return w, nil
}

// next returns the next signed transactions, of about that many bytes together.
func (w *workload) next(size int) ([][]byte, error) {
	estimate := map[string]int{kindTransfer: 118, kindToken: 178}[w.kind]
	out, err := w.payments.Sign(max(size/estimate, 1), w.complete)
	w.bytes += sizeOf(out)
	return out, err
}

// complete makes a payment a transaction of the workload's kind.
func (w *workload) complete(p payments.Payment) *types.DynamicFeeTx {
	tx := p.Tx
	switch w.kind {
	case kindTransfer:
		tx.To, tx.Value, tx.Gas = &p.To, p.Amount, params.TxGas
	case kindToken:
		tx.To, tx.Gas, tx.Data = &tokenAddress, 70_000, transferCall(p.To, p.Amount)
	}
	return tx
}

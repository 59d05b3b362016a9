package engine

import (
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/execution/evm"
	"github.com/ordo-network/ordo/execution/terms"
)

// typeDeposit is that of the OP Stack's deposits, which mint what they carry.
const typeDeposit = 0x7e

// maxCandidates bounds the transactions of a block that are looked at beyond their bytes;
// a block of 30 million gas has room for 1,428.
const maxCandidates = 8192

// Why a transaction is skipped for what it is.
var (
	errDeposit = errors.New("deposit transaction: what is ordered cannot mint")
	errBlob    = errors.New("blob transaction: this chain carries no blobs")
	errLarge   = fmt.Errorf("transaction larger than %d bytes", evm.MaxTransactionBytes)
	errTerms   = errors.New("leg not applied: the execution client of this rollup applies no legs with terms")
	errMany    = fmt.Errorf("block is full: it has had %d transactions", maxCandidates)
)

// candidate is an ordered transaction that may be applied.
type candidate struct {
	index int // in the block's transactions
	raw   []byte
	tx    *types.Transaction
	from  common.Address
	cost  *uint256.Int // at most, by what it says itself
}

// candidates parts the transactions into those that may apply and those that never do,
// whatever the state is.
func candidates(f *forks, b execution.Block, number, time uint64) ([]candidate, []execution.Skipped) {
	all, failed := make([]candidate, len(b.Transactions)), make([]error, len(b.Transactions))
	of := withTerms(b)
	rules := f.chain.Rules(new(big.Int).SetUint64(number), true, time)
	signer := types.MakeSigner(f.chain, new(big.Int).SetUint64(number), time)
	// Recovering a sender takes a while: on all processors.
	workers := min(runtime.GOMAXPROCS(0), len(all))
	var wg sync.WaitGroup
	for first := range workers {
		wg.Go(func() {
			for i := first; i < len(all); i += workers {
				if of[i] {
					failed[i] = errTerms
					continue
				}
				all[i], failed[i] = inspect(rules, signer, b.Transactions[i])
				all[i].index = i
			}
		})
	}
	wg.Wait()
	var kept []candidate
	var skipped []execution.Skipped
	for i, err := range failed {
		switch {
		case err != nil:
			skipped = append(skipped, execution.Skipped{Index: i, Reason: err.Error()})
		case len(kept) == maxCandidates:
			skipped = append(skipped, execution.Skipped{Index: i, Reason: errMany.Error(), Retry: true})
		default:
			kept = append(kept, all[i])
		}
	}
	return kept, skipped
}

// withTerms says which transactions are of legs that have terms.
func withTerms(b execution.Block) []bool {
	of, at := make([]bool, len(b.Transactions)), 0
	for _, leg := range b.Legs {
		end := min(at+leg.Transactions, len(of))
		if at < end && terms.Is(b.Transactions[at]) {
			for ; at < end; at++ {
				of[at] = true
			}
		}
		at = end
	}
	return of
}

// Inspect decodes a transaction and refuses one that no block of about that time could
// hold, whatever the state is.
func (o *OP) Inspect(raw []byte, time uint64) (tx *types.Transaction, from common.Address, err error) {
	number := big.NewInt(1) // forks by number are active before it
	c, err := inspect(o.forks.chain.Rules(number, true, time), types.MakeSigner(o.forks.chain, number, time), raw)
	return c.tx, c.from, err
}

// inspect decodes a transaction and refuses what no state could let apply.
func inspect(rules params.Rules, signer types.Signer, raw []byte) (candidate, error) {
	switch {
	case len(raw) > evm.MaxTransactionBytes:
		return candidate{}, errLarge
	case len(raw) > 0 && raw[0] == typeDeposit:
		return candidate{}, errDeposit
	case len(raw) > 0 && raw[0] == types.BlobTxType:
		return candidate{}, errBlob
	}
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return candidate{}, fmt.Errorf("decode transaction: %w", err)
	}
	from, err := types.Sender(signer, tx)
	if err != nil {
		return candidate{}, fmt.Errorf("recover sender: %w", err)
	}
	cost, overflow := uint256.FromBig(tx.Cost())
	switch {
	case overflow || tx.GasFeeCap().BitLen() > 256 || tx.GasTipCap().BitLen() > 256:
		return candidate{}, core.ErrInsufficientFunds
	case tx.GasFeeCapIntCmp(tx.GasTipCap()) < 0:
		return candidate{}, core.ErrTipAboveFeeCap
	case tx.Nonce() == 1<<64-1:
		return candidate{}, core.ErrNonceMax
	case rules.IsOsaka && tx.Gas() > params.MaxTxGas:
		return candidate{}, core.ErrGasLimitTooHigh
	case tx.Type() == types.SetCodeTxType && len(tx.SetCodeAuthorizations()) == 0:
		return candidate{}, core.ErrEmptyAuthList
	}
	if tx.To() == nil {
		if err := vm.CheckMaxInitCodeSize(&rules, uint64(len(tx.Data()))); err != nil {
			return candidate{}, err
		}
	}
	return candidate{raw: raw, tx: tx, from: from, cost: cost}, enoughGas(rules, from, tx)
}

// enoughGas refuses a transaction whose gas does not pay for itself.
func enoughGas(rules params.Rules, from common.Address, tx *types.Transaction) error {
	value, _ := uint256.FromBig(tx.Value()) // within 256 bits, for the cost is
	gas, err := core.IntrinsicGas(tx.Data(), tx.AccessList(), tx.SetCodeAuthorizations(), from, tx.To(), value, rules)
	if err != nil {
		return err
	}
	if tx.Gas() < gas {
		return fmt.Errorf("%w: have %d, want %d", core.ErrIntrinsicGas, tx.Gas(), gas)
	}
	if !rules.IsPrague {
		return nil
	}
	floor, err := core.FloorDataGas(rules, from, tx.To(), value, tx.Data(), tx.AccessList())
	if err == nil && tx.Gas() < floor {
		err = fmt.Errorf("%w: have %d, want %d", core.ErrFloorDataGas, tx.Gas(), floor)
	}
	return err
}

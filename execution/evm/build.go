package evm

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"

	"github.com/ordo-network/ordo/execution"
)

const (
	// MaxTransactionBytes bounds one transaction: what the pools of Ethereum's
	// nodes accept. It is a rule of the chain: a larger one is skipped.
	MaxTransactionBytes = 128 << 10
	// maxBodyBytes keeps a block below EIP-7934's bound on its encoding, with
	// room for the header, as geth's miner does.
	maxBodyBytes = params.MaxBlockSize - 1_000_000
)

// Why a transaction is skipped, beside the reasons that geth gives.
var (
	errTooLarge = fmt.Errorf("transaction larger than %d bytes", MaxTransactionBytes)
	errBlob     = errors.New("blob transaction: this chain carries no blobs")
	errBlock    = fmt.Errorf("block is full: %d bytes of transactions", maxBodyBytes)
)

// built is an executed block that is not written yet.
type built struct {
	block    *types.Block
	receipts types.Receipts
	state    *state.StateDB
	skipped  []execution.Skipped
}

// build executes the ordered transactions one by one on the parent's state,
// together with the system calls of the forks, as geth's miner does. What cannot
// be applied leaves no trace in the state.
func build(chain *core.BlockChain, parent *types.Header, b execution.Block) (*built, error) {
	config := chain.Config()
	header := newHeader(config, parent, b)
	statedb, err := chain.StateAt(parent.Root, parent.Number, parent.Time)
	if err != nil {
		return nil, fmt.Errorf("state of block %s: %w", parent.Number, err)
	}
	evm := vm.NewEVM(core.NewEVMBlockContext(header, chain, &header.Coinbase), statedb, config, vm.Config{})
	defer evm.Release()
	evm.SetJumpDestCache(chain.JumpDestCache())
	evm.SetPrecompileCache(chain.PrecompileCache())

	// The block's outcome must not hang on the caller giving up half way.
	ctx := context.Background()
	core.PreExecution(ctx, header.ParentBeaconRoot, parent, config, evm, header.Number, header.Time)

	out := &built{state: statedb}
	signer := types.MakeSigner(config, header.Number, header.Time)
	txs, failed := decode(signer, b.Transactions)

	pool := core.NewGasPool(header.GasLimit)
	var included types.Transactions
	var logs []*types.Log
	size := 0
	for i, tx := range txs {
		err := failed[i]
		if err == nil && size+len(b.Transactions[i]) > maxBodyBytes {
			err = errBlock
		}
		var receipt *types.Receipt
		if err == nil {
			statedb.SetTxContext(tx.Hash(), len(included), uint32(len(included)+1))
			receipt, err = apply(ctx, evm, pool, statedb, signer, header, tx)
		}
		if err != nil {
			out.skipped = append(out.skipped, execution.Skipped{Index: i, Reason: err.Error(), Retry: mayRetry(err)})
			continue
		}
		included = append(included, tx)
		size += len(b.Transactions[i])
		out.receipts = append(out.receipts, receipt)
		logs = append(logs, receipt.Logs...)
	}
	header.GasUsed = pool.Used()

	body := &types.Body{Transactions: included, Withdrawals: []*types.Withdrawal{}}
	requests, _, err := core.PostExecution(ctx, config, header.Number, header.Time, logs, body.Withdrawals, evm, uint32(len(included)+1))
	if err != nil {
		return nil, fmt.Errorf("system calls: %w", err)
	}
	if requests != nil {
		hash := types.CalcRequestsHash(requests)
		header.RequestsHash = &hash
	}
	chain.Engine().Finalize(chain, header, statedb, body)
	out.block = core.AssembleBlock(chain, header, statedb, body, out.receipts, nil)
	if err := statedb.Error(); err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return out, nil
}

// mayRetry reports whether what was skipped for that reason may apply later. The
// state after the block would not tell: the missing transaction may have come later
// in the same block.
func mayRetry(err error) bool {
	return errors.Is(err, core.ErrNonceTooHigh) || errors.Is(err, core.ErrGasLimitReached) || errors.Is(err, errBlock)
}

// apply runs one transaction. On an error it leaves state and gas as they were.
func apply(ctx context.Context, evm *vm.EVM, pool *core.GasPool, statedb *state.StateDB, signer types.Signer, header *types.Header, tx *types.Transaction) (*types.Receipt, error) {
	msg, err := core.TransactionToMessage(tx, signer, header.BaseFee)
	if err != nil {
		return nil, err
	}
	revision, gas := statedb.Snapshot(), pool.Snapshot()
	// The block has no hash yet; whoever reads the receipt from disk fills it in.
	receipt, _, err := core.ApplyTransactionWithEVM(ctx, msg, pool, statedb, header.Number, common.Hash{}, header.Time, tx, evm)
	if err != nil {
		statedb.RevertToSnapshot(revision)
		pool.Set(gas)
		return nil, err
	}
	return receipt, nil
}

// decode reads transactions from bytes that nobody has checked, and recovers their
// senders, which costs more than executing a transfer: on all processors.
func decode(signer types.Signer, raw [][]byte) ([]*types.Transaction, []error) {
	txs, failed := make([]*types.Transaction, len(raw)), make([]error, len(raw))
	workers := min(runtime.GOMAXPROCS(0), (len(raw)+3)/4)
	var wg sync.WaitGroup
	for first := range workers {
		wg.Go(func() {
			for i := first; i < len(raw); i += workers {
				txs[i], failed[i] = decodeTransaction(signer, raw[i])
			}
		})
	}
	wg.Wait()
	return txs, failed
}

func decodeTransaction(signer types.Signer, raw []byte) (*types.Transaction, error) {
	switch {
	case len(raw) > MaxTransactionBytes:
		return nil, errTooLarge
	case len(raw) > 0 && raw[0] == types.BlobTxType:
		return nil, errBlob
	}
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(raw); err != nil {
		return nil, fmt.Errorf("decode transaction: %w", err)
	}
	if _, err := types.Sender(signer, tx); err != nil { // kept inside tx
		return nil, fmt.Errorf("recover sender: %w", err)
	}
	return tx, nil
}

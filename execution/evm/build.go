package evm

import (
	"context"
	"errors"
	"fmt"

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
	outcomes []execution.Outcome
}

// build executes the ordered transactions one by one on the parent's state,
// together with the system calls of the forks, as geth's miner does. What cannot
// be applied leaves no trace in the state.
func build(chain *core.BlockChain, parent *types.Header, b execution.Block, known *decoded) (*built, error) {
	// The block's outcome must not hang on the caller giving up half way.
	ctx := context.Background()
	body, err := begin(ctx, chain, parent, b)
	if err != nil {
		return nil, err
	}
	evm := body.newEVM()
	defer evm.Release()
	out := &built{state: body.state, outcomes: make([]execution.Outcome, len(b.Transactions))}
	txs, failed := decode(body.signer, b.Transactions, known)
	for i, tx := range txs {
		err := failed[i]
		if err == nil {
			err = body.add(ctx, evm, tx, len(b.Transactions[i]))
		}
		if err != nil {
			out.skipped = append(out.skipped, execution.Skipped{Index: i, Reason: err.Error(), Retry: mayRetry(err)})
			continue
		}
		out.outcomes[i] = outcomeOf(body.receipts[len(body.receipts)-1])
	}
	out.receipts = body.receipts
	out.block, err = body.seal(ctx, evm)
	return out, err
}

// body is a block while transactions are added to it.
type body struct {
	chain    *core.BlockChain
	header   *types.Header // gas used is added in seal
	state    *state.StateDB
	signer   types.Signer
	gas      *core.GasPool
	size     int
	txs      types.Transactions
	receipts types.Receipts
}

// begin starts the block on its parent.
func begin(ctx context.Context, chain *core.BlockChain, parent *types.Header, b execution.Block) (*body, error) {
	header := newHeader(chain.Config(), parent, b)
	statedb, err := chain.StateAt(parent.Root, parent.Number, parent.Time)
	if err != nil {
		return nil, fmt.Errorf("state of block %s: %w", parent.Number, err)
	}
	body := &body{
		chain: chain, header: header, state: statedb, gas: core.NewGasPool(header.GasLimit),
		signer: types.MakeSigner(chain.Config(), header.Number, header.Time),
	}
	evm := body.newEVM()
	defer evm.Release()
	core.PreExecution(ctx, header.ParentBeaconRoot, parent, chain.Config(), evm, header.Number, header.Time)
	return body, nil
}

func (b *body) newEVM() *vm.EVM {
	evm := vm.NewEVM(core.NewEVMBlockContext(b.header, b.chain, &b.header.Coinbase), b.state, b.chain.Config(), vm.Config{})
	evm.SetJumpDestCache(b.chain.JumpDestCache())
	evm.SetPrecompileCache(b.chain.PrecompileCache())
	return evm
}

// add applies a transaction of that many bytes, or says why it cannot be.
func (b *body) add(ctx context.Context, evm *vm.EVM, tx *types.Transaction, size int) error {
	if b.size+size > maxBodyBytes {
		return errBlock
	}
	b.state.SetTxContext(tx.Hash(), len(b.txs), uint32(len(b.txs)+1))
	receipt, err := apply(ctx, evm, b.gas, b.state, b.signer, b.header, tx)
	if err != nil {
		return err
	}
	b.txs = append(b.txs, tx)
	b.receipts = append(b.receipts, receipt)
	b.size += size
	return nil
}

// seal ends the block.
func (b *body) seal(ctx context.Context, evm *vm.EVM) (*types.Block, error) {
	b.header.GasUsed = b.gas.Used()
	var logs []*types.Log
	for _, receipt := range b.receipts {
		logs = append(logs, receipt.Logs...)
	}
	content := &types.Body{Transactions: b.txs, Withdrawals: []*types.Withdrawal{}}
	requests, _, err := core.PostExecution(ctx, b.chain.Config(), b.header.Number, b.header.Time, logs, content.Withdrawals, evm, uint32(len(b.txs)+1))
	if err != nil {
		return nil, fmt.Errorf("system calls: %w", err)
	}
	if requests != nil {
		hash := types.CalcRequestsHash(requests)
		b.header.RequestsHash = &hash
	}
	b.chain.Engine().Finalize(b.chain, b.header, b.state, content)
	block := core.AssembleBlock(b.chain, b.header, b.state, content, b.receipts, nil)
	if err := b.state.Error(); err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return block, nil
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

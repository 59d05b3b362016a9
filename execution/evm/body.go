package evm

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"

	"github.com/ordo-network/ordo/execution"
)

// body is a block while transactions are added to it.
type body struct {
	chain    *core.BlockChain
	header   *types.Header // gas used is added in seal
	state    *state.StateDB
	evm      *vm.EVM // on state; nil after release
	signer   types.Signer
	gas      *core.GasPool
	size     int
	txs      types.Transactions
	receipts types.Receipts

	tried  int    // legs with terms that were executed
	undone uint64 // gas that was used by those of them that were undone
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
	body.prepare()
	core.PreExecution(ctx, header.ParentBeaconRoot, parent, chain.Config(), body.evm, header.Number, header.Time)
	return body, nil
}

// prepare must be called before add, where release was called.
func (b *body) prepare() {
	b.evm = vm.NewEVM(core.NewEVMBlockContext(b.header, b.chain, &b.header.Coinbase), b.state, b.chain.Config(), vm.Config{})
	b.evm.SetJumpDestCache(b.chain.JumpDestCache())
	b.evm.SetPrecompileCache(b.chain.PrecompileCache())
}

// release lets others use the memory that execution takes. Idempotent.
func (b *body) release() {
	if b.evm != nil {
		b.evm.Release()
		b.evm = nil
	}
}

// add applies a transaction of that many bytes, or says why it cannot be. On an error it
// leaves the block as it was.
func (b *body) add(tx *types.Transaction, size int) (*core.ExecutionResult, error) {
	if b.size+size > maxBodyBytes {
		return nil, errBlock
	}
	msg, err := core.TransactionToMessage(tx, b.signer, b.header.BaseFee)
	if err != nil {
		return nil, err
	}
	b.state.SetTxContext(tx.Hash(), len(b.txs), uint32(len(b.txs)+1))
	revision, gas := b.state.Snapshot(), b.gas.Snapshot()
	result, err := core.ApplyMessage(b.evm, msg, b.gas)
	if err != nil {
		b.state.RevertToSnapshot(revision)
		b.gas.Set(gas)
		return nil, err
	}
	b.state.Finalise(b.evm.GetRules())
	// The block has no hash yet; whoever reads the receipt from disk fills it in.
	receipt := core.MakeReceipt(b.evm, result, b.state, b.header.Number, common.Hash{}, b.header.Time, tx, b.gas.CumulativeUsed(), nil)
	b.txs = append(b.txs, tx)
	b.receipts = append(b.receipts, receipt)
	b.size += size
	return result, nil
}

// mark is where a block stood.
type mark struct {
	state     *state.StateDB
	gas       *core.GasPool
	size, txs int
}

// mark returns where the block stands. It costs with what the block has touched so far:
// geth can take back parts of a transaction only.
func (b *body) mark() *mark {
	return &mark{state: b.state.Copy(), gas: b.gas.Snapshot(), size: b.size, txs: len(b.txs)}
}

// used returns the gas that was used since.
func (b *body) used(since *mark) uint64 { return b.gas.Used() - since.gas.Used() }

// undo takes the block back to a mark, which is used up.
func (b *body) undo(to *mark) {
	b.undone += b.used(to)
	b.gas.Set(to.gas)
	b.state, b.evm.StateDB = to.state, to.state
	b.size, b.txs, b.receipts = to.size, b.txs[:to.txs], b.receipts[:to.txs]
}

// seal ends the block.
func (b *body) seal(ctx context.Context) (*types.Block, error) {
	b.header.GasUsed = b.gas.Used()
	var logs []*types.Log
	for _, receipt := range b.receipts {
		logs = append(logs, receipt.Logs...)
	}
	content := &types.Body{Transactions: b.txs, Withdrawals: []*types.Withdrawal{}}
	requests, _, err := core.PostExecution(ctx, b.chain.Config(), b.header.Number, b.header.Time, logs, content.Withdrawals, b.evm, uint32(len(b.txs)+1))
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

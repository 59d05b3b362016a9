package evm

import (
	"context"
	"errors"
	"fmt"
	"slices"

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

	wasted uint64 // gas used by legs with terms that were tried and not applied
	err    error  // of the database: there is no such block
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

// fork returns the block as it stands, to try out what comes next: nothing of it reaches
// this one, which must not change meanwhile. It costs nothing but what is executed then.
func (b *body) fork() (*body, error) {
	over, err := state.NewWithReader(common.Hash{}, b.state.Database(), behind{b.state})
	if err != nil {
		b.err = fmt.Errorf("state behind the block so far: %w", err)
		return nil, b.err
	}
	fork := *b
	fork.state, fork.gas = over, b.gas.Snapshot()
	fork.txs, fork.receipts = slices.Clip(b.txs), slices.Clip(b.receipts)
	fork.prepare()
	return &fork, nil
}

// behind reads the state behind a block so far, between two transactions.
type behind struct{ state *state.StateDB }

var _ state.Reader = behind{}

// Account implements state.StateReader. The storage's root is that of the parent block, or
// none, as for transactions of the block itself: of it only whether there is one counts.
func (r behind) Account(addr common.Address) (*types.StateAccount, error) {
	if !r.state.Exist(addr) {
		return nil, r.state.Error()
	}
	return &types.StateAccount{
		Nonce: r.state.GetNonce(addr), Balance: r.state.GetBalance(addr).Clone(),
		Root: r.state.GetStorageRoot(addr), CodeHash: r.state.GetCodeHash(addr).Bytes(),
	}, r.state.Error()
}

// Storage implements state.StateReader.
func (r behind) Storage(addr common.Address, slot common.Hash) (common.Hash, error) {
	return r.state.GetState(addr, slot), r.state.Error()
}

// Has implements state.ContractCodeReader.
func (r behind) Has(addr common.Address, _ common.Hash) bool { return r.state.GetCodeSize(addr) > 0 }

// Code implements state.ContractCodeReader.
func (r behind) Code(addr common.Address, _ common.Hash) []byte { return r.state.GetCode(addr) }

// CodeSize implements state.ContractCodeReader.
func (r behind) CodeSize(addr common.Address, _ common.Hash) int { return r.state.GetCodeSize(addr) }

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
	if err := errors.Join(b.err, b.state.Error()); err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return block, nil
}

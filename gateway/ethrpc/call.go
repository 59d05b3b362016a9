package ethrpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/eth/gasestimator"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/holiman/uint256"
)

// estimateErrorRatio is by how much an estimate may lie above what is needed, as in geth.
const estimateErrorRatio = 0.015

// calls are the methods that execute a message. At the pending block they do so
// here, on a copy of its state; elsewhere geth does.
type calls struct {
	evm                        EVM
	call, estimate, accessList method
}

// Call executes a message and returns what it returns.
func (c calls) Call(ctx context.Context, args json.RawMessage, at *rpc.BlockNumberOrHash, overrides, blockOverrides *json.RawMessage) (any, error) {
	if !isPending(at) {
		if at == nil {
			at = latestBlock()
		}
		return c.call.call(ctx, args, at, given(overrides), given(blockOverrides))
	}
	m, err := c.prepare(args, overrides, blockOverrides)
	if err != nil {
		return nil, err
	}
	return m.run(ctx)
}

// EstimateGas returns the gas that a message needs.
func (c calls) EstimateGas(ctx context.Context, args json.RawMessage, at *rpc.BlockNumberOrHash, overrides, blockOverrides *json.RawMessage) (any, error) {
	if !isPending(at) {
		return c.estimate.call(ctx, args, at, given(overrides), given(blockOverrides))
	}
	m, err := c.prepare(args, overrides, blockOverrides)
	if err != nil {
		return nil, err
	}
	return m.estimate(ctx)
}

func given(raw *json.RawMessage) json.RawMessage {
	if raw == nil {
		return nil
	}
	return *raw
}

// trial is a message on a copy of the pending block's state.
type trial struct {
	args        callArgs
	chain       *core.BlockChain
	header      *types.Header
	blobBaseFee *big.Int // nil: the header's
	state       *state.StateDB
	precompiles vm.PrecompiledContracts // for a call; an estimate leaves them in place, as geth's
	gasCap      uint64
	timeout     time.Duration
}

// prepare takes the pending block as the caller wants it to be.
func (c calls) prepare(rawArgs json.RawMessage, overrides, blockOverrides *json.RawMessage) (*trial, error) {
	t := &trial{chain: c.evm.BlockChain()}
	if err := json.Unmarshal(rawArgs, &t.args); err != nil {
		return nil, invalidParams{fmt.Sprintf("invalid argument 0: %v", err)}
	}
	var accounts map[common.Address]accountOverride
	if overrides != nil {
		if err := json.Unmarshal(*overrides, &accounts); err != nil {
			return nil, invalidParams{fmt.Sprintf("invalid argument 2: %v", err)}
		}
	}
	p, _, err := c.evm.Pending()
	if err != nil {
		return nil, err
	}
	backend := c.evm.Ethereum().APIBackend
	t.header, t.state, t.gasCap, t.timeout = p.Header(), p.Fork(), backend.RPCGasCap(), backend.RPCEVMTimeout()
	if blockOverrides != nil {
		var o blockOverride
		if err := json.Unmarshal(*blockOverrides, &o); err != nil {
			return nil, invalidParams{fmt.Sprintf("invalid argument 3: %v", err)}
		}
		if err := o.apply(t.header); err != nil {
			return nil, err
		}
		t.blobBaseFee = (*big.Int)(o.BlobBaseFee)
	}
	t.precompiles = vm.ActivePrecompiledContracts(t.chain.Config().Rules(t.header.Number, true, t.header.Time))
	return t, overrideAccounts(t.state, t.precompiles, accounts)
}

// run executes the message as eth_call does.
func (t *trial) run(ctx context.Context) (hexutil.Bytes, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	result, err := t.execute(ctx, t.state, vm.Config{})
	switch {
	case err != nil:
		return nil, err
	case errors.Is(result.Err, vm.ErrExecutionReverted):
		return nil, newRevert(result.Revert())
	}
	return result.Return(), result.Err
}

// execute executes the message on a state, which it changes: fees are not asked for where none
// are given, and the nonce does not matter.
func (t *trial) execute(ctx context.Context, on *state.StateDB, config vm.Config) (*core.ExecutionResult, error) {
	msg, err := t.args.message(t.chain.Config(), t.header.BaseFee, t.gasCap)
	if err != nil {
		return nil, err
	}
	if msg.GasLimit == 0 && t.args.Gas == nil {
		msg.GasLimit = t.gasCap
	}
	block := core.NewEVMBlockContext(t.header, t.chain, &t.header.Coinbase)
	if t.blobBaseFee != nil {
		block.BlobBaseFee = t.blobBaseFee
	}
	if msg.GasPrice.IsZero() {
		block.BaseFee = new(big.Int)
	}
	if msg.BlobGasFeeCap.IsZero() {
		block.BlobBaseFee = new(big.Int)
	}
	config.NoBaseFee = true
	evm := vm.NewEVM(block, on, t.chain.Config(), config)
	defer evm.Release()
	evm.SetPrecompiles(t.precompiles)
	stop := context.AfterFunc(ctx, evm.Cancel)
	defer stop()
	result, err := core.ApplyMessage(evm, msg.SkipExecutionGasCapCheck().SkipGasLimitCapCheck(), core.NewGasPool(t.gasCap))
	switch {
	case on.Error() != nil:
		return nil, on.Error()
	case evm.Cancelled():
		return nil, fmt.Errorf("execution aborted (timeout = %v)", t.timeout)
	case err != nil:
		return nil, fmt.Errorf("err: %w (supplied gas %d)", err, msg.GasLimit)
	}
	return result, nil
}

func (t *trial) estimate(ctx context.Context) (hexutil.Uint64, error) {
	msg, err := t.args.message(t.chain.Config(), t.header.BaseFee, t.gasCap)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	blobBaseFee := t.blobBaseFee
	if msg.BlobGasFeeCap.IsZero() {
		blobBaseFee = new(big.Int)
	}
	gas, revert, err := gasestimator.Estimate(ctx, msg.SkipGasLimitCapCheck(), &gasestimator.Options{
		Config: t.chain.Config(), Chain: t.chain, Header: t.header, State: t.state, BlobBaseFee: blobBaseFee, ErrorRatio: estimateErrorRatio,
	}, t.gasCap)
	if errors.Is(err, vm.ErrExecutionReverted) {
		return 0, newRevert(revert)
	}
	return hexutil.Uint64(gas), err
}

// callArgs are the arguments of eth_call for the transaction types of this chain.
type callArgs struct {
	From                 common.Address               `json:"from"`
	To                   *common.Address              `json:"to"`
	Gas                  *hexutil.Uint64              `json:"gas"`
	GasPrice             *hexutil.Big                 `json:"gasPrice"`
	MaxFeePerGas         *hexutil.Big                 `json:"maxFeePerGas"`
	MaxPriorityFeePerGas *hexutil.Big                 `json:"maxPriorityFeePerGas"`
	Value                *hexutil.Big                 `json:"value"`
	Nonce                *hexutil.Uint64              `json:"nonce"`
	Data                 *hexutil.Bytes               `json:"data"`
	Input                *hexutil.Bytes               `json:"input"`
	AccessList           types.AccessList             `json:"accessList"`
	ChainID              *hexutil.Big                 `json:"chainId"`
	AuthorizationList    []types.SetCodeAuthorization `json:"authorizationList"`
	MaxFeePerBlobGas     *hexutil.Big                 `json:"maxFeePerBlobGas"`
	BlobHashes           []common.Hash                `json:"blobVersionedHashes"`
}

func (a callArgs) message(config *params.ChainConfig, baseFee *big.Int, gasCap uint64) (*core.Message, error) {
	switch {
	case a.GasPrice != nil && (a.MaxFeePerGas != nil || a.MaxPriorityFeePerGas != nil):
		return nil, errors.New("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
	case a.ChainID != nil && a.ChainID.ToInt().Cmp(config.ChainID) != 0:
		return nil, fmt.Errorf("chainId does not match node's (have=%v, want=%v)", a.ChainID.ToInt(), config.ChainID)
	case a.To == nil && a.BlobHashes != nil:
		return nil, core.ErrBlobTxCreate
	case a.To == nil && a.AuthorizationList != nil:
		return nil, core.ErrSetCodeTxCreate
	}
	msg := &core.Message{
		From: a.From, To: a.To, AccessList: a.AccessList, SetCodeAuthorizations: a.AuthorizationList,
		BlobHashes: a.BlobHashes,
	}
	if a.Nonce != nil {
		msg.Nonce = uint64(*a.Nonce)
	}
	if a.Gas != nil {
		msg.GasLimit = min(uint64(*a.Gas), gasCap)
	}
	switch {
	case a.Input != nil:
		msg.Data = *a.Input
	case a.Data != nil:
		msg.Data = *a.Data
	}
	for _, n := range []struct {
		to   **uint256.Int
		from *hexutil.Big
	}{{&msg.Value, a.Value}, {&msg.GasPrice, a.GasPrice}, {&msg.GasFeeCap, a.MaxFeePerGas}, {&msg.GasTipCap, a.MaxPriorityFeePerGas}, {&msg.BlobGasFeeCap, a.MaxFeePerBlobGas}} {
		*n.to = new(uint256.Int)
		if n.from != nil && (n.from.ToInt().Sign() < 0 || (*n.to).SetFromBig(n.from.ToInt())) {
			return nil, errors.New("amount is negative or has more than 256 bits")
		}
	}
	switch {
	case a.GasPrice != nil:
		msg.GasFeeCap, msg.GasTipCap = msg.GasPrice, msg.GasPrice
	case !msg.GasFeeCap.IsZero() || !msg.GasTipCap.IsZero():
		price, overflow := new(uint256.Int).AddOverflow(msg.GasTipCap, uint256.MustFromBig(baseFee))
		if overflow || price.Gt(msg.GasFeeCap) {
			price = msg.GasFeeCap
		}
		msg.GasPrice = price
	}
	return msg.SkipNonceCheck().SkipEOACheck(), nil
}

// revert is the error of a message that reverted, with what it returned.
type revert struct{ msg, data string }

func newRevert(data []byte) error {
	msg := vm.ErrExecutionReverted.Error()
	if reason, err := abi.UnpackRevert(data); err == nil {
		msg += ": " + reason
	}
	return revert{msg, hexutil.Encode(data)}
}

// Error implements error.
func (e revert) Error() string { return e.msg }

// ErrorCode implements rpc.Error.
func (revert) ErrorCode() int { return 3 }

// ErrorData implements rpc.DataError.
func (e revert) ErrorData() any { return e.data }

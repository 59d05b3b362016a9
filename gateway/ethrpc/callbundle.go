package ethrpc

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/consensus/misc/eip1559"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// callBundleArgs are the parameters of eth_callBundle.
type callBundleArgs struct {
	Txs              []hexutil.Bytes  `json:"txs"`
	BlockNumber      ordorpc.Number   `json:"blockNumber"`      // of the block that is played; default: the next
	StateBlockNumber *rpc.BlockNumber `json:"stateBlockNumber"` // whose state it is played on; default: latest
	Timestamp        ordorpc.Number   `json:"timestamp"`        // default: now
	Timeout          *int64           `json:"timeout"`          // milliseconds; no more than the node gives
	GasLimit         ordorpc.Number   `json:"gasLimit"`
	BaseFee          *hexutil.Big     `json:"baseFee"`
	Coinbase         *common.Address  `json:"coinbase"`
}

// calledBundle is the answer of eth_callBundle. Amounts are in wei, in decimal.
type calledBundle struct {
	BundleGasPrice    string      `json:"bundleGasPrice"`
	BundleHash        common.Hash `json:"bundleHash"`
	CoinbaseDiff      string      `json:"coinbaseDiff"`
	EthSentToCoinbase string      `json:"ethSentToCoinbase"`
	GasFees           string      `json:"gasFees"`
	Results           []calledTx  `json:"results"`
	StateBlockNumber  uint64      `json:"stateBlockNumber"`
	TotalGasUsed      uint64      `json:"totalGasUsed"`
}

// calledTx is what one transaction did. One that reverted has error, and revert where
// it gave a reason, in place of value.
type calledTx struct {
	CoinbaseDiff      string      `json:"coinbaseDiff"`
	EthSentToCoinbase string      `json:"ethSentToCoinbase"`
	FromAddress       string      `json:"fromAddress"`
	GasFees           string      `json:"gasFees"`
	GasPrice          string      `json:"gasPrice"`
	GasUsed           uint64      `json:"gasUsed"`
	ToAddress         string      `json:"toAddress"`
	TxHash            common.Hash `json:"txHash"`
	Value             string      `json:"value,omitempty"`
	Error             string      `json:"error,omitempty"`
	Revert            string      `json:"revert,omitempty"`
}

// CallBundle plays a bundle on top of a block and tells what each transaction does. As
// at Flashbots, one that cannot be applied at all is an error of the call.
func (s *searchers) CallBundle(ctx context.Context, args callBundleArgs) (*calledBundle, error) {
	if _, _, err := searcher(ctx); err != nil {
		return nil, err
	}
	txs, err := decodeCalled(args.Txs)
	if err != nil {
		return nil, invalidParams{err.Error()}
	}
	p, err := s.play(ctx, args)
	if err != nil {
		return nil, err
	}
	backend := s.evm.Ethereum().APIBackend
	timeout := backend.RPCEVMTimeout()
	if t := args.Timeout; t != nil && *t > 0 && *t < timeout.Milliseconds() {
		timeout = time.Duration(*t) * time.Millisecond
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	evm := vm.NewEVM(core.NewEVMBlockContext(p.header, s.evm.BlockChain(), &p.header.Coinbase), p.state, s.door.config, vm.Config{})
	defer evm.Release()
	stop := context.AfterFunc(ctx, evm.Cancel)
	defer stop()

	out := &calledBundle{BundleHash: bundleHash(txs), StateBlockNumber: p.on, Results: []calledTx{}}
	room := p.header.GasLimit
	if limit := backend.RPCGasCap(); limit > 0 {
		room = min(room, limit)
	}
	gas := core.NewGasPool(room)
	diffs, fees := new(big.Int), new(big.Int)
	for i, tx := range txs {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("execution aborted (timeout = %v)", timeout)
		}
		p.state.SetTxContext(tx.Hash(), i, uint32(i+1))
		r, diff, fee, err := p.apply(evm, s.door.signer, tx, gas)
		if evm.Cancelled() {
			return nil, fmt.Errorf("execution aborted (timeout = %v)", timeout)
		}
		if err != nil {
			return nil, fmt.Errorf("err: %w; txhash %s", err, tx.Hash())
		}
		out.Results = append(out.Results, r)
		out.TotalGasUsed += r.GasUsed
		diffs.Add(diffs, diff)
		fees.Add(fees, fee)
	}
	out.CoinbaseDiff, out.GasFees, out.EthSentToCoinbase = diffs.String(), fees.String(), new(big.Int).Sub(diffs, fees).String()
	out.BundleGasPrice = perGas(diffs, out.TotalGasUsed)
	return out, nil
}

func decodeCalled(raws []hexutil.Bytes) ([]*types.Transaction, error) {
	switch {
	case len(raws) == 0:
		return nil, errNoTransactions
	case len(raws) > maxBundleTxs:
		return nil, fmt.Errorf("bundle has %d transactions, at most %d", len(raws), maxBundleTxs)
	}
	txs := make([]*types.Transaction, len(raws))
	for i, raw := range raws {
		txs[i] = new(types.Transaction)
		if err := txs[i].UnmarshalBinary(raw); err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		if acceptTypes&(1<<txs[i].Type()) == 0 {
			return nil, fmt.Errorf("transaction %d: %w: this chain carries none of type %d", i, types.ErrTxTypeNotSupported, txs[i].Type())
		}
	}
	return txs, nil
}

// played is a block in which a bundle is played.
type played struct {
	header *types.Header
	state  *state.StateDB
	on     uint64 // number of the block whose state it is
}

func (s *searchers) play(ctx context.Context, args callBundleArgs) (*played, error) {
	at := rpc.LatestBlockNumber
	if args.StateBlockNumber != nil {
		at = *args.StateBlockNumber
	}
	p := new(played)
	if at == rpc.PendingBlockNumber {
		pending, _, err := s.evm.Pending()
		if err != nil {
			return nil, err
		}
		p.header, p.state = pending.Header(), pending.Fork()
		p.on = p.header.Number.Uint64() - 1
	} else {
		db, parent, err := s.evm.Ethereum().APIBackend.StateAndHeaderByNumber(ctx, at)
		if err != nil {
			return nil, err
		}
		p.state, p.on = db, parent.Number.Uint64()
		p.header = &types.Header{
			ParentHash: parent.Hash(), Number: new(big.Int).Add(parent.Number, common.Big1), Coinbase: parent.Coinbase, Difficulty: new(big.Int),
			Time: max(parent.Time, uint64(time.Now().Unix())), GasLimit: parent.GasLimit, MixDigest: parent.MixDigest,
			BaseFee: eip1559.CalcBaseFee(s.door.config, parent), BlobGasUsed: new(uint64), ExcessBlobGas: new(uint64),
		}
	}
	if n := uint64(args.BlockNumber); n > 0 {
		if n <= p.on {
			return nil, invalidParams{fmt.Sprintf("blockNumber %d is not after the block whose state is played on, %d", n, p.on)}
		}
		p.header.Number = new(big.Int).SetUint64(n)
	}
	if args.Timestamp > 0 {
		p.header.Time = uint64(args.Timestamp)
	}
	if args.GasLimit > 0 {
		p.header.GasLimit = uint64(args.GasLimit)
	}
	if args.BaseFee != nil {
		fee := args.BaseFee.ToInt()
		if fee.Sign() < 0 || fee.BitLen() > 256 {
			return nil, invalidParams{"baseFee is negative or has more than 256 bits"}
		}
		p.header.BaseFee = fee
	}
	if args.Coinbase != nil {
		p.header.Coinbase = *args.Coinbase
	}
	return p, nil
}

// apply applies a transaction and tells what the fee recipient got, and how much of it
// as fees.
func (p *played) apply(evm *vm.EVM, signer types.Signer, tx *types.Transaction, gas *core.GasPool) (r calledTx, diff, fee *big.Int, err error) {
	msg, err := core.TransactionToMessage(tx, signer, p.header.BaseFee)
	if err != nil {
		return r, nil, nil, err
	}
	before := p.state.GetBalance(p.header.Coinbase).ToBig()
	result, err := core.ApplyMessage(evm, msg, gas)
	if err != nil {
		return r, nil, nil, err
	}
	if err := p.state.Error(); err != nil {
		return r, nil, nil, err
	}
	p.state.Finalise(evm.GetRules())
	tip, err := tx.EffectiveGasTip(p.header.BaseFee)
	if err != nil {
		return r, nil, nil, err
	}
	diff = new(big.Int).Sub(p.state.GetBalance(p.header.Coinbase).ToBig(), before)
	fee = new(big.Int).Mul(tip, new(big.Int).SetUint64(result.UsedGas))
	r = calledTx{
		CoinbaseDiff: diff.String(), EthSentToCoinbase: new(big.Int).Sub(diff, fee).String(), FromAddress: msg.From.Hex(),
		GasFees: fee.String(), GasPrice: perGas(diff, result.UsedGas), GasUsed: result.UsedGas, ToAddress: "0x", TxHash: tx.Hash(),
	}
	if tx.To() != nil {
		r.ToAddress = tx.To().Hex()
	}
	if result.Err == nil {
		r.Value = hexutil.Encode(result.Return())
		return r, diff, fee, nil
	}
	r.Error = result.Err.Error()
	if reason, err := abi.UnpackRevert(result.Revert()); err == nil {
		r.Revert = reason
	} else if len(result.Revert()) > 0 {
		r.Revert = hexutil.Encode(result.Revert())
	}
	return r, diff, fee, nil
}

func perGas(amount *big.Int, gas uint64) string {
	if gas == 0 {
		return "0"
	}
	return new(big.Int).Div(amount, new(big.Int).SetUint64(gas)).String()
}

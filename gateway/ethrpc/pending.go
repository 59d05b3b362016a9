package ethrpc

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/execution/evm"
)

// reader is the part of geth that reads blocks and accounts.
type reader interface {
	GetBlockByNumber(context.Context, rpc.BlockNumber, bool) (map[string]any, error)
	GetHeaderByNumber(context.Context, rpc.BlockNumber) (map[string]any, error)
	GetBlockReceipts(context.Context, rpc.BlockNumberOrHash) ([]map[string]any, error)
	GetBalance(context.Context, common.Address, *rpc.BlockNumberOrHash) (*hexutil.Big, error)
	GetCode(context.Context, common.Address, *rpc.BlockNumberOrHash) (hexutil.Bytes, error)
	GetStorageAt(context.Context, common.Address, string, *rpc.BlockNumberOrHash) (hexutil.Bytes, error)
}

// counter is the part of geth that counts transactions.
type counter interface {
	GetBlockTransactionCountByNumber(context.Context, rpc.BlockNumber) (*hexutil.Uint, error)
}

// pendingTag holds the methods that answer at the pending block: what is certified
// and not ordered yet, on top of latest. geth knows no such block. Where nobody has
// an answer there, as for Merkle proofs, pending is latest.
type pendingTag struct {
	evm     EVM
	reader  reader
	counter counter
	geth    *rpc.Client
}

func isPending(at *rpc.BlockNumberOrHash) bool {
	if at == nil {
		return false
	}
	number, ok := at.Number()
	return ok && number == rpc.PendingBlockNumber
}

func latestBlock() *rpc.BlockNumberOrHash {
	latest := rpc.BlockNumberOrHashWithNumber(rpc.LatestBlockNumber)
	return &latest
}

func settledTag(at *rpc.BlockNumberOrHash) *rpc.BlockNumberOrHash {
	if at == nil || isPending(at) {
		return latestBlock()
	}
	return at
}

// pendingHeader shows the pending header as geth shows a block without hash. What
// follows from execution and is not known is zero.
func pendingHeader(h *types.Header, config *params.ChainConfig) (map[string]any, error) {
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	fields := make(map[string]any)
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	for name, v := range fields {
		if v == nil {
			delete(fields, name)
		}
	}
	fields["hash"], fields["nonce"], fields["miner"] = nil, nil, nil
	if config.IsPrague(h.Number, h.Time) {
		fields["requestsHash"] = common.Hash{}
	}
	return fields, nil
}

// GetHeaderByNumber returns a block's header.
func (p pendingTag) GetHeaderByNumber(ctx context.Context, number rpc.BlockNumber) (map[string]any, error) {
	if number != rpc.PendingBlockNumber {
		return p.reader.GetHeaderByNumber(ctx, number)
	}
	pending, _, err := p.evm.Pending()
	if err != nil {
		return nil, err
	}
	block, _ := pending.Block()
	return pendingHeader(block.Header(), p.evm.BlockChain().Config())
}

// GetBlockByNumber returns a block, with its transactions or their hashes.
func (p pendingTag) GetBlockByNumber(ctx context.Context, number rpc.BlockNumber, full bool) (map[string]any, error) {
	if number != rpc.PendingBlockNumber {
		return p.reader.GetBlockByNumber(ctx, number, full)
	}
	pending, _, err := p.evm.Pending()
	if err != nil {
		return nil, err
	}
	block, _ := pending.Block()
	fields, err := pendingHeader(block.Header(), p.evm.BlockChain().Config())
	if err != nil {
		return nil, err
	}
	txs := make([]any, len(block.Transactions()))
	for i, tx := range block.Transactions() {
		txs[i] = tx.Hash()
		if full {
			if txs[i], err = pendingJSON(tx); err != nil {
				return nil, err
			}
		}
	}
	fields["size"], fields["transactions"] = hexutil.Uint64(block.Size()), txs
	fields["uncles"], fields["withdrawals"] = []common.Hash{}, []any{}
	return fields, nil
}

// GetBlockTransactionCountByNumber counts a block's transactions.
func (p pendingTag) GetBlockTransactionCountByNumber(ctx context.Context, number rpc.BlockNumber) (*hexutil.Uint, error) {
	if number != rpc.PendingBlockNumber {
		return p.counter.GetBlockTransactionCountByNumber(ctx, number)
	}
	pending, _, err := p.evm.Pending()
	if err != nil {
		return nil, err
	}
	block, _ := pending.Block()
	n := hexutil.Uint(len(block.Transactions()))
	return &n, nil
}

// GetTransactionByBlockNumberAndIndex returns one of a block's transactions.
func (p pendingTag) GetTransactionByBlockNumberAndIndex(ctx context.Context, number rpc.BlockNumber, index hexutil.Uint) (any, error) {
	if number != rpc.PendingBlockNumber {
		var tx json.RawMessage
		err := p.geth.CallContext(ctx, &tx, "eth_getTransactionByBlockNumberAndIndex", number, index)
		return tx, err
	}
	pending, _, err := p.evm.Pending()
	if err != nil {
		return nil, err
	}
	block, _ := pending.Block()
	if uint64(index) >= uint64(len(block.Transactions())) {
		return nil, nil
	}
	return pendingJSON(block.Transactions()[index])
}

// GetRawTransactionByBlockNumberAndIndex is that for the bytes.
func (p pendingTag) GetRawTransactionByBlockNumberAndIndex(ctx context.Context, number rpc.BlockNumber, index hexutil.Uint) (hexutil.Bytes, error) {
	if number != rpc.PendingBlockNumber {
		var raw hexutil.Bytes
		err := p.geth.CallContext(ctx, &raw, "eth_getRawTransactionByBlockNumberAndIndex", number, index)
		return raw, err
	}
	pending, _, err := p.evm.Pending()
	if err != nil {
		return nil, err
	}
	block, _ := pending.Block()
	if uint64(index) >= uint64(len(block.Transactions())) {
		return nil, nil
	}
	return block.Transactions()[index].MarshalBinary()
}

// GetBlockReceipts returns the receipts of a block.
func (p pendingTag) GetBlockReceipts(ctx context.Context, at rpc.BlockNumberOrHash) ([]map[string]any, error) {
	if !isPending(&at) {
		return p.reader.GetBlockReceipts(ctx, at)
	}
	pending, _, err := p.evm.Pending()
	if err != nil {
		return nil, err
	}
	block, receipts := pending.Block()
	header := block.Header()
	out := make([]map[string]any, len(receipts))
	for i, tx := range block.Transactions() {
		if out[i], err = pendingReceipt(header, tx, receipts[i], i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// pendingReceipt shows what a certified transaction did when it was tried out: a
// receipt whose block has a number and no hash.
func pendingReceipt(h *types.Header, tx *types.Transaction, r *types.Receipt, index int) (map[string]any, error) {
	from, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), tx)
	if err != nil {
		return nil, err
	}
	price := tx.EffectiveGasTipValue(h.BaseFee)
	price.Add(price, h.BaseFee)
	logs := make([]map[string]any, len(r.Logs))
	for i, log := range r.Logs {
		logs[i] = pendingLog(r, tx.Hash(), log, index)
	}
	fields := map[string]any{
		"blockHash": nil, "blockNumber": (*hexutil.Big)(r.BlockNumber), "transactionHash": tx.Hash(), "transactionIndex": hexutil.Uint(index),
		"from": from, "to": tx.To(), "gasUsed": hexutil.Uint64(r.GasUsed), "cumulativeGasUsed": hexutil.Uint64(r.CumulativeGasUsed),
		"contractAddress": nil, "logs": logs, "logsBloom": r.Bloom, "type": hexutil.Uint(tx.Type()),
		"effectiveGasPrice": (*hexutil.Big)(price), "status": hexutil.Uint(r.Status),
	}
	if r.ContractAddress != (common.Address{}) {
		fields["contractAddress"] = r.ContractAddress
	}
	return fields, nil
}

func pendingLog(r *types.Receipt, tx common.Hash, log *types.Log, index int) map[string]any {
	topics := log.Topics
	if topics == nil {
		topics = []common.Hash{}
	}
	return map[string]any{
		"address": log.Address, "topics": topics, "data": hexutil.Bytes(log.Data), "logIndex": hexutil.Uint(log.Index),
		"blockNumber": (*hexutil.Big)(r.BlockNumber), "blockHash": nil, "blockTimestamp": hexutil.Uint64(log.BlockTimestamp),
		"transactionHash": tx, "transactionIndex": hexutil.Uint(index), "removed": false,
	}
}

// read reads the state behind the pending block.
func read[T any](e EVM, f func(*state.StateDB) T) (v T, err error) {
	pending, _, err := e.Pending()
	if err != nil {
		return v, err
	}
	pending.Read(func(s *state.StateDB) { v, err = f(s), s.Error() })
	return v, err
}

// GetBalance returns an account's balance.
func (p pendingTag) GetBalance(ctx context.Context, addr common.Address, at *rpc.BlockNumberOrHash) (*hexutil.Big, error) {
	if !isPending(at) {
		return p.reader.GetBalance(ctx, addr, at)
	}
	balance, err := read(p.evm, func(s *state.StateDB) *big.Int { return s.GetBalance(addr).ToBig() })
	return (*hexutil.Big)(balance), err
}

// GetCode returns a contract's code.
func (p pendingTag) GetCode(ctx context.Context, addr common.Address, at *rpc.BlockNumberOrHash) (hexutil.Bytes, error) {
	if !isPending(at) {
		return p.reader.GetCode(ctx, addr, at)
	}
	return read(p.evm, func(s *state.StateDB) hexutil.Bytes { return s.GetCode(addr) })
}

// GetStorageAt returns a word of a contract's storage.
func (p pendingTag) GetStorageAt(ctx context.Context, addr common.Address, hexKey string, at *rpc.BlockNumberOrHash) (hexutil.Bytes, error) {
	if !isPending(at) {
		return p.reader.GetStorageAt(ctx, addr, hexKey, at)
	}
	key, err := storageKey(hexKey)
	if err != nil {
		return nil, err
	}
	word, err := read(p.evm, func(s *state.StateDB) common.Hash { return s.GetState(addr, key) })
	return word[:], err
}

// storageKey reads up to 32 bytes in hex, with or without leading zeros.
func storageKey(text string) (common.Hash, error) {
	digits := text
	if len(digits) >= 2 && (digits[:2] == "0x" || digits[:2] == "0X") {
		digits = digits[2:]
	}
	if len(digits) > 64 {
		return common.Hash{}, invalidParams{fmt.Sprintf("storage key of %d digits, at most 64: %q", len(digits), text)}
	}
	if len(digits)%2 != 0 {
		digits = "0" + digits
	}
	b, err := hexutil.Decode("0x" + digits)
	if err != nil {
		return common.Hash{}, invalidParams{fmt.Sprintf("storage key is not hex: %q", text)}
	}
	return common.BytesToHash(b), nil
}

// GetProof returns the Merkle proof of an account.
func (p pendingTag) GetProof(ctx context.Context, addr common.Address, keys []string, at *rpc.BlockNumberOrHash) (json.RawMessage, error) {
	var proof json.RawMessage
	err := p.geth.CallContext(ctx, &proof, "eth_getProof", addr, keys, settledTag(at))
	return proof, err
}

var _ EVM = (*evm.Client)(nil)

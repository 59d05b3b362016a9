package ethrpc

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/ethereum/go-ethereum/accounts"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/ordo-network/ordo/gateway/ordorpc"
)

// maxListed bounds the transactions that one answer lists.
const maxListed = 4096

// ethAPI holds the methods of the eth namespace that concern the gateway. The
// others are geth's; it is asked through the same interface as anybody uses.
type ethAPI struct {
	door     *door
	hub      *hub
	polls    *pollers
	geth     *rpc.Client
	receipts receipts
	sync     ordorpc.SyncTimeouts
}

// SendRawTransaction accepts a signed transaction: its hash is the promise that it
// is on disk and will be brought into the order.
func (a *ethAPI) SendRawTransaction(ctx context.Context, input hexutil.Bytes) (common.Hash, error) {
	tx := new(types.Transaction)
	if err := tx.UnmarshalBinary(input); err != nil {
		return common.Hash{}, err
	}
	return a.send(ctx, tx, false)
}

func (a *ethAPI) send(ctx context.Context, tx *types.Transaction, ready bool) (common.Hash, error) {
	if err := a.door.submit(ctx, tx, ready); err != nil {
		return common.Hash{}, err
	}
	a.hub.publish(hubEvent{tx: tx})
	a.polls.accepted.Tell(tx)
	return tx.Hash(), nil
}

// GetTransactionCount counts, for the pending tag, what is certified and what was
// accepted without gap after that.
func (a *ethAPI) GetTransactionCount(ctx context.Context, addr common.Address, at *rpc.BlockNumberOrHash) (*hexutil.Uint64, error) {
	if at != nil {
		if !isPending(at) {
			var n *hexutil.Uint64
			err := a.geth.CallContext(ctx, &n, "eth_getTransactionCount", addr, at)
			return n, err
		}
	}
	account, h, err := a.door.account(addr)
	if err != nil {
		return nil, err
	}
	n := hexutil.Uint64(account.next)
	if at == nil {
		n = hexutil.Uint64(h.nonce(addr))
	}
	return &n, nil
}

// receipts is the part of geth that makes receipts.
type receipts interface {
	GetTransactionReceipt(context.Context, common.Hash) (map[string]any, error)
}

// GetTransactionReceipt returns the receipt of an executed transaction. A block is
// written with its index, so what is not there does not exist: geth, which indexes
// in the background, would not say so before it has seen a first block.
func (a *ethAPI) GetTransactionReceipt(ctx context.Context, hash common.Hash) (map[string]any, error) {
	if executed, err := a.door.chain.Executed(hash); err != nil || !executed {
		return nil, err
	}
	return a.receipts.GetTransactionReceipt(ctx, hash)
}

// GetTransactionByHash finds transactions of the chain, and those that wait.
func (a *ethAPI) GetTransactionByHash(ctx context.Context, hash common.Hash) (any, error) {
	executed, err := a.door.chain.Executed(hash)
	if err != nil {
		return nil, err
	}
	if !executed {
		tx, err := a.waiting(hash)
		if tx == nil || err != nil {
			return nil, err
		}
		return pendingJSON(tx)
	}
	var mined json.RawMessage
	err = a.geth.CallContext(ctx, &mined, "eth_getTransactionByHash", hash)
	return mined, err
}

// GetRawTransactionByHash is GetTransactionByHash for the bytes.
func (a *ethAPI) GetRawTransactionByHash(ctx context.Context, hash common.Hash) (hexutil.Bytes, error) {
	executed, err := a.door.chain.Executed(hash)
	if err != nil {
		return nil, err
	}
	if !executed {
		tx, err := a.waiting(hash)
		if tx == nil || err != nil {
			return nil, err
		}
		return tx.MarshalBinary()
	}
	var raw hexutil.Bytes
	err = a.geth.CallContext(ctx, &raw, "eth_getRawTransactionByHash", hash)
	return raw, err
}

// waiting finds a transaction that was accepted here, or that is certified.
func (a *ethAPI) waiting(hash common.Hash) (*types.Transaction, error) {
	if x, _, ok := a.door.gateway.Get(hash); ok && x.Raw != nil {
		return decoded(x), nil
	}
	pending, _, err := a.door.evm.Pending()
	if err != nil {
		return nil, err
	}
	tx, _, _, _ := pending.Transaction(hash)
	return tx, nil
}

// PendingTransactions lists what waits. geth lists those of its own accounts only,
// of which there are none here.
func (a *ethAPI) PendingTransactions() ([]map[string]any, error) {
	var txs []*types.Transaction
	for _, held := range a.door.gateway.Content() {
		for _, x := range held {
			if tx := decoded(x); tx != nil && len(txs) < maxListed {
				txs = append(txs, tx)
			}
		}
	}
	return allPendingJSON(txs)
}

// FillTransaction is geth's, with the nonce that follows on what was accepted.
func (a *ethAPI) FillTransaction(ctx context.Context, args map[string]any) (json.RawMessage, error) {
	if args == nil {
		return nil, errors.New("missing transaction")
	}
	if args["nonce"] == nil {
		from, _ := args["from"].(string) // geth refuses what is no address
		pending := rpc.BlockNumberOrHashWithNumber(rpc.PendingBlockNumber)
		n, err := a.GetTransactionCount(ctx, common.HexToAddress(from), &pending)
		if err != nil {
			return nil, err
		}
		args["nonce"] = n
	}
	var filled json.RawMessage
	err := a.geth.CallContext(ctx, &filled, "eth_fillTransaction", args)
	return filled, err
}

// SendTransaction is refused as by a geth without accounts: there are no private
// keys in this node.
func (a *ethAPI) SendTransaction(context.Context, json.RawMessage) (common.Hash, error) {
	return common.Hash{}, accounts.ErrUnknownAccount
}

// SignTransaction is refused likewise.
func (a *ethAPI) SignTransaction(context.Context, json.RawMessage) (any, error) {
	return nil, accounts.ErrUnknownAccount
}

// Resend is refused likewise.
func (a *ethAPI) Resend(context.Context, json.RawMessage, *hexutil.Big, *hexutil.Uint64) (common.Hash, error) {
	return common.Hash{}, accounts.ErrUnknownAccount
}

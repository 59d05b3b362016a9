package ethrpc

import (
	"context"
	"encoding/json"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"
)

// pendingTag holds the methods for which geth has no answer at the pending block.
// There pending is latest: the next block holds what is ordered by then, and
// nobody knows that here.
type pendingTag struct{ geth *rpc.Client }

func settledTag(at *rpc.BlockNumberOrHash) *rpc.BlockNumberOrHash {
	latest := rpc.BlockNumberOrHashWithNumber(rpc.LatestBlockNumber)
	if at == nil {
		return &latest
	}
	if number, ok := at.Number(); ok && number == rpc.PendingBlockNumber {
		return &latest
	}
	return at
}

// GetHeaderByNumber returns a block's header.
func (p pendingTag) GetHeaderByNumber(ctx context.Context, number rpc.BlockNumber) (json.RawMessage, error) {
	if number == rpc.PendingBlockNumber {
		number = rpc.LatestBlockNumber
	}
	var header json.RawMessage
	err := p.geth.CallContext(ctx, &header, "eth_getHeaderByNumber", number)
	return header, err
}

// GetProof returns the Merkle proof of an account.
func (p pendingTag) GetProof(ctx context.Context, addr common.Address, keys []string, at *rpc.BlockNumberOrHash) (json.RawMessage, error) {
	var proof json.RawMessage
	err := p.geth.CallContext(ctx, &proof, "eth_getProof", addr, keys, settledTag(at))
	return proof, err
}

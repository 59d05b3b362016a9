package evm

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/eth/tracers"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"

	// The tracers that debug_trace* takes by name.
	_ "github.com/ethereum/go-ethereum/eth/tracers/native"
)

// rawReader is what geth's debug service offers beside compacting the database
// and rewinding the chain.
type rawReader interface {
	GetRawHeader(context.Context, rpc.BlockNumberOrHash) (hexutil.Bytes, error)
	GetRawBlock(context.Context, rpc.BlockNumberOrHash) (hexutil.Bytes, error)
	GetRawReceipts(context.Context, rpc.BlockNumberOrHash) ([]hexutil.Bytes, error)
	GetRawTransaction(context.Context, common.Hash) (hexutil.Bytes, error)
}

// refuseScripts answers a tracer of no known name, which geth takes for JavaScript
// to run. Left alone, geth would call a nil function.
var refuseScripts = sync.OnceFunc(func() {
	tracers.DefaultDirectory.RegisterJSEval(func(string, *tracers.Context, json.RawMessage, *params.ChainConfig) (*tracers.Tracer, error) {
		return nil, errors.New("unknown tracer: the built-in ones are offered, scripts are not")
	})
})

// closedTracers shadows the tracing methods that read or write files of the host,
// execute blocks that are not of this chain, or run over any number of blocks.
type closedTracers struct{}

var errNoTrace = errors.New("this service traces transactions, calls and single blocks of the chain only")

// TraceBlockFromFile refuses.
func (closedTracers) TraceBlockFromFile(context.Context, string) (any, error) {
	return nil, errNoTrace
}

// StandardTraceBlockToFile refuses.
func (closedTracers) StandardTraceBlockToFile(context.Context, common.Hash) (any, error) {
	return nil, errNoTrace
}

// StandardTraceBadBlockToFile refuses.
func (closedTracers) StandardTraceBadBlockToFile(context.Context, common.Hash) (any, error) {
	return nil, errNoTrace
}

// TraceBadBlock refuses.
func (closedTracers) TraceBadBlock(context.Context, common.Hash) (any, error) {
	return nil, errNoTrace
}

// TraceBlock refuses.
func (closedTracers) TraceBlock(context.Context, hexutil.Bytes) (any, error) {
	return nil, errNoTrace
}

// TraceChain refuses.
func (closedTracers) TraceChain(context.Context, rpc.BlockNumber, rpc.BlockNumber) (any, error) {
	return nil, errNoTrace
}

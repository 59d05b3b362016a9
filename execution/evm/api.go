package evm

import (
	"context"
	"errors"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/eth/tracers"
	"github.com/ethereum/go-ethereum/rpc"

	// The tracers that debug_trace* takes by name, without the one that runs
	// JavaScript sent by the caller.
	_ "github.com/ethereum/go-ethereum/eth/tracers/native"
)

// errNoDoor is the answer of the methods that would put a transaction into geth's
// pool, from where it never comes out.
var errNoDoor = errors.New("this service takes no transactions")

// APIs returns geth's JSON-RPC services that are safe to show to the public: eth
// with filters and subscriptions, net, web3, txpool, and of debug what reads the
// chain. Methods that send transactions refuse; whoever registers services after
// these overrides them. It makes new filter services at each call: call it once
// for each server.
func (c *Client) APIs() []rpc.API {
	var apis []rpc.API
	for _, api := range c.eth.APIs() {
		switch api.Namespace {
		case "eth", "net", "txpool":
			apis = append(apis, api)
		case "debug":
			if raw, ok := api.Service.(rawReader); ok {
				apis = append(apis, rpc.API{Namespace: "debug", Service: struct{ rawReader }{raw}})
			}
		}
	}
	system := filters.NewFilterSystem(c.eth.APIBackend, filters.Config{})
	return append(apis,
		rpc.API{Namespace: "eth", Service: filters.NewFilterAPI(system)},
		rpc.API{Namespace: "eth", Service: closedDoor{}},
		rpc.API{Namespace: "debug", Service: tracers.NewAPI(c.eth.APIBackend)},
		rpc.API{Namespace: "debug", Service: closedTracers{}},
		rpc.API{Namespace: "web3", Service: web3{c.stack.Config().NodeName()}},
	)
}

// rawReader is what geth's debug service offers beside compacting the database
// and rewinding the chain.
type rawReader interface {
	GetRawHeader(context.Context, rpc.BlockNumberOrHash) (hexutil.Bytes, error)
	GetRawBlock(context.Context, rpc.BlockNumberOrHash) (hexutil.Bytes, error)
	GetRawReceipts(context.Context, rpc.BlockNumberOrHash) ([]hexutil.Bytes, error)
	GetRawTransaction(context.Context, common.Hash) (hexutil.Bytes, error)
}

// closedDoor shadows the methods that fill geth's pool.
type closedDoor struct{}

// SendRawTransaction refuses.
func (closedDoor) SendRawTransaction(context.Context, hexutil.Bytes) (common.Hash, error) {
	return common.Hash{}, errNoDoor
}

// SendRawTransactionSync refuses.
func (closedDoor) SendRawTransactionSync(context.Context, hexutil.Bytes, *uint64) (map[string]any, error) {
	return nil, errNoDoor
}

// SendTransaction refuses.
func (closedDoor) SendTransaction(context.Context, any) (common.Hash, error) {
	return common.Hash{}, errNoDoor
}

// Resend refuses.
func (closedDoor) Resend(context.Context, any, *hexutil.Big, *hexutil.Uint64) (common.Hash, error) {
	return common.Hash{}, errNoDoor
}

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

type web3 struct{ version string }

// ClientVersion returns the name and version of the software.
func (w web3) ClientVersion() string { return w.version }

// Sha3 returns the Keccak-256 hash of the input.
func (web3) Sha3(input hexutil.Bytes) hexutil.Bytes { return crypto.Keccak256(input) }

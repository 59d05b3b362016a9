package evm

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/filtermaps"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/eth/tracers"
	"github.com/ethereum/go-ethereum/event"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/ethereum/go-ethereum/version"
)

// newAPIs makes the services that Client.APIs returns. A service overrides the
// methods of those before it.
func newAPIs(backend *eth.Ethereum) []rpc.API {
	var apis []rpc.API
	for _, api := range backend.APIs() {
		switch api.Namespace {
		case "eth", "txpool":
			apis = append(apis, api)
		case "debug":
			if raw, ok := api.Service.(rawReader); ok {
				apis = append(apis, rpc.API{Namespace: "debug", Service: struct{ rawReader }{raw}})
			}
		}
	}
	refuseScripts()
	system := filters.NewFilterSystem(filterBackend{backend.APIBackend}, filters.Config{})
	return append(apis,
		rpc.API{Namespace: "eth", Service: filters.NewFilterAPI(system)},
		rpc.API{Namespace: "eth", Service: poolAPI{backend.APIBackend}},
		rpc.API{Namespace: "debug", Service: tracers.NewAPI(backend.APIBackend)},
		rpc.API{Namespace: "debug", Service: closedTracers{}},
		rpc.API{Namespace: "net", Service: netAPI{backend.BlockChain().Config().ChainID.String()}},
		rpc.API{Namespace: "web3", Service: web3API{}},
	)
}

// filterBackend is geth's backend without pool and log index, which are off.
type filterBackend struct{ *eth.EthAPIBackend }

// SubscribeNewTxsEvent returns a subscription that brings nothing.
func (filterBackend) SubscribeNewTxsEvent(chan<- core.NewTxsEvent) event.Subscription {
	return event.NewSubscription(func(quit <-chan struct{}) error {
		<-quit
		return nil
	})
}

// NewMatcherBackend returns an index of no blocks: a search reads headers.
func (b filterBackend) NewMatcherBackend() filtermaps.MatcherBackend {
	return noIndex{view: b.CurrentView()}
}

type noIndex struct {
	filtermaps.MatcherBackend // never called: no block is indexed
	view                      *filtermaps.ChainView
}

// SyncLogIndex reports that no block is indexed.
func (n noIndex) SyncLogIndex(context.Context) (filtermaps.SyncRange, error) {
	return filtermaps.SyncRange{IndexedView: n.view}, nil
}

// Close does nothing.
func (noIndex) Close() {}

var errNoDoor = errors.New("this service takes no transactions")

// poolAPI stands for the methods that would ask or fill geth's pool.
type poolAPI struct{ backend *eth.EthAPIBackend }

// GetTransactionCount returns the nonce at the block; pending is latest.
func (p poolAPI) GetTransactionCount(ctx context.Context, address common.Address, at *rpc.BlockNumberOrHash) (*hexutil.Uint64, error) {
	latest := rpc.BlockNumberOrHashWithNumber(rpc.LatestBlockNumber)
	if at == nil {
		at = &latest
	} else if number, ok := at.Number(); ok && number == rpc.PendingBlockNumber {
		at = &latest
	}
	state, _, err := p.backend.StateAndHeaderByNumberOrHash(ctx, *at)
	if err != nil {
		return nil, err
	}
	nonce := hexutil.Uint64(state.GetNonce(address))
	return &nonce, state.Error()
}

// PendingTransactions returns nothing.
func (poolAPI) PendingTransactions() []*types.Transaction { return []*types.Transaction{} }

// SendRawTransaction refuses.
func (poolAPI) SendRawTransaction(context.Context, hexutil.Bytes) (common.Hash, error) {
	return common.Hash{}, errNoDoor
}

// SendRawTransactionSync refuses.
func (poolAPI) SendRawTransactionSync(context.Context, hexutil.Bytes, *uint64) (map[string]any, error) {
	return nil, errNoDoor
}

// SendTransaction refuses: the service holds no keys.
func (poolAPI) SendTransaction(context.Context, any) (any, error) { return nil, errNoDoor }

// FillTransaction refuses: the next nonce is for the service to say that takes
// transactions.
func (poolAPI) FillTransaction(context.Context, any) (any, error) { return nil, errNoDoor }

// Resend refuses.
func (poolAPI) Resend(context.Context, any, *hexutil.Big, *hexutil.Uint64) (any, error) {
	return nil, errNoDoor
}

// netAPI speaks of the network as if it had no peers: it has none.
type netAPI struct{ version string }

// Version returns the chain ID in decimal.
func (n netAPI) Version() string { return n.version }

// Listening is what tools ask to see whether a node is up.
func (netAPI) Listening() bool { return true }

// PeerCount returns the number of peers.
func (netAPI) PeerCount() hexutil.Uint { return 0 }

type web3API struct{}

// ClientVersion names the software.
func (web3API) ClientVersion() string {
	return fmt.Sprintf("ordo/go-ethereum-v%d.%d.%d/%s-%s/%s",
		version.Major, version.Minor, version.Patch, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// Sha3 returns the Keccak-256 hash of the input.
func (web3API) Sha3(input hexutil.Bytes) hexutil.Bytes { return crypto.Keccak256(input) }

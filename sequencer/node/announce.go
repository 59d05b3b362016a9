package node

import (
	"context"
	"sync/atomic"

	abci "github.com/cometbft/cometbft/abci/types"

	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"

	"github.com/ordo-network/ordo/sequencer/api"
)

// announcing tells the API of each block as soon as it can be served. That is
// when CometBFT calls Commit: it has stored the block with the votes that
// decided it, and the results of executing it. The event that CometBFT itself
// publishes comes only after the application has written its state.
type announcing struct {
	abci.Application
	to *atomic.Pointer[api.Server] // nil while the node starts

	height *atomic.Int64
}

func newAnnouncing(a abci.Application) announcing {
	return announcing{Application: a, to: new(atomic.Pointer[api.Server]), height: new(atomic.Int64)}
}

func (a announcing) FinalizeBlock(ctx context.Context, req *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	a.height.Store(req.Height)
	return a.Application.FinalizeBlock(ctx, req)
}

func (a announcing) Commit(ctx context.Context, req *abci.RequestCommit) (*abci.ResponseCommit, error) {
	if server := a.to.Load(); server != nil {
		server.Advance(uint64(a.height.Load()))
	}
	return a.Application.Commit(ctx, req)
}

// params asks the chain for what payers must know.
func (n *Node) params(ctx context.Context) (api.Params, error) {
	var out orderingv1.QueryParamsResponse
	if err := ask(ctx, n.comet.ProxyApp().Query(), "/ordo.ordering.v1.Query/Params", &orderingv1.QueryParamsRequest{}, &out); err != nil {
		return api.Params{}, err
	}
	p := out.GetParams()
	params := api.Params{FeePerKilobyte: p.GetFeePerKilobyte(), MaxExpiryBlocks: p.GetMaxExpiryBlocks(), MaxBundleBytes: p.GetMaxBundleBytes()}
	if v := n.watch.view.Load(); v != nil {
		params.Epoch = v.Epoch
	}
	if n.watch.attests() {
		params.LaneOwner = n.watch.self
	}
	return params, nil
}

package app

import (
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"github.com/ordo-network/ordo/sequencer/ordering"
)

// execution is what is kept of a block from FinalizeBlock to Commit.
type execution struct {
	txs    [][]byte
	result *ordering.Evaluation
}

// FinalizeBlock executes a block. BaseApp executes the ordinary transactions; the
// two before them are evaluated in the pre-blocker. A block that ProcessProposal
// would refuse is an error, so that this node stops rather than follow others onto
// a state that the rules do not give. It is the same for a block that consensus
// has just decided and for one that is replayed.
func (a *App) FinalizeBlock(req *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	a.executing = &execution{txs: req.Txs}
	ordinary := *req
	ordinary.Txs = req.Txs[min(ordering.OwnTxs, len(req.Txs)):]
	res, err := a.BaseApp.FinalizeBlock(&ordinary)
	if err != nil {
		return nil, fmt.Errorf("execute block %d: %w", req.Height, err)
	}
	result := a.executing.result
	res.TxResults = append([]*abci.ExecTxResult{{}, {Data: ordering.EncodeDrops(result.Drops)}}, res.TxResults...)
	a.pacing.executed(len(result.Certificates) == 0 && len(ordinary.Txs) == 0 && len(req.Misbehavior) == 0)
	return res, nil
}

// preBlocker orders the block's bundles and settles the claims that were voted on, before
// anything else of the block: an upgrade may change the state that the manifest was
// checked against.
func (a *App) preBlocker(ctx sdk.Context, req *abci.RequestFinalizeBlock) (*sdk.ResponsePreBlock, error) {
	result, err := a.evaluate(ctx, req.Height, a.executing.txs, req.DecidedLastCommit)
	if err != nil {
		return nil, err
	}
	if err := a.keepers.ordering.Apply(ctx, result.Evaluation); err != nil {
		return nil, err
	}
	if err := a.keepers.availability.Settle(ctx, result.votes.power, result.votes.ballots); err != nil {
		return nil, err
	}
	a.executing.result = result.Evaluation
	return a.modules.PreBlock(ctx)
}

// errNoBlock is returned for a Commit without a FinalizeBlock before it.
var errNoBlock = errors.New("commit without an executed block")

// Commit makes the executed block's state the committed one, and lets window, view,
// lanes and pool follow. A crash before BaseApp has committed leaves nothing of the
// block; one after it leaves the state, from which the rest is built at the start.
func (a *App) Commit() (*abci.ResponseCommit, error) {
	done := a.executing
	if done == nil || done.result == nil {
		return nil, errNoBlock
	}
	a.executing = nil
	res, err := a.BaseApp.Commit()
	if err != nil {
		return nil, err
	}
	result := done.result
	a.window.Apply(result.Carried)
	a.metrics.committed(result)
	if err := a.state.refresh(); err != nil {
		return nil, err
	}
	a.lanes.Committed(a.state.current.Load().lanes)
	a.pool.Update(result.Block.Height, result.IDs, done.txs[ordering.OwnTxs:])
	return res, nil
}

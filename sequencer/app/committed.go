package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	abci "github.com/cometbft/cometbft/abci/types"

	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/ordering"
	"github.com/ordo-network/ordo/sequencer/pool"
)

// committed is the last committed state for those who read it while the next block
// is made: pool, lanes and simulation. BaseApp's own check state would not do, since it
// reads through to trees that the next block writes to; a view reads one version,
// which stays as it is.
type committed struct {
	app     *App
	current atomic.Pointer[view]

	checkMu sync.Mutex
	check   storetypes.CacheMultiStore // with the transactions that passed CheckTx; nil: start over
}

type view struct {
	height uint64
	ctx    sdk.Context
	params ordering.Params
	lanes  *lane.View
}

// refresh moves the view to the last committed state.
func (c *committed) refresh() error {
	height := c.app.LastBlockHeight()
	if height == 0 {
		return nil
	}
	ctx, err := c.app.CreateQueryContextWithCheckHeader(height, false, false)
	if err != nil {
		return fmt.Errorf("view of height %d: %w", height, err)
	}
	params, err := c.app.keepers.ordering.Params(ctx)
	if err != nil {
		return err
	}
	if !c.app.window.Mirrors(uint64(height)) {
		if err := c.app.keepers.ordering.LoadWindow(ctx, uint64(height), c.app.window); err != nil {
			return err
		}
	}
	lanes, err := c.app.keepers.ordering.View(ctx, uint64(height))
	if err != nil {
		return err
	}
	// RunTx reads the consensus parameters through BaseApp's check state. Read once
	// here, they are answered from its cache, and no tree is touched later.
	c.app.GetConsensusParams(c.app.NewContext(true))
	c.current.Store(&view{height: uint64(height), ctx: ctx, params: params, lanes: lanes})
	return nil
}

// Rules implements pool.Chain.
func (c *committed) Rules() (*ordering.Rules, error) {
	v := c.current.Load()
	if v == nil {
		return nil, pool.ErrNotReady
	}
	return &ordering.Rules{
		ChainID: c.app.chainID, Height: v.height + 1, Params: v.params, Fate: c.app.window.Fate,
		Balance: func(p order.Payer) uint64 {
			return c.app.keepers.ordering.Balance(v.reader(), p)
		},
	}, nil
}

// Recheck implements pool.Chain.
func (c *committed) Recheck() {
	c.checkMu.Lock()
	defer c.checkMu.Unlock()
	c.check = nil
}

// CheckTx runs the ante handler for an ordinary transaction on top of those that
// passed before. It implements pool.Chain.
func (c *committed) CheckTx(raw []byte) error {
	v := c.current.Load()
	if v == nil {
		return pool.ErrNotReady
	}
	c.checkMu.Lock()
	defer c.checkMu.Unlock()
	if c.check == nil {
		c.check = v.ctx.MultiStore().CacheMultiStore()
	}
	_, _, _, err := c.app.RunTx(sdk.ExecModeCheck, raw, nil, -1, c.check, nil)
	return err
}

// simulate runs a transaction on the committed state and throws the result away.
func (c *committed) simulate(raw []byte) (sdk.GasInfo, *sdk.Result, error) {
	v := c.current.Load()
	if v == nil {
		return sdk.GasInfo{}, nil, pool.ErrNotReady
	}
	gas, result, _, err := c.app.RunTx(sdk.ExecModeSimulate, raw, nil, -1, v.ctx.MultiStore().CacheMultiStore(), nil)
	return gas, result, err
}

// Query implements the ABCI method. BaseApp's own simulation works on its check
// state and is refused; the transaction service has one on the view.
func (a *App) Query(ctx context.Context, req *abci.RequestQuery) (*abci.ResponseQuery, error) {
	if strings.HasPrefix(strings.TrimPrefix(req.Path, "/"), "app/simulate") {
		return sdkerrors.QueryResult(sdkerrors.ErrUnknownRequest.Wrap("simulate by /cosmos.tx.v1beta1.Service/Simulate"), false), nil
	}
	return a.BaseApp.Query(ctx, req)
}

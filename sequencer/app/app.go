package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	abci "github.com/cometbft/cometbft/abci/types"
	dbm "github.com/cosmos/cosmos-db"

	"cosmossdk.io/log/v2"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/server"
	pruningtypes "github.com/cosmos/cosmos-sdk/store/v2/pruning/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"

	"github.com/ordo-network/ordo/dispersal/lane"
	"github.com/ordo-network/ordo/sequencer/ordering"
	"github.com/ordo-network/ordo/sequencer/pool"
)

// Name is the application's name in CometBFT's handshake.
const Name = "ordo"

// verifiedCertificates is how many certificates are known to be right at least: those
// of several blocks of the greatest number.
const verifiedCertificates = 8192

// treeCache is how many nodes of its tree each module's store keeps in memory. The
// Cosmos SDK's half a million would fill up with nodes of past states.
const treeCache = 10_000

// App is the chain's application. CometBFT calls it through ABCI, on several
// connections at once: blocks come one after the other on one of them, while pool
// and queries work on the last committed state.
type App struct {
	*baseapp.BaseApp

	enc      *Encoding
	keepers  *keepers
	modules  *module.Manager
	chainID  string
	window   *ordering.Window
	verifier *lane.Verifier
	lanes    Lanes
	votes    Votes
	pool     *pool.Pool
	state    *committed
	pacing   *pacing
	metrics  *metrics

	// Of the blocks in the making; CometBFT calls about them one at a time.
	last      evaluated
	executing *execution // between FinalizeBlock and Commit
}

// New opens the application at the last state in db. It takes over db: Close closes it.
func New(logger log.Logger, db dbm.DB, opts Options) (*App, error) {
	enc, err := NewEncoding()
	if err != nil {
		return nil, err
	}
	if opts.Pruning == (pruningtypes.PruningOptions{}) {
		opts.Pruning = DefaultPruning
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	// SetMinGasPrices, below, panics where this fails.
	if _, err := sdk.ParseDecCoins(opts.MinGasPrices); err != nil {
		return nil, fmt.Errorf("minimum gas prices %q, want for example \"0.001uordo\": %w", opts.MinGasPrices, err)
	}
	base := baseapp.NewBaseApp(Name, logger, db, enc.TxConfig.TxDecoder(),
		baseapp.SetChainID(opts.ChainID), baseapp.SetPruning(opts.Pruning), baseapp.SetMinGasPrices(opts.MinGasPrices),
		baseapp.SetIAVLCacheSize(treeCache))
	base.SetInterfaceRegistry(enc.Registry)
	base.SetTxEncoder(enc.TxConfig.TxEncoder())
	keys := storetypes.NewKVStoreKeys(storeNames...)
	base.MountKVStores(keys)

	a := &App{
		BaseApp: base, enc: enc, keepers: newKeepers(base, enc, keys, opts.Home),
		chainID: opts.ChainID, window: ordering.NewWindow(), lanes: noLanes{}, votes: noVotes,
		verifier: lane.NewVerifier(opts.ChainID, verifiedCertificates),
		pacing:   &pacing{blockTime: opts.BlockTime, idleInterval: opts.IdleInterval, certificates: noLanes{}},
	}
	a.state = &committed{app: a}
	if a.metrics, err = newMetrics(opts.Registerer); err != nil {
		return nil, err
	}
	base.SetParamStore(a.keepers.consensus.ParamsStore)
	if a.modules, err = newModules(base, enc, a.keepers); err != nil {
		return nil, err
	}
	authtx.RegisterTxService(base.GRPCQueryRouter(), client.Context{}, a.state.simulate, enc.Registry)
	ante, err := newAnteHandler(enc, a.keepers)
	if err != nil {
		return nil, err
	}
	base.SetAnteHandler(ante)
	base.SetInitChainer(a.initChainer)
	base.SetPreBlocker(a.preBlocker)
	base.SetBeginBlocker(a.modules.BeginBlock)
	base.SetEndBlocker(a.modules.EndBlock)
	base.SetPrepareProposal(a.prepareProposal)
	base.SetProcessProposal(a.processProposal)
	base.SetExtendVoteHandler(a.extendVote)
	base.SetVerifyVoteExtensionHandler(a.verifyVoteExtension)
	if err := base.LoadLatestVersion(); err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	if err := a.state.refresh(); err != nil {
		return nil, err
	}
	a.pool, err = pool.New(a.state, pool.Options{
		ChainID: opts.ChainID, Dir: opts.PoolDir, Limits: opts.PoolLimits, Logger: opts.Logger, Registerer: opts.Registerer,
	})
	if err != nil {
		return nil, err
	}
	a.pacing.transactions = a.pool
	if opts.Lanes != nil {
		a.SetLanes(opts.Lanes)
	}
	return a, nil
}

// ABCI returns what CometBFT calls. It wants a client creator that does not lock
// connections against each other, such as proxy.NewConnSyncLocalClientCreator.
func (a *App) ABCI() abci.Application { return server.NewCometABCIWrapper(a) }

// Certificates returns the verifier of certificates, which dispersal shares: the
// signatures of each are then verified once in this process.
func (a *App) Certificates() *lane.Verifier { return a.verifier }

// Pool returns what waits for a batch or a block.
func (a *App) Pool() *pool.Pool { return a.pool }

// Encoding returns what clients of this application need.
func (a *App) Encoding() *Encoding { return a.enc }

// Close closes the pool and the state.
func (a *App) Close() error { return errors.Join(a.pool.Close(), a.BaseApp.Close()) }

// initChainer writes the first state from the genesis file.
func (a *App) initChainer(ctx sdk.Context, req *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	var genesis map[string]json.RawMessage
	if err := json.Unmarshal(req.AppStateBytes, &genesis); err != nil {
		return nil, fmt.Errorf("decode app_state of the genesis file: %w", err)
	}
	if err := a.keepers.upgrade.SetModuleVersionMap(ctx, a.modules.GetVersionMap()); err != nil {
		return nil, fmt.Errorf("write module versions: %w", err)
	}
	return a.modules.InitGenesis(ctx, a.enc.Codec, genesis)
}

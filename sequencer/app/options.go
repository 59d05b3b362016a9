package app

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pruningtypes "github.com/cosmos/cosmos-sdk/store/v2/pruning/types"

	"github.com/ordo-network/ordo/sequencer/pool"
)

// Options configure an application.
type Options struct {
	// ChainID must be that of the genesis file.
	ChainID string
	// Home is where the upgrade module leaves its notes; may be empty.
	Home string
	// PoolDir holds the bundles that this node has accepted; empty keeps them in memory.
	PoolDir string
	// PoolLimits bound the pool; the zero value stands for pool.DefaultLimits.
	PoolLimits pool.Limits
	// Lanes are those of this node; nil where it has none, or SetLanes gives them later.
	Lanes Lanes
	// MinGasPrices is the least that an ordinary transaction pays, as "0.001uordo",
	// for this node to take it in; empty takes in those that pay nothing.
	MinGasPrices string
	// Pruning says which past states are kept; the zero value stands for DefaultPruning.
	Pruning pruningtypes.PruningOptions
	// BlockTime is the time between blocks under load; 0 leaves it to CometBFT's timeout_commit.
	BlockTime time.Duration
	// IdleInterval is the time between empty blocks; 0 makes them as fast as others.
	IdleInterval time.Duration
	// Logger is for what the pool has to say; nil stands for slog.Default.
	Logger *slog.Logger
	// Registerer takes the metrics; nil keeps them private.
	Registerer prometheus.Registerer
}

// DefaultPruning keeps the states of the last 1,000 blocks.
var DefaultPruning = pruningtypes.NewCustomPruningOptions(1000, 10)

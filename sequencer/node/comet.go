package node

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"github.com/ordo-network/ordo/sequencer/app"
)

// cometConfig returns CometBFT's settings for blocks of about that time.
func cometConfig(blockTime time.Duration) *cmtcfg.Config {
	c := cmtcfg.DefaultConfig()

	// Consensus: how long it waits for what should have come is a multiple of the
	// block time, so that a validator that is down costs its turn a few blocks and
	// not seconds; it rises with each round, for networks that are slower than that.
	wait := max(3*blockTime, 300*time.Millisecond)
	c.Consensus.TimeoutPropose, c.Consensus.TimeoutProposeDelta = wait, wait/2
	c.Consensus.TimeoutPrevote, c.Consensus.TimeoutPrevoteDelta = wait/2, wait/2
	c.Consensus.TimeoutPrecommit, c.Consensus.TimeoutPrecommitDelta = wait/2, wait/2
	c.Consensus.TimeoutCommit = timeoutCommit
	c.Consensus.CreateEmptyBlocks = true
	// With the defaults (100 ms, 10 ms) four validators on two cores take 208 ms for
	// a block, with these 44 ms. Three goroutines for each peer wake up that often, so
	// that slower chains let them sleep longer.
	c.Consensus.PeerGossipSleepDuration = min(max(blockTime/20, 5*time.Millisecond), 50*time.Millisecond)
	c.P2P.FlushThrottleTimeout = 2 * time.Millisecond

	// The application has the pool; CometBFT carries its ordinary transactions between
	// nodes. Bundles go by lanes.
	c.Mempool.Type = cmtcfg.MempoolTypeApp
	c.Mempool.ReapInterval = 20 * time.Millisecond
	c.Mempool.ReapMaxBytes = 1 << 20
	c.Mempool.MaxTxBytes = 1 << 20
	c.Mempool.SeenCacheSize = 20_000

	// The index of transactions would store all certificates a second time.
	c.TxIndex.Indexer = "null"
	c.Storage.DiscardABCIResponses = false
	c.DBBackend = string(dbm.GoLevelDBBackend)

	c.P2P.SendRate, c.P2P.RecvRate = 20<<20, 20<<20
	c.RPC.MaxBodyBytes = 2 << 20
	c.RPC.MaxOpenConnections = 200
	c.Instrumentation.Prometheus = false // see ordo.toml: one endpoint serves both
	c.Instrumentation.Namespace = "cometbft"
	c.LogLevel = "info"
	return c
}

// timeoutCommit is the time for late votes after a block is decided. The
// application paces the blocks.
const timeoutCommit = 10 * time.Millisecond

// checkComet refuses settings under which the node could not do its work.
func checkComet(c *cmtcfg.Config) error {
	switch {
	case c.Mempool.Type != cmtcfg.MempoolTypeApp:
		return fmt.Errorf("mempool.type is %q, want %q: the pool of bundles is in the application", c.Mempool.Type, cmtcfg.MempoolTypeApp)
	case !c.Consensus.CreateEmptyBlocks:
		return errors.New("consensus.create_empty_blocks is false, want true: the application decides when blocks come")
	case c.Consensus.TimeoutPropose < 2*app.ProposerPatience:
		return fmt.Errorf("consensus.timeout_propose is %v, want %v or more: a proposer may wait %v for certificates that it has to carry",
			c.Consensus.TimeoutPropose, 2*app.ProposerPatience, app.ProposerPatience)
	case c.Storage.DiscardABCIResponses:
		return errors.New("storage.discard_abci_responses is true, want false: the API reads from the results which bundles were dropped")
	case c.DBBackend != string(dbm.GoLevelDBBackend):
		return fmt.Errorf("db_backend is %q, want %q: no other one is built in", c.DBBackend, dbm.GoLevelDBBackend)
	case c.Instrumentation.Prometheus:
		return errors.New("instrumentation.prometheus is true, want false: metrics.listen in ordo.toml serves CometBFT's metrics, too")
	}
	return nil
}

// openDB opens one of CometBFT's stores, with caches of a size that fits a node
// whose readers mostly ask for the latest blocks.
func openDB(ctx *cmtcfg.DBContext) (dbm.DB, error) {
	db, err := dbm.NewGoLevelDBWithOpts(ctx.ID, ctx.Config.DBDir(), levelOptions())
	if err != nil {
		return nil, err
	}
	return &closable{DB: db}, nil
}

// closable is empty once it is closed. CometBFT's consensus sleeps for up to two seconds
// before it sees that it was stopped, and may then read the block store once more: an
// error would be a panic.
type closable struct {
	dbm.DB
	closed atomic.Bool
}

// Get implements dbm.DB.
func (c *closable) Get(key []byte) ([]byte, error) {
	v, err := c.DB.Get(key)
	if err != nil && c.closed.Load() {
		return nil, nil
	}
	return v, err
}

// Close implements dbm.DB.
func (c *closable) Close() error {
	c.closed.Store(true)
	return c.DB.Close()
}

func levelOptions() *opt.Options {
	return &opt.Options{BlockCacheCapacity: 4 << 20, WriteBuffer: 2 << 20, OpenFilesCacheCapacity: 64}
}

package app_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtcfg "github.com/cometbft/cometbft/config"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtlog "github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/stretchr/testify/require"

	"cosmossdk.io/log/v2"

	cmtdb "github.com/cometbft/cometbft-db"

	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/ordering"
	"github.com/ordo-network/ordo/test/await"
)

// startNode runs one validator under the application's pacing and returns its blocks.
func startNode(t *testing.T, opts app.Options) (*chain, <-chan cmttypes.EventDataNewBlock) {
	t.Helper()
	l := newLanes()
	opts.ChainID, opts.PoolDir, opts.Lanes = chainID, t.TempDir(), l
	a, err := app.New(log.NewNopLogger(), dbm.NewMemDB(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })

	cfg := cmtcfg.TestConfig()
	cfg.SetRoot(t.TempDir())
	cmtcfg.EnsureRoot(cfg.RootDir)
	cfg.RPC.ListenAddress, cfg.RPC.GRPCListenAddress, cfg.P2P.ListenAddress = "", "", "tcp://127.0.0.1:0"
	// The node has no peers to exchange, and what it knows of them is written after Stop
	// and Wait, maybe while the test's directory is removed.
	cfg.P2P.PexReactor = false
	cfg.Mempool.Type, cfg.Mempool.ReapInterval = cmtcfg.MempoolTypeApp, 2*time.Millisecond
	cfg.Consensus.TimeoutCommit = time.Millisecond
	cfg.Consensus.SkipTimeoutCommit = false
	key := privval.NewFilePV(cmted25519.PrivKey(consensusKey(0).Bytes()),
		filepath.Join(cfg.RootDir, "key.json"), filepath.Join(cfg.RootDir, "state.json"))
	nodeKey, err := p2p.LoadOrGenNodeKey(filepath.Join(cfg.RootDir, "node.json"))
	require.NoError(t, err)
	doc := newGenesis(t, 1)
	n, err := node.NewNode(cfg, key, nodeKey, proxy.NewConnSyncLocalClientCreator(a.ABCI()),
		func() (*cmttypes.GenesisDoc, error) { return doc, nil },
		func(*cmtcfg.DBContext) (cmtdb.DB, error) { return cmtdb.NewMemDB(), nil },
		node.DefaultMetricsProvider(cfg.Instrumentation), cmtlog.NewNopLogger())
	require.NoError(t, err)
	require.NoError(t, a.Pace(n))
	sub, err := n.EventBus().Subscribe(context.Background(), "test", cmttypes.EventQueryNewBlock, 1000)
	require.NoError(t, err)
	blocks := make(chan cmttypes.EventDataNewBlock, 1000)
	go func() {
		for {
			select {
			case m := <-sub.Out():
				blocks <- m.Data().(cmttypes.EventDataNewBlock)
			case <-sub.Canceled():
				return
			}
		}
	}()
	require.NoError(t, n.Start())
	t.Cleanup(func() {
		require.NoError(t, n.Stop())
		n.Wait()
	})
	a.Pool().SetLane(laneOwner(0), func() bool { return true })
	return &chain{t: t, app: a, lanes: l, session: 1, vals: make([]abci.Validator, 1), time: doc.GenesisTime}, blocks
}

func next(t *testing.T, blocks <-chan cmttypes.EventDataNewBlock) (cmttypes.EventDataNewBlock, time.Time) {
	t.Helper()
	select {
	case b := <-blocks:
		return b, time.Now()
	case <-time.After(await.Limit):
		t.Fatal("no block")
		panic("unreachable")
	}
}

func TestIdleChainWaitsAndWakes(t *testing.T) {
	t.Parallel()
	const idle = 10 * time.Second // twice as long as a slow machine takes to tell of a block, or to make one
	c, blocks := startNode(t, app.Options{BlockTime: 20 * time.Millisecond, IdleInterval: idle})
	first, at := next(t, blocks)
	require.EqualValues(t, 1, first.Block.Height)

	// Nothing to order: the next empty block comes after the idle interval.
	_, second := next(t, blocks)
	require.Greater(t, second.Sub(at), idle/2)

	// A certificate: the next block comes at once and has it.
	c.height = 2
	before := time.Now()
	id := c.submit(c.bundle(0, nil))
	c.disperse()
	b, now := next(t, blocks)
	require.Less(t, now.Sub(before), idle/2, "the certificate waited for the idle interval")
	require.False(t, c.app.Pool().Has(id))
	m, err := ordering.DecodeManifest(b.Block.Txs[1])
	require.NoError(t, err)
	require.Len(t, m.Certificates, 1)
	require.Len(t, m.Votes.Votes, 1)
	require.NotEmpty(t, m.Votes.Votes[0].ExtensionSignature)
}

func TestBlocksUnderLoadComeAtTheBlockTime(t *testing.T) {
	t.Parallel()
	const pace = time.Second // a slow machine makes a block within it
	c, blocks := startNode(t, app.Options{BlockTime: pace, IdleInterval: pace})
	_, start := next(t, blocks)
	const n = 5
	var last time.Time
	for range n {
		_, last = next(t, blocks)
	}
	require.NotNil(t, c)
	require.InDelta(t, float64(pace), float64(last.Sub(start))/n, float64(pace)/2)
}

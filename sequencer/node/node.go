package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	cmtcfg "github.com/cometbft/cometbft/config"
	cmtnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	cmttypes "github.com/cometbft/cometbft/types"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/dispersal"
	"github.com/ordo-network/ordo/internal/listen"
	"github.com/ordo-network/ordo/internal/monitor"
	"github.com/ordo-network/ordo/sequencer/api"
	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// Options say which node to run.
type Options struct {
	Home    string
	Version string // as GetInfo tells it
	Logger  *slog.Logger
	// Registry takes the node's metrics, without CometBFT's. Nil stands for
	// Prometheus' default registry and all metrics; only one node of a process can have it.
	Registry *prometheus.Registry
}

// Run runs the node of a home until the context ends or the node fails.
func Run(ctx context.Context, o Options) error {
	n, err := Open(ctx, o)
	if err != nil {
		return err
	}
	n.config.limitMemory()
	return n.Run(ctx)
}

// Node is a node that is ready to run.
type Node struct {
	log     *slog.Logger
	config  Config
	chainID string

	app         *app.App
	watch       *watch
	dispersal   *dispersal.Node // nil on a full node
	retriever   *dispersal.Retriever
	background  []func(context.Context) error // what runs beside CometBFT and the API
	comet       *cmtnode.Node
	api         *api.Server
	apiLn       net.Listener
	dispersalLn net.Listener
	metricLn    net.Listener // nil: no metrics
	gatherer    prometheus.Gatherer

	voice   *voice     // CometBFT's
	failed  chan error // consensus gave up
	closers []func() error
}

// Open takes the ports and opens the stores of a node. What the application lacks
// of the blocks that are stored, it executes. Whoever opens a node must Run it.
func Open(ctx context.Context, o Options) (_ *Node, err error) {
	h := home(o.Home)
	cfg, comet, err := h.load()
	if err != nil {
		return nil, err
	}
	doc, err := h.genesisDoc()
	if err != nil {
		return nil, err
	}
	n := &Node{log: o.Logger, config: cfg, chainID: doc.ChainID, failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if err := n.takePorts(ctx, h, comet); err != nil {
		return nil, err
	}
	var registerer prometheus.Registerer = o.Registry
	n.gatherer = o.Registry
	cometMetrics := cmtnode.DefaultMetricsProvider(comet.Instrumentation) // off, by checkComet
	if o.Registry == nil {
		registerer, n.gatherer = prometheus.DefaultRegisterer, prometheus.DefaultGatherer
		cometMetrics = cmtnode.DefaultMetricsProvider(&cmtcfg.InstrumentationConfig{
			Prometheus: cfg.Metrics.Listen != "", Namespace: comet.Instrumentation.Namespace,
		})
	}
	if err := n.openApp(h, registerer); err != nil {
		return nil, err
	}
	signer, err := loadSigner(comet)
	if err != nil {
		return nil, err
	}
	// CometBFT replays blocks that the application lacks: dispersal hears of them.
	if err := n.openLanes(ctx, h, doc, signer.Key.Address, registerer); err != nil {
		return nil, err
	}
	application := newAnnouncing(n.app.ABCI())
	if err := n.openComet(ctx, comet, doc, signer, cometMetrics, application); err != nil {
		return nil, err
	}
	if err := n.openAPI(h, o.Version, registerer); err != nil {
		return nil, err
	}
	if err := n.openChecker(n.comet.BlockStore(), registerer); err != nil {
		return nil, err
	}
	application.to.Store(n.api)
	n.background = append(n.background, n.dropSilent, redialing(n.comet.Switch(), comet.P2P.PersistentPeers, redialEvery))
	return n, nil
}

// takePorts fails before anything starts where a port is not to be had.
func (n *Node) takePorts(ctx context.Context, h home, comet *cmtcfg.Config) (err error) {
	for _, l := range []struct{ purpose, setting, address string }{
		{"peer-to-peer listener", "p2p.laddr in " + h.comet(), comet.P2P.ListenAddress},
		{"CometBFT RPC", "rpc.laddr in " + h.comet(), comet.RPC.ListenAddress},
	} {
		if l.address == "" {
			continue
		}
		address, err := hostPort(l.address)
		if err != nil {
			return fmt.Errorf("%s: %w", l.setting, err)
		}
		// CometBFT listens by itself: what is checked is that it will be able to.
		ln, err := listen.For(ctx, address, l.purpose, l.setting)
		if err != nil {
			return err
		}
		if err := ln.Close(); err != nil {
			return err
		}
	}
	if n.apiLn, err = listen.For(ctx, n.config.API.Listen, "sequencer API", "api.listen in "+h.ordo()); err != nil {
		return err
	}
	n.closers = append(n.closers, n.apiLn.Close)
	if n.dispersalLn, err = listen.For(ctx, n.config.Dispersal.Listen, "dispersal between validators", "dispersal.listen in "+h.ordo()); err != nil {
		return err
	}
	n.closers = append(n.closers, n.dispersalLn.Close)
	if n.config.Metrics.Listen == "" {
		return nil
	}
	if n.metricLn, err = listen.For(ctx, n.config.Metrics.Listen, "metrics endpoint", "metrics.listen in "+h.ordo()); err != nil {
		return err
	}
	n.closers = append(n.closers, n.metricLn.Close)
	return nil
}

func (n *Node) openApp(h home, registerer prometheus.Registerer) error {
	db, err := dbm.NewGoLevelDBWithOpts("application", h.data(), levelOptions())
	if err != nil {
		return fmt.Errorf("open the application's state in %s (does another node run on this home?): %w", h.data(), err)
	}
	n.app, err = app.New(sdkLogger(n.log), smallBatches{db}, app.Options{
		ChainID: n.chainID, Home: string(h), PoolDir: h.pool(), PoolLimits: n.config.poolLimits(),
		MinGasPrices: n.config.Pool.MinGasPrices,
		BlockTime:    time.Duration(n.config.Pacing.BlockTime), IdleInterval: time.Duration(n.config.Pacing.IdleInterval),
		Logger: n.log, Registerer: registerer,
	})
	if err != nil {
		return errors.Join(fmt.Errorf("open the application: %w", err), db.Close())
	}
	n.closers = append(n.closers, n.app.Close)
	return nil
}

// smallBatches lets batches grow as they are filled. The state's trees, one for each
// module, ask for 100 kB with each block and write a few hundred bytes: at ten blocks a
// second that was two fifths of all memory that an idle validator took anew.
type smallBatches struct{ dbm.DB }

// NewBatchWithSize implements dbm.DB.
func (s smallBatches) NewBatchWithSize(int) dbm.Batch { return s.NewBatch() }

func (n *Node) openComet(ctx context.Context, c *cmtcfg.Config, doc *cmttypes.GenesisDoc, signer *privval.FilePV, metrics cmtnode.MetricsProvider, application announcing) error {
	key, err := p2p.LoadNodeKey(c.NodeKeyFile())
	if err != nil {
		return fmt.Errorf("read node key: %w", err)
	}
	log := newCometLogger(n.log, n.fail)
	n.voice = log.voice
	n.comet, err = cmtnode.NewNodeWithContext(ctx, c,
		signer, key,
		proxy.NewConnSyncLocalClientCreator(application),
		func() (*cmttypes.GenesisDoc, error) { return doc, nil },
		openDB, metrics, log)
	if err != nil {
		return fmt.Errorf("open CometBFT: %w", err)
	}
	return n.app.Pace(n.comet)
}

func (n *Node) openAPI(h home, version string, registerer prometheus.Registerer) error {
	env, err := n.comet.ConfigureRPC()
	if err != nil {
		return fmt.Errorf("reach CometBFT's stores: %w", err)
	}
	n.api, err = api.New(api.Options{
		ChainID: n.chainID, Version: version,
		Blocks: env.BlockStore, States: env.StateStore, Outcome: ordering.Outcome,
		Pool: n.app.Pool(), Batches: n.retriever, Lanes: n.lanes(), Committee: n.committee, Available: n.available,
		Transactions: transactions{n.app},
		Params:       n.params, CatchingUp: env.ConsensusReactor.WaitSync,
		IndexDir: h.index(), Retain: n.config.Retention.BundleHeights, RetainClaims: n.config.Retention.ClaimHeights,
		RetainPresence: n.presenceHeights(), Limits: n.config.apiLimits(),
		Registerer: registerer, Logger: n.log,
	})
	if err != nil {
		return fmt.Errorf("open the API: %w", err)
	}
	n.closers = append(n.closers, n.api.Close)
	return nil
}

// fail ends Run with the error; the first one counts.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

// Run takes part in the network until the context ends or the node fails, and
// closes the node.
func (n *Node) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.comet.Start(); err != nil {
		return fmt.Errorf("start CometBFT: %w", err)
	}
	// CometBFT stops after the API, which reads its stores, and before they close.
	defer n.stopComet()
	info := n.comet.NodeInfo()
	n.log.Info("sequencer node runs", "chain_id", n.chainID, "node_id", info.ID(),
		"api", n.apiLn.Addr().String(), "rpc", n.comet.Config().RPC.ListenAddress, "p2p", n.comet.Config().P2P.ListenAddress)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.api.Run(ctx, n.apiLn) })
	for _, run := range n.background {
		group.Go(func() error { return run(ctx) })
	}
	if n.metricLn != nil {
		group.Go(func() error { return monitor.Serve(ctx, n.metricLn, n.gatherer, nil) })
	}
	group.Go(func() error {
		select {
		case err := <-n.failed:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	err = group.Wait()
	n.log.Info("sequencer node stops")
	return err
}

func (n *Node) stopComet() {
	n.voice.stop()
	if err := n.comet.Stop(); err != nil {
		n.log.Warn("CometBFT did not stop cleanly", "err", err)
		return
	}
	n.comet.Wait()
}

// close releases what was opened, last first.
func (n *Node) close() error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		if err := n.closers[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	n.closers = nil
	return errors.Join(errs...)
}

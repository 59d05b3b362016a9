package rollup

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/da"
	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/gateway"
	"github.com/ordo-network/ordo/gateway/ordorpc"
	"github.com/ordo-network/ordo/gateway/pending"
	"github.com/ordo-network/ordo/internal/monitor"
	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/order"
	"github.com/ordo-network/ordo/sequencer/claims"
)

// checkpointEvery is after how many blocks the follower's checkpoint is stored. A
// restart verifies at most that many headers again.
const checkpointEvery = 50

// resendAfter is after what time a bundle that was taken and not ordered goes to another
// sequencer, beside the time that it may wait for its rollup block.
const resendAfter = 3 * time.Second

// Node is a rollup node, from New to Close.
type Node struct {
	cfg     Config
	id      order.RollupID
	trust   follower.Trust
	log     *slog.Logger
	version string
	given   Options
	payer   string // address of who pays for this node's bundles

	store    *store
	machine  machine
	gateway  *gateway.Gateway
	follower *follower.Follower
	firm     *follower.FirmReader // nil without a DA layer
	layers   []layers.Layer       // that firm reads
	driver   *driver
	pending  *pending.Overlay // nil while it is not open yet
	// certified tells users of the plain door; nil where there is another.
	certified *ordorpc.Certified
	door      door
	registry  *prometheus.Registry

	told    uint64                      // last sequencer height that was executed, and told to the gateway, before the node started
	since   atomic.Uint64               // blocks since the last stored checkpoint
	approve func(*follower.Block) error // where set, looks at blocks of DA before they are executed
}

// open wires the stages. What it opened is closed again where it fails.
func open(ctx context.Context, home string, cfg Config, o Options) (_ *Node, err error) {
	log := o.Logger
	n := &Node{cfg: cfg, id: order.NewRollupID(cfg.Name), log: log, version: o.Version, given: o, registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	in := within(home)
	key, err := keys.Load(in(cfg.PayerKey))
	if err != nil {
		return nil, err
	}
	n.payer = keys.Address(key.Public().(ed25519.PublicKey))
	if err := n.openChain(ctx, home, n.observe); err != nil {
		return nil, err
	}
	remotes, sources := make([]gateway.Sequencer, len(cfg.Sequencers)), make([]pending.Source, len(cfg.Sequencers))
	for i, url := range cfg.Sequencers {
		remote := gateway.NewRemote(url)
		remotes[i], sources[i] = remote, remote
	}
	n.gateway, err = gateway.New(gateway.Config{
		RollupID: n.id, ChainID: n.trust.ChainID(), Key: key, Dir: in("data/gateway"), Sequencers: remotes, Chain: n.machine.chain(),
		FlushInterval: time.Duration(cfg.Gateway.FlushInterval), MaxTxs: cfg.Gateway.MaxTransactions,
		UserBytesPerSecond: cfg.Gateway.BundleBytesPerSecond,
		ResendAfter:        resendAfter + time.Duration(cfg.Execution.BlockTime), Logger: log, Registerer: n.registry,
	})
	if err != nil {
		return nil, err
	}
	if err := n.openPending(sources); err != nil {
		return nil, err
	}
	checkpoint, err := n.checkpoint()
	if err != nil {
		return nil, err
	}
	n.follower, err = follower.New(follower.Config{
		Rollup: n.id, Endpoints: cfg.Sequencers, Trust: n.trust, Checkpoint: checkpoint, Options: n.options(), Ahead: n.ahead(),
		Logger: log, Registerer: n.registry,
	})
	if err != nil {
		return nil, err
	}
	n.door, err = n.machine.door(n)
	return n, err
}

// openPending makes what hears of what is certified, and shows the pending block where that
// can be tried out.
func (n *Node) openPending(sources []pending.Source) (err error) {
	head, height, _ := n.driver.state()
	if n.machine.indexed() {
		n.certified = ordorpc.NewCertified()
	}
	n.pending, err = pending.New(pending.Config{
		Rollup: n.id, Sources: sources, Speculator: n.machine.speculator(), Head: head, Height: height,
		Certified: n.gateway.Certified, Transactions: n.certified.Tell, BlockTime: time.Duration(n.cfg.Execution.BlockTime), Logger: n.log, Registerer: n.registry,
	})
	if err != nil {
		return err
	}
	for _, b := range n.driver.gathered {
		n.gather(b)
	}
	return nil
}

// within makes paths relative to home absolute.
func within(home string) func(path string) string {
	return func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(home, path)
	}
}

// openChain opens what executes the order, and what reads it back from DA.
func (n *Node) openChain(ctx context.Context, home string, observe func(context.Context, outcome) error) error {
	in := within(home)
	var err error
	if n.trust, err = follower.TrustGenesisFile(in(n.cfg.SequencerGenesis)); err != nil {
		return err
	}
	if n.store, err = openStore(in("data/node")); err != nil {
		return err
	}
	n.store.neverFirm = n.cfg.DA.Layer == ""
	if err := n.store.pin(settingsOf(n.cfg)); err != nil {
		return err
	}
	if n.machine, err = n.openMachine(ctx, home); err != nil {
		return err
	}
	client := n.machine.client()
	var exec executor = alone{client, n.cfg.pace()}
	if n.given.join != nil {
		if exec, err = n.given.join(ctx, client); err != nil {
			return err
		}
	}
	n.driver = &driver{
		rollup: n.id, client: client, executor: exec, store: n.store, metrics: newMetrics(n.registry), now: time.Now,
		gather: n.gather, observe: observe, first: n.cfg.StartHeight,
	}
	if n.machine.indexed() {
		n.driver.hash, n.store.forever = n.machine.hash, true
	}
	if err := n.driver.open(ctx); err != nil {
		return err
	}
	n.told = n.driver.told()
	return n.openFirm()
}

// openFirm makes the reader of the DA layers, where there are any.
func (n *Node) openFirm() (err error) {
	if n.cfg.DA.Layer == "" {
		return nil
	}
	// EigenDA alone asks it.
	index := claims.NewIndex(n.cfg.Sequencers, &http.Client{}, nil)
	var read []da.Layer
	from := make(map[string]uint64)
	for _, c := range []DAConfig{n.cfg.DA, n.cfg.Fallback} {
		if c.Layer == "" {
			continue
		}
		layer, err := layers.Open(c.Layer, c.Config, layers.Options{Index: index, Logger: n.log, Registerer: n.registry})
		if err != nil {
			return err
		}
		n.layers, read, from[c.Layer] = append(n.layers, layer), append(read, layer), c.StartHeight
	}
	n.firm, err = follower.NewFirmReader(follower.FirmConfig{
		Rollup: n.id, Layers: read, DAFrom: from, Trust: n.trust, From: n.cfg.StartHeight, Options: n.options(), Taken: n.driver.taken,
		Logger: n.log, Registerer: n.registry,
	})
	return err
}

func (n *Node) options() follower.Options {
	return follower.Options{TrustingPeriod: time.Duration(n.cfg.TrustingPeriod)}
}

// run works until ctx ends or a stage fails.
func (n *Node) run(ctx context.Context, rpc, metrics net.Listener) error {
	g, stages := errgroup.WithContext(ctx)
	// The gateway ends after the stages that report to it.
	gatewayCtx, stopGateway := context.WithCancel(context.WithoutCancel(ctx))
	defer stopGateway()
	gatewayDone := make(chan error, 1)
	go func() { gatewayDone <- n.gateway.Run(gatewayCtx) }()
	g.Go(func() error {
		select {
		case err := <-gatewayDone:
			gatewayDone <- err
			return fmt.Errorf("gateway: %w", err)
		case <-stages.Done():
			return nil
		}
	})
	g.Go(func() error { return n.door.Serve(stages, rpc) })
	g.Go(func() error { return n.follow(stages) })
	g.Go(func() error { n.pending.Run(stages); return nil })
	if n.firm != nil {
		g.Go(func() error { return n.readFirm(stages) })
	}
	if metrics != nil {
		g.Go(func() error {
			return monitor.Serve(stages, metrics, prometheus.Gatherers{n.registry, prometheus.DefaultGatherer}, nil)
		})
	}
	soft, height, firm := n.driver.state()
	n.log.Info("rollup node runs", "rollup", n.cfg.Name, "rollup_id", n.id, "block", soft.Number, "sequencer_height", height,
		"firm_height", firm, "rpc", "http://"+rpc.Addr().String())
	err := g.Wait()
	n.door.Close()
	stopGateway()
	err = errors.Join(err, <-gatewayDone)
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}

// maxMissed bounds how many blocks are read again for the gateway after a crash.
// The two journals are never more than a few blocks apart.
const maxMissed = 1000

// follow feeds the driver with the soft order. A crash between executing a block and
// telling the gateway leaves the gateway behind: what it missed is read again. Of what
// waits for its rollup block the gateway hears when that is made.
func (n *Node) follow(ctx context.Context) error {
	return n.follower.Run(ctx, n.resumes()+1, func(ctx context.Context, b *follower.Block) error {
		if err := n.driver.onSoft(ctx, b); err != nil {
			return err
		}
		if b.Height <= n.told {
			return n.observeMissed(ctx, newBlock(n.id, b))
		}
		if n.since.Add(1)%checkpointEvery == 0 {
			return n.store.putCheckpoint(b.Checkpoint().Encode())
		}
		return nil
	})
}

// ahead returns what is told of blocks that are verified, before their turn: where each becomes
// a block of the rollup, it can be prepared.
func (n *Node) ahead() func(*follower.Block) {
	p, ok := n.machine.speculator().(execution.Preparer)
	if !ok || n.cfg.Execution.BlockTime > 0 {
		return nil
	}
	return func(b *follower.Block) { p.Prepare(execution.Block{Height: b.Height, Transactions: b.Transactions()}) }
}

// resumes returns the height that the soft follower goes on from.
func (n *Node) resumes() uint64 {
	_, height, _ := n.driver.state()
	if seen := n.gateway.Height(); seen > 0 && seen < n.told && n.told-seen <= maxMissed {
		return seen
	}
	return height
}

// checkpoint returns the last block that was verified at or below the one that the soft
// follower goes on from, by itself or by the reader of DA: that may be all that a node has,
// and genesis too long ago.
func (n *Node) checkpoint() (last follower.Checkpoint, err error) {
	raw, _, err := n.store.get([]byte(keySoft))
	if err != nil {
		return last, err
	}
	soft, err := follower.DecodeCheckpoint(raw)
	if err != nil {
		return last, err
	}
	cursor, err := n.cursor()
	if err != nil {
		return last, err
	}
	for _, c := range []follower.Checkpoint{soft, cursor.Checkpoint} {
		if c.Height() > last.Height() && c.Height() <= n.resumes() {
			last = c
		}
	}
	return last, nil
}

// cursor returns where the reader of DA stands.
func (n *Node) cursor() (follower.Cursor, error) {
	raw, _, err := n.store.get([]byte(keyFirm))
	if err != nil {
		return follower.Cursor{}, err
	}
	return follower.DecodeCursor(raw)
}

// readFirm feeds the driver with what DA holds.
func (n *Node) readFirm(ctx context.Context) error {
	cursor, err := n.cursor()
	if err != nil {
		return err
	}
	if soft, height, _ := n.driver.state(); cursor.Checkpoint.Height() > max(height, soft.Height) {
		// The execution client stands below what was firm: it lost its data. DA is read
		// again from the beginning, and feeds it.
		n.log.Warn("the rollup's chain is behind what was firm: reading DA again", "height", height, "firm_height", cursor.Checkpoint.Height())
		cursor = follower.Cursor{}
	}
	return n.driver.wrong(n.firm.Run(ctx, cursor, func(ctx context.Context, b follower.FirmBlock) error {
		if n.approve != nil {
			if err := n.approve(b.Block); err != nil {
				return err
			}
		}
		return n.driver.onFirm(ctx, b.Block, b.Cursor.Encode())
	}))
}

// close releases what open opened, in the order of use.
func (n *Node) close() error {
	var errs []error
	if n.door != nil {
		n.door.Close()
	}
	if n.gateway != nil {
		errs = append(errs, n.gateway.Close())
	}
	if n.machine != nil {
		errs = append(errs, n.machine.client().Close())
	}
	for _, l := range n.layers {
		errs = append(errs, l.Close())
	}
	if n.store != nil {
		errs = append(errs, n.store.close())
	}
	return errors.Join(errs...)
}

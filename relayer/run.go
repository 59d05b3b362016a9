package relayer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/da/layers"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/internal/listen"
	"github.com/ordo-network/ordo/internal/monitor"
	"github.com/ordo-network/ordo/order"
	chainclaims "github.com/ordo-network/ordo/sequencer/claims"
	sequencerv1 "github.com/ordo-network/ordo/sequencer/v1"
	"github.com/ordo-network/ordo/sequencer/v1/sequencerv1connect"
)

// Run runs the relayer of a home until ctx ends, which is no error. With a local
// layer that listens here, the layer runs in this process too, and begins to serve
// before anything is relayed. The claimer may be nil.
func Run(ctx context.Context, home string, cfg Config, claimer Claimer, logger *slog.Logger) error {
	return runTold(ctx, home, cfg, claimer, logger, func() {})
}

// runTold is Run, and calls started once everything is open.
func runTold(ctx context.Context, home string, cfg Config, claimer Claimer, logger *slog.Logger, started func()) error {
	rollups, err := cfg.rollups()
	if err != nil {
		return err
	}
	namespaces, err := cfg.namespaces()
	if err != nil {
		return err
	}
	if claimer == nil && slices.Contains(cfg.used(), "eigenda") {
		return fmt.Errorf("claim_key is empty in %s: EigenDA's certificates are recorded on the sequencer chain, which takes an account there", filepath.Join(home, configFile))
	}
	trust, err := follower.TrustGenesisFile(under(home, cfg.SequencerGenesis))
	if err != nil {
		return err
	}
	trusted, err := cfg.trusted()
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	// Ports are taken before any file is opened: a second start on the same home
	// says so.
	daListener, err := openPort(ctx, home, cfg.embeddedAddress(), "DA layer", "layers.local.listen")
	if err != nil {
		return err
	}
	defer closeQuietly(daListener)
	httpListener, err := openPort(ctx, home, cfg.Metrics.Listen, "metrics endpoint", "metrics.listen")
	if err != nil {
		return err
	}
	defer closeQuietly(httpListener)

	order := newOrder(cfg, trust, trusted, logger)
	da, err := cfg.openLayers(home, daListener, layers.Options{
		Index: chainclaims.NewIndex(cfg.Sequencers, order.client, claimer), Namespaces: namespaces, Logger: logger, Registerer: registry,
	})
	if err != nil {
		return err
	}
	defer func() { _ = da.close() }() // what was acknowledged is on disk; clients hold idle connections alone
	r, err := New(Options{
		Rollups: rollups, Layers: da.layers, Fallback: cfg.Fallback, FallbackAfter: time.Duration(cfg.FallbackAfter),
		Open: order.open, ChainHead: order.head, Journal: filepath.Join(home, journalDir), Batch: cfg.Batch,
		Claimer: claimer, ClaimInterval: time.Duration(cfg.ClaimInterval), Confirmed: order.confirmed, Logger: logger, Registerer: registry,
	})
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // what counts is synced

	logger.Info("relayer started", "chain_id", trust.ChainID(), "rollups", len(rollups), "da_layers", strings.Join(da.names(), ","),
		"fallback", cfg.Fallback, "da_listen", cfg.embeddedAddress(), "metrics", cfg.Metrics.Listen)
	started()
	g, relaying := errgroup.WithContext(ctx)
	// The layer serves until the last submission is settled.
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	if da.serve != nil {
		g.Go(func() error { return da.serve(serving) })
	}
	if httpListener != nil {
		g.Go(func() error { return monitor.Serve(serving, httpListener, registry, r.answers()) })
	}
	g.Go(func() error {
		defer stopServing()
		return r.Run(relaying)
	})
	err = g.Wait()
	logger.Info("relayer stopped")
	return err
}

// embeddedAddress is where the layer of this process is served; empty where none is.
func (c Config) embeddedAddress() string {
	for _, name := range c.used() {
		if l := c.Layers[name]; l.embedded() {
			return l.Listen
		}
	}
	return ""
}

// nodes are the sequencer nodes that the order is read from.
type nodes struct {
	cfg     follower.GroupConfig
	trusted *follower.TrustedBlock
	client  *http.Client
}

func newOrder(cfg Config, trust follower.Trust, trusted *follower.TrustedBlock, logger *slog.Logger) *nodes {
	transport := &http.Transport{
		Protocols: new(http.Protocols),
		// What is not read for a while must not fill memory.
		HTTP2:       &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 20, SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
		DialContext: (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	transport.Protocols.SetHTTP2(true)
	client := &http.Client{Transport: transport}
	return &nodes{client: client, trusted: trusted, cfg: follower.GroupConfig{
		Endpoints: cfg.Sequencers, Trust: trust, Options: follower.Options{TrustingPeriod: time.Duration(cfg.TrustingPeriod)},
		HTTPClient: client, Logger: logger,
	}}
}

// open is Options.Open.
func (n *nodes) open(rollups []order.RollupID, checkpoint follower.Checkpoint) (Source, error) {
	cfg := n.cfg
	cfg.Rollups, cfg.Checkpoint = rollups, checkpoint
	return &source{cfg: cfg, trusted: n.trusted}, nil
}

// head is Options.ChainHead: the highest that any node claims.
func (n *nodes) head(ctx context.Context) (height uint64, err error) {
	for _, url := range n.cfg.Endpoints {
		client := sequencerv1connect.NewSequencerServiceClient(n.client, url, connect.WithReadMaxBytes(1<<20))
		info, infoErr := client.GetInfo(ctx, connect.NewRequest(&sequencerv1.GetInfoRequest{}))
		if infoErr != nil {
			err = errors.Join(err, infoErr)
			continue
		}
		return info.Msg.GetLatestHeight(), nil
	}
	return 0, err
}

// confirmed is Options.Confirmed. Where several nodes answer it is what the second highest
// says: one that lies must not make the relayer forget claims, and one that is behind
// must not hold them up.
func (n *nodes) confirmed(ctx context.Context, rollups []order.RollupID) (map[order.RollupID]Availability, error) {
	req := &sequencerv1.GetAvailabilityRequest{}
	for _, id := range rollups {
		req.RollupIds = append(req.RollupIds, id[:])
	}
	answers := make([]*sequencerv1.GetAvailabilityResponse, len(n.cfg.Endpoints))
	errs := make([]error, len(answers))
	var all sync.WaitGroup
	for i, url := range n.cfg.Endpoints {
		all.Go(func() {
			client := sequencerv1connect.NewSequencerServiceClient(n.client, url, connect.WithReadMaxBytes(1<<20))
			res, err := client.GetAvailability(ctx, connect.NewRequest(req))
			if errs[i] = err; err == nil {
				answers[i] = res.Msg
			}
		})
	}
	all.Wait()
	said := map[order.RollupID][]Availability{}
	answered := 0
	for _, res := range answers {
		if res == nil {
			continue
		}
		answered++
		once := map[order.RollupID]bool{}
		for _, r := range res.GetRollups() {
			if id, err := order.RollupIDFromBytes(r.GetRollupId()); err == nil && !once[id] {
				once[id] = true
				said[id] = append(said[id], Availability{From: r.GetFrom(), To: r.GetTo(), Pending: int(r.GetPending()), Height: res.GetHeight()})
			}
		}
	}
	if answered == 0 {
		return nil, errors.Join(errs...)
	}
	out := map[order.RollupID]Availability{}
	for _, id := range rollups {
		list := said[id]
		if len(list) < min(2, answered) {
			continue
		}
		slices.SortStableFunc(list, func(a, b Availability) int {
			return cmp.Or(cmp.Compare(b.To, a.To), cmp.Compare(b.Height, a.Height))
		})
		out[id] = list[min(1, len(list)-1)]
	}
	return out, nil
}

// openPort opens a port, or nothing where the address is empty.
func openPort(ctx context.Context, home, address, purpose, setting string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	return listen.For(ctx, address, purpose, setting+" in "+filepath.Join(home, configFile))
}

func closeQuietly(l net.Listener) {
	if l != nil {
		_ = l.Close() // its server has closed it already, but where a later step failed
	}
}

// under makes a path relative to the home absolute.
func under(home, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(home, path)
}

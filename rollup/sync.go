package rollup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// SyncProgress is how far a Sync has come.
type SyncProgress struct {
	Rollup string // its name
	follower.Progress
	Head    execution.Head // the rollup's
	Blocks  uint64         // of the order, since Sync began
	Elapsed time.Duration
}

const (
	// syncTick is how often Sync looks whether it is done.
	syncTick = 100 * time.Millisecond
	// syncReport is how often it says how far it is.
	syncReport = time.Second
)

// SyncOptions say what to believe of an old chain. Without any, a chain cannot be read from its
// genesis once that is older than the trusting period.
type SyncOptions struct {
	// Trusted is a block that what is read must lead to. Nothing below it expires.
	Trusted *follower.TrustedBlock
	// TrustingPeriod stands in for that of the node's settings. The longer, the more of those
	// who were validators once could show this node a past that was not (long-range forgery).
	TrustingPeriod time.Duration
	// Client executes a rollup of mode go, as in Options.
	Client execution.Client
}

// Sync brings the node in home to the head of its DA layer, from what stands there alone: no
// sequencer is asked, but for the records by which EigenDA is read. It returns when the
// layer's head is reached. A node that is interrupted goes on where it stopped.
func Sync(ctx context.Context, home, version string, log *slog.Logger, o SyncOptions, report func(SyncProgress)) (last SyncProgress, err error) {
	cfg, err := LoadConfig(home)
	if err != nil {
		return last, err
	}
	if err := cfg.notAlone(syncCommand, home); err != nil {
		return last, err
	}
	unlock, err := lockHomes(home)
	if err != nil {
		return last, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	s := newSyncing(home, cfg, version, log, o)
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.open(ctx); err != nil {
		return last, expired(home, err)
	}
	all, err := syncAll(ctx, []*syncing{s}, report)
	return all[0], err
}

// syncing is a node that is fed from DA alone.
type syncing struct {
	*Node
	home    string
	o       SyncOptions
	period  time.Duration // validators are believed for
	first   uint64        // height that it began with
	started time.Time
	waits   func() bool // whether it waits for other rollups of its domain
}

func newSyncing(home string, cfg Config, version string, log *slog.Logger, o SyncOptions) *syncing {
	if o.TrustingPeriod > 0 {
		cfg.TrustingPeriod = config.Duration(o.TrustingPeriod)
	}
	s := &syncing{home: home, o: o, period: time.Duration(cfg.TrustingPeriod), waits: func() bool { return false }}
	if o.Trusted != nil {
		cfg.TrustingPeriod = math.MaxInt64
	}
	if o.Client != nil {
		cfg.Execution.Mode = ModeGo
	}
	s.Node = &Node{cfg: cfg, id: order.NewRollupID(cfg.Name), log: log, version: version, given: Options{Client: o.Client}, registry: prometheus.NewRegistry()}
	return s
}

// open opens the node. It is closed by the caller, also where that fails.
func (s *syncing) open(ctx context.Context) error {
	if s.cfg.DA.Layer == "" {
		return errors.New("da.layer is empty: name the DA layer that holds the rollup's data in [da] of config.toml")
	}
	t := s.o.Trusted
	if t != nil && t.Height < s.cfg.StartHeight {
		return fmt.Errorf("the trusted block %d lies below start_height, %d: name a later one", t.Height, s.cfg.StartHeight)
	}
	// The gateway hears of what it missed when the node starts.
	if err := s.openChain(ctx, s.home, func(context.Context, outcome) error { return nil }); err != nil {
		return err
	}
	_, s.first, _ = s.driver.state()
	if t != nil {
		if err := s.hasPassed(t, s.period); err != nil {
			return err
		}
		s.approve = func(b *follower.Block) error {
			if b.Height != t.Height {
				return nil
			}
			return leadsTo(t, b.Hash, b.Time, time.Now(), s.period)
		}
	}
	s.started = time.Now()
	return nil
}

func (s *syncing) progress() SyncProgress {
	head, height, _ := s.driver.state()
	return SyncProgress{Rollup: s.cfg.Name, Progress: s.firm.Progress(), Head: head, Blocks: height - s.first, Elapsed: time.Since(s.started)}
}

// syncAll reads until there is no more for any of the nodes.
func syncAll(ctx context.Context, all []*syncing, report func(SyncProgress)) ([]SyncProgress, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, reading := errgroup.WithContext(ctx)
	for _, s := range all {
		g.Go(func() error {
			if err := s.readFirm(reading); err != nil {
				return expired(s.home, fmt.Errorf("read the data of rollup %s from DA: %w", s.cfg.Name, err))
			}
			return nil
		})
	}
	done := make(chan error, 1)
	go func() { done <- g.Wait() }()
	last := make([]SyncProgress, len(all))
	look := func() (ended bool) {
		ended = true
		for i, s := range all {
			last[i] = s.progress()
			ended = ended && (last[i].CaughtUp() || s.waits())
		}
		return ended
	}
	tick := time.NewTicker(syncTick)
	defer tick.Stop()
	for reported := time.Now(); ; {
		select {
		case err := <-done:
			look()
			return last, err
		case now := <-tick.C:
			if look() {
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					return last, err
				}
				look()
				return last, trusted(all)
			}
			if now.Sub(reported) >= syncReport {
				for _, p := range last {
					report(p)
				}
				reported = now
			}
		}
	}
}

// trusted says of which node it is not shown that what it has read is true.
func trusted(all []*syncing) error {
	for _, s := range all {
		if _, _, firm := s.driver.state(); s.o.Trusted != nil && firm < s.o.Trusted.Height {
			return fmt.Errorf("the data of rollup %s that is on the DA layer ends at sequencer height %d, and the trusted block has %d: nothing shows yet that what was read is the chain's past; "+
				"sync again with the same block when more is on the layer, or with one at or below that height: %w", s.cfg.Name, firm, s.o.Trusted.Height, follower.ErrNotTrusted)
		}
	}
	return nil
}

package rollup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ordo-network/ordo/config"
	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/order"
)

// SyncProgress is how far a Sync has come.
type SyncProgress struct {
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
	Trusted *TrustedBlock
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
	if err := cfg.notAlone(home); err != nil {
		return last, err
	}
	if o.TrustingPeriod > 0 {
		cfg.TrustingPeriod = config.Duration(o.TrustingPeriod)
	}
	period := time.Duration(cfg.TrustingPeriod)
	if o.Trusted != nil {
		if o.Trusted.Height < cfg.StartHeight {
			return last, fmt.Errorf("the trusted block %d lies below start_height, %d: name a later one", o.Trusted.Height, cfg.StartHeight)
		}
		cfg.TrustingPeriod = math.MaxInt64
	}
	if cfg.DA.Layer == "" {
		return last, errors.New("da.layer is empty: name the DA layer that holds the rollup's data in [da] of config.toml")
	}
	if o.Client != nil {
		cfg.Execution.Mode = ModeGo
	}
	unlock, err := lockHomes(home)
	if err != nil {
		return last, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	n := &Node{cfg: cfg, id: order.NewRollupID(cfg.Name), log: log, version: version, given: Options{Client: o.Client}, registry: prometheus.NewRegistry()}
	defer func() { err = errors.Join(expired(home, err), n.close()) }()
	// The gateway hears of what it missed when the node starts.
	if err := n.openChain(ctx, home, func(context.Context, outcome) error { return nil }); err != nil {
		return last, err
	}
	_, first, _ := n.driver.state()
	if t := o.Trusted; t != nil {
		if err := n.hasPassed(t, period); err != nil {
			return last, err
		}
		n.approve = func(b *follower.Block) error {
			if b.Height != t.Height {
				return nil
			}
			return t.reached(b.Hash, b.Time, time.Now(), period)
		}
	}
	started := time.Now()
	progress := func() SyncProgress {
		head, height, _ := n.driver.state()
		return SyncProgress{Progress: n.firm.Progress(), Head: head, Blocks: height - first, Elapsed: time.Since(started)}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- n.readFirm(ctx) }()
	tick := time.NewTicker(syncTick)
	defer tick.Stop()
	for reported := started; ; {
		select {
		case err := <-done:
			return progress(), fmt.Errorf("read the rollup's data from DA: %w", err)
		case now := <-tick.C:
			last = progress()
			if last.CaughtUp() {
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					return last, fmt.Errorf("read the rollup's data from DA: %w", err)
				}
				last = progress()
				if _, _, firm := n.driver.state(); o.Trusted != nil && firm < o.Trusted.Height {
					return last, fmt.Errorf("the DA layer ends at sequencer height %d, and the trusted block has %d: nothing shows yet that what was read is the chain's past; "+
						"sync again with the same block when more is on the layer, or with one at or below that height: %w", firm, o.Trusted.Height, ErrNotTrusted)
				}
				return last, nil
			}
			if now.Sub(reported) >= syncReport {
				report(last)
				reported = now
			}
		}
	}
}

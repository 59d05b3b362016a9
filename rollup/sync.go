package rollup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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

// Sync brings the node in home to the head of its DA layer, from what stands there alone: no
// sequencer is asked, but for the records by which EigenDA is read. It returns when the
// layer's head is reached. A node that is interrupted goes on where it stopped.
func Sync(ctx context.Context, home, version string, log *slog.Logger, report func(SyncProgress)) (last SyncProgress, err error) {
	cfg, err := LoadConfig(home)
	if err != nil {
		return last, err
	}
	if cfg.DA.Layer == "" {
		return last, errors.New("da.layer is empty: name the DA layer that holds the rollup's data in [da] of config.toml")
	}
	n := &Node{cfg: cfg, id: order.NewRollupID(cfg.Name), log: log, version: version, registry: prometheus.NewRegistry()}
	defer func() { err = errors.Join(err, n.close()) }()
	// The gateway hears of what it missed when the node starts.
	if err := n.openChain(ctx, home, func(context.Context, outcome) error { return nil }); err != nil {
		return last, err
	}
	_, first, _ := n.driver.state()
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
				return progress(), nil
			}
			if now.Sub(reported) >= syncReport {
				report(last)
				reported = now
			}
		}
	}
}

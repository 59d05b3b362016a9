package rollup

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/ordo-network/ordo/execution"
	"github.com/ordo-network/ordo/internal/listen"
)

// Run runs the node in home until ctx ends, which is no error.
func Run(ctx context.Context, home, version string, log *slog.Logger) error {
	return RunWith(ctx, home, Options{Version: version, Logger: log})
}

// RunWith runs the node in home until ctx ends, which is no error.
func RunWith(ctx context.Context, home string, o Options) (err error) {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	cfg, err := loadConfig(home, o.Execution)
	if err != nil {
		return err
	}
	if err := cfg.notAlone(startCommand, home); err != nil {
		return err
	}
	if o.Client != nil {
		cfg.Execution.Mode = ModeGo
	}
	unlock, err := lockHomes(home)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	for {
		err := runOnce(ctx, home, cfg, o)
		if ctx.Err() != nil || !again(cfg, o, err) {
			return err
		}
		o.Logger.Warn("the node starts again, from where its execution client stands", "rollup", cfg.Name, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pauseBeforeAgain):
		}
	}
}

// pauseBeforeAgain is the least time between two starts of a node.
const pauseBeforeAgain = time.Second

// again reports whether a node that ended so goes on once it is opened again. An execution
// client of its own that was killed may have lost blocks, which are then executed again.
func again(cfg Config, o Options, err error) bool {
	outside := cfg.Execution.Mode == ModeGRPC || cfg.Execution.Mode == ModeOP
	return o.Client == nil && (errors.Is(err, errAgain) || outside && errors.Is(err, execution.ErrParent))
}

func runOnce(ctx context.Context, home string, cfg Config, o Options) error {
	// Ports first: whoever runs a second node by mistake learns of it at once, and no
	// database is opened twice.
	rpc, err := listen.For(ctx, cfg.RPC.Listen, "JSON-RPC of rollup "+cfg.Name, "rpc.listen")
	if err != nil {
		return err
	}
	defer rpc.Close()
	var metrics net.Listener
	if cfg.Metrics.Listen != "" {
		if metrics, err = listen.For(ctx, cfg.Metrics.Listen, "metrics of rollup "+cfg.Name, "metrics.listen"); err != nil {
			return err
		}
		defer metrics.Close()
	}
	n, err := open(ctx, home, cfg, o)
	if err != nil {
		return err
	}
	return errors.Join(expired(home, n.run(ctx, rpc, metrics)), n.close())
}

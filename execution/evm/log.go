package evm

import (
	"context"
	"log/slog"

	gethlog "github.com/ethereum/go-ethereum/log"
)

// noHead is what geth's freezer says of a database before its genesis is written:
// at each first start.
const noHead = "Head block is not reachable"

// quietHandler passes on geth's warnings and errors. geth logs through one logger
// for the process; below warnings it speaks of every block.
type quietHandler struct{ slog.Handler }

func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h quietHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == noHead {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(attrs)}
}

func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name)}
}

func newGethLogger(logger *slog.Logger) gethlog.Logger {
	if logger == nil {
		logger = slog.Default()
	}
	return gethlog.NewLogger(quietHandler{logger.With("component", "geth").Handler()})
}

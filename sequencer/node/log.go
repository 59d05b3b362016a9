package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	sdklog "cosmossdk.io/log/v2"
	sdkslog "cosmossdk.io/log/v2/slog"
	cmtlog "github.com/cometbft/cometbft/libs/log"
)

// demoted is a handler that takes one step off every record: what is news to
// CometBFT and to the SDK at each block is a detail to an operator, and what is an
// error to them, such as a peer that went away, is a warning.
type demoted struct{ slog.Handler }

func lower(l slog.Level) slog.Level {
	switch {
	case l >= slog.LevelError:
		return slog.LevelWarn
	case l >= slog.LevelWarn:
		return slog.LevelInfo
	default:
		return slog.LevelDebug - 4 + max(l-slog.LevelDebug, 0)
	}
}

func (d demoted) Enabled(ctx context.Context, l slog.Level) bool {
	return d.Handler.Enabled(ctx, lower(l))
}

func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = lower(r.Level)
	return d.Handler.Handle(ctx, r)
}

func (d demoted) WithAttrs(a []slog.Attr) slog.Handler { return demoted{d.Handler.WithAttrs(a)} }
func (d demoted) WithGroup(name string) slog.Handler   { return demoted{d.Handler.WithGroup(name)} }

// sdkLogger is the log of the Cosmos SDK.
func sdkLogger(l *slog.Logger) sdklog.Logger {
	return sdkslog.NewCustomLogger(slog.New(demoted{l.Handler()}).With("part", "app"))
}

// cometLogger is the log of CometBFT. When consensus fails, CometBFT says so here
// and nowhere else, and stays around without taking part: failed is told.
type cometLogger struct {
	log    *slog.Logger
	with   []any // put together only where something is said: CometBFT makes a logger for each message
	voice  *voice
	failed func(error)
}

func newCometLogger(l *slog.Logger, failed func(error)) cometLogger {
	log := slog.New(demoted{l.Handler()}).With("part", "comet")
	return cometLogger{log: log, voice: &voice{last: make(map[string]time.Time)}, failed: failed}
}

func (c cometLogger) say(level slog.Level, msg string, kv []any) {
	ctx := context.Background()
	if c.log.Enabled(ctx, level) {
		c.log.Log(ctx, level, msg, slices.Concat(c.with, kv)...)
	}
}

// voice keeps CometBFT from saying the same again and again: a peer that goes away
// is reported by each of a dozen routines that served it.
type voice struct {
	mu       sync.Mutex
	stopping bool // all that it complains of while it stops is expected
	last     map[string]time.Time
}

const repeatAfter = 10 * time.Second

func (v *voice) speaks(msg string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	if v.stopping || now.Sub(v.last[msg]) < repeatAfter {
		return false
	}
	v.last[msg] = now // messages are constants: there are not many
	return true
}

func (v *voice) stop() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stopping = true
}

const consensusFailure = "CONSENSUS FAILURE!!!"

// Debug implements CometBFT's Logger.
func (c cometLogger) Debug(msg string, kv ...any) { c.say(slog.LevelDebug, msg, kv) }

// Info implements CometBFT's Logger.
func (c cometLogger) Info(msg string, kv ...any) { c.say(slog.LevelInfo, msg, kv) }

// Warn implements CometBFT's Logger.
func (c cometLogger) Warn(msg string, kv ...any) { c.say(slog.LevelInfo, msg, kv) }

// Error implements CometBFT's Logger.
func (c cometLogger) Error(msg string, kv ...any) {
	if msg == consensusFailure {
		var cause any = "unknown cause"
		if len(kv) > 1 {
			cause = kv[1]
		}
		c.failed(fmt.Errorf("consensus failed on this node: %v", cause))
	}
	if c.voice.speaks(msg) {
		c.say(slog.LevelError, msg, kv)
		return
	}
	c.say(slog.LevelInfo, msg, kv)
}

// With implements CometBFT's Logger.
func (c cometLogger) With(kv ...any) cmtlog.Logger {
	c.with = slices.Concat(c.with, kv)
	return c
}

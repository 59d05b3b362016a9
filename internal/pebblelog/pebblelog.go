// Package pebblelog decides what becomes of what pebble says about its files. In goes the
// name of a store, and a logger where the store has one; out comes a pebble.Logger.
//
// What always holds: pebble's account of its compactions is nothing that a person sees at
// level info, and what pebble cannot go on after, such as a failed write to its log, ends
// the process with the store's name, for going on would lose data.
package pebblelog

import (
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// Quiet drops all that pebble says: what fails comes back from the calls.
func Quiet(store string) pebble.Logger { return logger{store: store} }

// To writes what pebble says about a store to log: errors as such, the rest at level debug.
func To(log *slog.Logger, store string) pebble.Logger { return logger{store, log} }

type logger struct {
	store string
	log   *slog.Logger // nil drops everything
}

func (l logger) Infof(format string, args ...any) {
	if l.log != nil {
		l.log.Debug(l.store, "message", fmt.Sprintf(format, args...))
	}
}

func (l logger) Errorf(format string, args ...any) {
	if l.log != nil {
		l.log.Error(l.store, "message", fmt.Sprintf(format, args...))
	}
}

// Fatalf must not return. Pebble calls it in the goroutine that writes, which may be that of
// a server's handler, and net/http catches what a handler panics with: only a panic in
// a goroutine of its own surely ends the process.
func (l logger) Fatalf(format string, args ...any) {
	message := l.store + ": " + fmt.Sprintf(format, args...)
	go func() { panic(message) }()
	select {}
}

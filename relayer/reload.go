package relayer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/ordo-network/ordo/config"
)

// lookInterval is how often config.toml is looked at. What it holds counts when it is the
// same twice: an editor may be half through.
const lookInterval = 500 * time.Millisecond

// settings are what a home says at a time.
type settings struct {
	raw     []byte
	cfg     Config
	claimer Claimer
}

// RunHome runs the relayer of a home as Run does, until ctx ends. It goes on with what
// config.toml says when that changes: from the journal, as after any start. A file that is
// wrong changes nothing, and after one that cannot be run, as where a port is taken, what
// was said before holds again. The claimer of some settings may be nil.
func RunHome(ctx context.Context, home string, claimer func(Config) (Claimer, error), logger *slog.Logger) error {
	load := func() (s settings, err error) {
		// Read before it is taken in: a change in between is one that is seen later.
		if s.raw, err = os.ReadFile(filepath.Join(home, configFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return s, fmt.Errorf("read the settings: %w", err)
		}
		if s.cfg, err = LoadConfig(home); err != nil {
			return s, err
		}
		s.claimer, err = claimer(s.cfg)
		return s, err
	}
	now, err := load()
	if err != nil {
		return err
	}
	var before *settings // what was run before, until now is
	for {
		run, stop := context.WithCancel(ctx)
		changed := make(chan settings, 1) // closed when nobody looks any more
		go func() {
			defer close(changed)
			if s, ok := change(run, home, now.raw, load, logger); ok {
				changed <- s
				stop()
			}
		}()
		started := false
		err := runTold(run, home, now.cfg, now.claimer, logger, func() { started = true })
		stop()
		next, ok := <-changed
		if started {
			before = nil
		}
		if ok && errors.Is(err, context.Canceled) {
			err = nil // it changed again before all was open
		}
		switch {
		case err != nil && before != nil && ctx.Err() == nil:
			logger.Warn("the relayer cannot run with what config.toml says now: it goes on with what it said before", "err", err)
			now.cfg, now.claimer, before = before.cfg, before.claimer, nil
			continue
		case err != nil || !ok || ctx.Err() != nil:
			return err
		case before == nil:
			ran := now
			before = &ran
		}
		logger.Info("config.toml has changed: the relayer goes on with it", "rollups", len(next.cfg.Rollups))
		now = next
	}
}

// change waits until config.toml holds other settings than raw, which are right.
func change(ctx context.Context, home string, raw []byte, load func() (settings, error), logger *slog.Logger) (s settings, ok bool) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	seen, wrong := raw, raw
	for {
		select {
		case <-ctx.Done():
			return s, false
		case <-tick.C:
		}
		is, err := os.ReadFile(filepath.Join(home, configFile))
		settled := err == nil && bytes.Equal(is, seen)
		if seen = is; !settled || bytes.Equal(is, raw) || bytes.Equal(is, wrong) {
			continue
		}
		s, err = load()
		if again, readErr := os.ReadFile(filepath.Join(home, configFile)); readErr != nil || !bytes.Equal(again, is) {
			continue // it was written to meanwhile
		}
		if err == nil {
			return s, true
		}
		wrong = is
		logger.Warn("config.toml has changed and is wrong: the relayer goes on with what it said before", "err", err)
	}
}

// AddRollup has the relayer of a home relay another rollup too, from that height of the
// sequencer chain on, to a DA layer that it reaches. One that runs takes it up. A rollup
// that is relayed already stays where it is.
func AddRollup(home string, r Rollup) (err error) {
	// Two at a time would each write what it alone has added.
	lock, err := os.OpenFile(filepath.Join(home, "config.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the settings: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the settings: %w", err)
	}
	cfg, err := LoadConfig(home)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(cfg.Rollups, func(name string) bool { return rollupID(name) == rollupID(r.Name) })
	if i >= 0 {
		name := cfg.Rollups[i]
		if cfg.StartHeights[name] <= r.Start {
			return nil
		}
		cfg.StartHeights[name] = r.Start // which counts while nothing of it was posted
	} else {
		cfg.Rollups = append(cfg.Rollups, r.Name)
		cfg.StartHeights[r.Name] = r.Start
		if r.Layer != cfg.Layer {
			cfg.RollupLayers[r.Name] = r.Layer
		}
	}
	if err := cfg.validate(); err != nil {
		return fmt.Errorf("relay rollup %s: %w", r.Name, err)
	}
	return config.Write(filepath.Join(home, configFile), cfg)
}

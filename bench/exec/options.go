package exec

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Options of a run.
type Options struct {
	Kinds      []string // of transactions, one rollup for each
	Validators int
	BlockTime  time.Duration // of the sequencer chain
	// Duration is how long the load on a live node lasts.
	Duration time.Duration
	// Load is what the live node is offered, of what the EVM alone executes. Its share cannot
	// be more than that; and much more than the node can do costs it time that the validators
	// of the same machine take.
	Load float64
	// Rounds is how often the EVM alone and a node that catches up execute all, in turn.
	Rounds int

	Binary   string // whose subcommands the processes are
	Dir      string // for their data; empty: the system's for temporary files
	Keep     bool   // do not remove it
	Logger   *slog.Logger
	Progress func(line string)
}

// DefaultOptions take some minutes on two cores.
func DefaultOptions() Options {
	return Options{
		Kinds: slices.Clone(Kinds), Validators: 4, BlockTime: 200 * time.Millisecond,
		Duration: 10 * time.Second, Load: 0.9, Rounds: 3,
	}
}

// Quick makes the options ones that take less than a minute, and whose figures say no
// more than that everything works.
func (o Options) Quick() Options {
	o.Validators, o.Duration, o.Rounds = 1, 2*time.Second, 1
	return o
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

// Validate says which option is out of its bounds.
func (o Options) Validate() error {
	for _, kind := range o.Kinds {
		if !slices.Contains(Kinds, kind) {
			return fmt.Errorf("--only has %q, which is none of %s", kind, strings.Join(Kinds, ", "))
		}
	}
	switch {
	case len(o.Kinds) == 0:
		return fmt.Errorf("--only is empty: name some of %s", strings.Join(Kinds, ", "))
	case o.Validators < 1 || o.Validators > 31:
		return fmt.Errorf("--validators is %d, want 1 to 31", o.Validators)
	case o.BlockTime < 20*time.Millisecond || o.BlockTime > time.Minute:
		return fmt.Errorf("--block-time is %v, want 20ms to 1m", o.BlockTime)
	case o.Duration < time.Second || o.Duration > 10*time.Minute:
		return fmt.Errorf("--duration is %v, want 1s to 10m", o.Duration)
	case o.Load < 0.05 || o.Load > 2:
		return fmt.Errorf("--load is %v, want 0.05 to 2 times what the EVM alone executes", o.Load)
	case o.Rounds < 1 || o.Rounds > 20:
		return fmt.Errorf("--rounds is %d, want 1 to 20", o.Rounds)
	}
	return nil
}

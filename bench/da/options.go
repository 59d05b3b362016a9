package da

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Layers that can be measured.
const (
	LayerLocal    = "local"
	LayerCelestia = "celestia"
)

// Parts of the benchmark, in the order in which they run.
const (
	PartRelay   = "relay"    // a backlog goes onto the layer: its speed, and how small it gets
	PartCatchUp = "catch-up" // a new reader, and a new node, rebuild from the layer alone
	PartSafe    = "safe"     // time from ordered to safe
	PartMemory  = "memory"   // a relayer of many rollups
)

// Layers and Parts are all there are.
var (
	Layers = []string{LayerLocal, LayerCelestia}
	Parts  = []string{PartRelay, PartCatchUp, PartSafe, PartMemory}
)

// Options of a run.
type Options struct {
	Parts []string
	Layer string
	// Endpoint and Token of a layer that runs already; without an endpoint one is started.
	Endpoint, Token string
	Validators      int
	Rollups         int // half of them with transfers, half with an ERC-20 token
	// Backlog is the bytes of transactions, over all rollups, that are ordered before the
	// relayer starts.
	Backlog   int
	RateMBps  float64       // of transactions, over all rollups, while time to safe is taken
	Duration  time.Duration // of that
	Many      int           // rollups of the relayer whose memory is looked at
	BlockTime time.Duration // of the sequencer chain
	// LayerBlockTime is the time between blocks of a layer that is started here.
	LayerBlockTime time.Duration

	Binary   string // whose subcommands the processes are
	Dir      string // for their data; empty: the system's for temporary files
	Keep     bool   // do not remove it
	Logger   *slog.Logger
	Progress func(line string)
}

// DefaultOptions take some minutes on two cores.
func DefaultOptions() Options {
	return Options{
		Parts: slices.Clone(Parts), Layer: LayerLocal, Validators: 4, Rollups: 4, Backlog: 64 << 20,
		RateMBps: 1, Duration: 30 * time.Second, Many: 1000, BlockTime: 200 * time.Millisecond, LayerBlockTime: time.Second,
	}
}

// Quick makes the options ones that take less than a minute, and whose figures say no
// more than that everything works.
func (o Options) Quick() Options {
	o.Validators, o.Rollups, o.Backlog, o.RateMBps, o.Duration, o.Many = 1, 2, 2<<20, 0.2, 4*time.Second, 100
	return o
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

func (o Options) runs(part string) bool { return slices.Contains(o.Parts, part) }

// Validate says which option is out of its bounds.
func (o Options) Validate() error {
	for _, name := range o.Parts {
		if !slices.Contains(Parts, name) {
			return fmt.Errorf("--only has %q, which is none of %s", name, strings.Join(Parts, ", "))
		}
	}
	switch {
	case len(o.Parts) == 0:
		return fmt.Errorf("--only is empty: name some of %s", strings.Join(Parts, ", "))
	case !slices.Contains(Layers, o.Layer):
		return fmt.Errorf("--layer is %q, want one of %s", o.Layer, strings.Join(Layers, ", "))
	case o.Validators < 1 || o.Validators > 31:
		return fmt.Errorf("--validators is %d, want 1 to 31", o.Validators)
	case o.Rollups < 1 || o.Rollups > 64:
		return fmt.Errorf("--rollups is %d, want 1 to 64", o.Rollups)
	case o.Backlog < 1<<10 || o.Backlog > 1<<30:
		return fmt.Errorf("--backlog is %d, want 1 KiB to 1 GiB", o.Backlog)
	case o.RateMBps <= 0 || o.RateMBps > 100:
		return fmt.Errorf("--rate is %v, want more than 0 and up to 100 MB a second", o.RateMBps)
	case o.Duration < time.Second || o.Duration > 10*time.Minute:
		return fmt.Errorf("--duration is %v, want 1s to 10m", o.Duration)
	case o.BlockTime < 20*time.Millisecond || o.BlockTime > time.Minute:
		return fmt.Errorf("--block-time is %v, want 20ms to 1m", o.BlockTime)
	case o.LayerBlockTime < 100*time.Millisecond || o.LayerBlockTime > time.Minute:
		return fmt.Errorf("--layer-block-time is %v, want 100ms to 1m", o.LayerBlockTime)
	case o.Many < 1 || o.Many > 10_000:
		return fmt.Errorf("--many is %d, want 1 to 10,000 rollups", o.Many)
	}
	return nil
}

package ordering

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ordo-network/ordo/bench/peers"
)

// Systems that are compared.
const (
	SystemOrdo  = "ordo"
	SystemComet = "cometbft"
)

// Parts of the benchmark, in the order in which they run.
const (
	PartThroughput = "throughput" // the highest rate with a p99 to ordered below a second
	PartHalf       = "half"       // latencies at half of that
	PartIdle       = "idle"       // latencies of one payload at a time
	PartSmall      = "small"      // many small payloads, each signed
	PartRead       = "read"       // one rollup among many, against the same alone
	PartScale      = "scale"      // throughput and traffic by number of validators
)

// Systems and Parts are all there are.
var (
	Systems = []string{SystemOrdo, SystemComet}
	Parts   = []string{PartThroughput, PartHalf, PartIdle, PartSmall, PartRead, PartScale}
)

const (
	minPayload = 64
	maxPayload = 1 << 20
)

// Options of a run.
type Options struct {
	Validators int
	Systems    []string
	Parts      []string
	// Size of a payload in bytes, and of the transactions that Ordo's bundles cut it into.
	Size, TransactionBytes int
	Duration               time.Duration // of each load
	// RateMBps, where it is not 0, takes the place of the search for the highest rate.
	RateMBps float64
	// SmallSize and SmallRate are the bytes and the number a second of small payloads.
	SmallSize, SmallRate int
	// Crowd is how many other rollups are active while one is read.
	Crowd int
	// Scale is the numbers of validators of that part.
	Scale     []int
	BlockTime time.Duration
	// Late is the p99 of the time to ordered beyond which a network is overloaded.
	Late time.Duration
	Peer peers.Settings

	Binary     string // whose subcommands the validators are
	Dir        string // for the networks' data; empty: the system's for temporary files
	Keep       bool   // do not remove it
	ProfileDir string // for CPU profiles; empty: none
	Logger     *slog.Logger
	Progress   func(line string)

	arena *arena // of DefaultOptions; networks measured one after the other share it
}

// DefaultOptions run all parts.
func DefaultOptions() Options {
	return Options{
		Validators: 4, Systems: slices.Clone(Systems), Parts: slices.Clone(Parts),
		Size: 240 << 10, TransactionBytes: 4 << 10, Duration: 10 * time.Second,
		SmallSize: 250, SmallRate: 5000, Crowd: 10_000, Scale: []int{4, 7, 16},
		BlockTime: 200 * time.Millisecond, Late: time.Second, Peer: peers.DefaultSettings(),
		arena: new(arena),
	}
}

func (o Options) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}

func (o Options) runs(part string) bool { return slices.Contains(o.Parts, part) }

// Validate says which option is out of its bounds.
func (o Options) Validate() error {
	const most = 31
	for _, c := range []struct {
		flag       string
		got, known []string
	}{{"--only", o.Parts, Parts}, {"--systems", o.Systems, Systems}} {
		if len(c.got) == 0 {
			return fmt.Errorf("%s is empty: name some of %s", c.flag, strings.Join(c.known, ", "))
		}
		for _, name := range c.got {
			if !slices.Contains(c.known, name) {
				return fmt.Errorf("%s has %q, which is none of %s", c.flag, name, strings.Join(c.known, ", "))
			}
		}
	}
	for _, n := range append([]int{o.Validators}, o.Scale...) {
		if n < 1 || n > most {
			return fmt.Errorf("%d validators, want 1 to %d", n, most)
		}
	}
	switch {
	case o.Size < minPayload || o.Size > maxPayload:
		return fmt.Errorf("--size is %d, want %d to %d bytes", o.Size, minPayload, maxPayload)
	case o.SmallSize < minPayload || o.SmallSize > maxPayload:
		return fmt.Errorf("--small-size is %d, want %d to %d bytes", o.SmallSize, minPayload, maxPayload)
	case o.TransactionBytes < 1:
		return fmt.Errorf("--transaction-size is %d, want 1 byte or more", o.TransactionBytes)
	case o.Duration < time.Second || o.Duration > 10*time.Minute:
		return fmt.Errorf("--duration is %v, want 1s to 10m", o.Duration)
	case o.Late < 100*time.Millisecond || o.Late > time.Minute:
		return fmt.Errorf("--late is %v, want 100ms to 1m", o.Late)
	case o.SmallRate < 1 || o.SmallRate > 1_000_000:
		return fmt.Errorf("--small-rate is %d, want 1 to 1,000,000", o.SmallRate)
	case o.RateMBps < 0 || o.RateMBps > mostMBps:
		return fmt.Errorf("--rate is %v, want 0 for a search, or up to %d MB a second", o.RateMBps, mostMBps)
	case o.Crowd < 1 || o.Crowd > 100_000:
		return fmt.Errorf("--crowd is %d, want 1 to 100,000 rollups", o.Crowd)
	}
	return nil
}

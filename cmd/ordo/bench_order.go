package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/bench/ordering"
	"github.com/ordo-network/ordo/bench/peers"
)

func newBenchOrderCmd() *cobra.Command {
	o := ordering.DefaultOptions()
	var asJSON bool
	size, block := byteSize(o.Size), byteSize(o.Peer.BlockBytes)
	cmd := &cobra.Command{
		Use:   "order",
		Short: "Measure how validators order data, beside CometBFT with the data in its blocks",
		Long: `Starts validators on this machine, each a process of its own, puts load on all of
them, and reads the order back. What counts is what the reader has fetched and
verified, each payload once. Then the same with plain CometBFT validators whose
blocks hold the payload itself.

Parts, for --only:
  idle        latencies of one payload at a time
  small       many small payloads, each signed
  throughput  the highest rate with a p99 to ordered below a second, by search
  half        latencies at half of that rate
  read        what one rollup costs its reader among many others, and alone
  scale       highest rate, and bytes that each validator receives, by number of validators

Progress goes to standard error; the report to standard output, as a table or,
with --json, as JSON. All parts take about half an hour on two cores.`,
		Example: `  ordo bench order
  ordo bench order --only throughput,half --duration 5s
  ordo bench order --only throughput --systems ordo --rate 40 --profile ./profiles
  ordo bench order --only scale --scale 7,16 --json > scale.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Size, o.Peer.BlockBytes = int(size), int64(block)
			if o.Binary == "" {
				self, err := os.Executable()
				if err != nil {
					return fmt.Errorf("find this program: %w", err)
				}
				o.Binary = self
			}
			began := time.Now()
			o.Logger = slog.Default()
			o.Progress = func(line string) {
				fmt.Fprintf(cmd.ErrOrStderr(), "%5.0fs  %s\n", time.Since(began).Seconds(), line)
			}
			report, err := ordering.Run(cmd.Context(), o)
			if report == nil {
				return err
			}
			// What was measured before something broke is worth having.
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return errors.Join(err, enc.Encode(report))
			}
			return errors.Join(err, report.WriteTable(cmd.OutOrStdout()))
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.Parts, "only", o.Parts, "parts to run: "+strings.Join(ordering.Parts, ", "))
	f.StringSliceVar(&o.Systems, "systems", o.Systems, "whom to measure: "+strings.Join(ordering.Systems, ", "))
	f.IntVar(&o.Validators, "validators", o.Validators, "number of validators, of all parts but scale")
	f.IntSliceVar(&o.Scale, "scale", o.Scale, "numbers of validators of part scale")
	f.DurationVar(&o.Duration, "duration", o.Duration, "how long each load lasts; the highest rate is held for twice as long")
	f.Var(&size, "size", "payload of a bundle")
	f.IntVar(&o.TransactionBytes, "transaction-size", o.TransactionBytes, "bytes of the transactions that a bundle cuts its payload into")
	f.Float64Var(&o.RateMBps, "rate", 0, "MB a second to measure at, instead of the search")
	f.IntVar(&o.SmallSize, "small-size", o.SmallSize, "bytes of a small payload")
	f.IntVar(&o.SmallRate, "small-rate", o.SmallRate, "small payloads a second")
	f.IntVar(&o.Crowd, "crowd", o.Crowd, "other rollups that are active while one is read")
	f.DurationVar(&o.BlockTime, "block-time", o.BlockTime, "time between Ordo's blocks")
	f.DurationVar(&o.Late, "late", o.Late, "p99 of the time to ordered from which a network counts as overloaded")
	f.Var(&block, "peer-block", "largest block of CometBFT")
	f.DurationVar(&o.Peer.CommitPause, "peer-pause", o.Peer.CommitPause, "time between a block of CometBFT and the start of the next")
	f.BoolVar(&o.Peer.Gossip, "peer-gossip", o.Peer.Gossip, "CometBFT hands transactions to all validators before they are in a block")
	f.IntVar(&o.Peer.PacketBytes, "peer-packet", o.Peer.PacketBytes, "bytes of a packet between CometBFT validators")
	f.StringVar(&o.ProfileDir, "profile", "", "directory for CPU profiles of all processes at the highest rate")
	f.StringVar(&o.Dir, "dir", "", "where the networks' data stands while they run (default the system's temporary directory)")
	f.BoolVar(&o.Keep, "keep", false, "keep the networks' data and logs")
	f.StringVar(&o.Binary, "binary", "", "program to run the validators with (default this one)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// newBenchPeerCmd runs one validator of what Ordo is compared with; "bench order" starts it.
func newBenchPeerCmd() *cobra.Command {
	var home string
	cmd := &cobra.Command{
		Use:    "peer",
		Short:  "Run a plain CometBFT validator of a benchmark",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return peers.Run(cmd.Context(), home, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&home, "home", "", "its directory, as the benchmark has made it")
	return cmd
}

// newBenchReaderCmd follows one rollup and says what that cost; "bench order" starts it.
func newBenchReaderCmd() *cobra.Command {
	var genesis, endpoint string
	var from uint64
	var blocks int
	cmd := &cobra.Command{
		Use:    "reader",
		Short:  "Follow a benchmark's rollup and print what that cost",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cost, err := ordering.Read(cmd.Context(), genesis, endpoint, from, blocks)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(cost)
		},
	}
	f := cmd.Flags()
	f.StringVar(&genesis, "genesis", "", "genesis of the sequencer chain")
	f.StringVar(&endpoint, "endpoint", "", "API of the node to read from")
	f.Uint64Var(&from, "from", 1, "first height")
	f.IntVar(&blocks, "blocks", 1, "how many blocks count")
	return cmd
}

// byteSize is a flag such as 262144, 256KiB or 1MiB.
type byteSize int64

func (b *byteSize) String() string {
	switch {
	case *b >= 1<<20 && *b%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", *b>>20)
	case *b >= 1<<10 && *b%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", *b>>10)
	default:
		return fmt.Sprint(int64(*b))
	}
}

// Type implements pflag.Value.
func (b *byteSize) Type() string { return "bytes" }

// Set implements pflag.Value.
func (b *byteSize) Set(s string) error {
	number, shift := s, 0
	if n, ok := strings.CutSuffix(s, "KiB"); ok {
		number, shift = n, 10
	} else if n, ok := strings.CutSuffix(s, "MiB"); ok {
		number, shift = n, 20
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n < 1 || n<<shift > 1<<30 {
		return fmt.Errorf("%q is no size: give bytes, or a number with KiB or MiB, up to 1GiB in all", s)
	}
	*b = byteSize(n << shift)
	return nil
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/bench/da"
)

func newBenchDACmd() *cobra.Command {
	o := da.DefaultOptions()
	var asJSON, quick bool
	backlog := byteSize(o.Backlog)
	cmd := &cobra.Command{
		Use:   "da",
		Short: "Measure the way of the order onto a DA layer and back",
		Long: `Starts validators, a DA layer, a relayer and rollup nodes on this machine, each a
process of its own, and puts signed transactions of EVM rollups into the order:
transfers, and calls of an ERC-20 token. The local layer is served by this process.

Parts, for --only:
  relay     a backlog is put onto the layer: MB a second, and how small it gets there
  catch-up  a new reader, and a new node that executes, rebuild rollups from the layer alone
  safe      time from ordered to safe, under a load
  memory    what a relayer of many rollups takes

--layer celestia runs a Celestia network of its own, of the binaries that
"make celestia-bin" builds, or uses the celestia-node at --endpoint. Progress goes to
standard error; the report to standard output, as a table or, with --json, as JSON.
All parts take some minutes on two cores. With --quick they take less than one, and
the figures say no more than that everything works.`,
		Example: `  ordo bench da
  ordo bench da --layer celestia --json > celestia.json
  ordo bench da --layer celestia --endpoint http://127.0.0.1:26658 --token "$TOKEN"
  ordo bench da --only memory --many 2000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Backlog = int(backlog)
			if quick {
				// What was asked for by a flag of its own stays.
				given, q := o, o.Quick()
				o = q
				for flag, keep := range map[string]func(){
					"validators": func() { o.Validators = given.Validators }, "rollups": func() { o.Rollups = given.Rollups },
					"backlog": func() { o.Backlog = given.Backlog }, "rate": func() { o.RateMBps = given.RateMBps },
					"duration": func() { o.Duration = given.Duration }, "many": func() { o.Many = given.Many },
				} {
					if cmd.Flags().Changed(flag) {
						keep()
					}
				}
			}
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
			report, err := da.Run(cmd.Context(), o)
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
	f.StringSliceVar(&o.Parts, "only", o.Parts, "parts to run: "+strings.Join(da.Parts, ", "))
	f.StringVar(&o.Layer, "layer", o.Layer, "DA layer: "+strings.Join(da.Layers, ", "))
	f.StringVar(&o.Endpoint, "endpoint", "", "node of a layer that runs already (default one that is started)")
	f.StringVar(&o.Token, "token", "", "token that the node asks for")
	f.IntVar(&o.Validators, "validators", o.Validators, "number of validators")
	f.IntVar(&o.Rollups, "rollups", o.Rollups, "number of rollups: one with transfers, the next with an ERC-20 token, and so on")
	f.Var(&backlog, "backlog", "transactions that are ordered before the relayer starts, over all rollups")
	f.Float64Var(&o.RateMBps, "rate", o.RateMBps, "MB of transactions a second while the time to safe is taken")
	f.DurationVar(&o.Duration, "duration", o.Duration, "how long that load lasts, and that on the relayer of many rollups")
	f.IntVar(&o.Many, "many", o.Many, "rollups of the relayer whose memory is looked at")
	f.DurationVar(&o.BlockTime, "block-time", o.BlockTime, "time between blocks of the sequencer chain")
	f.DurationVar(&o.LayerBlockTime, "layer-block-time", o.LayerBlockTime, "time between blocks of a layer that is started")
	f.BoolVar(&quick, "quick", false, "a small run, for seeing that everything works")
	f.StringVar(&o.Dir, "dir", "", "where the data stands while it runs (default the system's temporary directory)")
	f.BoolVar(&o.Keep, "keep", false, "keep data and logs")
	f.StringVar(&o.Binary, "binary", "", "program to run the processes with (default this one)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

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

	"github.com/ordo-network/ordo/bench/exec"
)

func newBenchExecCmd() *cobra.Command {
	o := exec.DefaultOptions()
	var asJSON, quick bool
	cmd := &cobra.Command{
		Use:   "exec",
		Short: "Measure how fast a rollup is executed, alone and fed by a network",
		Long: `Starts validators and rollup nodes on this machine, each a process of its own, and
executes the same signed transactions in the same blocks in three ways:

  alone     the embedded EVM with the blocks at hand
  catch-up  a new rollup node, which fetches and verifies what is ordered already
  live      a rollup node that follows while 0.9 times as much is ordered as the EVM alone
            executes, with all validators on the same machine: its share is at most that

Kinds of transactions, for --only, each on a rollup of its own:
  transfers  of ether
  tokens     transfers of an ERC-20 token
  swaps      of one token for another at a pair like Uniswap V2's, by a router

A share is what is left of the gas a second of the EVM alone; by processor time, of the gas
for each second of a processor. Progress goes to standard
error; the report to standard output, as a table or, with --json, as JSON. All of it
takes some minutes on two cores. With --quick it takes less than one, and the figures
say no more than that everything works.`,
		Example: `  ordo bench exec
  ordo bench exec --only swaps --rounds 5 --json > swaps.json
  ordo bench exec --load 0.5 --duration 60s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quick {
				// What was asked for by a flag of its own stays.
				given, q := o, o.Quick()
				o = q
				for flag, keep := range map[string]func(){
					"validators": func() { o.Validators = given.Validators }, "duration": func() { o.Duration = given.Duration },
					"rounds": func() { o.Rounds = given.Rounds },
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
			report, err := exec.Run(cmd.Context(), o)
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
	f.StringSliceVar(&o.Kinds, "only", o.Kinds, "kinds of transactions: "+strings.Join(exec.Kinds, ", "))
	f.IntVar(&o.Validators, "validators", o.Validators, "number of validators")
	f.DurationVar(&o.BlockTime, "block-time", o.BlockTime, "time between blocks of the sequencer chain")
	f.DurationVar(&o.Duration, "duration", o.Duration, "how long the load on the live node lasts")
	f.Float64Var(&o.Load, "load", o.Load, "that load, of what the EVM alone executes")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "how often the EVM alone and a node that catches up take turns")
	f.BoolVar(&quick, "quick", false, "a small run, for seeing that everything works")
	f.StringVar(&o.Dir, "dir", "", "where the data stands while it runs (default the system's temporary directory)")
	f.BoolVar(&o.Keep, "keep", false, "keep data and logs")
	f.StringVar(&o.Binary, "binary", "", "program to run the processes with (default this one)")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// newBenchEVMCmd executes a rollup's blocks and prints what came of it; "bench exec" starts it.
func newBenchEVMCmd() *cobra.Command {
	var rollup, data string
	cmd := &cobra.Command{
		Use:    "evm",
		Short:  "Execute a benchmark's blocks and print how long that took",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := exec.Execute(cmd.Context(), rollup, data)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(done)
		},
	}
	f := cmd.Flags()
	f.StringVar(&rollup, "rollup", "", "directory of the rollup, as the benchmark has made it")
	f.StringVar(&data, "data", "", "new directory for its chain")
	return cmd
}

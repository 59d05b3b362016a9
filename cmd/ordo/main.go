// Command ordo is the whole of Ordo in one binary: each role of the network is a
// subcommand that can run alone on its own host, and devnet starts all of them.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRootCmd().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ordo:", err)
		os.Exit(1)
	}
}

func newRootCmd() *cobra.Command {
	var level string
	root := &cobra.Command{
		Use:   "ordo",
		Short: "A shared sequencer: one order for any number of rollups",
		Example: `  ordo devnet
  ordo rollup new my-rollup --template evm
  ordo status`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return fmt.Errorf("--log-level %q is not one of debug, info, warn, error", level)
			}
			slog.SetDefault(slog.New(tint.NewTextHandler(os.Stderr, &tint.Options{Level: l, TimeFormat: time.StampMilli, NoColor: !isTerminal(os.Stderr)})))
			return nil
		},
	}
	root.PersistentFlags().StringVar(&level, "log-level", "info", "debug, info, warn or error")
	root.AddCommand(
		newBenchCmd(),
		newBundleCmd(),
		newDACmd(),
		newDevnetCmd(),
		newKeysCmd(),
		newRelayerCmd(),
		newRollupCmd(),
		newSequencerCmd(),
		newStatusCmd(),
		newTxCmd(),
	)
	return root
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ordo-network/ordo/devnet"
)

func newDevnetCmd() *cobra.Command {
	o := devnet.Options{Shape: devnet.DefaultShape()}
	var asJSON, verbose bool
	cmd := &cobra.Command{
		Use:   "devnet",
		Short: "Run a whole network on this machine: validators, a relayer with DA, EVM rollups",
		Long: `Run a whole network on this machine: validators, a relayer with its embedded DA
layer, and EVM rollups, each as a process of its own. Ctrl-C stops it and keeps its
state; the next start goes on from there.

With --da the rollups' data goes to another DA layer, whose node runs beside the network:
celestia is a chain of one validator and a bridge node, eigenda the real proxy with its
backend in memory, which is why such a network ends for good when it stops. Their programs
are built once, by "make celestia-bin" and "make eigenda-bin". A node that runs already is
named with --da-endpoint; for avail there is no other way.`,
		Example: `  ordo devnet
  ordo devnet --rollups 3 --fresh
  ordo devnet --da celestia
  ordo devnet --da alpha=celestia,beta=local --da-fallback eigenda
  ordo devnet --da avail --da-endpoint http://127.0.0.1:7007 --da-app-id 42
  ordo devnet --home /tmp/net --base-port 30000 --endpoints-file net.json --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A terminal that is closed is no reason to leave the state half-written.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
			defer stop()
			binary, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program's file: %w", err)
			}
			o.Binary, o.Set = binary, cmd.Flags().Changed
			if level := cmd.Flag("log-level"); level.Changed {
				o.LogLevel = level.Value.String()
			}
			hint := devnet.Hint{Command: commandName(binary)}
			home, err := devnet.DefaultHome()
			if o.Home == "" {
				if err != nil {
					return err
				}
				o.Home = home
			} else if o.Home != home {
				hint.Home = o.Home
			}
			var out interface {
				devnet.Reporter
				Log(child string, line []byte)
			}
			if asJSON {
				out = devnet.NewJSONLines(os.Stdout)
			} else {
				out = devnet.NewTerminal(os.Stdout, terminalWidth(os.Stdout), hint)
			}
			o.Reporter = out
			if verbose {
				o.Logs = out.Log
			}
			return devnet.Run(ctx, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Home, "home", "", "data directory (default ~/.ordo/devnet)")
	f.IntVar(&o.Shape.Validators, "validators", o.Shape.Validators, "number of validators, 1 to 16")
	f.IntVar(&o.Shape.Rollups, "rollups", o.Shape.Rollups, "number of EVM rollups, 1 to 16")
	f.DurationVar(&o.Shape.BlockTime, "block-time", o.Shape.BlockTime, "time between blocks of the sequencer chain under load")
	f.IntVar(&o.Shape.BasePort, "base-port", 0, "first of all ports, which are counted up from there; 0: rollups at 8545, the others at 26600")
	f.StringVar(&o.Shape.DA.Layers, "da", "local", "DA layer of all rollups, of some, or both: celestia; alpha=celestia,beta=local; celestia,beta=eigenda")
	f.StringVar(&o.Shape.DA.Fallback, "da-fallback", "", "DA layer that takes over while another confirms nothing for 20 s")
	f.StringVar(&o.Shape.DA.Endpoints, "da-endpoint", "", "URL of a DA layer's node that runs already; celestia=URL,avail=URL where there are several")
	f.StringVar(&o.Shape.DA.Tokens, "da-token", "", "what the node at --da-endpoint asks for; in the same form")
	f.Uint32Var(&o.Shape.DA.AppID, "da-app-id", 0, "avail: the application ID that the light client runs with")
	f.StringVar(&o.EndpointsFile, "endpoints-file", "", "write all URLs to this file, as JSON, once everything answers")
	f.BoolVar(&o.Fresh, "fresh", false, "remove the network that is there and make a new one")
	f.BoolVar(&asJSON, "json", false, "print events as lines of JSON")
	f.BoolVar(&verbose, "verbose", false, "show the logs of all processes")
	return cmd
}

// commandName is how a person typed this program.
func commandName(binary string) string {
	if strings.Contains(binary, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/ordo"
	}
	return os.Args[0]
}

// terminalWidth returns a function that tells the columns of a terminal, or nil
// where f is none.
func terminalWidth(f *os.File) func() int {
	fd := int(f.Fd())
	if !term.IsTerminal(fd) {
		return nil
	}
	return func() int {
		w, _, err := term.GetSize(fd)
		if err != nil {
			return 80
		}
		return w
	}
}

package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/rollup"
)

func newRollupCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollup",
		Short: "Run a rollup: JSON-RPC for wallets, follower of the order, embedded EVM",
		Long: `Run a node of an EVM rollup. It takes transactions from wallets and brings them
into the order, follows the order, verifies every block of it, and executes what is
the rollup's.`,
	}
	var home string
	cmd.PersistentFlags().StringVar(&home, "home", defaultRollupHome(), "directory of the node")
	cmd.AddCommand(newRollupInitCmd(&home), newRollupStartCmd(&home))
	return cmd
}

func newRollupInitCmd(home *string) *cobra.Command {
	var o rollup.InitOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Lay out the home of a rollup node",
		Example: `  ordo rollup init --name alpha --chain-id 31337 \
      --sequencer http://127.0.0.1:26602 --sequencer-genesis genesis.json --da http://127.0.0.1:26658
  ordo rollup init --home r --name mine --genesis geth-genesis.json --sequencer http://a:26602 \
      --sequencer http://b:26602 --sequencer-genesis genesis.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := rollup.Init(*home, o); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), `rollup %s laid out in %s; settings are in config.toml there
the account in payer.json pays for ordering: give it uordo on the sequencer chain
start it with: ordo rollup start --home %s
`, o.Name, *home, *home)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "", "name of the rollup; its SHA-256 is the rollup ID")
	f.Uint64Var(&o.ChainID, "chain-id", 0, "chain ID of a new EVM chain with the accounts of the test mnemonic")
	f.StringVar(&o.GenesisFile, "genesis", "", "geth genesis file, instead of --chain-id")
	f.StringArrayVar(&o.Sequencers, "sequencer", nil, "API of a sequencer node; may be given again, the others stand by")
	f.StringVar(&o.SequencerGenesis, "sequencer-genesis", "", "genesis file of the sequencer chain: what the node trusts")
	f.StringVar(&o.DA, "da", "", "URL of the DA layer; empty: safe and finalized do not move")
	f.StringVar(&o.Listen, "listen", "", "where JSON-RPC is served (default 127.0.0.1:8545)")
	f.StringVar(&o.MetricsListen, "metrics-listen", "", "where metrics are served; empty is off")
	f.Uint64Var(&o.StartHeight, "start-height", 1, "first sequencer height that counts for the rollup: the same on all its nodes")
	for _, name := range []string{"name", "sequencer", "sequencer-genesis"} {
		_ = cmd.MarkFlagRequired(name) // it exists: it was declared above
	}
	return cmd
}

func newRollupStartCmd(home *string) *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Run the node until it is interrupted",
		Example: `  ordo rollup start
  ordo rollup start --home r --log-level debug`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return rollup.Run(cmd.Context(), *home, version, slog.Default())
		},
	}
}

func defaultRollupHome() string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return "rollup"
	}
	return filepath.Join(dir, ".ordo", "rollup")
}

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/follower"
	"github.com/ordo-network/ordo/rollup"
)

func newRollupCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollup",
		Short: "Run a rollup: JSON-RPC for wallets, follower of the order, execution",
		Long: `Run a node of a rollup. It takes transactions from wallets and brings them into the
order, follows the order, verifies every block of it, and has what is the rollup's executed:
by the EVM in this process, by an Ethereum client behind its Engine API, or by a client of
astria.execution.v2.`,
		Example: `  ordo rollup new my-rollup --template evm
  ordo rollup init --home r --name mine --chain-id 4242 --listen 127.0.0.1:8600 --devnet ~/.ordo/devnet
  ordo rollup start --home r`,
	}
	var home string
	cmd.PersistentFlags().StringVar(&home, "home", defaultRollupHome(), "directory of the node")
	cmd.AddCommand(newRollupInitCmd(&home), newRollupNewCmd(), newRollupStartCmd(), newRollupSyncCmd())
	return cmd
}

func newRollupInitCmd(home *string) *cobra.Command {
	var o rollup.InitOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Lay out the home of a rollup node",
		Example: `  ordo rollup init --name alpha --chain-id 31337 \
      --sequencer http://127.0.0.1:26602 --sequencer-genesis genesis.json --da local --da-endpoint http://127.0.0.1:26700
  ordo rollup init --name alpha --chain-id 31337 --sequencer http://127.0.0.1:26602 --sequencer-genesis genesis.json \
      --da celestia --da-endpoint http://127.0.0.1:26658 --da-token "$TOKEN" --da-start-height 1200000
  ordo rollup init --home r --name mine --genesis geth-genesis.json --sequencer http://a:26602 \
      --sequencer http://b:26602 --sequencer-genesis genesis.json
  ordo rollup init --name alpha --genesis geth-genesis.json --sequencer http://127.0.0.1:26602 --sequencer-genesis genesis.json \
      --engine http://127.0.0.1:8551 --jwt jwt.hex --block-time 2s
  ordo rollup init --name beta --sequencer http://127.0.0.1:26602 --sequencer-genesis genesis.json \
      --execution grpc://127.0.0.1:50051
  ordo rollup init --name gamma --sequencer http://127.0.0.1:26602 --sequencer-genesis genesis.json \
      --execution grpc://127.0.0.1:50052 --block-time 1s   # of a client whose blocks count whole seconds
  ordo rollup init --home r --name mine --chain-id 4242 --listen 127.0.0.1:8600 --devnet ~/.ordo/devnet
  ordo rollup init --home alpha --name alpha --chain-id 31337 --sequencer http://127.0.0.1:26602 \
      --sequencer-genesis genesis.json --domain alpha,beta`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromHere(&o.Execution.JWT); err != nil {
				return err
			}
			if err := rollup.Init(*home, o); err != nil {
				return err
			}
			relayed := ""
			if cmd.Flags().Changed("devnet") && !cmd.Flags().Changed("da") {
				relayed = "the devnet's relayer posts its data to the DA layer " + o.DA.Layer + ", from where it is read as safe and finalized\n"
			}
			fund, start := "give it uordo on the sequencer chain", "start it with: ordo rollup start --home "+*home
			if len(o.Domain) > 1 {
				start = "start it together with the other rollups of its domain, in one command: ordo rollup start --home " + *home + " --home <home of the next>"
			}
			if cmd.Flags().Changed("devnet") {
				fund = "the devnet gave it uordo"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), `rollup %s laid out in %s; settings are in config.toml there
the account in payer.json pays for ordering: %s
%s%s%s
`, o.Name, *home, fund, relayed, pace(o.Execution), start)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "", "name of the rollup; its SHA-256 is the rollup ID")
	f.Uint64Var(&o.ChainID, "chain-id", 0, "chain ID of a new EVM chain with the accounts of the test mnemonic")
	f.StringVar(&o.GenesisFile, "genesis", "", "geth genesis file, instead of --chain-id")
	f.StringArrayVar(&o.Sequencers, "sequencer", nil, "API of a sequencer node; may be given again, the others stand by")
	f.StringVar(&o.SequencerGenesis, "sequencer-genesis", "", "genesis file of the sequencer chain: what the node trusts")
	f.StringVar(&o.DA.Layer, "da", "", "DA layer of the rollup: local, celestia, eigenda or avail; empty: safe and finalized do not move")
	f.StringVar(&o.DA.Endpoint, "da-endpoint", "", "URL of the DA layer's node")
	f.StringVar(&o.DA.Token, "da-token", "", "what the DA layer's node asks for")
	f.StringVar(&o.DA.Namespace, "da-namespace", "", "celestia: the ten free bytes of the rollup's namespace, in hex (default: made of the name)")
	f.Uint32Var(&o.DA.AppID, "da-app-id", 0, "avail: the application ID")
	f.Uint64Var(&o.DA.StartHeight, "da-start-height", 0, "first height of the DA layer to read (default: its beginning)")
	f.StringVar(&o.Listen, "listen", "", "where JSON-RPC is served (default 127.0.0.1:8545)")
	f.StringVar(&o.MetricsListen, "metrics-listen", "", "where metrics are served; empty is off")
	f.Uint64Var(&o.StartHeight, "start-height", 1, "first sequencer height that counts for the rollup: the same on all its nodes; of a domain, by default that of its other homes in the same directory")
	executionFlags(cmd, &o.Execution)
	takeUntyped(cmd, home, &o)
	f.StringSliceVar(&o.Domain, "domain", nil, "names of the rollups that are executed together with this one, itself too, in the same order on each")
	f.Uint64Var(&o.DomainStart, "domain-start-height", 0, "first sequencer height that is executed together (default: that of the domain's other homes in the same directory, else start-height)")
	for _, name := range []string{"name", "sequencer", "sequencer-genesis"} {
		_ = cmd.MarkFlagRequired(name) // it exists: it was declared above
	}
	return cmd
}

// pace says which clients take no blocks as fast as they come, where no block time was given:
// it cannot be changed once the chain has begun.
func pace(e rollup.Execution) string {
	if e.BlockTime != 0 || e.Mode != rollup.ModeGRPC && (e.Mode != "" || e.Endpoint == "") {
		return ""
	}
	return `each block of the order makes one of the rollup, several a second; a client whose blocks count whole seconds,
as Ethereum's do, refuses them: it needs block_time = '1s' below [execution], before the first start
`
}

// fromHere makes the path of a flag absolute: paths in config.toml are relative to the home, and
// what a person types is to where it is typed.
func fromHere(path *string) error {
	if *path == "" {
		return nil
	}
	abs, err := filepath.Abs(*path)
	if err != nil {
		return fmt.Errorf("find %s: %w", *path, err)
	}
	*path = abs
	return nil
}

// executionFlags are those that say what executes a rollup.
func executionFlags(cmd *cobra.Command, e *rollup.Execution) {
	f := cmd.Flags()
	f.StringVar(&e.Mode, "mode", "", "evm: the EVM in this process; op: an op-geth behind --engine builds the blocks; grpc: a client behind --execution; go: a program of its own (default evm)")
	f.StringVar(&e.Engine, "engine", "", "URL of an Ethereum client's Engine API, such as http://127.0.0.1:8551")
	f.StringVar(&e.JWT, "jwt", "", "file with the secret of the Engine API, in hex")
	f.StringVar(&e.Endpoint, "execution", "", "where a client of astria.execution.v2 listens, such as grpc://127.0.0.1:50051; means --mode grpc")
	f.StringVar(&e.ClientRPC, "client-rpc", "", "URL of the client's own JSON-RPC, for what the door does not answer itself")
	f.DurationVar(&e.BlockTime, "block-time", 0, "least time between two blocks, in whole seconds; the same on all nodes, for ever (default: a block as soon as there are transactions; 1s with --engine; each block of the order with --execution, where Ethereum-like clients need 1s)")
}

func newRollupStartCmd() *cobra.Command {
	o := rollup.Options{Version: version}
	var homes []string
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Run the node until it is interrupted",
		Long: `Run the node until it is interrupted. Flags count instead of what config.toml says. Mode and
block time make the chain: they are kept at the first start, and others are refused later.

Rollups of one domain run together, each with its --home: only so is known whether a bundle
that says all or nothing is applied.`,
		Example: `  ordo rollup start
  ordo rollup start --home r --log-level debug
  ordo rollup start --engine http://127.0.0.1:8551 --jwt jwt.hex --block-time 1s
  ordo rollup start --execution grpc://127.0.0.1:50051
  ordo rollup start --home alpha --home beta`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = slog.Default()
			if err := fromHere(&o.Execution.JWT); err != nil {
				return err
			}
			if len(homes) > 1 {
				return rollup.RunDomain(cmd.Context(), homes, o)
			}
			return rollup.RunWith(cmd.Context(), homes[0], o)
		},
	}
	cmd.Flags().StringArrayVar(&homes, "home", []string{defaultRollupHome()}, "directory of the node; given again for each rollup of a domain")
	executionFlags(cmd, &o.Execution)
	return cmd
}

func newRollupSyncCmd() *cobra.Command {
	var (
		fromDA bool
		height uint64
		hash   string
		homes  []string
		o      rollup.SyncOptions
	)
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Bring the node to the head of its DA layer, and stop",
		Long: `Rebuild the rollup from what its DA layer holds, and from nothing else: every block of
the order is verified by the validators' signatures, executed, and firm. No sequencer need
answer, unless the layer is eigenda, which is found by the records that full nodes of the
sequencer chain keep. When the layer's head is reached the command ends, and the node can be
started. Rollups of one domain are read together, each with its --home, as far as the data of
all of them goes.

The genesis' validators are believed for trusting_period of config.toml, two weeks as a
rule. To rebuild a chain that is older, name a block of the last days with --trust-height
and --trust-hash, as somebody you trust has it: what is read must lead to it, and is then as
certain as that block. Without one, --trusting-period believes validators for longer. That has
a risk: whoever has the keys of more than two thirds of the stake of any time since the chain
began, of validators who have long left and have nothing more to lose, can sign another past
and put it on the layer (a long-range forgery), and this node would believe it. Then compare
the hash that the command prints with what others have before you rely on it.`,
		Example: `  ordo rollup sync --from-da
  ordo rollup sync --from-da --trust-height 1200000 --trust-hash 8f0c…
  ordo rollup sync --from-da --trusting-period 8760h
  ordo rollup sync --from-da --home r
  ordo rollup sync --from-da --home alpha --home beta`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !fromDA {
				return errors.New("say what to sync from: --from-da reads the DA layer alone; `ordo rollup start` follows the sequencers")
			}
			if cmd.Flags().Changed("trust-hash") {
				var err error
				if o.Trusted, err = follower.ParseTrustedBlock(height, hash); err != nil {
					return err
				}
			}
			return syncHomes(cmd, homes, o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&homes, "home", []string{defaultRollupHome()}, "directory of the node; given again for each rollup of a domain")
	f.BoolVar(&fromDA, "from-da", false, "from the DA layer alone")
	f.Uint64Var(&height, "trust-height", 0, "sequencer height of a block that you trust, which what is read must lead to")
	f.StringVar(&hash, "trust-hash", "", "hash of that block, in hex")
	f.DurationVar(&o.TrustingPeriod, "trusting-period", 0, "how long validators are believed after their block, now (default: trusting_period of config.toml)")
	cmd.MarkFlagsRequiredTogether("trust-height", "trust-hash")
	return cmd
}

// syncHomes syncs a node, or those of a domain.
func syncHomes(cmd *cobra.Command, homes []string, o rollup.SyncOptions) (err error) {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	report := func(p rollup.SyncProgress) { fmt.Fprintln(out, syncLine(p)) }
	last := make([]rollup.SyncProgress, 1)
	if len(homes) > 1 {
		last, err = rollup.SyncDomain(ctx, homes, version, slog.Default(), o, report)
	} else {
		last[0], err = rollup.Sync(ctx, homes[0], version, slog.Default(), o, report)
	}
	if ctx.Err() != nil {
		return errors.New("interrupted: run the command again to go on from there")
	}
	if err != nil {
		return err
	}
	for _, p := range last {
		report(p)
		if !p.CaughtUp() {
			fmt.Fprintf(out, "more of %s is on its DA layer, and waits for the data of the other rollups\n", p.Rollup)
		}
		fmt.Fprintf(out, "caught up with the DA layer: rollup block %d, hash 0x%x, sequencer height %d\n", p.Head.Number, p.Head.Hash, p.Height)
	}
	return nil
}

// syncLine says how far a sync is.
func syncLine(p rollup.SyncProgress) string {
	line := fmt.Sprintf("%s: sequencer height %d, rollup block %d", p.Rollup, p.Height, p.Head.Number)
	if s := p.Elapsed.Seconds(); s > 0 {
		line += fmt.Sprintf(", %.0f blocks/s, %.2f MB/s", float64(p.Blocks)/s, float64(p.Bytes)/1e6/s)
	}
	for _, l := range p.Layers {
		if l.Head == 0 {
			line += fmt.Sprintf(", %s does not answer yet", l.Layer)
			continue
		}
		line += fmt.Sprintf(", %s height %d of %d", l.Layer, l.Read, l.Head)
	}
	return line
}

func defaultRollupHome() string {
	dir, err := os.UserHomeDir()
	if err != nil {
		return "rollup"
	}
	return filepath.Join(dir, ".ordo", "rollup")
}

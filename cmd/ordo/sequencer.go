package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/da/layers"
	sequencer "github.com/ordo-network/ordo/sequencer/node"
)

// sequencerPorts are those of validator i, counted up from the base port.
func sequencerPorts(base, i int) sequencer.Ports {
	at := base + 10*i
	return sequencer.Ports{P2P: at, RPC: at + 1, API: at + 2, Metrics: at + 3, Dispersal: at + 4}
}

const sequencerBasePort = 26600

func sequencerHome() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ".ordo/sequencer"
	}
	return filepath.Join(home, ".ordo", "sequencer")
}

func newSequencerCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sequencer",
		Short: "Run a validator or full node of the sequencer chain, and operate it",
		Long: `Run a validator or full node of the sequencer chain, and operate it.

A full node becomes a validator when its operator bonds stake to its key and tells
the chain how it attests batches; then it is started anew:

  ordo sequencer tx staking create-validator validator.json --from operator --fees 500uordo
  ordo sequencer attester set --from operator --fees 500uordo`,
		Example: `  ordo sequencer init --moniker alice --genesis genesis.json --peer <id>@203.0.113.7:26600
  ordo sequencer start`,
	}
	cmd.PersistentFlags().String("home", sequencerHome(), "the node's directory")
	cmd.AddCommand(newSequencerInitCmd(), newSequencerInitNetworkCmd(), newSequencerStartCmd())
	cmd.AddCommand(newChainCmds()...)
	showExamples(cmd)
	return cmd
}

func newSequencerStartCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Run the node until it is interrupted",
		Example: `  ordo sequencer start
  ordo sequencer start --home ./net/validator-0 --log-level debug`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := cmd.Flags().GetString("home")
			if err != nil {
				return err
			}
			return sequencer.Run(cmd.Context(), sequencer.Options{Home: home, Version: version, Logger: slog.Default()})
		},
	}
}

func newSequencerInitCmd() *cobra.Command {
	var o sequencer.HomeOptions
	var base int
	var genesis, chainID string
	var dals []string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the home of one node: keys, settings, and the genesis of the chain that it joins",
		Long: `Make the home of one node: keys, settings, and the genesis of the chain that it joins.
With --genesis the node joins an existing chain. With --chain-id a new chain
begins: its genesis is then filled by "ordo sequencer genesis".`,
		Example: `  ordo sequencer init --moniker alice --genesis genesis.json --peer <id>@203.0.113.7:26600 --host 0.0.0.0 --advertise 203.0.113.9
  ordo sequencer init --moniker alice --genesis genesis.json --da celestia=http://127.0.0.1:26658
  ordo sequencer init --moniker alice --chain-id my-network`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Dir, err = cmd.Flags().GetString("home"); err != nil {
				return err
			}
			o.Ports = sequencerPorts(base, 0)
			if o.DALayers, err = parseLayers(dals); err != nil {
				return err
			}
			id, err := sequencer.InitHome(o, genesis, chainID)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "home     %s\nnode ID  %s\n", o.Dir, id)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Moniker, "moniker", "node", "what other operators see this node called")
	f.StringVar(&genesis, "genesis", "", "genesis file of the chain to join")
	f.StringVar(&chainID, "chain-id", "", "ID of a new chain, instead of --genesis")
	f.StringSliceVar(&o.Peers, "peer", nil, "id@host:port of a node to connect to; may be repeated")
	f.StringVar(&o.Host, "host", "127.0.0.1", "address to listen on for other nodes and API clients; 0.0.0.0 is all of this machine's")
	f.StringVar(&o.Advertise, "advertise", "", "host name or address by which other validators reach this node, where it is not --host")
	f.IntVar(&base, "base-port", sequencerBasePort, "first of five ports: other nodes, CometBFT RPC, API, metrics, dispersal")
	f.DurationVar(&o.BlockTime, "block-time", 100*time.Millisecond, "time between blocks under load, as the network has agreed")
	f.StringArrayVar(&dals, "da", nil, daUsage)
	cmd.MarkFlagsMutuallyExclusive("genesis", "chain-id")
	cmd.MarkFlagsOneRequired("genesis", "chain-id")
	return cmd
}

func newSequencerInitNetworkCmd() *cobra.Command {
	var o sequencer.NetworkOptions
	var base int
	var accounts, hosts, dals []string
	cmd := &cobra.Command{
		Use:   "init-network DIR",
		Short: "Make the homes of all validators of a network, with one genesis",
		Example: `  ordo sequencer init-network ./net --validators 4 --account ordo1...=1000000000
  ordo sequencer init-network ./net --da local=http://127.0.0.1:26700
  ordo sequencer init-network ./net --validators 3 --hosts 10.0.0.1,10.0.0.2,10.0.0.3
  ordo sequencer start --home ./net/validator-0`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.Dir = args[0]
			if o.Accounts, err = parseAccounts(accounts); err != nil {
				return err
			}
			if o.DALayers, err = parseLayers(dals); err != nil {
				return err
			}
			if len(hosts) > 0 && len(hosts) != o.Validators {
				return fmt.Errorf("--hosts names %d addresses for %d validators: name one for each", len(hosts), o.Validators)
			}
			host := func(i int) string {
				if len(hosts) == 0 {
					return "127.0.0.1"
				}
				return hosts[i]
			}
			o.Host = host
			o.Ports = func(i int) sequencer.Ports { return sequencerPorts(base, i) }
			if err := sequencer.InitNetwork(o); err != nil {
				return err
			}
			for i := range o.Validators {
				p := o.Ports(i)
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s  API http://%s:%d  CometBFT RPC http://127.0.0.1:%d\n", sequencer.ValidatorHome(o.Dir, i), host(i), p.API, p.RPC); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Validators, "validators", 4, "number of validators")
	f.StringVar(&o.ChainID, "chain-id", "ordo-local", "ID of the new chain")
	f.DurationVar(&o.BlockTime, "block-time", 100*time.Millisecond, "time between blocks under load")
	f.IntVar(&base, "base-port", sequencerBasePort, "first port; each validator takes five, ten apart from the next validator's")
	f.StringSliceVar(&hosts, "hosts", nil, "address of each validator, in order (default 127.0.0.1 for all)")
	f.StringArrayVar(&accounts, "account", nil, "ADDRESS=UORDO, money in the new chain, for gateways and relayers; may be repeated")
	f.StringArrayVar(&dals, "da", nil, daUsage)
	return cmd
}

const daUsage = "NAME=URL of a DA layer's node, on which the validator looks for what relayers claim to have published; may be repeated. Tokens and other settings are written into ordo.toml"

func parseLayers(args []string) (map[string]layers.Config, error) {
	out := make(map[string]layers.Config, len(args))
	for _, arg := range args {
		name, endpoint, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, fmt.Errorf("--da %q, want a layer's name, =, and a URL, such as celestia=http://127.0.0.1:26658", arg)
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("--da names layer %s twice", name)
		}
		out[name] = layers.Config{Endpoint: endpoint}
	}
	return out, nil
}

func parseAccounts(args []string) ([]sequencer.Account, error) {
	var out []sequencer.Account
	for _, arg := range args {
		address, amount, ok := strings.Cut(arg, "=")
		n, err := strconv.ParseUint(amount, 10, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("--account %q, want an address, =, and a whole number of uordo", arg)
		}
		out = append(out, sequencer.Account{Address: address, Amount: n})
	}
	return out, nil
}

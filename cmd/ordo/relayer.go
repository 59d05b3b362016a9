package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/ordo-network/ordo/keys"
	"github.com/ordo-network/ordo/relayer"
	"github.com/ordo-network/ordo/sequencer/claims/account"
)

func newRelayerCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "relayer",
		Short: "Put the order of rollups on DA layers",
		Long: `Put the order of rollups on DA layers, from where rollup nodes read it back as safe
and finalized. Nobody needs to trust a relayer, and anyone may run one.`,
		Example: `  ordo relayer init --sequencer http://127.0.0.1:26602 --sequencer-genesis genesis.json --rollup alpha
  ordo relayer start`,
	}
	var home string
	cmd.PersistentFlags().StringVar(&home, "home", defaultRelayerHome(), "directory of the relayer")
	cmd.AddCommand(newRelayerInitCmd(&home), newRelayerStartCmd(&home))
	return cmd
}

func newRelayerInitCmd(home *string) *cobra.Command {
	cfg := relayer.DefaultConfig()
	standard := cfg.Layers["local"]
	listen := standard.Listen
	var endpoint, token, fallbackEndpoint, fallbackToken string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Lay out the home of a relayer",
		Example: `  ordo relayer init --sequencer http://127.0.0.1:26602 --sequencer-genesis genesis.json --rollup alpha
  ordo relayer init --home r --sequencer http://a:26602 --sequencer http://b:26602 \
      --sequencer-genesis genesis.json --rollup alpha --rollup beta \
      --da celestia --da-endpoint http://127.0.0.1:26658 --da-token "$TOKEN"
  ordo relayer init --sequencer http://127.0.0.1:26602 --sequencer-genesis genesis.json --rollup alpha \
      --trust-height 1200000 --trust-hash 8f0c…   # the chain is older than two weeks`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reach := func(name, endpoint, token string) {
				l := relayer.LayerConfig{}
				if name == "local" && endpoint == "" {
					l = standard // it runs in the relayer
					l.Listen = listen
				}
				l.Endpoint, l.Token = endpoint, token
				cfg.Layers[name] = l
			}
			clear(cfg.Layers)
			if cfg.Fallback != "" {
				reach(cfg.Fallback, fallbackEndpoint, fallbackToken)
			}
			reach(cfg.Layer, endpoint, token)
			if err := relayer.Init(*home, cfg); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "relayer laid out in %s; settings are in config.toml there\nstart it with: ordo relayer start --home %s\n", *home, *home)
			return err
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&cfg.Sequencers, "sequencer", nil, "API of a sequencer node, such as http://127.0.0.1:26602; may be given again")
	f.StringVar(&cfg.SequencerGenesis, "sequencer-genesis", "", "genesis file of the sequencer chain")
	f.Uint64Var(&cfg.TrustHeight, "trust-height", 0, "sequencer height of a block of the last days that you trust, where genesis is older than trusting_period")
	f.StringVar(&cfg.TrustHash, "trust-hash", "", "hash of that block, in hex")
	cmd.MarkFlagsRequiredTogether("trust-height", "trust-hash")
	f.StringArrayVar(&cfg.Rollups, "rollup", nil, "name or ID of a rollup to relay; may be given again")
	f.StringVar(&cfg.Layer, "da", cfg.Layer, "DA layer: local, celestia, eigenda or avail")
	f.StringVar(&endpoint, "da-endpoint", "", "URL of the DA layer's node; the local layer runs in the relayer where none is given")
	f.StringVar(&token, "da-token", "", "token that the DA layer's node asks for")
	f.StringVar(&listen, "da-listen", listen, "where the embedded local DA layer is served")
	f.StringVar(&cfg.Fallback, "fallback", "", "DA layer that takes over while the first confirms nothing")
	f.StringVar(&fallbackEndpoint, "fallback-endpoint", "", "URL of the fallback's node")
	f.StringVar(&fallbackToken, "fallback-token", "", "token that the fallback's node asks for")
	f.StringVar(&cfg.ClaimKey, "claim-key", "", "key file of the account that records on the sequencer chain what was posted")
	f.StringVar(&cfg.Metrics.Listen, "metrics-listen", cfg.Metrics.Listen, "where metrics and status are served; empty is off")
	for _, name := range []string{"sequencer", "sequencer-genesis", "rollup"} {
		_ = cmd.MarkFlagRequired(name) // it exists: it was declared above
	}
	return cmd
}

func newRelayerStartCmd(home *string) *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Run the relayer until it is interrupted",
		Long: `Run the relayer until it is interrupted. When config.toml is changed, as by another rollup
in it, the relayer goes on with what it says then.`,
		Example: `  ordo relayer start
  ordo relayer start --home r --log-level debug`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// What a relayer has in memory comes and goes with each block of its layers: the
			// collector does not wait until as much again has gathered.
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(40)
			}
			return relayer.RunHome(cmd.Context(), *home, func(cfg relayer.Config) (relayer.Claimer, error) { return claimer(*home, cfg) }, slog.Default())
		},
	}
}

// claimer returns what records on the sequencer chain what was posted; nil where the
// relayer has no account there.
func claimer(home string, cfg relayer.Config) (relayer.Claimer, error) {
	if cfg.ClaimKey == "" {
		return nil, nil
	}
	path := cfg.ClaimKey
	if !filepath.IsAbs(path) {
		path = filepath.Join(home, path)
	}
	key, err := keys.Load(path)
	if err != nil {
		return nil, fmt.Errorf("claim_key: %w", err)
	}
	chainID, err := cfg.ChainID(home)
	if err != nil {
		return nil, err
	}
	a, err := account.New(account.Options{Endpoints: cfg.Sequencers, ChainID: chainID, Key: key, Logger: slog.Default()})
	if err != nil {
		return nil, err
	}
	slog.Info("what is posted is recorded on the sequencer chain", "account", a.Address())
	return a, nil
}

func defaultRelayerHome() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ".ordo-relayer"
	}
	return filepath.Join(home, ".ordo", "relayer")
}

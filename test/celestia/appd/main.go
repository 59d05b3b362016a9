// Command appd is celestia-app for a network on one machine: `init`, `keys`,
// `genesis`, and `start`, which takes the block time as a flag.
package main

import (
	"fmt"
	"io"
	"os"

	"cosmossdk.io/log"
	"github.com/celestiaorg/celestia-app/v9/app"
	cometconfig "github.com/cometbft/cometbft/config"
	dbm "github.com/cosmos/cosmos-db"
	"github.com/cosmos/cosmos-sdk/client"
	clientconfig "github.com/cosmos/cosmos-sdk/client/config"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/keys"
	"github.com/cosmos/cosmos-sdk/server"
	svrcmd "github.com/cosmos/cosmos-sdk/server/cmd"
	serverconfig "github.com/cosmos/cosmos-sdk/server/config"
	servertypes "github.com/cosmos/cosmos-sdk/server/types"
	simtestutil "github.com/cosmos/cosmos-sdk/testutil/sims"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	genutilcli "github.com/cosmos/cosmos-sdk/x/genutil/client/cli"
	"github.com/spf13/cast"
	"github.com/spf13/cobra"
)

const (
	delayedPrecommitFlag = "delayed-precommit-timeout"
	timeoutCommitFlag    = "timeout-commit"
)

func main() {
	cmd, err := rootCommand()
	if err == nil {
		err = svrcmd.Execute(cmd, app.EnvPrefix, app.NodeHome)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "appd:", err)
		os.Exit(1)
	}
}

// rootCommand wires celestia-app's own application and defaults into the SDK's
// commands. celestia-app's command package does the same, but needs a later SDK
// than celestia-node, from whose requirements this module is made.
func rootCommand() (*cobra.Command, error) {
	codecs := app.New(log.NewNopLogger(), dbm.NewMemDB(), nil, 0, 0, simtestutil.NewAppOptionsWithFlagHome(app.NodeHome))
	encoding := codecs.GetEncodingConfig()
	initial := client.Context{}.
		WithCodec(encoding.Codec).
		WithInterfaceRegistry(encoding.InterfaceRegistry).
		WithTxConfig(codecs.GetTxConfig()).
		WithLegacyAmino(encoding.Amino).
		WithInput(os.Stdin).
		WithAccountRetriever(authtypes.AccountRetriever{}).
		WithBroadcastMode(flags.BroadcastSync).
		WithHomeDir(app.NodeHome).
		WithViper(app.EnvPrefix)

	root := &cobra.Command{
		Use:           "appd",
		Short:         "celestia-app for a network on one machine",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			ctx, err := client.ReadPersistentCommandFlags(initial, cmd.Flags())
			if err != nil {
				return err
			}
			if ctx, err = clientconfig.ReadFromClientConfig(ctx); err != nil {
				return err
			}
			if err := client.SetCmdClientContextHandler(ctx, cmd); err != nil {
				return err
			}
			return server.InterceptConfigsPreRunHandler(cmd, serverconfig.DefaultConfigTemplate, appConfig(), consensusConfig())
		},
	}
	root.AddCommand(
		genutilcli.InitCmd(codecs.BasicManager, app.NodeHome),
		genutilcli.Commands(codecs.GetTxConfig(), codecs.BasicManager, app.NodeHome),
		keys.Commands(),
		server.StartCmdWithOptions(newApp, app.NodeHome, server.StartCmdOptions{AddFlags: addStartFlags}),
	)
	return root, nil
}

// appConfig is what `init` writes into app.toml: celestia-app's defaults, with the gRPC
// server that a bridge reads from.
func appConfig() *serverconfig.Config {
	cfg := app.DefaultAppConfig()
	cfg.GRPC.Enable = true
	return cfg
}

// consensusConfig is what `init` writes into config.toml: celestia-app's defaults,
// without what opens ports that a bridge does not use.
func consensusConfig() *cometconfig.Config {
	cfg := app.DefaultConsensusConfig()
	cfg.RPC.GRPCListenAddress, cfg.RPC.PprofListenAddress, cfg.PrivValidatorGRPCListenAddr = "", "", ""
	cfg.P2P.ListenAddress, cfg.P2P.PexReactor = "tcp://127.0.0.1:0", false
	return cfg
}

func addStartFlags(cmd *cobra.Command) {
	cmd.Flags().Duration(delayedPrecommitFlag, 0, "how long a validator waits before it precommits, which is most of the block time; 0 means the application's default")
	cmd.Flags().Duration(timeoutCommitFlag, 0, "how long a validator waits after a block; 0 means the application's default")
}

func newApp(logger log.Logger, db dbm.DB, trace io.Writer, opts servertypes.AppOptions) servertypes.Application {
	return app.New(logger, db, trace,
		cast.ToDuration(opts.Get(delayedPrecommitFlag)),
		cast.ToDuration(opts.Get(timeoutCommitFlag)),
		opts,
		server.DefaultBaseappOptions(opts)...)
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/cosmos/gogoproto/proto"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/flags"
	"github.com/cosmos/cosmos-sdk/client/tx"
	"github.com/cosmos/cosmos-sdk/codec/address"
	"github.com/cosmos/cosmos-sdk/server"
	sdk "github.com/cosmos/cosmos-sdk/types"
	authcli "github.com/cosmos/cosmos-sdk/x/auth/client/cli"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankcli "github.com/cosmos/cosmos-sdk/x/bank/client/cli"
	distrcli "github.com/cosmos/cosmos-sdk/x/distribution/client/cli"
	genutilcli "github.com/cosmos/cosmos-sdk/x/genutil/client/cli"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	govcli "github.com/cosmos/cosmos-sdk/x/gov/client/cli"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingcli "github.com/cosmos/cosmos-sdk/x/staking/client/cli"
	upgradecli "github.com/cosmos/cosmos-sdk/x/upgrade/client/cli"

	"github.com/ordo-network/ordo/sequencer/app"
	sequencer "github.com/ordo-network/ordo/sequencer/node"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// newChainCmds returns the commands by which operators of Cosmos chains keep keys,
// make a genesis, send transactions and ask for state. They speak with the node
// whose home they are given, unless --node names another.
func newChainCmds() []*cobra.Command {
	enc, err := app.NewEncoding()
	if err != nil {
		// All that can fail is the program's own registration of messages.
		return []*cobra.Command{{Use: "tx", Hidden: true, RunE: func(*cobra.Command, []string) error { return err }}}
	}
	cmds := []*cobra.Command{newChainKeysCmd(), newGenesisCmd(enc), newAttesterCmd(), newEvidenceCmd(enc), newChainTxCmd(), newChainQueryCmd(enc)}
	for _, cmd := range cmds {
		cmd.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
			if err := cmd.Root().PersistentPreRunE(cmd, args); err != nil {
				return err
			}
			return prepareChainCmd(cmd, enc)
		}
	}
	return cmds
}

// prepareChainCmd gives a command of the Cosmos SDK its surroundings. What is not
// said by a flag comes from the node's home.
func prepareChainCmd(cmd *cobra.Command, enc *app.Encoding) error {
	home, err := cmd.Flags().GetString(flags.FlagHome)
	if err != nil {
		return err
	}
	defaults := map[string]string{}
	settings := server.NewDefaultContext()
	settings.Config.SetRoot(home)
	if local, err := sequencer.LoadLocal(home); err == nil {
		settings.Config = local.Comet // some commands write it back
		defaults[flags.FlagNode], defaults[flags.FlagChainID] = local.RPC, local.ChainID
	}
	for name, value := range defaults {
		if f := cmd.Flags().Lookup(name); f != nil && !f.Changed {
			if err := f.Value.Set(value); err != nil {
				return err
			}
			f.Changed = true
		}
	}
	ctx := client.Context{}.
		WithCodec(enc.Codec).WithInterfaceRegistry(enc.Registry).WithTxConfig(enc.TxConfig).WithLegacyAmino(enc.Amino).
		WithAccountRetriever(authtypes.AccountRetriever{}).WithHomeDir(home).WithInput(os.Stdin).WithOutput(cmd.OutOrStdout()).WithViper("")
	parent := context.WithValue(cmd.Context(), client.ClientContextKey, new(client.Context))
	cmd.SetContext(context.WithValue(parent, server.ServerContextKey, settings))
	return client.SetCmdClientContextHandler(ctx, cmd)
}

func newGenesisCmd(enc *app.Encoding) *cobra.Command {
	cmd := genutilcli.Commands(enc.TxConfig, enc.Basics, sequencerHome())
	cmd.Short = "Make the genesis of a new chain"
	cmd.Example = `  ordo sequencer genesis add-genesis-account operator 2000000000000uordo
  ordo sequencer genesis gentx operator 1000000000000uordo --chain-id my-network
  ordo sequencer genesis collect-gentxs
  ordo sequencer attester record operator > alice.json
  ordo sequencer genesis add-attester alice.json
  ordo sequencer genesis seal`
	cmd.AddCommand(newAddAttesterCmd(enc), &cobra.Command{
		Use:   "seal",
		Short: "Write the first validators into the genesis, for those who verify the chain from it",
		Long: `Write the first validators into the genesis, for those who verify the chain from it.
It is the last step, after collect-gentxs and add-attester; the file is then given to
all operators.`,
		Example: "  ordo sequencer genesis seal --home ~/.ordo/sequencer",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return editGenesis(cmd, func(g *genutiltypes.AppGenesis) error { return sequencer.SealGenesis(enc, g) })
		},
	})
	return cmd
}

func newAddAttesterCmd(enc *app.Encoding) *cobra.Command {
	return &cobra.Command{
		Use:   "add-attester FILE...",
		Short: "Write into the genesis how validators attest batches and where they are reached",
		Long: `Write into the genesis how validators attest batches and where they are reached, as
"ordo sequencer attester record" printed it on their machines.`,
		Example: "  ordo sequencer genesis add-attester alice.json bob.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var msgs []*orderingv1.MsgSetAttester
			for _, path := range args {
				m := new(orderingv1.MsgSetAttester)
				if err := readMessage(enc, path, m); err != nil {
					return err
				}
				msgs = append(msgs, m)
			}
			return editGenesis(cmd, func(g *genutiltypes.AppGenesis) error { return sequencer.AddAttesters(enc, g, msgs...) })
		},
	}
}

// editGenesis changes the genesis file of the home.
func editGenesis(cmd *cobra.Command, change func(*genutiltypes.AppGenesis) error) error {
	path := filepath.Join(client.GetClientContextFromCmd(cmd).HomeDir, "config", "genesis.json")
	g, err := genutiltypes.AppGenesisFromFile(path)
	if err != nil {
		return fmt.Errorf("read genesis: %w", err)
	}
	if err := change(g); err != nil {
		return err
	}
	return g.SaveAs(path)
}

// readMessage reads a message of the chain from a file of JSON.
func readMessage(enc *app.Encoding, path string, m proto.Message) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	if err := enc.Codec.UnmarshalJSON(raw, m); err != nil {
		return fmt.Errorf("%s is no %s: %w", path, proto.MessageName(m), err)
	}
	return nil
}

// newEvidenceCmd brings what convicts a validator before the chain.
func newEvidenceCmd(enc *app.Encoding) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "evidence",
		Short:   "Prove that a validator signed two batches for one position",
		Example: "  ordo sequencer evidence submit evidence.json --from operator --fees 500uordo",
	}
	submit := &cobra.Command{
		Use:   "submit FILE",
		Short: "Send the evidence in FILE to the chain, which slashes and jails who signed it",
		Long: `Send the evidence in FILE to the chain, which slashes and jails who signed it. A
validator that sees two batches, or two attestations, of one validator for one
position of a lane writes the file and says so in its log. Anybody may send it.`,
		Example: "  ordo sequencer evidence submit evidence.json --from operator --fees 500uordo",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, err := client.GetClientTxContext(cmd)
			if err != nil {
				return err
			}
			msg := new(orderingv1.MsgSubmitEquivocation)
			if err := readMessage(enc, args[0], msg); err != nil {
				return err
			}
			msg.Submitter = ctx.GetFromAddress().String()
			return tx.GenerateOrBroadcastTxCLI(ctx, cmd.Flags(), msg)
		},
	}
	flags.AddTxFlagsToCmd(submit)
	cmd.AddCommand(submit)
	return cmd
}

func newChainTxCmd() *cobra.Command {
	accounts := address.NewBech32Codec(sdk.GetConfig().GetBech32AccountAddrPrefix())
	validators := address.NewBech32Codec(sdk.GetConfig().GetBech32ValidatorAddrPrefix())
	cmd := &cobra.Command{
		Use:   "tx",
		Short: "Send an ordinary transaction: money, stake, votes",
		Example: `  ordo sequencer tx bank send operator ordo1... 1000000uordo --fees 500uordo
  ordo sequencer tx staking delegate ordovaloper1... 1000000uordo --from operator --fees 500uordo
  ordo sequencer tx slashing unjail --from operator --fees 500uordo`,
	}
	cmd.AddCommand(
		bankcli.NewTxCmd(accounts), stakingcli.NewTxCmd(validators, accounts), distrcli.NewTxCmd(validators, accounts),
		govcli.NewTxCmd(nil), upgradecli.GetTxCmd(accounts), newSlashingTxCmd(),
		authcli.GetSignCommand(), authcli.GetMultiSignCommand(), authcli.GetBroadcastCommand(),
		authcli.GetEncodeCommand(), authcli.GetDecodeCommand(),
	)
	return cmd
}

func newSlashingTxCmd() *cobra.Command {
	unjail := &cobra.Command{
		Use:     "unjail",
		Short:   "Take a validator that was away for too long back in",
		Example: "  ordo sequencer tx slashing unjail --from operator --fees 500uordo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, err := client.GetClientTxContext(cmd)
			if err != nil {
				return err
			}
			msg := slashingtypes.NewMsgUnjail(sdk.ValAddress(ctx.GetFromAddress()).String())
			return tx.GenerateOrBroadcastTxCLI(ctx, cmd.Flags(), msg)
		},
	}
	flags.AddTxFlagsToCmd(unjail)
	cmd := &cobra.Command{Use: "slashing", Short: "Transactions of validators that were jailed"}
	cmd.AddCommand(unjail)
	return cmd
}

// newChainQueryCmd asks any query service of the chain by the names in its
// protobuf definition, so that a module needs no command of its own.
func newChainQueryCmd(enc *app.Encoding) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "query [MODULE [METHOD [JSON]]]",
		Short: "Ask for the chain's state; without arguments, list what can be asked",
		Example: `  ordo sequencer query
  ordo sequencer query staking
  ordo sequencer query staking Validators
  ordo sequencer query bank Balance '{"address":"ordo1...","denom":"uordo"}'
  ordo sequencer query ordering Params
  ordo sequencer query availability Rollups`,
		Args: cobra.MaximumNArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			services := queryServices(enc)
			if len(args) == 0 {
				for _, s := range services {
					if _, err := fmt.Fprintln(cmd.OutOrStdout(), s.module); err != nil {
						return err
					}
				}
				return nil
			}
			i := slices.IndexFunc(services, func(s queryService) bool { return s.module == args[0] })
			if i < 0 {
				return fmt.Errorf("no module %q: run `ordo sequencer query` for their names", args[0])
			}
			methods := services[i].desc.Methods()
			if len(args) == 1 {
				for j := range methods.Len() {
					if _, err := fmt.Fprintln(cmd.OutOrStdout(), methods.Get(j).Name(), fieldNames(methods.Get(j).Input())); err != nil {
						return err
					}
				}
				return nil
			}
			m := methods.ByName(protoreflect.Name(args[1]))
			if m == nil {
				return fmt.Errorf("module %s has no method %q: run `ordo sequencer query %s` for their names", args[0], args[1], args[0])
			}
			ctx, err := client.GetClientQueryContext(cmd)
			if err != nil {
				return err
			}
			raw := "{}"
			if len(args) == 3 {
				raw = args[2]
			}
			return ask(ctx, m, raw)
		},
	}
	flags.AddQueryFlagsToCmd(cmd)
	return cmd
}

func ask(ctx client.Context, m protoreflect.MethodDescriptor, raw string) error {
	req, err := newMessage(m.Input())
	if err != nil {
		return err
	}
	res, err := newMessage(m.Output())
	if err != nil {
		return err
	}
	if err := ctx.Codec.UnmarshalJSON([]byte(raw), req); err != nil {
		return fmt.Errorf("%s is no %s, whose fields are %s: %w", raw, m.Input().Name(), fieldNames(m.Input()), err)
	}
	method := fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
	if err := ctx.Invoke(context.Background(), method, req, res); err != nil {
		return err
	}
	return ctx.PrintProto(res)
}

func newMessage(d protoreflect.MessageDescriptor) (proto.Message, error) {
	t := proto.MessageType(string(d.FullName()))
	if t == nil {
		return nil, fmt.Errorf("message %s is not known to this program", d.FullName())
	}
	m, ok := reflect.New(t.Elem()).Interface().(proto.Message)
	if !ok {
		return nil, fmt.Errorf("message %s is a %s", d.FullName(), t)
	}
	return m, nil
}

func fieldNames(d protoreflect.MessageDescriptor) string {
	var names []string
	for i := range d.Fields().Len() {
		names = append(names, string(d.Fields().Get(i).Name()))
	}
	return "{" + strings.Join(names, ", ") + "}"
}

type queryService struct {
	module string
	desc   protoreflect.ServiceDescriptor
}

// queryServices lists the newest query service of each module, by name.
func queryServices(enc *app.Encoding) []queryService {
	newest := map[string]protoreflect.ServiceDescriptor{}
	proto.HybridResolver.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		parts := strings.Split(string(f.Package()), ".")
		if len(parts) < 3 || (parts[0] != "cosmos" && parts[0] != "ordo") {
			return true
		}
		module := parts[len(parts)-2]
		if _, ours := enc.Basics[module]; !ours {
			return true
		}
		s := f.Services().ByName("Query")
		// "v1" is newer than "v1beta1", and the shorter of both.
		if have := newest[module]; s != nil && (have == nil || len(s.FullName()) < len(have.FullName())) {
			newest[module] = s
		}
		return true
	})
	var out []queryService
	for module, desc := range newest {
		out = append(out, queryService{module, desc})
	}
	slices.SortFunc(out, func(a, b queryService) int { return strings.Compare(a.module, b.module) })
	return out
}

package app

import (
	"fmt"
	"os"

	"github.com/cosmos/gogoproto/proto"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	"github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/std"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authtx "github.com/cosmos/cosmos-sdk/x/auth/tx"
	"github.com/cosmos/cosmos-sdk/x/bank"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	distr "github.com/cosmos/cosmos-sdk/x/distribution"
	"github.com/cosmos/cosmos-sdk/x/evidence"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/cosmos/cosmos-sdk/x/gov"
	"github.com/cosmos/cosmos-sdk/x/slashing"
	"github.com/cosmos/cosmos-sdk/x/staking"
	"github.com/cosmos/cosmos-sdk/x/tx/signing"
	"github.com/cosmos/cosmos-sdk/x/upgrade"

	"github.com/ordo-network/ordo/sequencer/availability"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// Prefix is the human-readable part of the network's addresses.
const Prefix = "ordo"

// The Cosmos SDK prints addresses by a global setting. It is set where the program
// starts and not sealed, so that it is the same in tests and never an error.
//
// The SDK keeps one such setting for each scope, and asks the operating system for its name, three
// calls, whenever an address is read. With a name of its own it asks nobody.
func init() {
	if os.Getenv(sdk.EnvConfigScope) == "" {
		_ = os.Setenv(sdk.EnvConfigScope, Prefix) // refused, it is slower and no more
	}
	c := sdk.GetConfig()
	c.SetBech32PrefixForAccount(Prefix, Prefix+"pub")
	c.SetBech32PrefixForValidator(Prefix+"valoper", Prefix+"valoperpub")
	c.SetBech32PrefixForConsensusNode(Prefix+"valcons", Prefix+"valconspub")
}

var (
	accounts   = address.NewBech32Codec(Prefix)
	validators = address.NewBech32Codec(Prefix + "valoper")
	consensors = address.NewBech32Codec(Prefix + "valcons")
)

// Encoding is what clients need to write and read transactions, genesis and queries.
type Encoding struct {
	Registry codectypes.InterfaceRegistry
	Codec    *codec.ProtoCodec
	Amino    *codec.LegacyAmino
	TxConfig client.TxConfig
	Basics   module.BasicManager
}

// NewEncoding returns the encoding of all modules, without an application behind it.
func NewEncoding() (*Encoding, error) {
	registry, err := codectypes.NewInterfaceRegistryWithOptions(codectypes.InterfaceRegistryOptions{
		ProtoFiles:     proto.HybridResolver,
		SigningOptions: signing.Options{AddressCodec: accounts, ValidatorAddressCodec: validators},
	})
	if err != nil {
		return nil, fmt.Errorf("interface registry: %w", err)
	}
	e := &Encoding{Registry: registry, Codec: codec.NewProtoCodec(registry), Amino: codec.NewLegacyAmino()}
	e.TxConfig = authtx.NewTxConfig(e.Codec, authtx.DefaultSignModes)
	e.Basics = module.NewBasicManager(
		auth.AppModuleBasic{}, bank.AppModuleBasic{}, staking.AppModuleBasic{}, slashing.AppModuleBasic{},
		distr.AppModuleBasic{}, gov.NewAppModuleBasic(nil), evidence.AppModuleBasic{}, upgrade.AppModuleBasic{},
		consensus.AppModuleBasic{}, genutil.NewAppModuleBasic(genutiltypes.DefaultMessageValidator), ordering.Module{},
		availability.Module{},
	)
	std.RegisterLegacyAminoCodec(e.Amino)
	std.RegisterInterfaces(registry)
	e.Basics.RegisterLegacyAminoCodec(e.Amino)
	e.Basics.RegisterInterfaces(registry)
	if err := registry.SigningContext().Validate(); err != nil {
		return nil, fmt.Errorf("signing context: %w", err)
	}
	return e, nil
}

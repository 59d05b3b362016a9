package availability

import (
	"encoding/json"
	"fmt"

	gwruntime "github.com/grpc-ecosystem/grpc-gateway/runtime"
	"google.golang.org/grpc"

	"cosmossdk.io/core/appmodule"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/types/msgservice"

	availabilityv1 "github.com/ordo-network/ordo/sequencer/availability/v1"
)

var (
	_ module.AppModuleBasic      = Module{}
	_ module.HasGenesis          = Module{}
	_ module.HasConsensusVersion = Module{}
	_ appmodule.AppModule        = Module{}
	_ appmodule.HasServices      = Module{}
)

// Module wires the keeper into the Cosmos SDK: genesis, messages, queries. What votes
// say is not here, since it needs the block's first transactions: the application calls
// Settle itself.
type Module struct{ keeper Keeper }

// NewModule returns the module over the keeper.
func NewModule(k Keeper) Module { return Module{keeper: k} }

// Name implements module.AppModuleBasic.
func (Module) Name() string { return ModuleName }

// IsAppModule implements appmodule.AppModule.
func (Module) IsAppModule() {}

// IsOnePerModuleType implements appmodule.AppModule.
func (Module) IsOnePerModuleType() {}

// ConsensusVersion implements module.HasConsensusVersion.
func (Module) ConsensusVersion() uint64 { return 1 }

// RegisterLegacyAminoCodec implements module.AppModuleBasic; there is no amino form.
func (Module) RegisterLegacyAminoCodec(*codec.LegacyAmino) {}

// RegisterGRPCGatewayRoutes implements module.AppModuleBasic; there are none.
func (Module) RegisterGRPCGatewayRoutes(client.Context, *gwruntime.ServeMux) {}

// RegisterInterfaces makes the module's messages known to the codec.
func (Module) RegisterInterfaces(r codectypes.InterfaceRegistry) {
	msgservice.RegisterMsgServiceDesc(r, &availabilityv1.Msg_serviceDesc)
}

// RegisterServices implements appmodule.HasServices.
func (m Module) RegisterServices(r grpc.ServiceRegistrar) error {
	availabilityv1.RegisterMsgServer(r, server{m.keeper})
	availabilityv1.RegisterQueryServer(r, server{m.keeper})
	return nil
}

// DefaultGenesis implements module.HasGenesisBasics.
func (Module) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

// ValidateGenesis implements module.HasGenesisBasics. A genesis from before the module has
// no part for it.
func (Module) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig, raw json.RawMessage) error {
	if len(raw) == 0 {
		return nil
	}
	g := new(availabilityv1.GenesisState)
	if err := cdc.UnmarshalJSON(raw, g); err != nil {
		return fmt.Errorf("decode availability genesis: %w", err)
	}
	return ValidateGenesis(g)
}

// InitGenesis implements module.HasGenesis, which leaves no way but a panic to refuse a
// genesis; ValidateGenesis refuses the same ones before.
func (m Module) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	g := new(availabilityv1.GenesisState)
	cdc.MustUnmarshalJSON(raw, g)
	if err := m.keeper.InitGenesis(ctx, g); err != nil {
		panic(err)
	}
}

// ExportGenesis implements module.HasGenesis.
func (m Module) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	g, err := m.keeper.ExportGenesis(ctx)
	if err != nil {
		panic(err)
	}
	return cdc.MustMarshalJSON(g)
}

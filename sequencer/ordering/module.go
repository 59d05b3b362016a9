package ordering

import (
	"context"
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

	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

var (
	_ module.AppModuleBasic      = Module{}
	_ module.HasGenesis          = Module{}
	_ module.HasConsensusVersion = Module{}
	_ appmodule.AppModule        = Module{}
	_ appmodule.HasServices      = Module{}
	_ appmodule.HasEndBlocker    = Module{}
)

// Module wires the keeper into the Cosmos SDK: genesis, messages, queries, epochs.
// What a block orders is not here, since it needs the block's first transactions:
// the application calls Rules, Evaluate and Apply itself.
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
	msgservice.RegisterMsgServiceDesc(r, &orderingv1.Msg_serviceDesc)
}

// RegisterServices implements appmodule.HasServices.
func (m Module) RegisterServices(r grpc.ServiceRegistrar) error {
	orderingv1.RegisterMsgServer(r, server{m.keeper})
	orderingv1.RegisterQueryServer(r, server{m.keeper})
	return nil
}

// DefaultGenesis implements module.HasGenesisBasics.
func (Module) DefaultGenesis(cdc codec.JSONCodec) json.RawMessage {
	return cdc.MustMarshalJSON(DefaultGenesis())
}

// ValidateGenesis implements module.HasGenesisBasics.
func (Module) ValidateGenesis(cdc codec.JSONCodec, _ client.TxEncodingConfig, raw json.RawMessage) error {
	g := new(orderingv1.GenesisState)
	if err := cdc.UnmarshalJSON(raw, g); err != nil {
		return fmt.Errorf("decode ordering genesis: %w", err)
	}
	return ValidateGenesis(g)
}

// InitGenesis implements module.HasGenesis, which leaves no way but a panic to
// refuse a genesis; ValidateGenesis refuses the same ones before. It comes after all
// modules that make validators, genesis transactions among them: the first epoch's
// committee follows from those.
func (m Module) InitGenesis(ctx sdk.Context, cdc codec.JSONCodec, raw json.RawMessage) {
	g := new(orderingv1.GenesisState)
	cdc.MustUnmarshalJSON(raw, g)
	if err := m.keeper.InitGenesis(ctx, g); err != nil {
		panic(err)
	}
	// The context has height 0 where the first block has height 1, as is usual, and else
	// the height of the first block.
	first := max(1, uint64(ctx.BlockHeight()))
	if err := m.keeper.BeginEpoch(ctx, Epoch(first, *g.Params)); err != nil {
		panic(err)
	}
}

// EndBlock implements appmodule.HasEndBlocker: the last block of an epoch, when the
// staking module is through with it, decides the next committee.
func (m Module) EndBlock(ctx context.Context) error {
	p, err := m.keeper.Params(ctx)
	if err != nil {
		return err
	}
	height := uint64(sdk.UnwrapSDKContext(ctx).BlockHeight())
	if height%p.EpochBlocks != 0 {
		return nil
	}
	return m.keeper.BeginEpoch(ctx, Epoch(height+1, p))
}

// ExportGenesis implements module.HasGenesis.
func (m Module) ExportGenesis(ctx sdk.Context, cdc codec.JSONCodec) json.RawMessage {
	g, err := m.keeper.ExportGenesis(ctx)
	if err != nil {
		panic(err)
	}
	return cdc.MustMarshalJSON(g)
}

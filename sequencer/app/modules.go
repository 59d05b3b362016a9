package app

import (
	"fmt"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/types/module"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/bank"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	"github.com/cosmos/cosmos-sdk/x/consensus"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	distr "github.com/cosmos/cosmos-sdk/x/distribution"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	"github.com/cosmos/cosmos-sdk/x/evidence"
	evidencetypes "github.com/cosmos/cosmos-sdk/x/evidence/types"
	"github.com/cosmos/cosmos-sdk/x/genutil"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	"github.com/cosmos/cosmos-sdk/x/gov"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	"github.com/cosmos/cosmos-sdk/x/slashing"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	"github.com/cosmos/cosmos-sdk/x/staking"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	"github.com/cosmos/cosmos-sdk/x/upgrade"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"github.com/ordo-network/ordo/sequencer/availability"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// newModules wires the modules and says in which order they act.
func newModules(base *baseapp.BaseApp, enc *Encoding, k *keepers) (*module.Manager, error) {
	m := module.NewManager(
		genutil.NewAppModule(k.account, k.staking, base, enc.TxConfig),
		auth.NewAppModule(enc.Codec, k.account, nil),
		bank.NewAppModule(enc.Codec, k.bank, k.account),
		gov.NewAppModule(enc.Codec, k.gov, k.account, k.bank),
		slashing.NewAppModule(enc.Codec, k.slashing, k.account, k.bank, k.staking, enc.Registry),
		distr.NewAppModule(enc.Codec, k.distribution, k.account, k.bank, k.staking),
		staking.NewAppModule(enc.Codec, k.staking, k.account, k.bank),
		upgrade.NewAppModule(k.upgrade, accounts),
		evidence.NewAppModule(*k.evidence),
		consensus.NewAppModule(enc.Codec, k.consensus),
		ordering.NewModule(k.ordering),
		availability.NewModule(k.availability),
	)
	m.SetOrderPreBlockers(upgradetypes.ModuleName, authtypes.ModuleName)
	// Distribution shares out what the fee collector holds at the start of a block:
	// the fees of this block's bundles, which are charged before, and those of the
	// transactions of the block before.
	m.SetOrderBeginBlockers(distrtypes.ModuleName, slashingtypes.ModuleName, evidencetypes.ModuleName, stakingtypes.ModuleName)
	// Ordering comes last: the validators that staking has chosen are the next committee.
	m.SetOrderEndBlockers(banktypes.ModuleName, govtypes.ModuleName, stakingtypes.ModuleName, ordering.ModuleName)
	// Genesis transactions need everybody's money and parameters, and the first committee
	// needs the validators that they make.
	genesis := []string{
		authtypes.ModuleName, banktypes.ModuleName, distrtypes.ModuleName, stakingtypes.ModuleName,
		slashingtypes.ModuleName, govtypes.ModuleName, evidencetypes.ModuleName, upgradetypes.ModuleName,
		consensustypes.ModuleName, genutiltypes.ModuleName, ordering.ModuleName, availability.ModuleName,
	}
	m.SetOrderInitGenesis(genesis...)
	m.SetOrderExportGenesis(genesis...)
	if err := m.RegisterServices(module.NewConfigurator(enc.Codec, base.MsgServiceRouter(), base.GRPCQueryRouter())); err != nil {
		return nil, fmt.Errorf("register module services: %w", err)
	}
	return m, nil
}

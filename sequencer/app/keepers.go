package app

import (
	evidencetypes "github.com/cosmos/cosmos-sdk/x/evidence/types"

	"github.com/cosmos/cosmos-sdk/baseapp"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	consensuskeeper "github.com/cosmos/cosmos-sdk/x/consensus/keeper"
	consensustypes "github.com/cosmos/cosmos-sdk/x/consensus/types"
	distrkeeper "github.com/cosmos/cosmos-sdk/x/distribution/keeper"
	distrtypes "github.com/cosmos/cosmos-sdk/x/distribution/types"
	evidencekeeper "github.com/cosmos/cosmos-sdk/x/evidence/keeper"
	govkeeper "github.com/cosmos/cosmos-sdk/x/gov/keeper"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1beta1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1beta1"
	slashingkeeper "github.com/cosmos/cosmos-sdk/x/slashing/keeper"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"
	upgradekeeper "github.com/cosmos/cosmos-sdk/x/upgrade/keeper"
	upgradetypes "github.com/cosmos/cosmos-sdk/x/upgrade/types"

	"github.com/ordo-network/ordo/sequencer/availability"
	"github.com/ordo-network/ordo/sequencer/ordering"
)

// moduleAccounts lists the accounts that belong to modules and what they may do
// with money besides moving it.
var moduleAccounts = map[string][]string{
	authtypes.FeeCollectorName:          nil,
	distrtypes.ModuleName:               nil,
	stakingtypes.BondedPoolName:         {authtypes.Burner, authtypes.Staking},
	stakingtypes.NotBondedPoolName:      {authtypes.Burner, authtypes.Staking},
	stakingtypes.KeyRotationFeePoolName: {authtypes.Burner},
	govtypes.ModuleName:                 {authtypes.Burner},
}

// storeNames lists the modules that keep state.
var storeNames = []string{
	authtypes.StoreKey, banktypes.StoreKey, stakingtypes.StoreKey, slashingtypes.StoreKey, distrtypes.StoreKey,
	govtypes.StoreKey, evidencetypes.StoreKey, upgradetypes.StoreKey, consensustypes.StoreKey, ordering.StoreKey, availability.StoreKey,
}

// keepers are the modules' hands on the state.
type keepers struct {
	account      authkeeper.AccountKeeper
	bank         bankkeeper.BaseKeeper
	staking      *stakingkeeper.Keeper
	slashing     slashingkeeper.Keeper
	distribution distrkeeper.Keeper
	gov          *govkeeper.Keeper
	evidence     *evidencekeeper.Keeper
	upgrade      *upgradekeeper.Keeper
	consensus    consensuskeeper.Keeper
	ordering     ordering.Keeper
	availability availability.Keeper
}

// authority is the account whose messages governance executes.
func authority() string { return authtypes.NewModuleAddress(govtypes.ModuleName).String() }

func newKeepers(base *baseapp.BaseApp, enc *Encoding, keys map[string]*storetypes.KVStoreKey, home string) *keepers {
	var (
		k     = new(keepers)
		cdc   = enc.Codec
		admin = authority()
	)
	k.account = authkeeper.NewAccountKeeper(cdc, runtime.NewKVStoreService(keys[authtypes.StoreKey]),
		authtypes.ProtoBaseAccount, moduleAccounts, accounts, Prefix, admin)
	k.bank = bankkeeper.NewBaseKeeper(cdc, runtime.NewKVStoreService(keys[banktypes.StoreKey]),
		k.account, blockedAccounts(), admin, base.Logger())
	k.staking = stakingkeeper.NewKeeper(cdc, runtime.NewKVStoreService(keys[stakingtypes.StoreKey]),
		k.account, k.bank, admin, validators, consensors)
	k.slashing = slashingkeeper.NewKeeper(cdc, enc.Amino, runtime.NewKVStoreService(keys[slashingtypes.StoreKey]),
		k.staking, admin)
	k.distribution = distrkeeper.NewKeeper(cdc, runtime.NewKVStoreService(keys[distrtypes.StoreKey]),
		k.account, k.bank, k.staking, authtypes.FeeCollectorName, admin)
	k.staking.SetHooks(stakingtypes.NewMultiStakingHooks(k.distribution.Hooks(), k.slashing.Hooks()))
	k.upgrade = upgradekeeper.NewKeeper(nil, runtime.NewKVStoreService(keys[upgradetypes.StoreKey]), cdc, home, base, admin)
	k.evidence = evidencekeeper.NewKeeper(cdc, runtime.NewKVStoreService(keys[evidencetypes.StoreKey]),
		k.staking, k.slashing, accounts, runtime.ProvideCometInfoService())
	k.gov = govkeeper.NewKeeper(cdc, runtime.NewKVStoreService(keys[govtypes.StoreKey]), k.account, k.bank,
		k.distribution, base.MsgServiceRouter(), govtypes.DefaultConfig(), admin,
		govkeeper.NewDefaultCalculateVoteResultsAndVotingPower(k.staking))
	// Nothing is behind these two; without them, messages that ask for it would panic.
	k.gov.SetLegacyRouter(govv1beta1.NewRouter())
	k.evidence.SetRouter(evidencetypes.NewRouter())
	k.consensus = consensuskeeper.NewKeeper(cdc, runtime.NewKVStoreService(keys[consensustypes.StoreKey]),
		admin, runtime.EventService{})
	k.ordering = ordering.NewKeeper(ordering.Options{
		Store: runtime.NewKVStoreService(keys[ordering.StoreKey]), Bank: k.bank, Staking: k.staking, Slashing: k.slashing,
		FeeCollector: authtypes.FeeCollectorName, Authority: admin,
	})
	k.availability = availability.NewKeeper(runtime.NewKVStoreService(keys[availability.StoreKey]), admin)
	return k
}

// blockedAccounts are module accounts that nobody may send money to. Governance is
// not one of them: proposals move money to and from it.
func blockedAccounts() map[string]bool {
	blocked := make(map[string]bool, len(moduleAccounts))
	for name := range moduleAccounts {
		if name != govtypes.ModuleName {
			blocked[authtypes.NewModuleAddress(name).String()] = true
		}
	}
	return blocked
}

package ordering

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdkmath "cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec/address"
	cosmosed25519 "github.com/cosmos/cosmos-sdk/crypto/keys/ed25519"
	"github.com/cosmos/cosmos-sdk/runtime"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/cosmos-sdk/testutil"
	sdk "github.com/cosmos/cosmos-sdk/types"
	moduletestutil "github.com/cosmos/cosmos-sdk/types/module/testutil"
	"github.com/cosmos/cosmos-sdk/x/auth"
	authkeeper "github.com/cosmos/cosmos-sdk/x/auth/keeper"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	"github.com/cosmos/cosmos-sdk/x/bank"
	bankkeeper "github.com/cosmos/cosmos-sdk/x/bank/keeper"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	slashingkeeper "github.com/cosmos/cosmos-sdk/x/slashing/keeper"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	"github.com/cosmos/cosmos-sdk/x/staking"
	stakingkeeper "github.com/cosmos/cosmos-sdk/x/staking/keeper"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/ordo-network/ordo/order"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

const (
	networkID   = "ordo-test"
	stakeEach   = 100 // consensus power
	epochBlocks = 10
	mint        = "mint" // a module account that makes money
)

// network is a keeper over the real modules that it works with, and the validators.
type network struct {
	t        testing.TB
	ctx      sdk.Context
	keeper   Keeper
	module   Module
	enc      moduletestutil.TestEncodingConfig
	staking  *stakingkeeper.Keeper
	slashing slashingkeeper.Keeper
}

// newNetwork starts a chain with that many validators, of which the first ones have
// registered their attestation keys, at the block after genesis.
func newNetwork(t testing.TB, validators, attesters int) *network {
	n := emptyNetwork(t)
	for i := range validators {
		n.join(i)
	}
	n.endStaking()
	g := n.genesis()
	for i := range attesters {
		g.Attesters = append(g.Attesters, attester(i))
	}
	n.module.InitGenesis(n.ctx, n.enc.Codec, n.enc.Codec.MustMarshalJSON(g))
	n.at(1)
	return n
}

func (n *network) genesis() *orderingv1.GenesisState {
	g := DefaultGenesis()
	g.Params.EpochBlocks, g.Params.RetainEpochs = epochBlocks, 4
	return g
}

func emptyNetwork(t testing.TB) *network {
	keys := storetypes.NewKVStoreKeys(authtypes.StoreKey, banktypes.StoreKey, stakingtypes.StoreKey, slashingtypes.StoreKey, StoreKey)
	n := &network{
		t:   t,
		ctx: testutil.DefaultContextWithKeys(keys, nil, nil).WithChainID(networkID).WithBlockTime(time.Unix(1_700_000_000, 0)),
		enc: moduletestutil.MakeTestEncodingConfig(auth.AppModuleBasic{}, bank.AppModuleBasic{}, staking.AppModuleBasic{}, Module{}),
	}
	accounts, validators, consensus := address.NewBech32Codec("cosmos"), address.NewBech32Codec("cosmosvaloper"), address.NewBech32Codec("cosmosvalcons")
	people := authkeeper.NewAccountKeeper(n.enc.Codec, runtime.NewKVStoreService(keys[authtypes.StoreKey]), authtypes.ProtoBaseAccount, map[string][]string{
		mint: {authtypes.Minter}, stakingtypes.BondedPoolName: {authtypes.Burner, authtypes.Staking},
		stakingtypes.NotBondedPoolName: {authtypes.Burner, authtypes.Staking}, stakingtypes.KeyRotationFeePoolName: {authtypes.Burner},
	}, accounts, "cosmos", "gov")
	people.InitGenesis(n.ctx, *authtypes.DefaultGenesisState())
	money := bankkeeper.NewBaseKeeper(n.enc.Codec, runtime.NewKVStoreService(keys[banktypes.StoreKey]), people, nil, authority(), n.ctx.Logger())
	money.InitGenesis(n.ctx, banktypes.DefaultGenesisState())
	n.staking = stakingkeeper.NewKeeper(n.enc.Codec, runtime.NewKVStoreService(keys[stakingtypes.StoreKey]), people, money, authority(), validators, consensus)
	n.slashing = slashingkeeper.NewKeeper(n.enc.Codec, n.enc.Amino, runtime.NewKVStoreService(keys[slashingtypes.StoreKey]), n.staking, authority())
	n.staking.SetHooks(n.slashing.Hooks())
	require.NoError(t, n.slashing.SetParams(n.ctx, slashingtypes.DefaultParams()))
	genesis := stakingtypes.DefaultGenesisState()
	genesis.Params.BondDenom = Denom
	n.staking.InitGenesis(n.ctx, genesis)
	require.NoError(t, money.MintCoins(n.ctx, mint, sdk.NewCoins(sdk.NewInt64Coin(Denom, 1_000_000_000_000))))
	for i := range 10 {
		require.NoError(t, money.SendCoinsFromModuleToAccount(n.ctx, mint, account(i), sdk.NewCoins(sdk.NewInt64Coin(Denom, 10*stakeEach*1_000_000))))
	}
	n.keeper = NewKeeper(Options{
		Store: runtime.NewKVStoreService(keys[StoreKey]), Bank: money, Staking: n.staking, Slashing: n.slashing,
		FeeCollector: authtypes.FeeCollectorName, Authority: authority(),
	})
	n.module = NewModule(n.keeper)
	return n
}

func authority() string { return authtypes.NewModuleAddress("gov").String() }

// owner returns the account that operates validator i.
func owner(i int) order.Owner {
	sum := sha256.Sum256(fmt.Appendf(nil, "operator %d", i))
	return order.Owner(sum[:20])
}

func account(i int) sdk.AccAddress { o := owner(i); return o[:] }

func consensusKey(i int) *cosmosed25519.PrivKey {
	return cosmosed25519.GenPrivKeyFromSecret(fmt.Appendf(nil, "consensus %d", i))
}

func consensusAddress(i int) sdk.ConsAddress {
	return sdk.ConsAddress(consensusKey(i).PubKey().Address())
}

// attestationKey returns the key of that generation of validator i.
func attestationKey(i, generation int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "attestation %d %d", i, generation))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(k ed25519.PrivateKey) []byte { return k.Public().(ed25519.PublicKey) }

func attester(i int) *orderingv1.Attester {
	return &orderingv1.Attester{
		Operator: account(i).String(), Key: public(attestationKey(i, 0)),
		Address: fmt.Sprintf("v%d.example:7000", i), Api: fmt.Sprintf("http://v%d.example:8080", i),
	}
}

// join makes validator i, who is bonded from the end of the block on.
func (n *network) join(i int) {
	m, err := stakingtypes.NewMsgCreateValidator(sdk.ValAddress(account(i)).String(), consensusKey(i).PubKey(),
		sdk.NewInt64Coin(Denom, stakeEach*1_000_000), stakingtypes.NewDescription(fmt.Sprint(i), "", "", "", ""),
		stakingtypes.NewCommissionRates(sdkmath.LegacyZeroDec(), sdkmath.LegacyZeroDec(), sdkmath.LegacyZeroDec()), sdkmath.OneInt())
	require.NoError(n.t, err)
	_, err = stakingkeeper.NewMsgServerImpl(n.staking).CreateValidator(n.ctx, m)
	require.NoError(n.t, err)
}

// unbond takes that much power from validator i.
func (n *network) unbond(i int, power int64) {
	_, _, err := n.staking.Undelegate(n.ctx, account(i), account(i).Bytes(), sdkmath.LegacyNewDec(power*1_000_000))
	require.NoError(n.t, err)
}

func (n *network) endStaking() {
	_, err := n.staking.EndBlocker(n.ctx)
	require.NoError(n.t, err)
}

// at goes to the block of that height without ending those between.
func (n *network) at(height int64) {
	n.ctx = n.ctx.WithBlockHeight(height).WithBlockTime(time.Unix(1_700_000_000+height, 0))
}

// toEpoch ends all blocks before the epoch.
func (n *network) toEpoch(epoch uint64) {
	for uint64(n.ctx.BlockHeight()) <= epoch*epochBlocks {
		n.endStaking()
		require.NoError(n.t, n.module.EndBlock(n.ctx))
		n.at(n.ctx.BlockHeight() + 1)
	}
}

func (n *network) committee(epoch uint64) *order.Committee {
	c, err := n.keeper.Committee(n.ctx, epoch)
	require.NoError(n.t, err)
	return c
}

func (n *network) server() server { return server{n.keeper} }

// tokens returns the stake of validator i, in uordo.
func (n *network) tokens(i int) int64 {
	v, err := n.staking.GetValidator(n.ctx, account(i).Bytes())
	require.NoError(n.t, err)
	return v.Tokens.Int64()
}

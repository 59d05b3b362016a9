package app

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"

	cmttypes "github.com/cometbft/cometbft/types"

	sdkmath "cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/client"
	"github.com/cosmos/cosmos-sdk/client/tx"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	"github.com/cosmos/cosmos-sdk/types/tx/signing"
	authsigning "github.com/cosmos/cosmos-sdk/x/auth/signing"
	authtypes "github.com/cosmos/cosmos-sdk/x/auth/types"
	banktypes "github.com/cosmos/cosmos-sdk/x/bank/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	govtypes "github.com/cosmos/cosmos-sdk/x/gov/types"
	govv1 "github.com/cosmos/cosmos-sdk/x/gov/types/v1"
	slashingtypes "github.com/cosmos/cosmos-sdk/x/slashing/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/ordo-network/ordo/sequencer/ordering"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

// Values of a new chain, where they differ from the Cosmos SDK's. Governance may
// change them.
const (
	unbondingTime = 21 * 24 * time.Hour
	// A validator that misses 95 % of ten minutes of full blocks is jailed.
	signedBlocksWindow = 6000
	downtimeJail       = time.Minute
	depositPeriod      = 24 * time.Hour
	votingPeriod       = 10 * time.Minute
	expeditedPeriod    = 2 * time.Minute
	minDeposit         = 10_000_000 // uordo
	minExpedited       = 50_000_000 // uordo
	historicalEntries  = 0          // they are for IBC, and each block would write one
	maxBlockBytes      = 4 << 20
	maxBlockGas        = 50_000_000
)

// Coin returns an amount of the network's money.
func Coin(uordo uint64) sdk.Coin {
	return sdk.NewCoin(ordering.Denom, sdkmath.NewIntFromUint64(uordo))
}

// Genesis is the first state of a chain in the making.
type Genesis struct {
	enc   *Encoding
	state map[string]json.RawMessage
}

// NewGenesis returns a genesis without accounts and validators.
func NewGenesis(enc *Encoding) (*Genesis, error) {
	g := &Genesis{enc: enc, state: enc.Basics.DefaultGenesis(enc.Codec)}
	staking := stakingtypes.DefaultGenesisState()
	staking.Params.BondDenom = ordering.Denom
	staking.Params.UnbondingTime = unbondingTime
	staking.Params.HistoricalEntries = historicalEntries
	staking.Params.KeyRotationFee.Denom = ordering.Denom

	slashing := slashingtypes.DefaultGenesisState()
	slashing.Params.SignedBlocksWindow = signedBlocksWindow
	slashing.Params.MinSignedPerWindow = sdkmath.LegacyNewDecWithPrec(5, 2)
	slashing.Params.DowntimeJailDuration = downtimeJail
	slashing.Params.SlashFractionDowntime = sdkmath.LegacyNewDecWithPrec(1, 4)

	gov := govv1.DefaultGenesisState()
	deposit, voting, expedited := depositPeriod, votingPeriod, expeditedPeriod
	gov.Params.MinDeposit = sdk.NewCoins(Coin(minDeposit))
	gov.Params.ExpeditedMinDeposit = sdk.NewCoins(Coin(minExpedited))
	gov.Params.MaxDepositPeriod, gov.Params.VotingPeriod, gov.Params.ExpeditedVotingPeriod = &deposit, &voting, &expedited

	g.state[stakingtypes.ModuleName] = enc.Codec.MustMarshalJSON(staking)
	g.state[slashingtypes.ModuleName] = enc.Codec.MustMarshalJSON(slashing)
	g.state[govtypes.ModuleName] = enc.Codec.MustMarshalJSON(gov)
	return g, nil
}

// AddAccount gives an address that has no account yet an amount in uordo. For the
// payer of bundles, the address is ordering.Address of its key.
func (g *Genesis) AddAccount(addr sdk.AccAddress, uordo uint64) error {
	auth := authtypes.GetGenesisStateFromAppState(g.enc.Codec, g.state)
	have, err := authtypes.UnpackAccounts(auth.Accounts)
	if err != nil {
		return fmt.Errorf("decode genesis accounts: %w", err)
	}
	if have.Contains(addr) {
		return fmt.Errorf("account %s is in the genesis already", addr)
	}
	packed, err := authtypes.PackAccounts(authtypes.SanitizeGenesisAccounts(append(have, authtypes.NewBaseAccountWithAddress(addr))))
	if err != nil {
		return fmt.Errorf("encode genesis accounts: %w", err)
	}
	auth.Accounts = packed

	bank := banktypes.GetGenesisStateFromAppState(g.enc.Codec, g.state)
	coins := sdk.NewCoins(Coin(uordo))
	bank.Balances = banktypes.SanitizeGenesisBalances(append(bank.Balances, banktypes.Balance{Address: addr.String(), Coins: coins}))
	bank.Supply = bank.Supply.Add(coins...)

	g.state[authtypes.ModuleName] = g.enc.Codec.MustMarshalJSON(&auth)
	g.state[banktypes.ModuleName] = g.enc.Codec.MustMarshalJSON(bank)
	return nil
}

// NewValidatorTx returns the genesis transaction by which the operator, whose
// account must hold it, puts up stake for a validator with that consensus key.
func NewValidatorTx(enc *Encoding, chainID, moniker string, operator cryptotypes.PrivKey, consensus cryptotypes.PubKey, uordo uint64) (json.RawMessage, error) {
	addr := sdk.AccAddress(operator.PubKey().Address())
	commission := stakingtypes.NewCommissionRates(
		sdkmath.LegacyNewDecWithPrec(5, 2), sdkmath.LegacyNewDecWithPrec(20, 2), sdkmath.LegacyNewDecWithPrec(1, 2))
	msg, err := stakingtypes.NewMsgCreateValidator(sdk.ValAddress(addr).String(), consensus, Coin(uordo),
		stakingtypes.NewDescription(moniker, "", "", "", ""), commission, sdkmath.OneInt())
	if err != nil {
		return nil, fmt.Errorf("genesis transaction of %s: %w", moniker, err)
	}
	b := enc.TxConfig.NewTxBuilder()
	if err := b.SetMsgs(msg); err != nil {
		return nil, fmt.Errorf("genesis transaction of %s: %w", moniker, err)
	}
	b.SetGasLimit(200_000)
	if err := SignTx(enc, b, chainID, operator, 0, 0); err != nil {
		return nil, fmt.Errorf("genesis transaction of %s: %w", moniker, err)
	}
	raw, err := enc.TxConfig.TxJSONEncoder()(b.GetTx())
	if err != nil {
		return nil, fmt.Errorf("genesis transaction of %s: %w", moniker, err)
	}
	return raw, nil
}

// SignTx signs an ordinary transaction for one signer with any key that the chain
// knows, ed25519 of payers among them.
func SignTx(enc *Encoding, b client.TxBuilder, chainID string, key cryptotypes.PrivKey, account, sequence uint64) error {
	data := authsigning.SignerData{
		Address: sdk.AccAddress(key.PubKey().Address()).String(), ChainID: chainID,
		AccountNumber: account, Sequence: sequence, PubKey: key.PubKey(),
	}
	mode := signing.SignMode_SIGN_MODE_DIRECT
	// The signer's key is part of what is signed, so it is set before.
	empty := signing.SignatureV2{PubKey: key.PubKey(), Data: &signing.SingleSignatureData{SignMode: mode}, Sequence: sequence}
	if err := b.SetSignatures(empty); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	sig, err := tx.SignWithPrivKey(context.Background(), mode, data, b, key, enc.TxConfig, sequence)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return b.SetSignatures(sig)
}

// AddValidators puts genesis transactions in.
func (g *Genesis) AddValidators(txs ...json.RawMessage) {
	s := genutiltypes.GetGenesisStateFromAppState(g.enc.Codec, g.state)
	s.GenTxs = append(s.GenTxs, txs...)
	g.state = genutiltypes.SetGenesisStateInAppState(g.enc.Codec, g.state, s)
}

// SetOrderingParams replaces the rules of ordering.
func (g *Genesis) SetOrderingParams(p ordering.Params) {
	g.editOrdering(func(s *orderingv1.GenesisState) { s.Params = &p })
}

// AddAttester registers the attestation key and the addresses of a validator that is
// in the genesis: where it takes in shares, as host:port, and where it answers readers,
// as http://host:port. Doc refuses what is malformed.
func (g *Genesis) AddAttester(operator sdk.AccAddress, key ed25519.PublicKey, address, api string) {
	g.editOrdering(func(s *orderingv1.GenesisState) {
		s.Attesters = append(s.Attesters, &orderingv1.Attester{Operator: operator.String(), Key: key, Address: address, Api: api})
	})
}

func (g *Genesis) editOrdering(edit func(*orderingv1.GenesisState)) {
	s := new(orderingv1.GenesisState)
	g.enc.Codec.MustUnmarshalJSON(g.state[ordering.ModuleName], s)
	edit(s)
	g.state[ordering.ModuleName] = g.enc.Codec.MustMarshalJSON(s)
}

// Doc checks the genesis and returns the file that CometBFT starts from.
func (g *Genesis) Doc(chainID string, start time.Time) (*cmttypes.GenesisDoc, error) {
	if err := g.enc.Basics.ValidateGenesis(g.enc.Codec, g.enc.TxConfig, g.state); err != nil {
		return nil, fmt.Errorf("check genesis: %w", err)
	}
	raw, err := json.MarshalIndent(g.state, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode genesis: %w", err)
	}
	doc := &cmttypes.GenesisDoc{
		GenesisTime: start, ChainID: chainID, InitialHeight: 1, ConsensusParams: ConsensusParams(), AppState: raw,
	}
	if err := doc.ValidateAndComplete(); err != nil {
		return nil, fmt.Errorf("check genesis: %w", err)
	}
	return doc, nil
}

// ConsensusParams returns CometBFT's rules of a new chain.
func ConsensusParams() *cmttypes.ConsensusParams {
	p := cmttypes.DefaultConsensusParams()
	p.Block.MaxBytes = maxBlockBytes
	p.Block.MaxGas = maxBlockGas
	// Validators report in their votes which certificates they hold.
	p.ABCI.VoteExtensionsEnableHeight = 1
	// Evidence counts for as long as stake is bound, whichever of both is longer.
	p.Evidence.MaxAgeDuration = unbondingTime
	p.Evidence.MaxAgeNumBlocks = int64(unbondingTime / (100 * time.Millisecond))
	return p
}

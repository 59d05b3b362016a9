package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	cmttypes "github.com/cometbft/cometbft/types"

	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/ordo-network/ordo/sequencer/app"
	"github.com/ordo-network/ordo/sequencer/ordering"
	orderingv1 "github.com/ordo-network/ordo/sequencer/ordering/v1"
)

var (
	// ErrNoValidators is returned for a genesis that bonds nobody.
	ErrNoValidators = errors.New("the genesis bonds no validators: add genesis transactions first")
	// ErrNoAttester is returned for a genesis that bonds a validator and does not say how
	// it attests: without it, the first epoch would go by before it can take part.
	ErrNoAttester = errors.New("the genesis does not say how the validator attests: add it with `ordo sequencer genesis add-attester`")
)

// SealGenesis writes into the genesis the validators that its transactions bond,
// so that whoever trusts the file can verify the chain without executing it. The
// application checks at its start that they are the same.
// Errors: ErrNoValidators, ErrNoAttester.
func SealGenesis(enc *app.Encoding, g *genutiltypes.AppGenesis) error {
	var state map[string]json.RawMessage
	if err := json.Unmarshal(g.AppState, &state); err != nil {
		return fmt.Errorf("decode genesis: %w", err)
	}
	var own orderingv1.GenesisState
	if err := enc.Codec.UnmarshalJSON(state[ordering.ModuleName], &own); err != nil {
		return fmt.Errorf("decode genesis of ordering: %w", err)
	}
	founders, err := foundersOf(enc, state)
	if err != nil {
		return err
	}
	if len(founders) == 0 {
		return ErrNoValidators
	}
	var bonded []cmttypes.GenesisValidator
	for _, f := range founders {
		if !slices.ContainsFunc(own.Attesters, func(a *orderingv1.Attester) bool { return a.Operator == f.operator.String() }) {
			return fmt.Errorf("%s, operated by %s: %w", f.validator.Name, f.operator, ErrNoAttester)
		}
		bonded = append(bonded, f.validator)
	}
	if g.Consensus == nil {
		g.Consensus = new(genutiltypes.ConsensusGenesis)
	}
	g.Consensus.Validators = bonded
	return g.ValidateAndComplete()
}

// founder is a validator that a genesis transaction bonds.
type founder struct {
	validator cmttypes.GenesisValidator
	operator  sdk.AccAddress
}

func foundersOf(enc *app.Encoding, state map[string]json.RawMessage) ([]founder, error) {
	var out []founder
	for i, raw := range genutiltypes.GetGenesisStateFromAppState(enc.Codec, state).GenTxs {
		tx, err := genutiltypes.ValidateAndGetGenTx(raw, enc.TxConfig.TxJSONDecoder(), genutiltypes.DefaultMessageValidator)
		if err != nil {
			return nil, fmt.Errorf("genesis transaction %d: %w", i, err)
		}
		for _, msg := range tx.GetMsgs() {
			f, err := founderOf(enc, msg)
			if err != nil {
				return nil, fmt.Errorf("genesis transaction %d: %w", i, err)
			}
			out = append(out, f)
		}
	}
	return out, nil
}

func founderOf(enc *app.Encoding, msg sdk.Msg) (f founder, err error) {
	m, ok := msg.(*stakingtypes.MsgCreateValidator)
	if !ok {
		return f, fmt.Errorf("it holds %T, want MsgCreateValidator", msg)
	}
	addr, err := sdk.ValAddressFromBech32(m.ValidatorAddress)
	if err != nil {
		return f, fmt.Errorf("decode operator: %w", err)
	}
	f.operator = sdk.AccAddress(addr)
	var key cryptotypes.PubKey
	if err := enc.Registry.UnpackAny(m.Pubkey, &key); err != nil {
		return f, fmt.Errorf("decode consensus key: %w", err)
	}
	v := &f.validator
	if v.PubKey, err = cryptocodec.ToCmtPubKeyInterface(key); err != nil {
		return f, fmt.Errorf("decode consensus key: %w", err)
	}
	v.Address, v.Name = v.PubKey.Address(), m.Description.Moniker
	v.Power = sdk.TokensToConsensusPower(m.Value.Amount, sdk.DefaultPowerReduction)
	return f, nil
}

// appGenesis puts a genesis into the form that the Cosmos SDK's tools read.
func appGenesis(doc *cmttypes.GenesisDoc) *genutiltypes.AppGenesis {
	g := genutiltypes.NewAppGenesisWithVersion(doc.ChainID, doc.AppState)
	g.AppName, g.AppVersion = app.Name, ""
	g.GenesisTime, g.InitialHeight = doc.GenesisTime, doc.InitialHeight
	g.Consensus = &genutiltypes.ConsensusGenesis{Validators: doc.Validators, Params: doc.ConsensusParams}
	return g
}

// genesisDoc reads the genesis file.
func (h home) genesisDoc() (*cmttypes.GenesisDoc, error) {
	g, err := genutiltypes.AppGenesisFromFile(h.genesis())
	if err != nil {
		return nil, fmt.Errorf("read genesis: %w", err)
	}
	if err := g.ValidateAndComplete(); err != nil {
		return nil, fmt.Errorf("%s: %w", h.genesis(), err)
	}
	return g.ToGenesisDoc()
}

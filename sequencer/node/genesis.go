package node

import (
	"encoding/json"
	"errors"
	"fmt"

	cmttypes "github.com/cometbft/cometbft/types"

	cryptocodec "github.com/cosmos/cosmos-sdk/crypto/codec"
	cryptotypes "github.com/cosmos/cosmos-sdk/crypto/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	genutiltypes "github.com/cosmos/cosmos-sdk/x/genutil/types"
	stakingtypes "github.com/cosmos/cosmos-sdk/x/staking/types"

	"github.com/ordo-network/ordo/sequencer/app"
)

// ErrNoValidators is returned for a genesis that bonds nobody.
var ErrNoValidators = errors.New("the genesis bonds no validators: add genesis transactions first")

// SealGenesis writes into the genesis the validators that its transactions bond,
// so that whoever trusts the file can verify the chain without executing it. The
// application checks at its start that they are the same. Errors: ErrNoValidators.
func SealGenesis(enc *app.Encoding, g *genutiltypes.AppGenesis) error {
	var state map[string]json.RawMessage
	if err := json.Unmarshal(g.AppState, &state); err != nil {
		return fmt.Errorf("decode genesis: %w", err)
	}
	var bonded []cmttypes.GenesisValidator
	for i, raw := range genutiltypes.GetGenesisStateFromAppState(enc.Codec, state).GenTxs {
		tx, err := genutiltypes.ValidateAndGetGenTx(raw, enc.TxConfig.TxJSONDecoder(), genutiltypes.DefaultMessageValidator)
		if err != nil {
			return fmt.Errorf("genesis transaction %d: %w", i, err)
		}
		for _, msg := range tx.GetMsgs() {
			v, err := genesisValidator(enc, msg)
			if err != nil {
				return fmt.Errorf("genesis transaction %d: %w", i, err)
			}
			bonded = append(bonded, v)
		}
	}
	if len(bonded) == 0 {
		return ErrNoValidators
	}
	if g.Consensus == nil {
		g.Consensus = new(genutiltypes.ConsensusGenesis)
	}
	g.Consensus.Validators = bonded
	return g.ValidateAndComplete()
}

func genesisValidator(enc *app.Encoding, msg sdk.Msg) (v cmttypes.GenesisValidator, err error) {
	m, ok := msg.(*stakingtypes.MsgCreateValidator)
	if !ok {
		return v, fmt.Errorf("it holds %T, want MsgCreateValidator", msg)
	}
	var key cryptotypes.PubKey
	if err := enc.Registry.UnpackAny(m.Pubkey, &key); err != nil {
		return v, fmt.Errorf("decode consensus key: %w", err)
	}
	if v.PubKey, err = cryptocodec.ToCmtPubKeyInterface(key); err != nil {
		return v, fmt.Errorf("decode consensus key: %w", err)
	}
	v.Address, v.Name = v.PubKey.Address(), m.Description.Moniker
	v.Power = sdk.TokensToConsensusPower(m.Value.Amount, sdk.DefaultPowerReduction)
	return v, nil
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

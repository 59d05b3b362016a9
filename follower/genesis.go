package follower

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	cmtjson "github.com/cometbft/cometbft/libs/json"
	cmttypes "github.com/cometbft/cometbft/types"
)

// TrustGenesisFile trusts the genesis file of the sequencer chain, as the Cosmos SDK writes it:
// unlike CometBFT's own it has the validators in "consensus", and the initial
// height may be a number. Only what verification starts from is looked at.
func TrustGenesisFile(path string) (Trust, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Trust{}, fmt.Errorf("read the sequencer chain's genesis: %w", err)
	}
	doc, err := parseGenesis(raw)
	if err != nil {
		return Trust{}, fmt.Errorf("%s is not a genesis of the sequencer chain: %w", path, err)
	}
	trust, err := TrustGenesis(doc)
	if err != nil {
		return Trust{}, fmt.Errorf("%s: %w", path, err)
	}
	return trust, nil
}

func parseGenesis(raw []byte) (*cmttypes.GenesisDoc, error) {
	var g struct {
		GenesisTime   time.Time       `json:"genesis_time"`
		ChainID       string          `json:"chain_id"`
		InitialHeight json.RawMessage `json:"initial_height"`
		Validators    json.RawMessage `json:"validators"`
		Consensus     struct {
			Validators json.RawMessage `json:"validators"`
		} `json:"consensus"`
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		return nil, err
	}
	doc := &cmttypes.GenesisDoc{GenesisTime: g.GenesisTime, ChainID: g.ChainID}
	if len(g.InitialHeight) > 0 {
		height, err := strconv.ParseInt(string(bytes.Trim(g.InitialHeight, `"`)), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("initial_height: %w", err)
		}
		doc.InitialHeight = height
	}
	validators := g.Consensus.Validators
	if len(validators) == 0 {
		validators = g.Validators
	}
	if len(validators) > 0 {
		if err := cmtjson.Unmarshal(validators, &doc.Validators); err != nil {
			return nil, fmt.Errorf("validators: %w", err)
		}
	}
	return doc, nil
}

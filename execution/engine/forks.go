package engine

import (
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/params"
)

// forks are what of a chain's settings its blocks are made by. Beside Ethereum's own
// there are those of the OP Stack, where its genesis has them.
type forks struct {
	chain    *params.ChainConfig
	genesis  *core.Genesis
	optimism bool
	holocene *uint64
	isthmus  *uint64
}

func readForks(genesis []byte) (*forks, error) {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("the genesis of the rollup is not acceptable: "+format, args...)
	}
	f := &forks{genesis: new(core.Genesis)}
	if err := json.Unmarshal(genesis, f.genesis); err != nil {
		return nil, refuse("%w", err)
	}
	var own struct {
		Config struct {
			Optimism                                                     json.RawMessage
			HoloceneTime, IsthmusTime, JovianTime, KarstTime, LagoonTime *uint64
		}
	}
	if err := json.Unmarshal(genesis, &own); err != nil {
		return nil, refuse("%w", err)
	}
	c := f.genesis.Config
	if c == nil || c.ChainID == nil || c.ChainID.Sign() <= 0 {
		return nil, refuse("config.chainId must be a positive number")
	}
	f.chain, f.optimism = c, len(own.Config.Optimism) > 0 && string(own.Config.Optimism) != "null"
	f.holocene, f.isthmus = own.Config.HoloceneTime, own.Config.IsthmusTime
	switch {
	case !c.IsLondon(common.Big0) || !c.IsCancun(common.Big0, f.genesis.Timestamp):
		return nil, refuse("every fork up to Cancun (Ecotone) must be active from the first block")
	case own.Config.JovianTime != nil || own.Config.KarstTime != nil || own.Config.LagoonTime != nil:
		return nil, refuse("OP Stack forks after Isthmus want a deposit from an L1 in each block, which an ordered rollup has not: remove jovianTime and those after it")
	case c.AmsterdamTime != nil || c.BogotaTime != nil || c.UBTTime != nil:
		return nil, refuse("forks after Osaka are not supported: remove amsterdamTime and those after it")
	case !f.optimism && (f.holocene != nil || f.isthmus != nil):
		return nil, refuse("config has OP Stack forks and no optimism section")
	}
	return f, nil
}

func active(fork *uint64, time uint64) bool { return fork != nil && *fork <= time }

// getPayload is the method that gives a block of that time.
func (f *forks) getPayload(time uint64) string {
	switch {
	case f.chain.IsOsaka(common.Big0, time):
		return "engine_getPayloadV5"
	case f.chain.IsPrague(common.Big0, time):
		return "engine_getPayloadV4"
	}
	return "engine_getPayloadV3"
}

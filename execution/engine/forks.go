package engine

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/params"
)

// forks are what of a chain's settings its blocks are made by. Beside Ethereum's own
// there are those of the OP Stack, where its genesis has them.
type forks struct {
	chain    *params.ChainConfig
	genesis  *core.Genesis
	optimism bool // the OP Stack's rules hold, with these forks from the first block on
	holocene bool
	isthmus  bool
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
			Optimism json.RawMessage

			RegolithTime, EcotoneTime, FjordTime, GraniteTime, HoloceneTime, IsthmusTime *uint64
			JovianTime, KarstTime, LagoonTime                                            *uint64
		}
	}
	if err := json.Unmarshal(genesis, &own); err != nil {
		return nil, refuse("%w", err)
	}
	c := f.genesis.Config
	if c == nil || c.ChainID == nil || c.ChainID.Sign() <= 0 {
		return nil, refuse("config.chainId must be a positive number")
	}
	op, start := own.Config, f.genesis.Timestamp
	f.chain, f.optimism = c, len(op.Optimism) > 0 && string(op.Optimism) != "null"
	f.holocene, f.isthmus = active(op.HoloceneTime, start), active(op.IsthmusTime, start)
	switch {
	case !c.IsLondon(common.Big0) || !c.IsCancun(common.Big0, f.genesis.Timestamp):
		return nil, refuse("every fork up to Cancun (Ecotone) must be active from the first block")
	case op.JovianTime != nil || op.KarstTime != nil || op.LagoonTime != nil:
		return nil, refuse("OP Stack forks after Isthmus are not supported: remove jovianTime and those after it")
	case f.optimism && !active(op.RegolithTime, start):
		return nil, refuse("config.regolithTime must not be after the genesis timestamp %d", start)
	case later(start, op.EcotoneTime, op.FjordTime, op.GraniteTime, op.HoloceneTime, op.IsthmusTime):
		return nil, refuse("OP Stack forks must be active from the first block or never: they change contracts by deposits from an L1, of which there are none")
	case f.holocene && len(f.genesis.ExtraData) != 9:
		return nil, refuse("extraData has %d bytes: from Holocene on it holds what the base fee is computed by, in 9 bytes, such as 0x00000000fa00000006", len(f.genesis.ExtraData))
	case c.AmsterdamTime != nil || c.BogotaTime != nil || c.UBTTime != nil:
		return nil, refuse("forks after Osaka are not supported: remove amsterdamTime and those after it")
	case !f.optimism && (op.HoloceneTime != nil || op.IsthmusTime != nil):
		return nil, refuse("config has OP Stack forks and no optimism section")
	}
	return f, nil
}

func active(fork *uint64, time uint64) bool { return fork != nil && *fork <= time }

// later reports whether one of the forks comes after that time.
func later(time uint64, forks ...*uint64) bool {
	return slices.ContainsFunc(forks, func(fork *uint64) bool { return fork != nil && *fork > time })
}

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

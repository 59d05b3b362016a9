package evm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/params"
)

// ErrGenesis is returned for a genesis that this chain cannot be made from, and
// for one that is not the genesis of the chain on disk.
var ErrGenesis = errors.New("genesis is not acceptable")

// LoadGenesis reads and checks a genesis JSON as geth writes it. Errors: ErrGenesis.
func LoadGenesis(path string) (*core.Genesis, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read genesis: %w", err)
	}
	genesis := new(core.Genesis)
	if err := json.Unmarshal(raw, genesis); err != nil {
		return nil, fmt.Errorf("decode genesis %s: %w", path, err)
	}
	if err := CheckGenesis(genesis); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return genesis, nil
}

// CheckGenesis refuses a genesis that this chain cannot be made from. Beyond what
// geth wants: proof of stake from the first block, every fork up to Cancun active
// at it, no fork after Osaka, and the contracts that the forks call in place.
//
// Two fields carry settings that all nodes must share: coinbase receives the
// tips, and extraData, where it is not empty, is the 8-byte big-endian height of
// the sequencer block below the first that the rollup takes. Errors: ErrGenesis.
func CheckGenesis(g *core.Genesis) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrGenesis}, args...)...)
	}
	if g == nil || g.Config == nil {
		return refuse(`it has no "config"`)
	}
	c := g.Config
	if c.ChainID == nil || c.ChainID.Sign() <= 0 {
		return refuse("config.chainId must be a positive number")
	}
	if err := c.CheckConfigForkOrder(); err != nil {
		return refuse("%v", err)
	}
	switch {
	case c.TerminalTotalDifficulty == nil || c.TerminalTotalDifficulty.Sign() != 0:
		return refuse("config.terminalTotalDifficulty must be 0: the chain is proof of stake from its first block")
	case g.Difficulty != nil && g.Difficulty.Sign() != 0:
		return refuse("difficulty is %s, must be 0: the chain is proof of stake from its first block", g.Difficulty)
	case c.Clique != nil || c.Ethash != nil:
		return refuse("config.clique and config.ethash belong to chains from before the merge: remove them")
	case g.Number != 0:
		return refuse("number is %d, must be 0", g.Number)
	case !c.IsLondon(common.Big0):
		return refuse("config.londonBlock and all forks before it must be 0")
	case !c.IsShanghai(common.Big0, g.Timestamp):
		return refuse("config.shanghaiTime must not be after the genesis timestamp %d", g.Timestamp)
	case !c.IsCancun(common.Big0, g.Timestamp):
		return refuse("config.cancunTime must not be after the genesis timestamp %d", g.Timestamp)
	case c.AmsterdamTime != nil || c.BogotaTime != nil || c.UBTTime != nil || c.EnableUBTAtGenesis:
		return refuse("forks after Osaka are not supported: remove amsterdamTime, bogotaTime and ubtTime")
	case g.GasLimit < params.MinGasLimit:
		return refuse("gasLimit is %d, must be at least %d", g.GasLimit, params.MinGasLimit)
	case len(g.ExtraData) != 0 && len(g.ExtraData) != heightLen:
		return refuse("extraData has %d bytes: leave it empty, or give a sequencer height in 8 bytes", len(g.ExtraData))
	}
	// Without code there, geth holds every block from Prague on for invalid.
	if c.PragueTime != nil {
		for _, addr := range []common.Address{params.WithdrawalQueueAddress, params.ConsolidationQueueAddress} {
			if len(g.Alloc[addr].Code) == 0 {
				return refuse("alloc has no code at %s, which Prague calls in every block (EIP-7002, EIP-7251)", addr)
			}
		}
	}
	return nil
}

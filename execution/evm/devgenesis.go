package evm

import (
	_ "embed" // of code that every chain has
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
)

const (
	devGasLimit = 60_000_000
	devBalance  = 10_000 // ether
)

// Multicall3 is where wallets and libraries look for the contract of that name, on every
// chain.
var Multicall3 = common.HexToAddress("0xcA11bde05977b3631167028862bE2a173976CA11")

// multicall3 is its code in hex, byte for byte that of Ethereum's chain (MIT licence).
//
//go:embed multicall3.hex
var multicall3 string

// DevGenesis returns the genesis of a devnet: every fork through Osaka from the
// first block, the contracts that the forks call, those that tools look for, which are
// the deterministic deployment factory (0x4e59..956C) and Multicall3, 10,000 ether for
// each of DevAccounts, and alloc, which wins where it names the same account.
func DevGenesis(chainID uint64, alloc types.GenesisAlloc) *core.Genesis {
	zero := uint64(0)
	all := core.SystemContractAllocs() // the factory is among them
	all[Multicall3] = types.Account{Nonce: 1, Code: common.FromHex(multicall3), Balance: new(big.Int)}
	for _, a := range DevAccounts {
		all[a.Address] = types.Account{Balance: new(big.Int).Mul(big.NewInt(devBalance), big.NewInt(params.Ether))}
	}
	maps.Copy(all, alloc)
	return &core.Genesis{
		Config: &params.ChainConfig{
			ChainID:                 new(big.Int).SetUint64(chainID),
			HomesteadBlock:          new(big.Int),
			EIP150Block:             new(big.Int),
			EIP155Block:             new(big.Int),
			EIP158Block:             new(big.Int),
			ByzantiumBlock:          new(big.Int),
			ConstantinopleBlock:     new(big.Int),
			PetersburgBlock:         new(big.Int),
			IstanbulBlock:           new(big.Int),
			MuirGlacierBlock:        new(big.Int),
			BerlinBlock:             new(big.Int),
			LondonBlock:             new(big.Int),
			ArrowGlacierBlock:       new(big.Int),
			GrayGlacierBlock:        new(big.Int),
			MergeNetsplitBlock:      new(big.Int),
			TerminalTotalDifficulty: new(big.Int),
			ShanghaiTime:            &zero,
			CancunTime:              &zero,
			PragueTime:              &zero,
			OsakaTime:               &zero,
			BlobScheduleConfig: &params.BlobScheduleConfig{
				Cancun: params.DefaultCancunBlobConfig,
				Prague: params.DefaultPragueBlobConfig,
			},
		},
		GasLimit:   devGasLimit,
		Difficulty: new(big.Int),
		BaseFee:    big.NewInt(params.InitialBaseFee),
		Alloc:      all,
	}
}

// EncodeGenesis writes a genesis as every Ethereum client reads it. In geth's words the
// blob schedule of Osaka is Prague's without being named; op-geth wants it named. The
// hash is the same: the forks are no part of it.
func EncodeGenesis(g *core.Genesis) ([]byte, error) {
	raw, err := json.Marshal(g)
	var all, config, schedule map[string]json.RawMessage
	if err = errors.Join(err, json.Unmarshal(raw, &all)); err == nil && g.Config != nil && g.Config.OsakaTime != nil && g.Config.BlobScheduleConfig != nil {
		err = errors.Join(json.Unmarshal(all["config"], &config), json.Unmarshal(config["blobSchedule"], &schedule))
		if prague, ok := schedule["prague"]; err == nil && ok {
			schedule["osaka"] = prague
			config["blobSchedule"], err = json.Marshal(schedule)
		}
		if err == nil {
			all["config"], err = json.Marshal(config)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("encode genesis: %w", err)
	}
	return json.MarshalIndent(all, "", "  ")
}

package exec

import (
	_ "embed" // the contracts
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// compiled is what solc made of the sources beside it. After a change, in that directory:
//
//	npx solc@0.8.37 --standard-json --base-path . < solc.json | grep '^{' > compiled.json
//
//go:embed contracts/compiled.json
var compiled []byte

// Addresses of the contracts.
var (
	token0 = common.HexToAddress("0x70ce00000000000000000000000000000000000a")
	token1 = common.HexToAddress("0x70ce00000000000000000000000000000000000b")
	pair   = common.HexToAddress("0x9a1200000000000000000000000000000000000c")
	router = common.HexToAddress("0x90e700000000000000000000000000000000000d")
)

// code returns the code of a contract as it stands on a chain.
func code(name string) ([]byte, error) {
	var out struct {
		Contracts map[string]map[string]struct {
			EVM struct {
				DeployedBytecode struct{ Object string }
			}
		}
	}
	if err := json.Unmarshal(compiled, &out); err != nil {
		return nil, fmt.Errorf("read the compiled contracts: %w", err)
	}
	raw, err := hex.DecodeString(out.Contracts[name+".sol"][name].EVM.DeployedBytecode.Object)
	if err != nil || len(raw) == 0 {
		return nil, fmt.Errorf("the compiled contracts have no code of %s: %w", name, err)
	}
	return raw, nil
}

// contracts returns the accounts of two tokens, of which each owner has that much and lets
// the router take it, of their pair, which has so much of both, and of the router.
func contracts(owners []common.Address, each, liquidity *big.Int) (types.GenesisAlloc, error) {
	alloc := types.GenesisAlloc{}
	for address, name := range map[common.Address]string{token0: "Token", token1: "Token", pair: "Pair", router: "Router"} {
		raw, err := code(name)
		if err != nil {
			return nil, err
		}
		alloc[address] = types.Account{Code: raw, Nonce: 1, Balance: new(big.Int), Storage: map[common.Hash]common.Hash{}}
	}
	supply := new(big.Int).Mul(each, big.NewInt(int64(len(owners))))
	supply.Add(supply, liquidity)
	for _, token := range []common.Address{token0, token1} {
		storage := alloc[token].Storage
		for _, owner := range owners {
			storage[mapped(owner, common.Hash{})] = common.BigToHash(each)
			storage[mapped(router, mapped(owner, common.BigToHash(common.Big1)))] = common.BigToHash(each)
		}
		storage[mapped(pair, common.Hash{})] = common.BigToHash(liquidity)
		storage[common.BigToHash(common.Big2)] = common.BigToHash(supply)
	}
	// Of the pair: the tokens, both reserves in one slot, and that nobody is calling it.
	reserves := new(big.Int).Lsh(liquidity, 112)
	for slot, value := range []common.Hash{
		common.BytesToHash(token0[:]), common.BytesToHash(token1[:]), common.BigToHash(reserves.Or(reserves, liquidity)),
		{}, {}, common.BigToHash(common.Big1),
	} {
		if value != (common.Hash{}) {
			alloc[pair].Storage[common.BigToHash(big.NewInt(int64(slot)))] = value
		}
	}
	return alloc, nil
}

// mapped is the slot of a key in the mapping that Solidity keeps in a slot.
func mapped(key common.Address, slot common.Hash) common.Hash {
	return crypto.Keccak256Hash(common.LeftPadBytes(key[:], 32), slot[:])
}

// Of calls.
var (
	selectTransfer = crypto.Keccak256([]byte("transfer(address,uint256)"))[:4]
	selectSwap     = crypto.Keccak256([]byte("swap(address,bool,uint256,uint256,address,uint256)"))[:4]
)

// call is the data of a call with arguments of a word each.
func call(selector []byte, words ...*big.Int) []byte {
	data := append([]byte(nil), selector...)
	for _, w := range words {
		data = append(data, common.BigToHash(w).Bytes()...)
	}
	return data
}

func word(a common.Address) *big.Int { return new(big.Int).SetBytes(a[:]) }

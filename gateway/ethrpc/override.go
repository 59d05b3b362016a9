package ethrpc

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/state"
	"github.com/ethereum/go-ethereum/core/tracing"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/params"
	"github.com/holiman/uint256"
)

// blockOverride is what a caller wants the block to be. What it does not name is left,
// as geth leaves it.
type blockOverride struct {
	Number        *hexutil.Big      `json:"number"`
	Time          *hexutil.Uint64   `json:"time"`
	GasLimit      *hexutil.Uint64   `json:"gasLimit"`
	FeeRecipient  *common.Address   `json:"feeRecipient"`
	PrevRandao    *common.Hash      `json:"prevRandao"`
	BaseFeePerGas *hexutil.Big      `json:"baseFeePerGas"`
	BlobBaseFee   *hexutil.Big      `json:"blobBaseFee"`
	BeaconRoot    *common.Hash      `json:"beaconRoot"`
	Withdrawals   types.Withdrawals `json:"withdrawals"`
}

func (o blockOverride) apply(h *types.Header) error {
	switch {
	case o.BeaconRoot != nil:
		return errors.New(`block override "beaconRoot" is not supported for this RPC method`)
	case o.Withdrawals != nil:
		return errors.New(`block override "withdrawals" is not supported for this RPC method`)
	}
	for _, n := range []*hexutil.Big{o.Number, o.BaseFeePerGas, o.BlobBaseFee} {
		if n != nil && (n.ToInt().Sign() < 0 || n.ToInt().BitLen() > 256) {
			return invalidParams{"block override is negative or has more than 256 bits"}
		}
	}
	if o.Number != nil {
		h.Number = o.Number.ToInt()
	}
	if o.Time != nil {
		h.Time = uint64(*o.Time)
	}
	if o.GasLimit != nil {
		h.GasLimit = uint64(*o.GasLimit)
	}
	if o.FeeRecipient != nil {
		h.Coinbase = *o.FeeRecipient
	}
	if o.PrevRandao != nil {
		h.MixDigest = *o.PrevRandao
	}
	if o.BaseFeePerGas != nil {
		h.BaseFee = o.BaseFeePerGas.ToInt()
	}
	return nil
}

// accountOverride is what a caller wants an account to be.
type accountOverride struct {
	Nonce     *hexutil.Uint64             `json:"nonce"`
	Code      *hexutil.Bytes              `json:"code"`
	Balance   *hexutil.Big                `json:"balance"`
	State     map[common.Hash]common.Hash `json:"state"`
	StateDiff map[common.Hash]common.Hash `json:"stateDiff"`
	Move      *common.Address             `json:"movePrecompileToAddress"`
}

// overrideAccounts changes accounts in the state, and which precompiles stand where. The
// rules are geth's: a precompile that is named gives way to the account, and one may be
// moved to where no account is named.
func overrideAccounts(s *state.StateDB, precompiles vm.PrecompiledContracts, accounts map[common.Address]accountOverride) error {
	moved := make(map[common.Address]bool)
	// In an order of its own: which error comes first must not be up to the map.
	for _, addr := range slices.SortedFunc(maps.Keys(accounts), common.Address.Cmp) {
		o := accounts[addr]
		precompile, is := precompiles[addr]
		switch {
		case moved[addr]:
			return fmt.Errorf("account %s has already been overridden by a precompile", addr.Hex())
		case o.Move != nil && !is:
			return fmt.Errorf("account %s is not a precompile", addr.Hex())
		case o.State != nil && o.StateDiff != nil:
			return fmt.Errorf("account %s has both 'state' and 'stateDiff'", addr.Hex())
		}
		if o.Move != nil {
			if _, named := accounts[*o.Move]; named {
				return fmt.Errorf("account %s is already overridden", o.Move.Hex())
			}
			precompiles[*o.Move], moved[*o.Move] = precompile, true
		}
		if is {
			delete(precompiles, addr)
		}
		if err := o.apply(s, addr); err != nil {
			return err
		}
	}
	s.Finalise(params.Rules{}) // as if a transaction before had done it
	return nil
}

func (o accountOverride) apply(s *state.StateDB, addr common.Address) error {
	if o.Nonce != nil {
		s.SetNonce(addr, uint64(*o.Nonce), tracing.NonceChangeUnspecified)
	}
	if o.Code != nil {
		s.SetCode(addr, *o.Code, tracing.CodeChangeUnspecified)
	}
	if o.Balance != nil {
		balance, overflow := uint256.FromBig(o.Balance.ToInt())
		if overflow {
			return fmt.Errorf("balance of account %s has more than 256 bits", addr.Hex())
		}
		s.SetBalance(addr, balance, tracing.BalanceChangeUnspecified)
	}
	if o.State != nil {
		s.SetStorage(addr, o.State)
	}
	for key, value := range o.StateDiff {
		s.SetState(addr, key, value)
	}
	return nil
}

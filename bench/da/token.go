package da

import (
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
	"github.com/ethereum/go-ethereum/core/vm/program"
	"github.com/ethereum/go-ethereum/crypto"
)

var (
	tokenAddress = common.HexToAddress("0x70ce00000000000000000000000000000000cafe")
	// transferSelector begins a call of ERC-20's transfer.
	transferSelector = crypto.Keccak256([]byte("transfer(address,uint256)"))[:4]
	transferTopic    = crypto.Keccak256Hash([]byte("Transfer(address,address,uint256)"))
)

// transferCall is the data of a call that sends tokens.
func transferCall(to common.Address, amount *big.Int) []byte {
	data := append([]byte(nil), transferSelector...)
	data = append(data, common.LeftPadBytes(to[:], 32)...)
	return append(data, common.LeftPadBytes(amount.Bytes(), 32)...)
}

// balanceSlot is where the token keeps a balance: as Solidity does for a mapping that
// is a contract's first variable.
func balanceSlot(a common.Address) common.Hash {
	return crypto.Keccak256Hash(common.LeftPadBytes(a[:], 32), make([]byte, 32))
}

// tokenCode is of an ERC-20 token as far as a benchmark calls it: whatever the call,
// it is transfer. It moves the balance, logs the event and returns true, or reverts
// where the balance is too low.
func tokenCode() []byte {
	const refuse, start = 3, 7
	p := program.New()
	// The balance's slot of the address that is on the stack.
	slot := func() {
		p.Push0().Op(vm.MSTORE).Push(64).Push0().Op(vm.KECCAK256)
	}
	p.Push(start).Op(vm.JUMP)
	p.Op(vm.JUMPDEST).Push0().Push0().Op(vm.REVERT) // refuse
	p.Op(vm.JUMPDEST)                               // start
	p.Push(36).Op(vm.CALLDATALOAD)                  // amount
	p.Op(vm.CALLER)
	slot()
	p.Op(vm.DUP1, vm.SLOAD) // amount, slot, balance
	p.Op(vm.DUP3, vm.DUP2, vm.LT).Push(refuse).Op(vm.JUMPI)
	p.Op(vm.DUP3, vm.SWAP1, vm.SUB, vm.SWAP1, vm.SSTORE) // amount
	p.Push(4).Op(vm.CALLDATALOAD)
	slot()
	p.Op(vm.DUP1, vm.SLOAD, vm.DUP3, vm.ADD, vm.SWAP1, vm.SSTORE) // amount
	p.Push0().Op(vm.MSTORE)
	p.Push(4).Op(vm.CALLDATALOAD, vm.CALLER).Push(transferTopic).Push(32).Push0().Op(vm.LOG3)
	p.Push(1).Push0().Op(vm.MSTORE).Return(0, 32)
	return p.Bytes()
}

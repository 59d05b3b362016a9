package domain_test

import (
	"bytes"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/vm"
)

// token is the code of an ERC-20 as small as it can be: transfer(address,uint256), with
// its event, and balanceOf(address). An owner's balance is in the storage slot of the
// owner's address.
func token() []byte {
	return assemble(
		0, vm.CALLDATALOAD, 224, vm.SHR,
		vm.DUP1, common.FromHex("a9059cbb"), vm.EQ, "@transfer", vm.JUMPI,
		common.FromHex("70a08231"), vm.EQ, "@balanceOf", vm.JUMPI,
		0, 0, vm.REVERT,

		":balanceOf",
		4, vm.CALLDATALOAD, vm.SLOAD, 0, vm.MSTORE, 32, 0, vm.RETURN,

		":transfer",
		0x24, vm.CALLDATALOAD, vm.CALLER, vm.SLOAD, // balance, amount
		vm.DUP2, vm.DUP2, vm.LT, "@poor", vm.JUMPI,
		vm.DUP2, vm.SWAP1, vm.SUB, vm.CALLER, vm.SSTORE, // amount
		4, vm.CALLDATALOAD, vm.DUP1, vm.SLOAD, vm.DUP3, vm.ADD, vm.SWAP1, vm.SSTORE,
		0, vm.MSTORE, 4, vm.CALLDATALOAD, vm.CALLER,
		common.FromHex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"), 32, 0, vm.LOG3,
		1, 0, vm.MSTORE, 32, 0, vm.RETURN,

		":poor", // Error("balance too low")
		common.FromHex("08c379a0"), 224, vm.SHL, 0, vm.MSTORE, 0x20, 4, vm.MSTORE, 15, 0x24, vm.MSTORE,
		[]byte("balance too low"), 136, vm.SHL, 0x44, vm.MSTORE, 0x64, 0, vm.REVERT,
	)
}

// assemble takes instructions, bytes and numbers below 256 to push, ":labels", and "@labels"
// to push where those are.
func assemble(program ...any) []byte {
	var out bytes.Buffer
	labels, uses := map[string]int{}, map[int]string{}
	for _, x := range program {
		switch x := x.(type) {
		case vm.OpCode:
			out.WriteByte(byte(x))
		case int:
			out.Write([]byte{byte(vm.PUSH1), byte(x)})
		case []byte:
			out.WriteByte(byte(vm.PUSH1) + byte(len(x)-1))
			out.Write(x)
		case string:
			if x[0] == '@' {
				out.Write([]byte{byte(vm.PUSH1), 0})
				uses[out.Len()-1] = x[1:]
				continue
			}
			labels[x[1:]] = out.Len()
			out.WriteByte(byte(vm.JUMPDEST))
		default:
			panic(fmt.Sprintf("what is %v?", x))
		}
	}
	code := out.Bytes()
	for at, label := range uses {
		code[at] = byte(labels[label])
	}
	return code
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vault} from "../src/Vault.sol";
import {Vm, VM} from "../src/Vm.sol";

/// Runs on a fork of the devnet, on which DEPLOYED is a vault with a deposit of DEPOSITOR.
contract VaultTest {
    Vm constant vm = Vm(VM);
    Vault deployed;
    address depositor;

    function setUp() public {
        deployed = Vault(vm.envAddress("DEPLOYED"));
        depositor = vm.envAddress("DEPOSITOR");
    }

    function test_TheForkIsTheDevnet() public view {
        require(block.chainid == vm.envUint("CHAIN"), "chain ID");
        require(block.number >= vm.envUint("BLOCK"), "block number");
        require(block.timestamp > 1_700_000_000, "time");
        require(block.basefee > 0, "base fee");
        require(blockhash(block.number - 1) != bytes32(0), "hash of the parent");
    }

    function test_StateOfTheDevnetIsThere() public view {
        (uint256 amount, uint256 until) = deployed.deposits(depositor);
        require(amount == 1000 && until > block.timestamp, "the deposit");
        require(address(deployed).balance == 1000, "its balance");
        require(keccak256(bytes(deployed.name())) == keccak256("devnet"), "its name");
        require(depositor.balance > 1 ether, "the depositor's balance");
    }

    function test_LockedUntilItsTime() public {
        (, uint256 until) = deployed.deposits(depositor);
        vm.expectRevert(abi.encodeWithSelector(Vault.Locked.selector, until));
        vm.prank(depositor);
        deployed.withdraw();
        vm.warp(until);
        uint256 before = depositor.balance;
        vm.prank(depositor);
        deployed.withdraw();
        require(depositor.balance == before + 1000, "paid out");
    }

    function test_RpcReachesTheNode() public {
        require(vm.rpc("eth_chainId", "[]").length > 0, "no answer");
    }

    function testFuzz_Deposits(address by, uint96 amount) public {
        if (by == address(0) || by == depositor || amount == 0 || by.code.length > 0) return;
        vm.deal(by, amount);
        vm.prank(by);
        deployed.deposit{value: amount}(0);
        (uint256 kept,) = deployed.deposits(by);
        require(kept == amount, "kept");
    }
}

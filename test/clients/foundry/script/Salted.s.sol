// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vault} from "../src/Vault.sol";
import {Vm, VM} from "../src/Vm.sol";

/// Deploys a vault at an address that its salt tells, by the factory that all chains have.
contract Salted {
    Vm constant vm = Vm(VM);

    function run(bytes32 salt) external returns (Vault vault) {
        vm.startBroadcast();
        vault = new Vault{salt: salt}("salted");
        vm.stopBroadcast();
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Vault} from "../src/Vault.sol";
import {Vm, VM} from "../src/Vm.sol";

/// Deploys two vaults and deposits in each: four transactions of one sender.
contract Deploy {
    Vm constant vm = Vm(VM);

    function run() external returns (Vault first, Vault second) {
        vm.startBroadcast();
        first = new Vault("first");
        second = new Vault("second");
        first.deposit{value: 11}(0);
        second.deposit{value: 22}(0);
        vm.stopBroadcast();
    }
}

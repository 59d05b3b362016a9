// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Counts, tells of it in an event, and refuses to count nothing.
contract Tally {
    event Counted(address indexed by, uint256 amount, uint256 total);

    error Nothing();

    uint256 public total;

    constructor(uint256 start) {
        total = start;
    }

    function add(uint256 amount) external {
        if (amount == 0) revert Nothing();
        total += amount;
        emit Counted(msg.sender, amount, total);
    }
}

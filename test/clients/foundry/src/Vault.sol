// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Keeps ether for its depositors, some of it until a time that they choose.
contract Vault {
    event Deposited(address indexed by, uint256 amount, uint256 until);
    event Withdrawn(address indexed by, uint256 amount);

    error Locked(uint256 until);
    error Empty();

    struct Deposit {
        uint256 amount;
        uint256 until;
    }

    string public name;
    mapping(address => Deposit) public deposits;

    constructor(string memory name_) {
        name = name_;
    }

    function deposit(uint256 until) external payable {
        if (msg.value == 0) revert Empty();
        deposits[msg.sender].amount += msg.value;
        deposits[msg.sender].until = until;
        emit Deposited(msg.sender, msg.value, until);
    }

    function withdraw() external {
        Deposit memory d = deposits[msg.sender];
        if (d.amount == 0) revert Empty();
        if (block.timestamp < d.until) revert Locked(d.until);
        delete deposits[msg.sender];
        (bool ok,) = msg.sender.call{value: d.amount}("");
        require(ok, "not taken");
        emit Withdrawn(msg.sender, d.amount);
    }
}

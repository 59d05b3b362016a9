// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Sells one thing to the highest bidder; who was outbid takes the money back.
contract Auction {
    event Bid(address indexed by, uint256 amount);
    event Closed(address winner, uint256 amount);

    error TooLow(uint256 offered, uint256 highest);
    error NotSeller(address caller);

    address public immutable seller;
    address public leader;
    uint256 public highest;
    bool public closed;
    mapping(address => uint256) public owed;

    constructor(uint256 reserve) {
        seller = msg.sender;
        highest = reserve;
    }

    function bid() external payable {
        require(!closed, "the auction is over");
        if (msg.value <= highest) revert TooLow(msg.value, highest);
        owed[leader] += leader == address(0) ? 0 : highest;
        leader = msg.sender;
        highest = msg.value;
        emit Bid(msg.sender, msg.value);
    }

    function withdraw() external returns (uint256 amount) {
        amount = owed[msg.sender];
        owed[msg.sender] = 0;
        (bool ok,) = msg.sender.call{value: amount}("");
        require(ok, "not taken");
    }

    function close() external {
        if (msg.sender != seller) revert NotSeller(msg.sender);
        closed = true;
        emit Closed(leader, highest);
    }
}

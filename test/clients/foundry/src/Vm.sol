// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// The cheat codes that the tests and scripts use, at the address that Foundry gives them.
interface Vm {
    function envAddress(string calldata name) external view returns (address);
    function envUint(string calldata name) external view returns (uint256);
    function deal(address account, uint256 balance) external;
    function prank(address sender) external;
    function warp(uint256 time) external;
    function roll(uint256 number) external;
    function expectRevert(bytes calldata data) external;
    function expectEmit(bool, bool, bool, bool) external;
    function startBroadcast() external;
    function stopBroadcast() external;
    function rpc(string calldata method, string calldata params) external returns (bytes memory);
    function getBlockNumber() external view returns (uint256);
}

address constant VM = address(uint160(uint256(keccak256("hevm cheat code"))));

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "./Pair.sol";

/// What a wallet calls to trade: it takes the tokens that are paid, asks the pair for what
/// they are worth, and sees that no less has come.
contract Router {
    error Late(uint256 deadline);
    error TooLittle(uint256 out, uint256 least);
    error NotTaken();

    /// Pays exactly amount of the pair's first token, or of the other, for at least so much.
    function swap(Pair pair, bool first, uint256 amount, uint256 least, address to, uint256 deadline) external returns (uint256 out) {
        if (block.timestamp > deadline) revert Late(deadline);
        (uint112 reserve0, uint112 reserve1, ) = pair.reserves();
        out = first ? worth(amount, reserve0, reserve1) : worth(amount, reserve1, reserve0);
        if (out < least) revert TooLittle(out, least);
        Token paid = first ? pair.token0() : pair.token1();
        Token bought = first ? pair.token1() : pair.token0();
        if (!paid.transferFrom(msg.sender, address(pair), amount)) revert NotTaken();
        uint256 before = bought.balanceOf(to);
        pair.swap(first ? 0 : out, first ? out : 0, to);
        if (bought.balanceOf(to) - before < least) revert TooLittle(bought.balanceOf(to) - before, least);
    }

    /// What so much of one token buys of the other, three in a thousand being the fee.
    function worth(uint256 amount, uint256 reserveIn, uint256 reserveOut) public pure returns (uint256) {
        uint256 paid = amount * 997;
        return (paid * reserveOut) / (reserveIn * 1000 + paid);
    }
}

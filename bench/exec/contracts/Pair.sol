// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import "./Token.sol";

/// A market of two tokens that keeps the product of its reserves, as Uniswap V2's pairs do:
/// whoever takes out must have paid in before, three in a thousand more than the product
/// asks for; reserves share a slot with the time of the last trade; prices are summed up
/// over time; one call at a time. It makes no liquidity: that stands in the genesis.
contract Pair {
    Token public token0; // slot 0
    Token public token1; // slot 1
    uint112 private reserve0; // slot 2, with the two that follow
    uint112 private reserve1;
    uint32 private traded;
    uint256 public price0Sum; // slot 3
    uint256 public price1Sum; // slot 4
    uint256 private free; // slot 5; 1 in the genesis

    event Swap(address indexed sender, uint256 in0, uint256 in1, uint256 out0, uint256 out1, address indexed to);
    event Sync(uint112 reserve0, uint112 reserve1);

    error Busy();
    error NothingAsked();
    error NotSoMuch(uint256 out0, uint256 out1);
    error NotPaid(uint256 in0, uint256 in1);
    error Refused(Token token);
    error Overflow();

    modifier alone() {
        if (free != 1) revert Busy();
        free = 0;
        _;
        free = 1;
    }

    function reserves() public view returns (uint112, uint112, uint32) {
        return (reserve0, reserve1, traded);
    }

    function swap(uint256 out0, uint256 out1, address to) external alone {
        if (out0 == 0 && out1 == 0) revert NothingAsked();
        (uint112 had0, uint112 had1, ) = reserves();
        if (out0 >= had0 || out1 >= had1) revert NotSoMuch(out0, out1);
        if (out0 > 0) pay(token0, to, out0);
        if (out1 > 0) pay(token1, to, out1);

        uint256 has0 = token0.balanceOf(address(this));
        uint256 has1 = token1.balanceOf(address(this));
        uint256 in0 = has0 > had0 - out0 ? has0 - (had0 - out0) : 0;
        uint256 in1 = has1 > had1 - out1 ? has1 - (had1 - out1) : 0;
        if (in0 == 0 && in1 == 0) revert NotPaid(in0, in1);
        if ((has0 * 1000 - in0 * 3) * (has1 * 1000 - in1 * 3) < uint256(had0) * had1 * 1_000_000) revert NotPaid(in0, in1);

        update(has0, has1, had0, had1);
        emit Swap(msg.sender, in0, in1, out0, out1, to);
    }

    function update(uint256 has0, uint256 has1, uint112 had0, uint112 had1) private {
        if (has0 > type(uint112).max || has1 > type(uint112).max) revert Overflow();
        uint32 time = uint32(block.timestamp);
        unchecked {
            uint32 passed = time - traded;
            if (passed > 0 && had0 != 0 && had1 != 0) {
                price0Sum += ((uint256(had1) << 112) / had0) * passed;
                price1Sum += ((uint256(had0) << 112) / had1) * passed;
            }
        }
        (reserve0, reserve1, traded) = (uint112(has0), uint112(has1), time);
        emit Sync(reserve0, reserve1);
    }

    /// Tokens may return nothing, or whether they paid.
    function pay(Token token, address to, uint256 value) private {
        (bool ok, bytes memory answer) = address(token).call(abi.encodeCall(Token.transfer, (to, value)));
        if (!ok || (answer.length != 0 && !abi.decode(answer, (bool)))) revert Refused(token);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// Fails in every way there is, so that clients can show how they tell of it.
contract Faults {
    error Refused(address by, uint256 code);

    uint256 public stored;

    receive() external payable {
        revert("takes no ether");
    }

    function reason() external pure {
        revert("a reason in words");
    }

    function custom(uint256 code) external view {
        revert Refused(msg.sender, code);
    }

    function overflow(uint256 x) external pure returns (uint256) {
        return x + type(uint256).max;
    }

    function silent() external pure {
        assembly {
            revert(0, 0)
        }
    }

    function invalid() external pure {
        assembly {
            invalid()
        }
    }

    /// Succeeds only with enough gas left, which an estimate has to find out.
    function hungry(uint256 left) external {
        require(gasleft() >= left, "hungry");
        stored = left;
    }

    /// Uses up all gas.
    function endless() external {
        for (;;) {
            stored++;
        }
    }
}

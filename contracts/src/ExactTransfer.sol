// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title ExactTransfer
/// @notice Takes tokens and refuses those that deliver another amount than was asked for
library ExactTransfer {
    using SafeERC20 for IERC20;

    /// @notice The token moved another amount than was asked for
    /// @param expected Smallest units asked for
    /// @param received Smallest units that arrived
    error UnexpectedTransferAmount(uint256 expected, uint256 received);

    /// @dev Only inside a reentrancy guard: a second transfer during the first would be counted twice.
    function take(IERC20 token, address from, uint256 amount) internal {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(from, address(this), amount);
        // A token that lowers our balance makes this underflow and revert, which is as good.
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert UnexpectedTransferAmount(amount, received);
    }
}

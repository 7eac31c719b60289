// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title DevelopmentToken
/// @notice Money to play with on a local chain: whoever deployed it makes as much as it likes. Worth nothing, and not
/// to be deployed anywhere else.
contract DevelopmentToken is ERC20, ERC20Permit {
    address private immutable _minter;

    /// @notice Only the deployer makes tokens
    /// @param caller Who asked
    error NotMinter(address caller);

    constructor() ERC20("Counterweight Development Token", "CWD") ERC20Permit("Counterweight Development Token") {
        _minter = msg.sender;
    }

    /// @notice Makes tokens out of nothing (deployer only)
    /// @param to Who gets them
    /// @param amount Smallest units, of which 10^18 are one token
    function mint(address to, uint256 amount) external {
        if (msg.sender != _minter) revert NotMinter(msg.sender);
        _mint(to, amount);
    }

    /// @notice Who may make tokens: the deployer
    function minter() external view returns (address) {
        return _minter;
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @title What every test stands on: the cheat codes, and what an invariant test calls
/// @dev Small and ours: the `forge-std` on npm is an old unofficial copy.
abstract contract Test {
    /// @dev Marks a contract as a test for forge.
    bool public constant IS_TEST = true;

    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    address[] private _targets;

    /// @dev Invariant tests call nothing but these.
    function targetContracts() public view returns (address[] memory) {
        return _targets;
    }

    function _target(address handler) internal {
        _targets.push(handler);
    }

    /// @dev Folds a fuzzed number into `low..=high`.
    function _bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        uint256 span = high - low + 1;
        return span == 0 ? value : low + value % span;
    }
}

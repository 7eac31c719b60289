// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceVerifier} from "../interfaces/IInferenceVerifier.sol";

/// @dev Order of the groups of BN254: what scalars count modulo. Five times it stays below 2^256, so sums of up to four
/// reduced numbers need no reduction before they are multiplied.
uint256 constant ORDER = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;

/// @dev 1 / 2.
uint256 constant HALF = 0x183227397098d014dc2822db40c0ac2e9419f4243cdcb848a1f0fac9f8000001;

// Functions rather than the built-in ones, whose third operand would put 33 bytes of code at each use. Loops in assembly keep the
// order on the stack.

/// @dev left * right; any two numbers.
function times(uint256 left, uint256 right) pure returns (uint256) {
    return mulmod(left, right, ORDER);
}

/// @dev left + right; any two numbers.
function plus(uint256 left, uint256 right) pure returns (uint256) {
    return addmod(left, right, ORDER);
}

/// @dev left - right, the right one reduced.
function minus(uint256 left, uint256 right) pure returns (uint256) {
    unchecked {
        return addmod(left, ORDER - right, ORDER);
    }
}

/// @title Inverses modulo the order of the groups
library Scalars {
    uint256 private constant MODEXP = 5;

    /// @dev 1 / value, and zero for zero (Fermat).
    function inverse(uint256 value) internal view returns (uint256 result) {
        bool done;
        assembly ("memory-safe") {
            // Beyond the free memory pointer, and given back: nothing is allocated.
            let input := mload(0x40)
            mstore(input, 32)
            mstore(add(input, 32), 32)
            mstore(add(input, 64), 32)
            mstore(add(input, 96), value)
            mstore(add(input, 128), sub(ORDER, 2))
            mstore(add(input, 160), ORDER)
            done := staticcall(gas(), MODEXP, input, 192, 0, 32)
            result := mload(0)
        }
        if (!done) revert IInferenceVerifier.PrecompileFailed(MODEXP);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceVerifier} from "../interfaces/IInferenceVerifier.sol";
import {ORDER} from "./Scalars.sol";

/// @title Sums of points of BN254's first group
/// @notice Every point of a proof is checked before it is used: a precompile that is given a bad point takes all the gas
/// it was sent, and its failure could not be told from a lack of gas.
/// @dev A sum is the address of five words of memory: the point so far, and room for the next term. Points are two words,
/// zeros for infinity, as in EIP-196.
library Points {
    uint256 private constant ADD = 6;
    uint256 private constant MULTIPLY = 7;
    uint256 private constant PAIRING = 8;
    /// @dev What coordinates count modulo.
    uint256 private constant PRIME = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;

    /// @dev Whether `count` points of calldata have reduced coordinates and are on the curve or infinity. The curve has no
    /// other subgroups.
    function areValid(uint256 data, uint256 count) internal pure returns (bool valid) {
        assembly ("memory-safe") {
            let prime := PRIME
            let bad := 0
            for { let end := add(data, shl(6, count)) } lt(data, end) { data := add(data, 64) } {
                let x := calldataload(data)
                let y := calldataload(add(data, 32))
                // Zero on the curve; reduced coordinates make a zero of the comparisons.
                let off := sub(mulmod(y, y, prime), addmod(mulmod(mulmod(x, x, prime), x, prime), 3, prime))
                if or(or(off, iszero(lt(x, prime))), iszero(lt(y, prime))) { bad := or(bad, or(x, y)) }
            }
            valid := iszero(bad)
        }
    }

    /// @dev A new sum: infinity.
    function begin() internal pure returns (uint256 sum) {
        assembly ("memory-safe") {
            sum := mload(0x40)
            mstore(0x40, add(sum, 160))
            mstore(sum, 0)
            mstore(add(sum, 32), 0)
        }
    }

    /// @dev Adds factor * scalars[i] * point i, points from calldata, for reduced scalars.
    function combine(uint256 sum, uint256 data, uint256 count, uint256 scalars, uint256 factor) internal view {
        unchecked {
            for (uint256 end = data + 64 * count; data < end; data += 64) {
                uint256 scalar;
                assembly ("memory-safe") {
                    scalar := mulmod(mload(scalars), factor, ORDER)
                    scalars := add(scalars, 32)
                }
                add(sum, data, scalar);
            }
        }
    }

    /// @dev Adds scalar * point, the point from calldata.
    function add(uint256 sum, uint256 data, uint256 scalar) internal view {
        if (scalar == 0) return;
        assembly ("memory-safe") {
            calldatacopy(add(sum, 64), data, 64)
        }
        _addTerm(sum, scalar);
    }

    /// @dev Adds scalar * (x, y).
    function add(uint256 sum, uint256 x, uint256 y, uint256 scalar) internal view {
        assembly ("memory-safe") {
            mstore(add(sum, 64), x)
            mstore(add(sum, 96), y)
        }
        _addTerm(sum, scalar);
    }

    /// @dev Whether e(left, [1]_2) e(-right, tau) is one, for sums `left` and `right`, with tau as in EIP-197.
    function pairingIsOne(uint256 left, uint256 right, uint256[4] memory tau) internal view returns (bool) {
        bool done;
        uint256 one;
        assembly ("memory-safe") {
            let input := mload(0x40)
            mcopy(input, left, 64)
            mstore(add(input, 64), 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2)
            mstore(add(input, 96), 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed)
            mstore(add(input, 128), 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b)
            mstore(add(input, 160), 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa)
            mstore(add(input, 192), mload(right))
            // Infinity's zero is its own negative.
            mstore(add(input, 224), mod(sub(PRIME, mload(add(right, 32))), PRIME))
            mcopy(add(input, 256), tau, 128)
            done := staticcall(gas(), PAIRING, input, 384, 0, 32)
            one := mload(0)
        }
        if (!done) revert IInferenceVerifier.PrecompileFailed(PAIRING);
        return one == 1;
    }

    function _addTerm(uint256 sum, uint256 scalar) private view {
        bool done = true;
        assembly ("memory-safe") {
            let term := add(sum, 64)
            if iszero(eq(scalar, 1)) {
                mstore(add(sum, 128), scalar)
                done := staticcall(gas(), MULTIPLY, term, 96, term, 64)
            }
        }
        // Points were checked: what fails is the call itself. To answer that the proof is bad would let a caller who
        // sends too little gas have any proof refused.
        if (!done) revert IInferenceVerifier.PrecompileFailed(MULTIPLY);
        assembly ("memory-safe") {
            done := staticcall(gas(), ADD, sum, 128, sum, 64)
        }
        if (!done) revert IInferenceVerifier.PrecompileFailed(ADD);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Multilinear} from "./Multilinear.sol";
import {TABLE_BITS, TABLE_USED} from "./Plan.sol";
import {ORDER, minus, plus, times} from "./Scalars.sol";

/// @title The lookup table (docs/spec/zkml.md, section 2), extended
library LookupTable {
    /// @dev Tag of a byte.
    uint256 internal constant TAG_BYTE = 9;

    /// @dev Tags of what a requantised slot looks up: high and low byte of the quotient, low and high byte of the remainder.
    function tags(uint256 shift, bool relu) internal pure returns (uint256, uint256, uint256, uint256) {
        unchecked {
            uint256 low = shift < 8 ? shift : 8;
            return (relu ? 11 : 10, relu ? 13 : 12, 1 + low, 1 + shift - low);
        }
    }

    /// @dev The entries in use, by eq(tau, entry), at a point of eleven coordinates.
    function usedEqual(uint256 tau, uint256 point) internal pure returns (uint256) {
        return minus(
            Multilinear.equalBelow(TABLE_USED, TABLE_BITS, tau, point),
            times(Multilinear.corner(0, TABLE_BITS, tau), Multilinear.corner(0, TABLE_BITS, point))
        );
    }

    /// @dev The table's tuples (tag, v1, v2, v3), each folded to tag + beta v1 + beta^2 v2 + beta^3 v3, at a point.
    function extended(uint256 point, uint256 beta) internal pure returns (uint256 sum) {
        unchecked {
            // The weight of each part of 256 entries.
            uint256 parts = Multilinear.weights(6, TABLE_BITS - 8, point);
            point += 96;
            uint256 high = plus(_load(parts + 64), _load(parts + 96));
            sum = times(beta, _saturated(point, _load(parts + 64), high));
            sum = times(beta, sum + _middle(point, high, _load(parts + 128), _load(parts + 160)));
            uint256 all = high + _load(parts + 32) + plus(_load(parts + 128), _load(parts + 160));
            sum = times(beta, sum + times(_number(point, 8), all));
            // Tags 9 to 13.
            for (uint256 part = 1; part < 6; ++part) {
                sum = plus(sum, times(part + 8, _load(parts + 32 * part)));
            }
            sum = plus(sum, times(_load(parts), _ranges(point, beta)));
        }
    }

    /// @dev Third values: what a high byte that is not 128 saturates to. `signed` weighs the part that goes below zero.
    function _saturated(uint256 low, uint256 signed, uint256 high) private pure returns (uint256) {
        unchecked {
            uint256 top = _load(low);
            uint256 above = times(127, minus(top, Multilinear.corner(128, 8, low)));
            uint256 below = times(128, minus(1, top));
            return minus(times(above, high), times(below, signed));
        }
    }

    /// @dev Second values: whether a high byte is 128, and what a low byte is less 128, also clamped.
    function _middle(uint256 low, uint256 high, uint256 plain, uint256 clamped) private pure returns (uint256 sum) {
        unchecked {
            uint256 top = _load(low);
            uint256 rest = _number(low + 32, 7);
            sum = times(Multilinear.corner(128, 8, low), high);
            // value - 128 = 128 (top - 1) + rest
            sum += times(times(128, minus(top, 1)) + rest, plain);
            sum = plus(sum, times(times(top, rest), clamped));
        }
    }

    /// @dev Entries 2^e + v, that say v < 2^e: the leading one of the index is at e, what follows is v.
    function _ranges(uint256 low, uint256 beta) private pure returns (uint256 sum) {
        unchecked {
            uint256 zeros = 1;
            for (uint256 left = 7;; --left) {
                uint256 bit = _load(low);
                low += 32;
                uint256 tuple = left + 1 + times(beta, _number(low, left));
                sum = plus(sum, times(times(zeros, bit), tuple));
                zeros = times(zeros, minus(1, bit));
                if (left == 0) return sum;
            }
        }
    }

    /// @dev The number whose bits are coordinates.
    function _number(uint256 point, uint256 bits) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            for { let end := add(point, shl(5, bits)) } lt(point, end) { point := add(point, 32) } {
                value := addmod(add(value, value), mload(point), ORDER)
            }
        }
    }

    function _load(uint256 place) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(place)
        }
    }
}

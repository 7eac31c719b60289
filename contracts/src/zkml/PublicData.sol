// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ORDER, minus, plus, times} from "./Scalars.sol";

/// @title Weighted sums over a public input or output in calldata
library PublicData {
    /// @dev Sum over rows of `length` int8 each, the last one maybe shorter, of outer[row] times the sum of inner[i] times
    /// the row's byte i. `total` bytes from `data` on.
    function weigh(uint256 data, uint256 total, uint256 outer, uint256 inner, uint256 length)
        internal
        pure
        returns (uint256 sum)
    {
        unchecked {
            // Bytes are read with 128 added, which the sum of the row's weights takes off again.
            uint256 bias = times(128, _sum(length, inner));
            for (uint256 end = data + total; data < end; data += length) {
                if (end - data < length) {
                    length = end - data;
                    bias = times(128, _sum(length, inner));
                }
                uint256 weight;
                assembly ("memory-safe") {
                    weight := mload(outer)
                    outer := add(outer, 32)
                }
                sum = plus(sum, times(weight, minus(_row(data, length, inner), bias)));
            }
        }
    }

    /// @dev Sum of weight[i] times the int32 i, big endian.
    function weighWords(uint256 data, uint256 count, uint256 table) internal pure returns (uint256 sum) {
        assembly ("memory-safe") {
            let order := ORDER
            for { let end := add(data, shl(2, count)) } lt(data, end) { data := add(data, 4) } {
                // With 2^31 added: the sign bit flipped.
                let value := shr(224, xor(calldataload(data), shl(255, 1)))
                value := addmod(value, sub(order, 0x80000000), order)
                sum := addmod(sum, mulmod(value, mload(table), order), order)
                table := add(table, 32)
            }
        }
    }

    /// @dev Sum of the first entries of a table.
    function _sum(uint256 count, uint256 table) private pure returns (uint256 sum) {
        assembly ("memory-safe") {
            for { let end := add(table, shl(5, count)) } lt(table, end) { table := add(table, 32) } {
                sum := addmod(sum, mload(table), ORDER)
            }
        }
    }

    /// @dev Sum of table[i] times (byte i + 128).
    function _row(uint256 data, uint256 count, uint256 table) private pure returns (uint256 sum) {
        assembly ("memory-safe") {
            let order := ORDER
            let signs := 0x8080808080808080808080808080808080808080808080808080808080808080
            let end := add(data, count)
            // Four products and a reduced sum stay below five times the order.
            for { let whole := add(data, and(count, not(7))) } lt(data, whole) { data := add(data, 8) } {
                let word := xor(calldataload(data), signs)
                sum := add(sum, mulmod(byte(0, word), mload(table), order))
                sum := add(sum, mulmod(byte(1, word), mload(add(table, 0x20)), order))
                sum := add(sum, mulmod(byte(2, word), mload(add(table, 0x40)), order))
                sum := mod(add(sum, mulmod(byte(3, word), mload(add(table, 0x60)), order)), order)
                sum := add(sum, mulmod(byte(4, word), mload(add(table, 0x80)), order))
                sum := add(sum, mulmod(byte(5, word), mload(add(table, 0xa0)), order))
                sum := add(sum, mulmod(byte(6, word), mload(add(table, 0xc0)), order))
                sum := mod(add(sum, mulmod(byte(7, word), mload(add(table, 0xe0)), order)), order)
                table := add(table, 0x100)
            }
            for {} lt(data, end) { data := add(data, 1) } {
                let value := byte(0, xor(calldataload(data), signs))
                sum := addmod(sum, mulmod(value, mload(table), order), order)
                table := add(table, 32)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ORDER} from "./Scalars.sol";
import {Sessions} from "./Session.sol";

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
            uint256 biases = _biases(length, inner);
            for (uint256 end = data + total; data < end; data += length) {
                if (end - data < length) {
                    length = end - data;
                    biases = _biases(length, inner);
                }
                uint256 ofRow = _row(data, length, inner, biases);
                assembly ("memory-safe") {
                    sum := addmod(sum, mulmod(mload(outer), ofRow, ORDER), ORDER)
                    outer := add(outer, 32)
                }
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

    /// @dev For each 32 entries of a table, 128 times their sum: what is too much where that is added to each element.
    function _biases(uint256 count, uint256 table) private pure returns (uint256 biases) {
        biases = Sessions.allocate((count + 31) / 32);
        assembly ("memory-safe") {
            let order := ORDER
            let to := biases
            for { let end := add(table, shl(5, count)) } lt(table, end) { to := add(to, 32) } {
                let sum := 0
                for { let until := add(table, 0x400) } and(lt(table, until), lt(table, end)) { table := add(table, 32) } {
                    sum := addmod(sum, mload(table), order)
                }
                mstore(to, mulmod(128, sum, order))
            }
        }
    }

    /// @dev Sum of table[i] times the int8 i. Zeros cost next to nothing where no neighbour is negative: pictures are mostly those.
    function _row(uint256 data, uint256 count, uint256 table, uint256 biases) private pure returns (uint256 sum) {
        assembly ("memory-safe") {
            let order := ORDER
            for { let end := add(data, count) } lt(data, end) {
                data := add(data, 32)
                table := add(table, 0x400)
                biases := add(biases, 32)
            } {
                let chunk := calldataload(data)
                let signs := 0x8080808080808080808080808080808080808080808080808080808080808080
                if lt(sub(end, data), 32) {
                    // Nothing behind the row.
                    let inside := not(shr(shl(3, sub(end, data)), not(0)))
                    chunk := and(chunk, inside)
                    signs := and(signs, inside)
                }
                if and(chunk, signs) {
                    // Some are negative: 128 is added to each.
                    chunk := xor(chunk, signs)
                    sum := addmod(sum, sub(order, mload(biases)), order)
                }
                for { let place := table } chunk {
                    chunk := shl(64, chunk)
                    place := add(place, 0x100)
                } {
                    let word := shr(192, chunk)
                    if iszero(word) { continue }
                    // Four products and a reduced sum stay below five times the order.
                    sum := add(sum, mulmod(byte(24, word), mload(place), order))
                    sum := add(sum, mulmod(byte(25, word), mload(add(place, 0x20)), order))
                    sum := add(sum, mulmod(byte(26, word), mload(add(place, 0x40)), order))
                    sum := mod(add(sum, mulmod(byte(27, word), mload(add(place, 0x60)), order)), order)
                    sum := add(sum, mulmod(byte(28, word), mload(add(place, 0x80)), order))
                    sum := add(sum, mulmod(byte(29, word), mload(add(place, 0xa0)), order))
                    sum := add(sum, mulmod(byte(30, word), mload(add(place, 0xc0)), order))
                    sum := mod(add(sum, mulmod(byte(31, word), mload(add(place, 0xe0)), order)), order)
                }
            }
        }
    }
}

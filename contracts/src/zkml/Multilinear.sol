// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ORDER} from "./Scalars.sol";

/// @title Multilinear extensions that a verifier evaluates itself
/// @notice A point is the address in memory of its first coordinate, with its number of coordinates (`bits`); the first is
/// the most significant bit of an index. `eq(x, y)` is the product of `x_i y_i + (1 - x_i)(1 - y_i)`.
/// @dev Coordinates are below the order; so are results. No function leaves memory allocated but the tables.
library Multilinear {
    /// @dev eq(left, right).
    function equal(uint256 bits, uint256 left, uint256 right) internal pure returns (uint256 product) {
        assembly ("memory-safe") {
            let order := ORDER
            // 2xy + 1 - x - y is kept positive by twice the order.
            let one := add(add(order, order), 1)
            let end := add(left, shl(5, bits))
            product := 1
            if and(bits, 1) {
                end := sub(end, 32)
                let x := mload(end)
                let y := mload(sub(add(right, end), left))
                product := mulmod(sub(add(shl(1, mulmod(x, y, order)), one), add(x, y)), 1, order)
            }
            for {} lt(left, end) {
                left := add(left, 64)
                right := add(right, 64)
            } {
                let x := mload(left)
                let y := mload(right)
                product := mulmod(product, sub(add(shl(1, mulmod(x, y, order)), one), add(x, y)), order)
                x := mload(add(left, 32))
                y := mload(add(right, 32))
                product := mulmod(product, sub(add(shl(1, mulmod(x, y, order)), one), add(x, y)), order)
            }
        }
    }

    /// @dev eq(point, index).
    function corner(uint256 index, uint256 bits, uint256 point) internal pure returns (uint256 product) {
        assembly ("memory-safe") {
            let order := ORDER
            let one := add(order, 1)
            product := 1
            let x := add(point, shl(5, bits))
            if and(bits, 1) {
                x := sub(x, 32)
                product := mload(x)
                if iszero(and(index, 1)) { product := mod(sub(one, product), order) }
                index := shr(1, index)
            }
            // Two bits at a time, from the last.
            for {} gt(x, point) {} {
                x := sub(x, 64)
                let high := mload(x)
                let low := mload(add(x, 32))
                if iszero(and(index, 1)) { low := sub(one, low) }
                if iszero(and(index, 2)) { high := sub(one, high) }
                product := mulmod(product, mulmod(high, low, order), order)
                index := shr(2, index)
            }
        }
    }

    /// @dev eq(point, first + i) for i < count, a word each, newly allocated; 0 < count, and few.
    function corners(uint256 first, uint256 count, uint256 bits, uint256 point) internal pure returns (uint256 table) {
        unchecked {
            // Indices that agree but for their last bits share the product over the others.
            uint256 low = 0;
            while ((first ^ (first + count - 1)) >> low != 0) {
                ++low;
            }
            uint256 high = bits - low;
            uint256 shared = corner(first >> low, high, point);
            uint256 mask = (1 << low) - 1;
            table = weights((first & mask) + count, low, point + 32 * high) + 32 * (first & mask);
            for (uint256 end = table + 32 * count; end > table;) {
                end -= 32;
                assembly ("memory-safe") {
                    mstore(end, mulmod(mload(end), shared, ORDER))
                }
            }
        }
    }

    /// @dev Sum of eq(left, i) eq(right, i) over i < size, size <= 2^bits.
    function equalBelow(uint256 size, uint256 bits, uint256 left, uint256 right) internal pure returns (uint256 sum) {
        if (size >> bits != 0) return equal(bits, left, right);
        assembly ("memory-safe") {
            let order := ORDER
            let one := add(add(order, order), 1)
            // From the last bit up: `sum` over indices below the size's bits so far, `all` over every index.
            let all := 1
            let x := add(left, shl(5, bits))
            right := add(right, shl(5, bits))
            for {} and(iszero(and(size, 1)), gt(x, left)) { size := shr(1, size) } {
                x := sub(x, 32)
                right := sub(right, 32)
                let a := mload(x)
                let b := mload(right)
                all := mulmod(all, sub(add(shl(1, mulmod(a, b, order)), one), add(a, b)), order)
            }
            for {} gt(x, left) { size := shr(1, size) } {
                x := sub(x, 32)
                right := sub(right, 32)
                let a := mload(x)
                let b := mload(right)
                let both := mulmod(a, b, order)
                let neither := sub(add(both, one), add(a, b))
                switch and(size, 1)
                case 0 { sum := mulmod(neither, sum, order) }
                default { sum := addmod(mulmod(neither, all, order), mulmod(both, sum, order), order) }
                all := mulmod(all, add(neither, both), order)
            }
        }
    }

    /// @dev Sums over i < size, size <= 2^bits: of eq(left, i) eq(right, i), and of eq(right, i). Cheaper than one after the other.
    function equalAndSumBelow(uint256 size, uint256 bits, uint256 left, uint256 right)
        internal
        pure
        returns (uint256 equals, uint256 sum)
    {
        if (size >> bits != 0) return (equal(bits, left, right), 1);
        assembly ("memory-safe") {
            let order := ORDER
            let one := add(order, 1)
            // As in `equalBelow` and `sumBelow`.
            let all := 1
            let x := add(left, shl(5, bits))
            right := add(right, shl(5, bits))
            for {} gt(x, left) { size := shr(1, size) } {
                x := sub(x, 32)
                right := sub(right, 32)
                let b := mload(right)
                let both := mulmod(mload(x), b, order)
                let neither := sub(add(both, add(one, order)), add(mload(x), b))
                switch and(size, 1)
                case 0 {
                    equals := mulmod(neither, equals, order)
                    sum := mulmod(sub(one, b), sum, order)
                }
                default {
                    equals := addmod(mulmod(neither, all, order), mulmod(both, equals, order), order)
                    sum := addmod(sub(one, b), mulmod(b, sum, order), order)
                }
                all := mulmod(all, add(neither, both), order)
            }
        }
    }

    /// @dev Sum of eq(point, i) over i < size, size <= 2^bits.
    function sumBelow(uint256 size, uint256 bits, uint256 point) internal pure returns (uint256 sum) {
        if (size >> bits != 0) return 1;
        assembly ("memory-safe") {
            let order := ORDER
            for { let x := add(point, shl(5, bits)) } gt(x, point) {} {
                x := sub(x, 32)
                // One's coordinate, or what is left of one: of the sum, or beside it.
                switch and(size, 1)
                case 0 { sum := mulmod(sub(add(order, 1), mload(x)), sum, order) }
                default {
                    let coordinate := mload(x)
                    sum := addmod(sub(add(order, 1), coordinate), mulmod(coordinate, sum, order), order)
                }
                size := shr(1, size)
            }
        }
    }

    /// @dev The table of eq(point, i) for i < size, 0 < size <= 2^bits: a word each from `table` on, newly allocated.
    function weights(uint256 size, uint256 bits, uint256 point) internal pure returns (uint256 table) {
        assembly ("memory-safe") {
            let order := ORDER
            table := mload(0x40)
            // The last doubling writes pairs, one word more than an odd size; the first two write four words.
            mstore(0x40, add(table, shl(5, add(size, 4))))
            mstore(table, 1)
            size := sub(size, 1)
            let left := bits
            if gt(left, 1) {
                left := sub(left, 2)
                let x := mload(point)
                let y := mload(add(point, 32))
                point := add(point, 64)
                let both := mulmod(x, y, order)
                mstore(table, add(sub(add(order, 1), x), sub(add(both, order), y)))
                mstore(add(table, 32), sub(add(y, order), both))
                mstore(add(table, 64), sub(add(x, order), both))
                mstore(add(table, 96), both)
                if iszero(left) {
                    mstore(table, mod(mload(table), order))
                    mstore(add(table, 32), mod(mload(add(table, 32)), order))
                    mstore(add(table, 64), mod(mload(add(table, 64)), order))
                }
            }
            for {} left {} {
                left := sub(left, 1)
                let x := mload(point)
                let y := sub(add(order, 1), x)
                point := add(point, 32)
                // Entries are made in pairs, of the last one that is needed after this coordinate and those before it.
                let pairs := add(shr(add(left, 1), size), 1)
                let from := add(table, shl(5, pairs))
                let to := add(table, shl(6, pairs))
                if and(pairs, 1) {
                    from := sub(from, 32)
                    to := sub(to, 64)
                    let weight := mload(from)
                    mstore(add(to, 32), mulmod(weight, x, order))
                    mstore(to, mulmod(weight, y, order))
                }
                for {} gt(from, table) {} {
                    from := sub(from, 64)
                    to := sub(to, 128)
                    let weight := mload(add(from, 32))
                    mstore(add(to, 96), mulmod(weight, x, order))
                    mstore(add(to, 64), mulmod(weight, y, order))
                    weight := mload(from)
                    mstore(add(to, 32), mulmod(weight, x, order))
                    mstore(to, mulmod(weight, y, order))
                }
            }
        }
    }

    /// @dev Sum of left[i] right[i * step / 32] over two tables: `step` is the distance of the right one's entries in bytes.
    function inner(uint256 size, uint256 left, uint256 right, uint256 step) internal pure returns (uint256 sum) {
        assembly ("memory-safe") {
            let order := ORDER
            let end := add(left, shl(5, size))
            for { let whole := add(left, shl(5, and(size, not(3)))) } lt(left, whole) { left := add(left, 128) } {
                // Four products and a reduced sum stay below five times the order.
                sum := add(sum, mulmod(mload(left), mload(right), order))
                right := add(right, step)
                sum := add(sum, mulmod(mload(add(left, 32)), mload(right), order))
                right := add(right, step)
                sum := add(sum, mulmod(mload(add(left, 64)), mload(right), order))
                right := add(right, step)
                sum := mod(add(sum, mulmod(mload(add(left, 96)), mload(right), order)), order)
                right := add(right, step)
            }
            for {} lt(left, end) { left := add(left, 32) } {
                sum := addmod(sum, mulmod(mload(left), mload(right), order), order)
                right := add(right, step)
            }
        }
    }

    /// @dev The table of left[i] right[j], j running first, newly allocated.
    function outer(uint256 leftSize, uint256 left, uint256 rightSize, uint256 right)
        internal
        pure
        returns (uint256 table)
    {
        assembly ("memory-safe") {
            table := mload(0x40)
            let to := table
            let rightEnd := add(right, shl(5, rightSize))
            for { let leftEnd := add(left, shl(5, leftSize)) } lt(left, leftEnd) { left := add(left, 32) } {
                let weight := mload(left)
                for { let from := right } lt(from, rightEnd) { from := add(from, 32) } {
                    mstore(to, mulmod(weight, mload(from), ORDER))
                    to := add(to, 32)
                }
            }
            mstore(0x40, to)
        }
    }
}

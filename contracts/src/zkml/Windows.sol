// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Multilinear} from "./Multilinear.sol";
import {Plan} from "./Plan.sol";
import {ORDER, plus, times} from "./Scalars.sol";
import {Sessions} from "./Session.sol";

/// @title What a layer reads through a window, as a functional of the cells of its input's plane
library Windows {
    /// @dev How one side of a window moves along one side of a plane. From place p it sees cells p * stride + k - before, for
    /// k below `window`, where there are such cells.
    struct Axis {
        uint256 places;
        uint256 cells;
        uint256 stride;
        // Modulo 2^256: a negative number looks at one cell further on.
        uint256 before;
        uint256 window;
        // The table of the window's weights; 0 for ones.
        uint256 weights;
        // The table of the cells' weights.
        uint256 table;
    }

    /// @dev Rows of a layer's window over its input.
    function rows(uint256 layer, uint256 input, uint256 made) internal pure returns (Axis memory axis) {
        axis.places = Plan.uint16At(made, Plan.HEIGHT);
        axis.cells = Plan.uint16At(input, Plan.HEIGHT);
        axis.stride = Plan.byteAt(layer, Plan.STRIDE_Y);
        axis.before = Plan.byteAt(layer, Plan.PAD_TOP);
        axis.window = Plan.byteAt(layer, Plan.WINDOW_HEIGHT);
    }

    /// @dev Its columns.
    function columns(uint256 layer, uint256 input, uint256 made) internal pure returns (Axis memory axis) {
        axis.places = Plan.uint16At(made, Plan.WIDTH);
        axis.cells = Plan.uint16At(input, Plan.WIDTH);
        axis.stride = Plan.byteAt(layer, Plan.STRIDE_X);
        axis.before = Plan.byteAt(layer, Plan.PAD_LEFT);
        axis.window = Plan.byteAt(layer, Plan.WINDOW_WIDTH);
    }

    /// @dev For each place, the sum over the window of weight * table[cell].
    function seen(Axis memory axis) internal pure returns (uint256 sums) {
        unchecked {
            sums = Sessions.allocate(axis.places);
            uint256 first = 0 - axis.before;
            uint256 stride = axis.stride;
            uint256 end = sums + 32 * axis.places;
            for (uint256 place = sums; place < end; place += 32) {
                uint256 sum = _seenFrom(axis, first);
                assembly ("memory-safe") {
                    mstore(place, sum)
                }
                first += stride;
            }
        }
    }

    function _seenFrom(Axis memory axis, uint256 first) private pure returns (uint256 sum) {
        uint256 table = axis.table;
        uint256 cells = axis.cells;
        uint256 window = axis.window;
        uint256 weights = axis.weights;
        assembly ("memory-safe") {
            let order := ORDER
            for { let end := add(first, window) } iszero(eq(first, end)) { first := add(first, 1) } {
                if lt(first, cells) {
                    let value := mload(add(table, shl(5, first)))
                    if weights { value := mulmod(value, mload(weights), order) }
                    sum := addmod(sum, value, order)
                }
                if weights { weights := add(weights, 32) }
            }
        }
    }

    /// @dev For each cell, the sum of table[place] * weight over the places that see it.
    function spread(Axis memory axis, uint256 table) internal pure returns (uint256 sums) {
        unchecked {
            sums = Sessions.zeros(axis.cells);
            uint256 first = 0 - axis.before;
            uint256 stride = axis.stride;
            for (uint256 end = table + 32 * axis.places; table < end; table += 32) {
                _spreadFrom(axis, table, first, sums);
                first += stride;
            }
        }
    }

    function _spreadFrom(Axis memory axis, uint256 cursor, uint256 first, uint256 sums) private pure {
        uint256 cells = axis.cells;
        uint256 window = axis.window;
        uint256 weights = axis.weights;
        assembly ("memory-safe") {
            let order := ORDER
            let ofPlace := mload(cursor)
            for { let end := add(first, window) } iszero(eq(first, end)) { first := add(first, 1) } {
                if lt(first, cells) {
                    let sum := add(sums, shl(5, first))
                    mstore(sum, addmod(mload(sum), mulmod(ofPlace, mload(weights), order), order))
                }
                weights := add(weights, 32)
            }
        }
    }

    /// @dev Sum over a made node's plane of eq(point, place) * ofRows[row] * ofColumns[column]; `point` without the channel.
    function overPlane(uint256 made, uint256 point, uint256 ofRows, uint256 ofColumns) internal pure returns (uint256) {
        unchecked {
            (uint256 size, uint256 bits) = Plan.dimension(made, 1);
            uint256 table = Multilinear.weights(size, bits, point);
            if (Plan.byteAt(made, Plan.IS_SPATIAL) != 0) {
                uint256 product = Multilinear.inner(size, table, ofRows);
                point += 32 * bits;
                (size, bits) = Plan.dimension(made, 2);
                table = Multilinear.weights(size, bits, point);
                return times(product, Multilinear.inner(size, table, ofColumns));
            }
            uint256 width = Plan.uint16At(made, Plan.WIDTH);
            uint256 sum = 0;
            for (uint256 end = table + 32 * size; table < end; table += 32 * width) {
                uint256 ofRow;
                assembly ("memory-safe") {
                    ofRow := mload(ofRows)
                    ofRows := add(ofRows, 32)
                }
                sum = plus(sum, times(ofRow, Multilinear.inner(width, table, ofColumns)));
            }
            return sum;
        }
    }
}

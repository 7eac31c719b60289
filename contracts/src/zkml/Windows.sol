// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Multilinear} from "./Multilinear.sol";
import {Plan} from "./Plan.sol";
import {ORDER} from "./Scalars.sol";
import {Sessions} from "./Session.sol";

/// @title What a layer reads through a window, as a functional of the cells of its input's plane
library Windows {
    /// @dev How one side of a window moves along one side of a plane. From place p it sees cells p * stride + k - before, for
    /// k below `window`, where there are such cells.
    struct Axis {
        uint256 places;
        uint256 cells;
        uint256 cellBits;
        uint256 stride;
        uint256 before;
        uint256 window;
    }

    /// @dev One side of a layer's window over its input: 1 for rows, 2 for columns, as dimensions are numbered.
    function axisOf(uint256 layer, uint256 input, uint256 made, uint256 side)
        internal
        pure
        returns (Axis memory axis)
    {
        unchecked {
            uint256 next = 8 * (side - 1);
            axis.places = Plan.uint16At(made, Plan.HEIGHT + 2 * next);
            (axis.cells, axis.cellBits) = Plan.dimension(input, side);
            axis.stride = Plan.byteAt(layer, Plan.STRIDE_Y + next);
            axis.before = Plan.byteAt(layer, Plan.PAD_TOP + next);
            axis.window = Plan.byteAt(layer, Plan.WINDOW_HEIGHT + next);
        }
    }

    /// @dev The table of eq(point, cell), with zeros before and behind, where a window sees nothing.
    function padded(Axis memory axis, uint256 point) internal pure returns (uint256 table) {
        unchecked {
            Sessions.zeros(axis.before);
            table = Multilinear.weights(axis.cells, axis.cellBits, point);
            uint256 end = table + 32 * axis.cells;
            uint256 window = axis.window;
            assembly ("memory-safe") {
                calldatacopy(end, calldatasize(), shl(5, window))
                mstore(0x40, add(end, shl(5, add(window, 1))))
            }
        }
    }

    /// @dev Sum over places and the window of ofPlaces[place] * weights[k] * table[cell], of a padded table.
    function seen(Axis memory axis, uint256 table, uint256 ofPlaces, uint256 weights)
        internal
        pure
        returns (uint256 sum)
    {
        unchecked {
            table -= 32 * axis.before;
            uint256 step = 32 * axis.stride;
            for (uint256 k = 0; k < axis.window; ++k) {
                uint256 ofCell = Multilinear.inner(axis.places, ofPlaces, table, step);
                table += 32;
                assembly ("memory-safe") {
                    sum := addmod(sum, mulmod(ofCell, mload(weights), ORDER), ORDER)
                    weights := add(weights, 32)
                }
            }
        }
    }

    /// @dev For each place, the sum of table[cell] over the window, of a padded table.
    function summed(Axis memory axis, uint256 table) internal pure returns (uint256 ofPlaces) {
        unchecked {
            ofPlaces = Sessions.allocate(axis.places);
            uint256 window = 32 * axis.window;
            uint256 step = 32 * axis.stride;
            uint256 first = table - 32 * axis.before;
            uint256 end = ofPlaces + 32 * axis.places;
            for (uint256 place = ofPlaces; place < end; place += 32) {
                assembly ("memory-safe") {
                    let sum := 0
                    let behind := add(first, window)
                    for { let cell := first } lt(cell, behind) { cell := add(cell, 32) } {
                        sum := addmod(sum, mload(cell), ORDER)
                    }
                    mstore(place, sum)
                }
                first += step;
            }
        }
    }

    /// @dev For each cell, the sum of ofPlaces[place] * weights[k] over the places that see it.
    function spread(Axis memory axis, uint256 ofPlaces, uint256 weights) internal pure returns (uint256 sums) {
        unchecked {
            // What falls outside is written too: room for a window on both sides.
            sums = Sessions.zeros(axis.cells + 2 * axis.window) + 32 * axis.window;
            uint256 first = sums - 32 * axis.before;
            uint256 end = weights + 32 * axis.window;
            for (; weights < end; weights += 32) {
                _spreadCell(axis, ofPlaces, weights, first);
                first += 32;
            }
        }
    }

    /// @dev One cell of the window.
    function _spreadCell(Axis memory axis, uint256 ofPlaces, uint256 weights, uint256 sums) private pure {
        uint256 places = axis.places;
        uint256 stride = axis.stride;
        assembly ("memory-safe") {
            let order := ORDER
            let weight := mload(weights)
            let step := shl(5, stride)
            let end := add(ofPlaces, shl(5, places))
            for { let whole := add(ofPlaces, shl(5, and(places, not(3)))) } lt(ofPlaces, whole) {
                ofPlaces := add(ofPlaces, 128)
            } {
                mstore(sums, addmod(mload(sums), mulmod(mload(ofPlaces), weight, order), order))
                sums := add(sums, step)
                mstore(sums, addmod(mload(sums), mulmod(mload(add(ofPlaces, 32)), weight, order), order))
                sums := add(sums, step)
                mstore(sums, addmod(mload(sums), mulmod(mload(add(ofPlaces, 64)), weight, order), order))
                sums := add(sums, step)
                mstore(sums, addmod(mload(sums), mulmod(mload(add(ofPlaces, 96)), weight, order), order))
                sums := add(sums, step)
            }
            for {} lt(ofPlaces, end) { ofPlaces := add(ofPlaces, 32) } {
                mstore(sums, addmod(mload(sums), mulmod(mload(ofPlaces), weight, order), order))
                sums := add(sums, step)
            }
        }
    }
}

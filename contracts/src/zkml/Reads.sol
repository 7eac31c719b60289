// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Multilinear} from "./Multilinear.sol";
import {CONV, MAX_POOL, Plan} from "./Plan.sol";
import {ORDER, minus, plus, times} from "./Scalars.sol";
import {Session, Sessions} from "./Session.sol";
import {Windows} from "./Windows.sol";

/// @title What a dense layer, a convolution or a pool reads of its input's values (docs/spec/zkml.md, section 5)
/// @notice Each is a functional of the input's cells, extended to a point `within` the input.
library Reads {
    using Sessions for Session;

    /// @dev Layer `index` at a point within its input, by the weight of its claim.
    function valueAt(Session memory session, uint256 index, uint256 claim, uint256 within) internal pure returns (uint256) {
        unchecked {
            uint256 layer = Plan.layer(session.plan, index);
            uint256 kind = Plan.byteAt(layer, Plan.LAYER_KIND);
            if (kind > CONV) return _poolAt(session, index, claim, within);
            uint256 weight = session.weight(claim);
            uint256 bits = Plan.byteAt(layer, Plan.JOINT_BITS);
            uint256 extra = Plan.byteAt(layer, Plan.EXTRA_BITS);
            uint256 r = session.pointFor(bits);
            weight = times(weight, Multilinear.corner(0, extra, r));
            r += 32 * extra;
            if (kind == CONV) return times(weight, _convAt(session, index, r, within));
            return times(weight, Plan.equalOver(Plan.joint(session.plan, index), r, within));
        }
    }

    /// @dev `r` is the point of channel, window row and window column, the three dimensions that weights are indexed by.
    function _convAt(Session memory session, uint256 index, uint256 r, uint256 within)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            (uint256 size, uint256 bits) = Plan.dimension(Plan.joint(session.plan, index), 0);
            value = Multilinear.equalBelow(size, bits, r, within);
            r += 32 * bits;
            within += 32 * bits;
            value = times(value, _convSide(session, index, 1, r, within));
            (, bits) = Plan.dimension(Plan.joint(session.plan, index), 1);
            r += 32 * bits;
            (, bits) = Plan.dimension(_input(session, index), 1);
            value = times(value, _convSide(session, index, 2, r, within + 32 * bits));
        }
    }

    /// @dev One side of a convolution, 1 for rows and 2 for columns, at points of the window's side and of the input's.
    function _convSide(Session memory session, uint256 index, uint256 side, uint256 r, uint256 within)
        private
        pure
        returns (uint256)
    {
        unchecked {
            (uint256 ofPlaces, uint256 weights) = sideTables(session, index, side, r);
            Windows.Axis memory axis = _axis(session, index, side);
            return Windows.seen(axis, Windows.padded(axis, within), ofPlaces, weights);
        }
    }

    /// @dev The tables of eq(t, place) over one side of what a convolution makes and of eq(r, k) over that side of its window.
    function sideTables(Session memory session, uint256 index, uint256 side, uint256 r)
        internal
        pure
        returns (uint256 ofPlaces, uint256 weights)
    {
        unchecked {
            (uint256 size, uint256 bits) = Plan.dimension(Plan.joint(session.plan, index), side);
            weights = Multilinear.weights(size, bits, r);
            // What convolutions make has three dimensions, channel, row, column; the last bits of tau are its columns'.
            uint256 made = Plan.node(session.plan, index + 1);
            (size, bits) = Plan.dimension(made, 2);
            if (side == 1) {
                uint256 columnBits = bits;
                (size, bits) = Plan.dimension(made, 1);
                return (Multilinear.weights(size, bits, session.tauFor(bits + columnBits)), weights);
            }
            ofPlaces = Multilinear.weights(size, bits, session.tauFor(bits));
        }
    }

    function _input(Session memory session, uint256 index) private pure returns (uint256) {
        return Plan.node(session.plan, Plan.byteAt(Plan.layer(session.plan, index), Plan.LAYER_INPUT));
    }

    function _axis(Session memory session, uint256 index, uint256 side) private pure returns (Windows.Axis memory) {
        unchecked {
            uint256 made = Plan.node(session.plan, index + 1);
            return Windows.axisOf(Plan.layer(session.plan, index), _input(session, index), made, side);
        }
    }

    // Pools. They have no padding, and leave channels as they are.

    /// @dev A pool at a point of its input, and one of the planes that it makes.
    struct Pool {
        Windows.Axis rows;
        Windows.Axis columns;
        // Points of the input's rows and columns.
        uint256 y;
        uint256 x;
        // The word of the node made, and the point of its plane.
        uint256 made;
        uint256 t;
    }

    function _poolAt(Session memory session, uint256 index, uint256 claim, uint256 within)
        private
        pure
        returns (uint256 value)
    {
        unchecked {
            Pool memory pool = Pool(_axis(session, index, 1), _axis(session, index, 2), 0, 0, 0, 0);
            pool.made = Plan.node(session.plan, index + 1);
            pool.t = session.tauFor(Plan.byteAt(pool.made, Plan.NODE_BITS));
            (uint256 size, uint256 bits) = Plan.dimension(pool.made, 0);
            value = Multilinear.equalBelow(size, bits, pool.t, within);
            pool.t += 32 * bits;
            pool.y = within + 32 * bits;
            pool.x = pool.y + 32 * pool.rows.cellBits;
            uint256 layer = Plan.layer(session.plan, index);
            if (Plan.byteAt(layer, Plan.LAYER_KIND) == MAX_POOL) {
                uint256[4] memory weights = _cellWeights(session, claim, pool.rows.window * pool.columns.window);
                return times(value, _isTiled(pool) ? _tiledMaximum(pool, weights) : _maximum(pool, weights));
            }
            value = times(value, _isTiled(pool) ? _tiles(pool) : _average(pool));
            value = times(value, Plan.byteAt(layer, Plan.LAYER_MULTIPLIER));
            value = minus(0, times(value, session.weight(claim)));
        }
    }

    /// @dev Weights of a max pool's differences; the last cell stands for those that are not there.
    function _cellWeights(Session memory session, uint256 claim, uint256 cells)
        private
        pure
        returns (uint256[4] memory weights)
    {
        unchecked {
            for (uint256 i = 0; i < 4; ++i) {
                uint256 cell = i < cells ? i : cells - 1;
                weights[cell] = plus(weights[cell], session.weight(claim + i));
            }
        }
    }

    // Tiles: windows that do not overlap, of sides that are powers of two. A cell's last bits are its place in the window, those
    // before are the window's place in the plane.

    function _isTiled(Pool memory pool) private pure returns (bool) {
        return _isTiling(pool.rows) && _isTiling(pool.columns);
    }

    function _isTiling(Windows.Axis memory axis) private pure returns (bool) {
        unchecked {
            return axis.stride == axis.window && axis.window & (axis.window - 1) == 0;
        }
    }

    /// @dev Bits of a cell's place in its window, and those that are left before it and the window's place: zero in all cells.
    function _tileBits(Windows.Axis memory axis, uint256 placeBits) private pure returns (uint256 low, uint256 front) {
        unchecked {
            while (axis.window > 1 << low) {
                ++low;
            }
            front = axis.cellBits - low - placeBits;
        }
    }

    /// @dev Sum over the windows of eq(t, window), extended: what each cell of it counts as but for the bits of its place in it.
    function _tiles(Pool memory pool) private pure returns (uint256 value) {
        unchecked {
            uint256 yBits = _bitsFor(pool.rows.places);
            uint256 xBits = _bitsFor(pool.columns.places);
            (, uint256 front) = _tileBits(pool.rows, yBits);
            value = Multilinear.corner(0, front, pool.y);
            uint256 y = pool.y + 32 * front;
            (, front) = _tileBits(pool.columns, xBits);
            value = times(value, Multilinear.corner(0, front, pool.x));
            uint256 x = pool.x + 32 * front;
            if (Plan.byteAt(pool.made, Plan.IS_SPATIAL) != 0) {
                value = times(value, Multilinear.equalBelow(pool.rows.places, yBits, pool.t, y));
                return times(value, Multilinear.equalBelow(pool.columns.places, xBits, pool.t + 32 * yBits, x));
            }
            y = Multilinear.weights(pool.rows.places, yBits, y);
            x = Multilinear.weights(pool.columns.places, xBits, x);
            value = times(value, _flatPlane(pool, y, 32, x, 32));
        }
    }

    function _tiledMaximum(Pool memory pool, uint256[4] memory weights) private pure returns (uint256 value) {
        unchecked {
            (uint256 yBits,) = _tileBits(pool.rows, 0);
            (uint256 xBits,) = _tileBits(pool.columns, 0);
            // By row, then by column of the window.
            uint256 ofRows = Multilinear.weights(1 << yBits, yBits, pool.y + 32 * (pool.rows.cellBits - yBits));
            uint256 ofColumns = Multilinear.weights(1 << xBits, xBits, pool.x + 32 * (pool.columns.cellBits - xBits));
            uint256 cells;
            assembly ("memory-safe") {
                cells := weights
            }
            for (uint256 end = ofRows + (32 << yBits); ofRows < end; ofRows += 32) {
                uint256 ofRow = Multilinear.inner(1 << xBits, ofColumns, cells, 32);
                cells += 32 << xBits;
                assembly ("memory-safe") {
                    value := addmod(value, mulmod(mload(ofRows), ofRow, ORDER), ORDER)
                }
            }
            value = times(value, _tiles(pool));
        }
    }

    // Any other windows

    function _average(Pool memory pool) private pure returns (uint256) {
        uint256 rows = Windows.summed(pool.rows, Windows.padded(pool.rows, pool.y));
        return _plane(pool, rows, 32, Windows.summed(pool.columns, Windows.padded(pool.columns, pool.x)), 32);
    }

    /// @dev Alone, a cell of the window is a window of one that starts further on.
    function _maximum(Pool memory pool, uint256[4] memory weights) private pure returns (uint256 sum) {
        unchecked {
            uint256 rows = Windows.padded(pool.rows, pool.y);
            uint256 columns = Windows.padded(pool.columns, pool.x);
            uint256 width = pool.columns.window;
            for (uint256 cell = 0; cell < pool.rows.window * width; ++cell) {
                uint256 value = _plane(
                    pool,
                    rows + 32 * (cell / width),
                    32 * pool.rows.stride,
                    columns + 32 * (cell % width),
                    32 * pool.columns.stride
                );
                sum = plus(sum, times(weights[cell], value));
            }
        }
    }

    /// @dev Sum over the plane made of eq(t, place) * ofRows[row] * ofColumns[column], of tables with entries so many bytes apart.
    function _plane(Pool memory pool, uint256 ofRows, uint256 rowStep, uint256 ofColumns, uint256 columnStep)
        private
        pure
        returns (uint256)
    {
        unchecked {
            if (Plan.byteAt(pool.made, Plan.IS_SPATIAL) == 0) {
                return _flatPlane(pool, ofRows, rowStep, ofColumns, columnStep);
            }
            uint256 places = pool.rows.places;
            uint256 bits = _bitsFor(places);
            uint256 table = Multilinear.weights(places, bits, pool.t);
            uint256 product = Multilinear.inner(places, table, ofRows, rowStep);
            places = pool.columns.places;
            table = Multilinear.weights(places, _bitsFor(places), pool.t + 32 * bits);
            return times(product, Multilinear.inner(places, table, ofColumns, columnStep));
        }
    }

    function _flatPlane(Pool memory pool, uint256 ofRows, uint256 rowStep, uint256 ofColumns, uint256 columnStep)
        private
        pure
        returns (uint256 sum)
    {
        unchecked {
            uint256 width = pool.columns.places;
            (uint256 size, uint256 bits) = Plan.dimension(pool.made, 1);
            uint256 table = Multilinear.weights(size, bits, pool.t);
            for (uint256 end = table + 32 * size; table < end; table += 32 * width) {
                uint256 ofRow;
                assembly ("memory-safe") {
                    ofRow := mload(ofRows)
                    ofRows := add(ofRows, rowStep)
                }
                sum = plus(sum, times(ofRow, Multilinear.inner(width, table, ofColumns, columnStep)));
            }
        }
    }

    function _bitsFor(uint256 size) private pure returns (uint256 bits) {
        unchecked {
            while (size > 1 << bits) {
                ++bits;
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Inference} from "./Inference.sol";
import {Multilinear} from "./Multilinear.sol";
import {
    ADD,
    AVERAGE_POOL,
    COLUMNS,
    CONV,
    MASK_BITS,
    MAX_POOL,
    NO_SLOTS,
    POOLED,
    Plan,
    REQUANTISED,
    ROUND_DEGREE,
    TABLE_BITS,
    TABLE_USED
} from "./Plan.sol";
import {Reads} from "./Reads.sol";
import {ORDER, minus, plus, times} from "./Scalars.sol";
import {Session, Sessions} from "./Session.sol";

/// @title What an inference claims of committed vectors (docs/spec/zkml.md, section 5): the functionals
/// @notice All claims together say what one functional of the committed rows is. Its coefficients are functions of a row's
/// cells; here they are extended to the row point.
/// @dev A vector longer than a row is indexed by the row's number, then by the cell in the row. An aligned block is either
/// inside a row, and its functional is weighed by eq of the place within the row, or it is whole rows, and the number of each
/// row in the block makes the first coordinates of the point within the block.
library RowCoefficients {
    using Sessions for Session;

    /// @dev Rows of a block have numbers of at most so many bits: those of 2^12 rows of weights.
    uint256 internal constant MOST_BLOCK_ROW_BITS = 16;
    /// @dev The column of values, and what follows the columns.
    uint256 private constant VALUES = 7;
    uint256 private constant INVERSES = COLUMNS;

    /// @dev Fills in all coefficients.
    function settle(Session memory session) internal pure {
        _place(session);
        _slots(session);
        _layers(session);
        _input(session);
        _lookups(session, Inference.MULTIPLICITY, Inference.TABLE_INVERSE, Plan.number(session.plan, Plan.TABLE_AT));
        uint256 place = _masksPlace(session, Plan.number(session.plan, Plan.MASKS_AT));
        masks(session, place, Plan.number(session.plan, Plan.MASKS_AT));
        _inputMasks(session, place);
        _weights(session);
    }

    // Places

    /// @dev Adds to the coefficient of a row.
    function _add(uint256 rows, uint256 row, uint256 value) private pure {
        assembly ("memory-safe") {
            let cursor := add(rows, shl(5, row))
            mstore(cursor, addmod(mload(cursor), value, ORDER))
        }
    }

    /// @dev Adds to the coefficient of row `row` of a column's (or the inverses') slots.
    function _addColumn(Session memory session, uint256 column, uint256 row, uint256 value) private pure {
        uint256 places = session.placesAt;
        assembly ("memory-safe") {
            let order := ORDER
            let place := add(places, shl(6, column))
            let cursor := add(mload(add(place, 32)), shl(5, row))
            mstore(cursor, addmod(mload(cursor), mulmod(mload(place), value, order), order))
        }
    }

    /// @dev Adds weights[i] * value to the coefficient of row `row` of each of the first `count` columns.
    function _addColumns(Session memory session, uint256 count, uint256 weights, uint256 row, uint256 value)
        private
        pure
    {
        uint256 place = session.placesAt;
        assembly ("memory-safe") {
            let order := ORDER
            row := shl(5, row)
            for { let end := add(weights, shl(5, count)) } lt(weights, end) {
                weights := add(weights, 32)
                place := add(place, 64)
            } {
                let weight := mload(weights)
                if weight {
                    let cursor := add(mload(add(place, 32)), row)
                    weight := mulmod(weight, mulmod(value, mload(place), order), order)
                    mstore(cursor, addmod(mload(cursor), weight, order))
                }
            }
        }
    }

    /// @dev Finds where columns and inverses are.
    function _place(Session memory session) private pure {
        unchecked {
            uint256 slotBits = session.slotBits;
            session.placesAt = Sessions.allocate(2 * (COLUMNS + 1));
            uint256 offset = Plan.number(session.plan, Plan.COLUMNS_AT);
            for (uint256 column = 0; column < COLUMNS; ++column) {
                _placeColumn(session, column, session.firstRows, offset + (column << slotBits));
            }
            _placeColumn(session, INVERSES, session.secondRows, Plan.number(session.plan, Plan.INVERSES_AT));
            _placeNodes(session);
        }
    }

    function _placeColumn(Session memory session, uint256 column, uint256 rows, uint256 offset) private pure {
        unchecked {
            uint256 place = blockPlace(session, offset, session.slotBits);
            uint256 cursor = session.placesAt + 64 * column;
            rows += 32 * (offset >> session.rowBits);
            assembly ("memory-safe") {
                mstore(cursor, place)
                mstore(add(cursor, 32), rows)
            }
        }
    }

    /// @dev eq of an aligned block's place within its row, at the row point; one where it is whole rows.
    function blockPlace(Session memory session, uint256 offset, uint256 bits) internal pure returns (uint256) {
        unchecked {
            if (bits >= session.rowBits) return 1;
            return Multilinear.corner(offset >> bits, session.rowBits - bits, session.rowPoint);
        }
    }

    /// @dev A node's slots within a column: bits of an index, eq of their place within the part of the column that is in one
    /// row, the first of the column's rows that they are in, and how many.
    struct Slots {
        uint256 bits;
        uint256 place;
        uint256 first;
        uint256 rows;
    }

    function _slotsOf(Session memory session, uint256 node) private pure returns (Slots memory slots) {
        uint256 all = session.slotsAt;
        assembly ("memory-safe") {
            slots := mload(add(all, shl(5, node)))
        }
    }

    /// @dev Finds where the slots of each node are that has any.
    function _placeNodes(Session memory session) private pure {
        unchecked {
            uint256 nodes = Plan.number(session.plan, Plan.LAYERS) + 1;
            uint256 part = session.slotBits < session.rowBits ? session.slotBits : session.rowBits;
            uint256 point = session.rowPointFor(part);
            uint256 all = Sessions.allocate(nodes);
            session.slotsAt = all;
            for (uint256 i = 0; i < nodes; ++i) {
                uint256 node = Plan.node(session.plan, i);
                if (Plan.byteAt(node, Plan.NODE_KIND) == NO_SLOTS) continue;
                uint256 bits = Plan.byteAt(node, Plan.NODE_BITS);
                uint256 offset = Plan.uint32At(node, Plan.SLOTS_AT);
                uint256 place = bits < part ? Multilinear.corner(offset >> bits, part - bits, point) : 1;
                Slots memory slots = Slots(bits, place, offset >> session.rowBits, blockRows(session, bits));
                assembly ("memory-safe") {
                    mstore(add(all, shl(5, i)), slots)
                }
            }
        }
    }

    /// @dev Rows of one aligned block of 2^bits cells.
    function blockRows(Session memory session, uint256 bits) internal pure returns (uint256) {
        unchecked {
            return bits <= session.rowBits ? 1 : 1 << (bits - session.rowBits);
        }
    }

    /// @dev The point within an aligned block of 2^bits cells, at the row point in the block's row `row`.
    function enter(Session memory session, uint256 bits, uint256 row) internal pure returns (uint256 point) {
        point = session.rowPointFor(bits);
        uint256 cursor = session.rowPoint;
        assembly ("memory-safe") {
            for {} gt(cursor, point) {} {
                cursor := sub(cursor, 32)
                mstore(cursor, and(row, 1))
                row := shr(1, row)
            }
        }
    }

    // Slots

    /// @dev Claims on columns and inverses at the last point.
    function _slots(Session memory session) private pure {
        unchecked {
            uint256 slotBits = session.slotBits;
            uint256 rows = blockRows(session, slotBits);
            for (uint256 row = 0; row < rows; ++row) {
                uint256 point = enter(session, slotBits, row);
                uint256 same = Multilinear.equal(slotBits, session.pointFor(slotBits), point);
                // The claims on the inverses follow those on the columns.
                _addColumns(session, COLUMNS + 1, session.powers + 32 * Inference.COLUMN, row, same);
            }
        }
    }

    // Layers

    function _layers(Session memory session) private pure {
        unchecked {
            uint256[COLUMNS] memory weights;
            uint256 layers = Plan.number(session.plan, Plan.LAYERS);
            for (uint256 i = 0; i < layers; ++i) {
                uint256 made = Plan.node(session.plan, i + 1);
                uint256 claim = Inference.kept(session, i, 2);
                if (Plan.byteAt(made, Plan.NODE_KIND) == REQUANTISED) {
                    _accumulator(weights, Plan.byteAt(made, Plan.SHIFT), Inference.kept(session, i, 1));
                } else if (Plan.byteAt(made, Plan.NODE_KIND) == POOLED) {
                    _differences(session, weights, claim);
                } else {
                    weights[0] = weights[1] = weights[2] = weights[3] = weights[VALUES] = 0;
                }
                if (i + 1 == layers && session.outputClaim != 0) {
                    weights[VALUES] += session.weight(session.outputClaim);
                }
                _equal(session, i + 1, weights, session.weight(Inference.BALANCE));
                if (claim == 0) continue;
                if (Plan.byteAt(Plan.layer(session.plan, i), Plan.LAYER_KIND) == ADD) {
                    _summands(session, Plan.layer(session.plan, i), session.weight(claim));
                } else {
                    _reads(session, i, claim);
                }
            }
        }
    }

    /// @dev Accumulators, from quotient and remainder.
    function _accumulator(uint256[COLUMNS] memory weights, uint256 shift, uint256 weight) private pure {
        weights[0] = times(weight, 256 << shift);
        weights[1] = times(weight, 1 << shift);
        weights[2] = weight;
        weights[3] = times(weight, 256);
        weights[VALUES] = 0;
    }

    /// @dev A max pool's differences and its value: each difference is the value minus a cell of the window.
    function _differences(Session memory session, uint256[COLUMNS] memory weights, uint256 claim) private pure {
        unchecked {
            uint256 sum = 0;
            for (uint256 i = 0; i < 4; ++i) {
                weights[i] = session.weight(claim + i);
                sum += weights[i];
            }
            weights[VALUES] = minus(0, sum % ORDER);
        }
    }

    /// @dev Each column by its weight, by eq(t, cell) over the cells of node `index`, t as long as a cell's index; and the inverses
    /// of all of those cells by the weight of the balance, or 0.
    function _equal(Session memory session, uint256 index, uint256[COLUMNS] memory weights, uint256 balance) private pure {
        unchecked {
            uint256 node = Plan.node(session.plan, index);
            if (Plan.byteAt(node, Plan.NODE_KIND) == NO_SLOTS) return;
            Slots memory slots = _slotsOf(session, index);
            uint256 t = session.tauFor(slots.bits);
            balance = times(balance, slots.place);
            for (uint256 row = 0; row < slots.rows; ++row) {
                (uint256 equal, uint256 sum) = Plan.equalAndSumOver(node, t, enter(session, slots.bits, row));
                _addWeighed(session, weights, slots.first + row, times(equal, slots.place));
                _addColumn(session, INVERSES, slots.first + row, times(balance, sum));
            }
        }
    }

    function _addWeighed(Session memory session, uint256[COLUMNS] memory weights, uint256 row, uint256 value) private pure {
        uint256 cursor;
        assembly ("memory-safe") {
            cursor := weights
        }
        _addColumns(session, COLUMNS, cursor, row, value);
    }

    function _summands(Session memory session, uint256 layer, uint256 weight) private pure {
        unchecked {
            // Summands and sum have one layout, so t is as long for each.
            uint256[COLUMNS] memory weights;
            weights[VALUES] = minus(0, times(weight, Plan.byteAt(layer, Plan.LAYER_MULTIPLIER)));
            _equal(session, Plan.byteAt(layer, Plan.LAYER_INPUT), weights, 0);
            weights[VALUES] = minus(0, times(weight, Plan.byteAt(layer, Plan.LAYER_RIGHT_MULTIPLIER)));
            _equal(session, Plan.byteAt(layer, Plan.LAYER_RIGHT), weights, 0);
        }
    }

    /// @dev What a dense layer, a convolution or a pool reads of its input's values.
    function _reads(Session memory session, uint256 index, uint256 claim) private pure {
        unchecked {
            uint256 input = Plan.byteAt(Plan.layer(session.plan, index), Plan.LAYER_INPUT);
            Slots memory slots = _slotsOf(session, input);
            for (uint256 row = 0; row < slots.rows; ++row) {
                // Tables made for this row are given back.
                uint256 free = Sessions.allocate(0);
                uint256 value = Reads.valueAt(session, index, claim, enter(session, slots.bits, row));
                assembly ("memory-safe") {
                    mstore(0x40, free)
                }
                _addColumn(session, VALUES, slots.first + row, times(slots.place, value));
            }
        }
    }

    /// @dev A private input's slots against its commitment, cell by cell.
    function _input(Session memory session) private pure {
        unchecked {
            if (session.inputClaim == 0) return;
            uint256 weight = session.weight(session.inputClaim);
            uint256 node = Plan.node(session.plan, 0);
            uint256[COLUMNS] memory weights;
            weights[VALUES] = minus(0, weight);
            _equal(session, 0, weights, session.weight(Inference.BALANCE));
            uint256 bits = Plan.byteAt(node, Plan.NODE_BITS);
            weight = times(weight, blockPlace(session, 0, bits));
            uint256 rows = blockRows(session, bits);
            for (uint256 row = 0; row < rows; ++row) {
                uint256 sum = Plan.equalOver(node, session.tauFor(bits), enter(session, bits, row));
                _add(session.inputRows, row, times(weight, sum));
            }
        }
    }

    // Table and masks

    /// @dev Multiplicities and inverses of the table, each by the number of its claim; the table's inverses at `tableAt` of
    /// the second vector.
    function _lookups(Session memory session, uint256 multiplicity, uint256 inverse, uint256 tableAt) private pure {
        uint256 cursor = Plan.number(session.plan, Plan.MULTIPLICITIES_AT);
        lookups(session, session.firstRows, cursor, session.secondRows, tableAt, multiplicity, inverse);
    }

    function lookups(
        Session memory session,
        uint256 firstRows,
        uint256 multiplicitiesAt,
        uint256 secondRows,
        uint256 tableAt,
        uint256 multiplicity,
        uint256 inverse
    ) internal pure {
        unchecked {
            uint256 point = session.rowPointFor(TABLE_BITS);
            uint256 same = Multilinear.equal(TABLE_BITS, session.pointFor(TABLE_BITS), point);
            uint256 value = times(session.weight(multiplicity), same);
            value = times(value, blockPlace(session, multiplicitiesAt, TABLE_BITS));
            _add(firstRows, multiplicitiesAt >> session.rowBits, value);
            uint256 used = Multilinear.sumBelow(TABLE_USED, TABLE_BITS, point);
            used = minus(used, Multilinear.corner(0, TABLE_BITS, point));
            value = times(session.weight(inverse), same);
            value = minus(value, times(session.weight(Inference.BALANCE), used));
            value = times(value, blockPlace(session, tableAt, TABLE_BITS));
            _add(secondRows, tableAt >> session.rowBits, value);
        }
    }

    function _masksPlace(Session memory session, uint256 masksAt) private pure returns (uint256) {
        return blockPlace(session, masksAt, MASK_BITS);
    }

    /// @dev Coefficients of the mask of the first sum-check: in their sum over all corners, and in their value at the last
    /// point.
    function masks(Session memory session, uint256 place, uint256 masksAt) internal pure {
        unchecked {
            uint256 rounds = session.rounds;
            uint256 cells = 1 + ROUND_DEGREE * rounds;
            uint256 free = Sessions.allocate(0);
            uint256 table = Multilinear.weights(cells, MASK_BITS, session.rowPointFor(MASK_BITS));
            // Cell 0 counts 2^rounds times, every other 2^(rounds - 1) times.
            uint256 point = session.point;
            uint256 sum;
            uint256 last;
            assembly ("memory-safe") {
                let order := ORDER
                let constant := mload(table)
                sum := constant
                last := constant
                for { let end := add(point, shl(5, rounds)) } lt(point, end) { point := add(point, 32) } {
                    let x := mload(point)
                    let value := 0
                    // Degree six first. No more than four reduced numbers are added up.
                    let weight := mload(add(table, 192))
                    let all := weight
                    value := mulmod(weight, x, order)
                    weight := mload(add(table, 160))
                    all := add(all, weight)
                    value := mulmod(add(value, weight), x, order)
                    weight := mload(add(table, 128))
                    all := add(all, weight)
                    value := mulmod(add(value, weight), x, order)
                    sum := addmod(sum, all, order)
                    weight := mload(add(table, 96))
                    all := weight
                    value := mulmod(add(value, weight), x, order)
                    weight := mload(add(table, 64))
                    all := add(all, weight)
                    value := mulmod(add(value, weight), x, order)
                    weight := mload(add(table, 32))
                    all := add(all, weight)
                    value := mulmod(add(value, weight), x, order)
                    sum := addmod(sum, all, order)
                    last := addmod(last, value, order)
                    table := add(table, 192)
                }
                sum := addmod(sum, constant, order)
                mstore(0x40, free)
            }
            sum = times(times(sum, 1 << (rounds - 1)), session.weight(Inference.SUM));
            last = times(last, session.weight(Inference.LAST));
            _add(session.firstRows, masksAt >> session.rowBits, times(place, sum + last));
        }
    }

    /// @dev The masks of hidden inputs' extensions.
    function _inputMasks(Session memory session, uint256 place) private pure {
        unchecked {
            uint256 layers = Plan.number(session.plan, Plan.LAYERS);
            uint256 row = Plan.number(session.plan, Plan.MASKS_AT) >> session.rowBits;
            for (uint256 i = 0; i < layers; ++i) {
                uint256 layer = Plan.layer(session.plan, i);
                if (Plan.byteAt(layer, Plan.MASK_CELL) == 0) continue;
                uint256 weight = times(place, session.weight(Inference.kept(session, i, 2)));
                weight = times(weight, _inputMask(session, layer, Inference.kept(session, i, 3)));
                _add(session.firstRows, row, weight);
            }
        }
    }

    /// @dev The mask's cell among those of the layer's weights, after the digits of the bias, and its cell in the mask segment.
    function _inputMask(Session memory session, uint256 layer, uint256 corners) private pure returns (uint256 value) {
        unchecked {
            uint256 cell = Plan.byteAt(layer, Plan.MASK_CELL);
            value = Multilinear.corner(cell, MASK_BITS, session.rowPointFor(MASK_BITS));
            corners += 32 * Plan.byteAt(layer, Plan.BIAS_DIGITS);
        }
        assembly ("memory-safe") {
            value := mulmod(value, mload(corners), ORDER)
        }
    }

    // Weights

    function _weights(Session memory session) private pure {
        unchecked {
            uint256 layers = Plan.number(session.plan, Plan.LAYERS);
            for (uint256 i = 0; i < layers; ++i) {
                if (Plan.byteAt(Plan.layer(session.plan, i), Plan.LAYER_KIND) > CONV) continue;
                uint256 free = Sessions.allocate(0);
                _weightsOf(session, i);
                assembly ("memory-safe") {
                    mstore(0x40, free)
                }
            }
        }
    }

    /// @dev A block of weights is indexed by output channel i, then by j. Its functional is a product: eq(t, i) over channels,
    /// times eq(r, j) over what they look at. Rows cut it within i or within j.
    function _weightsOf(Session memory session, uint256 index) private pure {
        unchecked {
            uint256 jointBits = Plan.byteAt(Plan.layer(session.plan, index), Plan.JOINT_BITS);
            (uint256 rows, uint256 weight) = _weightsPlace(session, index);
            uint256 parts = blockRows(session, jointBits);
            (uint256 channels, uint256 count) = _channelRows(session, index);
            for (uint256 part = 0; part < parts; ++part) {
                uint256 joint = times(weight, _jointAt(session, index, part));
                for (uint256 i = 0; i < count; ++i) {
                    assembly ("memory-safe") {
                        let order := ORDER
                        let row := add(rows, shl(5, add(part, mul(i, parts))))
                        let value := mulmod(joint, mload(add(channels, shl(5, i))), order)
                        mstore(row, addmod(mload(row), value, order))
                    }
                }
            }
        }
    }

    /// @dev Where the coefficients of a layer's rows are, and what its functional is weighed by.
    function _weightsPlace(Session memory session, uint256 index)
        private
        pure
        returns (uint256 rows, uint256 weight)
    {
        unchecked {
            uint256 layer = Plan.layer(session.plan, index);
            uint256 offset = Plan.uint32At(layer, Plan.WEIGHTS_AT);
            uint256 bits = Plan.byteAt(layer, Plan.JOINT_BITS) + Plan.byteAt(layer, Plan.OUTPUT_BITS);
            rows = session.weightRows + 32 * (offset >> session.rowBits);
            weight = times(Inference.kept(session, index, 0), blockPlace(session, offset, bits));
        }
    }

    /// @dev The factor of channels in each group of rows with channels of their own: a table and its size. Rows after those
    /// hold no channel.
    function _channelRows(Session memory session, uint256 index)
        private
        pure
        returns (uint256 table, uint256 count)
    {
        unchecked {
            uint256 layer = Plan.layer(session.plan, index);
            uint256 outputs = (layer >> Plan.OUTPUTS) & 0xffffff;
            uint256 outputBits = Plan.byteAt(layer, Plan.OUTPUT_BITS);
            uint256 jointBits = Plan.byteAt(layer, Plan.JOINT_BITS);
            uint256 t = session.tauFor(Plan.byteAt(Plan.node(session.plan, index + 1), Plan.NODE_BITS));
            // The last `low` bits of a channel are cells of one row, the others number rows.
            uint256 low = session.rowBits > jointBits ? session.rowBits - jointBits : 0;
            if (low >= outputBits) {
                table = Sessions.allocate(1);
                uint256 point = session.rowPointFor(jointBits + outputBits);
                uint256 all = Multilinear.equalBelow(outputs, outputBits, t, point);
                assembly ("memory-safe") {
                    mstore(table, all)
                }
                return (table, 1);
            }
            count = (outputs + (1 << low) - 1) >> low;
            table = Multilinear.weights(count, outputBits - low, t);
            t += 32 * (outputBits - low);
            _scaleRows(session, table, outputs, low, t);
        }
    }

    /// @dev Scales the entries of a table of rows by the sum over each row's channels; the last row may hold fewer.
    function _scaleRows(Session memory session, uint256 table, uint256 outputs, uint256 low, uint256 t) private pure {
        unchecked {
            if (low == 0) return;
            uint256 point = session.rowPoint;
            uint256 whole = Multilinear.equal(low, t, point);
            uint256 end = table + 32 * (outputs >> low);
            assembly ("memory-safe") {
                for {} lt(table, end) { table := add(table, 32) } {
                    mstore(table, mulmod(mload(table), whole, ORDER))
                }
            }
            outputs &= (1 << low) - 1;
            if (outputs == 0) return;
            whole = Multilinear.equalBelow(outputs, low, t, point);
            assembly ("memory-safe") {
                mstore(table, mulmod(mload(table), whole, ORDER))
            }
        }
    }

    /// @dev Sum of eq(r, j) eq(point, j) over the cells that hold weights and bias digits, in row `part` of those that j
    /// takes.
    function _jointAt(Session memory session, uint256 index, uint256 part) private pure returns (uint256 sum) {
        unchecked {
            uint256 layer = Plan.layer(session.plan, index);
            uint256 bits = Plan.byteAt(layer, Plan.JOINT_BITS);
            uint256 extra = Plan.byteAt(layer, Plan.EXTRA_BITS);
            uint256 r = session.pointFor(bits);
            uint256 point = enter(session, bits, part);
            sum = 1;
            if (extra != 0) sum = times(Multilinear.corner(0, extra, r), Multilinear.corner(0, extra, point));
            sum = times(sum, Plan.equalOver(Plan.joint(session.plan, index), r + 32 * extra, point + 32 * extra));
            uint256 digits = Plan.byteAt(layer, Plan.BIAS_DIGITS);
            if (digits == 0) return sum;
            uint256 table = Multilinear.corners(Plan.uint32At(layer, Plan.BIAS_AT), digits, bits, point);
            sum = plus(sum, Multilinear.inner(digits, Inference.kept(session, index, 3), table, 32));
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {LookupTable} from "./LookupTable.sol";
import {Multilinear} from "./Multilinear.sol";
import {
    ADD,
    AVERAGE_POOL,
    COLUMNS,
    CONV,
    MAX_POOL,
    NO_SLOTS,
    POOLED,
    PRIVATE_INPUT,
    Plan,
    REQUANTISED,
    ROUND_DEGREE,
    TABLE_BITS
} from "./Plan.sol";
import {PublicData} from "./PublicData.sol";
import {Reads} from "./Reads.sol";
import {ORDER, minus, plus, times} from "./Scalars.sol";
import {Session, Sessions} from "./Session.sol";
import {Windows} from "./Windows.sol";

/// @title What an inference claims of committed vectors (docs/spec/zkml.md, sections 3 and 5): the values
library Inference {
    using Sessions for Session;

    /// @dev Claims by number, counted from 1; those of layers follow.
    uint256 internal constant SUM = 1;
    uint256 internal constant LAST = 2;
    uint256 internal constant BALANCE = 3;
    uint256 internal constant COLUMN = 4;
    uint256 internal constant SLOT_INVERSE = COLUMN + COLUMNS;
    uint256 internal constant TABLE_INVERSE = SLOT_INVERSE + 1;
    uint256 internal constant MULTIPLICITY = TABLE_INVERSE + 1;
    uint256 internal constant LAYERS = MULTIPLICITY + 1;

    /// @dev Makes the quotient of any accumulator that a checked architecture allows positive.
    uint256 private constant QUOTIENT_OFFSET = 32_896;
    /// @dev Bits of a public vector's index within a run that is weighed at once.
    uint256 private constant RUN_BITS = 5;

    /// @dev Adds up the values of all claims, and keeps for each layer what its claims are weighed by: what its weights are
    /// (claim `LAST`), what its accumulators are, the number of the claim of its own, or 0, and for layers with weights the table of
    /// eq(r, cell) over the cells of its bias digits and its mask.
    function settle(Session memory session) internal pure {
        unchecked {
            uint256 layers = Plan.number(session.plan, Plan.LAYERS);
            // At most four claims for each layer, and one each for output and input.
            session.weigh(LAYERS + 4 * layers + 1);
            session.layersAt = Sessions.zeros(4 * layers);
            uint256 outputs = _outputAt(session);
            uint256 next = _settleWeighted(session, outputs);
            _settleOthers(session, next, outputs);
            uint256 last = minus(session.claim, _slotsAt(session));
            last = minus(last, times(session.lambda, entriesAt(session, COLUMNS + 1)));
            session.claimed(session.weight(LAST), last);
            // Columns, both inverses and the multiplicity follow each other in the same order.
            for (uint256 i = 0; i < COLUMNS + 3; ++i) {
                session.claimed(session.weight(COLUMN + i), session.evaluation(i));
            }
        }
    }

    /// @dev What `settle` keeps of a layer.
    function kept(Session memory session, uint256 layer, uint256 index) internal pure returns (uint256 value) {
        uint256 cursor = session.layersAt;
        assembly ("memory-safe") {
            value := mload(add(cursor, add(shl(7, layer), shl(5, index))))
        }
    }

    function _keep(Session memory session, uint256 layer, uint256 index, uint256 value) private pure {
        uint256 cursor = session.layersAt;
        assembly ("memory-safe") {
            mstore(add(cursor, add(shl(7, layer), shl(5, index))), value)
        }
    }

    /// @dev `inverse * d0 d1 d2 d3 - (sum of the products of three)`: zero where `inverse` is the sum of 1 / d.
    function inverseHolds(uint256 inverse, uint256 d0, uint256 d1, uint256 d2, uint256 d3)
        internal
        pure
        returns (uint256)
    {
        uint256 front = times(d0, d1);
        uint256 back = times(d2, d3);
        uint256 sum = plus(times(front, plus(d2, d3)), times(back, plus(d0, d1)));
        return minus(times(inverse, times(front, back)), sum);
    }

    /// @dev The constraint on the table at the last point; `first` is the number of the revealed inverse, which the
    /// multiplicity follows.
    function entriesAt(Session memory session, uint256 first) internal pure returns (uint256) {
        uint256 point = session.pointFor(TABLE_BITS);
        uint256 entry = plus(session.alpha, LookupTable.extended(point, session.beta));
        uint256 holds =
            minus(times(session.evaluation(first), entry), session.evaluation(first + 1));
        return times(LookupTable.usedEqual(session.tauFor(TABLE_BITS), point), holds);
    }

    // Slots at the last point

    struct Selected {
        uint256 requantised;
        uint256 pooled;
        uint256 input;
        uint256 highTag;
        uint256 lowTag;
        uint256 tag0;
        uint256 tag1;
    }

    /// @dev All constraints on slots, each on its own kind of slot.
    function _slotsAt(Session memory session) private pure returns (uint256 sum) {
        unchecked {
            Selected memory selected = _select(session);
            if (selected.requantised != 0) {
                sum = times(selected.requantised, _requantisedAt(session, selected));
            }
            if (selected.pooled != 0) {
                sum = plus(sum, times(selected.pooled, _pooledAt(session)));
            }
            if (selected.input != 0) {
                uint256 lookedUp = _byteLookup(session, session.evaluation(7) + 128);
                uint256 holds = minus(times(session.evaluation(COLUMNS), lookedUp), 1);
                sum = plus(sum, times(selected.input, holds));
            }
        }
    }

    /// @dev Where each kind's slots are, by eq(tau, slot), and the tags of what they look up, at the last point.
    function _select(Session memory session) private pure returns (Selected memory selected) {
        unchecked {
            uint256 plan = session.plan;
            uint256 nodes = Plan.number(plan, Plan.LAYERS) + 1;
            for (uint256 i = 0; i < nodes; ++i) {
                uint256 node = Plan.node(plan, i);
                uint256 kind = Plan.byteAt(node, Plan.NODE_KIND);
                if (kind == NO_SLOTS) continue;
                (uint256 place, uint256 weight) = _selectNode(session, node);
                if (kind == REQUANTISED) {
                    selected.requantised = plus(selected.requantised, weight);
                    _addTags(selected, node, place);
                } else if (kind == POOLED) {
                    selected.pooled = plus(selected.pooled, weight);
                } else {
                    selected.input = weight;
                }
            }
        }
    }

    function _selectNode(Session memory session, uint256 node) private pure returns (uint256 place, uint256 weight) {
        unchecked {
            uint256 bits = Plan.byteAt(node, Plan.NODE_BITS);
            uint256 index = Plan.uint32At(node, Plan.SLOTS_AT) >> bits;
            uint256 outside = session.slotBits - bits;
            place = Multilinear.corner(index, outside, session.pointFor(session.slotBits));
            weight = times(place, Multilinear.corner(index, outside, session.tauFor(session.slotBits)));
            uint256 within = Plan.equalOver(node, session.tauFor(bits), session.pointFor(bits));
            weight = times(weight, within);
        }
    }

    function _addTags(Selected memory selected, uint256 node, uint256 place) private pure {
        unchecked {
            (uint256 highTag, uint256 lowTag, uint256 tag0, uint256 tag1) =
                LookupTable.tags(Plan.byteAt(node, Plan.SHIFT), Plan.byteAt(node, Plan.RELU) != 0);
            selected.highTag = plus(selected.highTag, times(place, highTag));
            selected.lowTag = plus(selected.lowTag, times(place, lowTag));
            selected.tag0 = plus(selected.tag0, times(place, tag0));
            selected.tag1 = plus(selected.tag1, times(place, tag1));
        }
    }

    function _requantisedAt(Session memory session, Selected memory selected) private pure returns (uint256 sum) {
        unchecked {
            sum = inverseHolds(
                session.evaluation(COLUMNS),
                _tupleAt(session, selected.highTag, 0, session.evaluation(4), session.evaluation(6)),
                _tupleAt(session, selected.lowTag, 1, session.evaluation(5), 0),
                _tupleAt(session, selected.tag0, 2, 0, 0),
                _tupleAt(session, selected.tag1, 3, 0, 0)
            );
            // The value is the middle inside, and what it saturates to otherwise.
            uint256 value = times(session.evaluation(4), session.evaluation(5));
            value = minus(minus(session.evaluation(7), session.evaluation(6)), value);
            sum = plus(sum, times(session.eta, value));
        }
    }

    /// @dev What stands for the tuple (tag, column, second, third) in the lookup.
    function _tupleAt(Session memory session, uint256 tag, uint256 column, uint256 second, uint256 third)
        private
        pure
        returns (uint256 sum)
    {
        unchecked {
            uint256 beta = session.beta;
            sum = session.evaluation(column) + times(beta, second + times(beta, third));
            sum = session.alpha + tag + times(beta, sum);
        }
    }

    function _pooledAt(Session memory session) private pure returns (uint256) {
        uint256 holds = inverseHolds(
            session.evaluation(COLUMNS),
            _byteLookup(session, session.evaluation(0)),
            _byteLookup(session, session.evaluation(1)),
            _byteLookup(session, session.evaluation(2)),
            _byteLookup(session, session.evaluation(3))
        );
        uint256 front = times(session.evaluation(0), session.evaluation(1));
        uint256 back = times(session.evaluation(2), session.evaluation(3));
        return plus(holds, times(session.eta, times(front, back)));
    }

    /// @dev What stands for "value is a byte" in the lookup.
    function _byteLookup(Session memory session, uint256 value) private pure returns (uint256) {
        unchecked {
            return session.alpha + LookupTable.TAG_BYTE + times(session.beta, value);
        }
    }

    // Values of the layers' claims

    /// @dev What goes from one layer with weights to the next.
    struct Running {
        uint256 next;
        uint256 batch;
        uint256 sum;
        uint256 outputs;
    }

    /// @dev Claim `SUM`, and those on what layers with weights read of hidden nodes. Gives the next claim's number.
    function _settleWeighted(Session memory session, uint256 outputs) private pure returns (uint256) {
        unchecked {
            Running memory running = Running(LAYERS, times(session.lambda, session.lambda), 0, outputs);
            // The claimed sum comes before the rounds.
            uint256 sum = session.evaluationsAt - 32 * (1 + ROUND_DEGREE * session.rounds);
            assembly ("memory-safe") {
                sum := calldataload(sum)
            }
            running.sum = sum;
            uint256 layers = Plan.number(session.plan, Plan.LAYERS);
            for (uint256 i = 0; i < layers; ++i) {
                if (Plan.byteAt(Plan.layer(session.plan, i), Plan.LAYER_KIND) <= CONV) {
                    _settleInput(session, i, running);
                    _settleSum(session, i, running);
                    running.batch = times(running.batch, session.lambda);
                }
            }
            session.claimed(session.weight(SUM), running.sum);
            return running.next;
        }
    }

    /// @dev What the layer's weights are weighed by in claim `LAST`, and the claim on its input where that is hidden.
    function _settleInput(Session memory session, uint256 index, Running memory running) private pure {
        unchecked {
            uint256 layer = Plan.layer(session.plan, index);
            uint256 extended = _biasAt(session, layer, index);
            if (Plan.byteAt(layer, Plan.MASK_CELL) != 0) {
                uint256 next = running.next;
                uint256 revealed = session.evaluation(COLUMNS + 3 + next - LAYERS);
                session.claimed(session.weight(next), minus(revealed, extended));
                extended = revealed;
                _keep(session, index, 2, next);
                running.next = next + 1;
            } else {
                extended = plus(extended, _readsPublic(session, layer, index));
            }
            extended = times(running.batch, extended);
            _keep(session, index, 0, times(session.weight(LAST), extended));
        }
    }

    /// @dev The layer's part of claim `SUM`.
    function _settleSum(Session memory session, uint256 index, Running memory running) private pure {
        unchecked {
            uint256 jointBits = Plan.byteAt(Plan.layer(session.plan, index), Plan.JOINT_BITS);
            uint256 scale = times(running.batch, 1 << (session.rounds - jointBits));
            uint256 made = Plan.node(session.plan, index + 1);
            if (Plan.byteAt(made, Plan.NODE_KIND) == NO_SLOTS) {
                running.sum = minus(running.sum, times(scale, running.outputs));
            } else {
                running.sum = plus(running.sum, times(scale, _offsetAt(session, made)));
                _keep(session, index, 1, times(session.weight(SUM), scale));
            }
        }
    }

    /// @dev Claims on layers without weights, on an int8 output and on a committed input.
    function _settleOthers(Session memory session, uint256 next, uint256 outputs) private pure {
        unchecked {
            uint256 plan = session.plan;
            uint256 layers = Plan.number(plan, Plan.LAYERS);
            for (uint256 i = 0; i < layers; ++i) {
                uint256 kind = Plan.byteAt(Plan.layer(plan, i), Plan.LAYER_KIND);
                if (kind != AVERAGE_POOL && kind != ADD) continue;
                uint256 weight = session.weight(next);
                session.claimed(weight, _offsetAt(session, Plan.node(plan, i + 1)));
                _keep(session, i, 1, weight);
                _keep(session, i, 2, next);
                ++next;
            }
            for (uint256 i = 0; i < layers; ++i) {
                if (Plan.byteAt(Plan.layer(plan, i), Plan.LAYER_KIND) != MAX_POOL) continue;
                _keep(session, i, 2, next);
                next += 4;
            }
            if (Plan.byteAt(Plan.node(plan, layers), Plan.NODE_KIND) != NO_SLOTS) {
                session.claimed(session.weight(next), outputs);
                session.outputClaim = next;
                ++next;
            }
            if (Plan.byteAt(Plan.node(plan, 0), Plan.NODE_KIND) == PRIVATE_INPUT) session.inputClaim = next;
        }
    }

    /// @dev What a requantised node's accumulators are offset by in its slots, summed by eq(t, cell).
    function _offsetAt(Session memory session, uint256 node) private pure returns (uint256) {
        unchecked {
            uint256 shift = Plan.byteAt(node, Plan.SHIFT);
            uint256 offset = (QUOTIENT_OFFSET << shift) + ((1 << shift) >> 1);
            // Half of 2^0 is nothing: the shift by one drops it.
            return times(offset, Plan.sumOver(node, session.tauFor(Plan.byteAt(node, Plan.NODE_BITS))));
        }
    }

    /// @dev What a layer's bias digits meet, extended to the point over j.
    function _biasAt(Session memory session, uint256 layer, uint256 index) private pure returns (uint256 sum) {
        unchecked {
            uint256 digits = Plan.byteAt(layer, Plan.BIAS_DIGITS);
            uint256 bits = Plan.byteAt(layer, Plan.JOINT_BITS);
            uint256 table =
                Multilinear.corners(Plan.uint32At(layer, Plan.BIAS_AT), digits + 1, bits, session.pointFor(bits));
            _keep(session, index, 3, table);
            uint256 shift = Plan.byteAt(layer, Plan.BIAS_SHIFT);
            for (uint256 digit = 0; digit < digits; ++digit) {
                assembly ("memory-safe") {
                    sum := addmod(sum, mulmod(mload(table), shl(add(shift, shl(3, digit)), 1), ORDER), ORDER)
                    table := add(table, 32)
                }
            }
            if (digits != 0 && Plan.byteAt(layer, Plan.LAYER_KIND) == CONV) {
                // A convolution adds its bias at each place of the plane.
                uint256 made = Plan.node(session.plan, index + 1);
                (uint256 size, uint256 sizeBits) = Plan.dimension(made, 2);
                uint256 point = session.tauFor(sizeBits);
                sum = times(sum, Multilinear.sumBelow(size, sizeBits, point));
                (size, sizeBits) = Plan.dimension(made, 1);
                sum = times(sum, Multilinear.sumBelow(size, sizeBits, point - 32 * sizeBits));
            }
        }
    }

    /// @dev What a layer reads of the public input, extended to the point over j.
    function _readsPublic(Session memory session, uint256 layer, uint256 index) private pure returns (uint256 value) {
        unchecked {
            uint256 bits = Plan.byteAt(layer, Plan.JOINT_BITS);
            uint256 extra = Plan.byteAt(layer, Plan.EXTRA_BITS);
            uint256 point = session.pointFor(bits);
            uint256 within = point + 32 * extra;
            if (Plan.byteAt(layer, Plan.LAYER_KIND) == CONV) {
                value = _convPublic(session, layer, index, within);
            } else {
                uint256 node = Plan.node(session.plan, 0);
                value = _cellsAt(node, within, session.input, session.inputBytes);
            }
            value = times(value, Multilinear.corner(0, extra, point));
        }
    }

    function _convPublic(Session memory session, uint256 layer, uint256 index, uint256 within)
        private
        pure
        returns (uint256)
    {
        unchecked {
            uint256 input = Plan.node(session.plan, 0);
            (uint256 channels, uint256 bits) = Plan.dimension(input, 0);
            uint256 ofChannels = Multilinear.weights(channels, bits, within);
            (uint256 ofRows, uint256 ofColumns) = _spreads(session, layer, index, within + 32 * bits);
            // Rows of all channels one after the other.
            uint256 outer = Multilinear.outer(channels, ofChannels, Plan.uint16At(input, Plan.HEIGHT), ofRows);
            uint256 width = Plan.uint16At(input, Plan.WIDTH);
            return PublicData.weigh(session.input, session.inputBytes, outer, ofColumns, width);
        }
    }

    /// @dev What the layer's window makes of the rows and columns of the public input's planes.
    function _spreads(Session memory session, uint256 layer, uint256 index, uint256 within)
        private
        pure
        returns (uint256 ofRows, uint256 ofColumns)
    {
        unchecked {
            ofRows = _spread(session, layer, index, 1, within);
            (, uint256 bits) = Plan.dimension(Plan.joint(session.plan, index), 1);
            ofColumns = _spread(session, layer, index, 2, within + 32 * bits);
        }
    }

    /// @dev One side, 1 for rows and 2 for columns; `within` begins with the point of the window's side.
    function _spread(Session memory session, uint256 layer, uint256 index, uint256 side, uint256 within)
        private
        pure
        returns (uint256)
    {
        unchecked {
            (uint256 ofPlaces, uint256 weights) = Reads.sideTables(session, index, side, within);
            uint256 made = Plan.node(session.plan, index + 1);
            Windows.Axis memory axis = Windows.axisOf(layer, Plan.node(session.plan, 0), made, side);
            return Windows.spread(axis, ofPlaces, weights);
        }
    }

    /// @dev The output's extension at its layer's point.
    function _outputAt(Session memory session) private pure returns (uint256) {
        uint256 node = Plan.node(session.plan, Plan.number(session.plan, Plan.LAYERS));
        uint256 point = session.tauFor(Plan.byteAt(node, Plan.NODE_BITS));
        if (Plan.number(session.plan, Plan.IS_RAW) == 0) {
            return _cellsAt(node, point, session.output, session.outputBytes);
        }
        return _wordsAt(node, point, session.output);
    }

    /// @dev Sum of eq(point, cell) times the cell's int8, over a node's cells.
    function _cellsAt(uint256 node, uint256 point, uint256 data, uint256 total) private pure returns (uint256) {
        unchecked {
            (uint256 outer, uint256 inner, uint256 length) = _cellWeights(node, point, total);
            return PublicData.weigh(data, total, outer, inner, length);
        }
    }

    /// @dev Cells row-major are runs of `length`: the weight of each run, and of each place within a run.
    function _cellWeights(uint256 node, uint256 point, uint256 total)
        private
        pure
        returns (uint256 outer, uint256 inner, uint256 length)
    {
        unchecked {
            (uint256 channels, uint256 channelBits) = Plan.dimension(node, 0);
            (uint256 size, uint256 bits) = Plan.dimension(node, 1);
            if (Plan.byteAt(node, Plan.IS_SPATIAL) == 0) {
                if (size == 1 << bits) {
                    // No padding between channels: one long vector, cut into runs of a power of two.
                    bits += channelBits;
                    uint256 low = bits < RUN_BITS ? bits : RUN_BITS;
                    length = 1 << low;
                    uint256 high = bits - low;
                    outer = Multilinear.weights((total + length - 1) >> low, high, point);
                    inner = Multilinear.weights(length, low, point + 32 * high);
                } else {
                    outer = Multilinear.weights(channels, channelBits, point);
                    inner = Multilinear.weights(size, bits, point + 32 * channelBits);
                    length = size;
                }
                return (outer, inner, length);
            }
            uint256 rows = Multilinear.weights(size, bits, point + 32 * channelBits);
            uint256 ofChannels = Multilinear.weights(channels, channelBits, point);
            point += 32 * (channelBits + bits);
            outer = Multilinear.outer(channels, ofChannels, size, rows);
            (length, bits) = Plan.dimension(node, 2);
            inner = Multilinear.weights(length, bits, point);
        }
    }

    /// @dev As `_cellsAt`, of int32.
    function _wordsAt(uint256 node, uint256 point, uint256 data) private pure returns (uint256 sum) {
        unchecked {
            uint256 total = _elements(node);
            (uint256 outer, uint256 inner, uint256 length) = _cellWeights(node, point, total);
            for (uint256 done = 0; done < total; done += length) {
                uint256 count = total - done < length ? total - done : length;
                uint256 weight;
                assembly ("memory-safe") {
                    weight := mload(outer)
                    outer := add(outer, 32)
                }
                sum = plus(sum, times(weight, PublicData.weighWords(data + 4 * done, count, inner)));
            }
        }
    }

    function _elements(uint256 node) private pure returns (uint256 total) {
        unchecked {
            (total,) = Plan.dimension(node, 0);
            (uint256 size,) = Plan.dimension(node, 1);
            total *= size;
            if (Plan.byteAt(node, Plan.IS_SPATIAL) != 0) {
                (size,) = Plan.dimension(node, 2);
                total *= size;
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "../interfaces/IInferenceDispute.sol";
import {Architecture} from "./Architecture.sol";
import {ByteTree} from "./ByteTree.sol";

/// @title Neuron
/// @notice Recomputes one element of a layer's output in the exact arithmetic of docs/spec/arithmetic.md, from openings of the
/// trees that commit to inputs and weights (docs/spec/dispute.md)
library Neuron {
    using Architecture for Architecture.Layer;
    using Architecture for Architecture.Shape;

    /// @notice An opening does not belong to the tree
    /// @param root The tree
    /// @param leaves How many leaves were expected
    error InvalidOpening(bytes32 root, uint256 leaves);

    // An accumulator is summed in tiles of at most this many terms, and at most so many rows of a window.
    uint256 private constant TILE_TERMS = 4096;
    uint256 private constant TILE_ROWS = 256;

    /// @dev Terms of each tile but the last.
    function tileTerms(Architecture.Layer memory layer) internal pure returns (uint256) {
        if (layer.kind == Architecture.DENSE) return TILE_TERMS;
        if (layer.kind == Architecture.ADD) return 2;
        uint256 rows = TILE_TERMS / layer.windowWidth;
        return layer.windowWidth * (rows < TILE_ROWS ? rows : TILE_ROWS);
    }

    /// @dev How many tiles an accumulator of the layer has. More than one takes the longer way through partial sums.
    function tiles(Architecture.Layer memory layer) internal pure returns (uint256) {
        uint256 size = tileTerms(layer);
        return (layer.terms() + size - 1) / size;
    }

    /// @dev The element number `element` of a node's tensor.
    function elementOf(bytes32 root, uint256 length, bool raw, uint256 element, IInferenceDispute.Opening calldata opening)
        internal
        pure
        returns (int256)
    {
        uint256 position = raw ? 4 * element : element;
        _open(root, length, position >> 5, 1, opening);
        uint256 word = uint256(bytes32(opening.leaves));
        position &= 31;
        // Four bytes never straddle leaves: they begin at a multiple of four.
        return raw ? int256(int32(uint32(word >> (224 - 8 * position)))) : int256(int8(uint8(word >> (248 - 8 * position))));
    }

    /// @dev What the layer gives at `element` if its accumulator fits one tile. `other` opens the row of weights of a weighted
    /// layer, and the right summand of an addition.
    function recompute(
        Architecture.Layer memory layer,
        uint256 element,
        bytes32 inputRoot,
        bytes32 otherRoot,
        IInferenceDispute.Opening calldata input,
        IInferenceDispute.Opening calldata other
    ) internal pure returns (int256) {
        if (layer.kind == Architecture.ADD) {
            uint256 length = layer.input.elements();
            int256 sum = int256(layer.leftFactor) * elementOf(inputRoot, length, false, element, input);
            sum += int256(layer.rightFactor) * elementOf(otherRoot, length, false, element, other);
            return finish(layer, sum, 0);
        }
        uint256 count = layer.terms();
        bytes memory terms = _window(layer, element, 0, count, inputRoot, input);
        if (layer.kind == Architecture.MAX_POOL) return _largest(terms, count);
        if (layer.kind == Architecture.AVERAGE_POOL) return finish(layer, _sum(terms), 0);
        uint256 row = _weights(layer, element, 0, count + layer.biasDigits, otherRoot, other);
        return finish(layer, _dot(terms, row), _bias(layer, row + count));
    }

    /// @dev The sum over the terms of one tile.
    function partialSum(
        Architecture.Layer memory layer,
        uint256 element,
        uint256 tile,
        bytes32 inputRoot,
        bytes32 weightRoot,
        IInferenceDispute.Opening calldata input,
        IInferenceDispute.Opening calldata weights
    ) internal pure returns (int256) {
        uint256 from = tile * tileTerms(layer);
        uint256 to = layer.terms();
        if (from + tileTerms(layer) < to) to = from + tileTerms(layer);
        bytes memory terms = _window(layer, element, from, to, inputRoot, input);
        if (layer.kind == Architecture.AVERAGE_POOL) return _sum(terms);
        return _dot(terms, _weights(layer, element, from, to, weightRoot, weights));
    }

    /// @dev The bias of the row that `element` belongs to; its leaves alone are opened.
    function biasOf(Architecture.Layer memory layer, uint256 element, bytes32 root, IInferenceDispute.Opening calldata opening)
        internal
        pure
        returns (int256)
    {
        if (layer.biasDigits == 0) return 0;
        uint256 count = layer.terms();
        return _bias(layer, _weights(layer, element, count, count + layer.biasDigits, root, opening));
    }

    /// @dev What becomes of the sum over all terms.
    function finish(Architecture.Layer memory layer, int256 sum, int256 bias) internal pure returns (int256) {
        if (layer.kind == Architecture.AVERAGE_POOL) sum *= int256(layer.leftFactor);
        sum += bias;
        return layer.raw ? sum : _requantise(layer, sum);
    }

    function _requantise(Architecture.Layer memory layer, int256 sum) private pure returns (int256 value) {
        uint256 shift = layer.shift;
        if (shift != 0) sum += int256(1 << (shift - 1));
        // Shifts the sign in: rounds down, after half was added.
        value = sum >> shift;
        int256 low = layer.relu ? int256(0) : int256(-128);
        if (value < low) value = low;
        if (value > 127) value = 127;
    }

    /// @dev The terms `from..to` of the accumulator at `element`, in order, zeros outside the plane, zeros up to a whole word.
    function _window(
        Architecture.Layer memory layer,
        uint256 element,
        uint256 from,
        uint256 to,
        bytes32 root,
        IInferenceDispute.Opening calldata opening
    ) private pure returns (bytes memory terms) {
        terms = new bytes((to - from + 31) & ~uint256(31));
        if (layer.kind == Architecture.DENSE) {
            uint256 source = _open(root, layer.input.elements(), from >> 5, (to + 31 >> 5) - (from >> 5), opening);
            assembly ("memory-safe") {
                calldatacopy(add(terms, 0x20), add(source, and(from, 31)), sub(to, from))
            }
            return terms;
        }
        Window memory window = _place(layer, element);
        window.terms = terms;
        uint256 width = layer.windowWidth;
        window.leaves = new uint256[]((to - from) / width * (width / 32 + 2));
        bytes calldata sent = opening.leaves;
        for (uint256 row = from / width; row < to / width; ++row) {
            _copyRow(layer, window, row, row * width - from, sent);
        }
        _checkWindow(window, root, layer.input.elements(), opening);
    }

    /// @dev A window over a layer's input, and what was found there.
    struct Window {
        // Channel of its first row.
        uint256 channel;
        // Its first row, counted from the first row of padding.
        uint256 y;
        // Columns inside the plane: the first one, and how many.
        uint256 first;
        uint256 length;
        // Columns of padding before them.
        uint256 skip;
        bytes terms;
        // The leaves its rows are in, and how many that are.
        uint256[] leaves;
        uint256 count;
    }

    function _place(Architecture.Layer memory layer, uint256 element) private pure returns (Window memory window) {
        uint256 plane = layer.output.height * layer.output.width;
        if (layer.kind != Architecture.CONV) window.channel = element / plane;
        window.y = element % plane / layer.output.width * layer.strideY;
        // From the first column of padding on.
        uint256 x = element % layer.output.width * layer.strideX;
        window.skip = x < layer.padLeft ? layer.padLeft - x : 0;
        window.first = x + window.skip - layer.padLeft;
        uint256 end = x + layer.windowWidth - layer.padLeft;
        if (end > layer.input.width) end = layer.input.width;
        window.length = end - window.first;
    }

    /// @dev Copies a row of the window out of leaves that are not checked yet. Rows come in the order of the tree.
    function _copyRow(
        Architecture.Layer memory layer,
        Window memory window,
        uint256 row,
        uint256 target,
        bytes calldata sent
    ) private pure {
        uint256 offset = window.y + row % layer.windowHeight;
        if (offset < layer.padTop || offset - layer.padTop >= layer.input.height) return;
        offset = offset - layer.padTop + (window.channel + row / layer.windowHeight) * layer.input.height;
        offset = offset * layer.input.width + window.first;
        uint256[] memory leaves = window.leaves;
        uint256 count = window.count;
        uint256 leaf = offset >> 5;
        if (count != 0 && leaves[count - 1] == leaf) --count;
        _copy(window, target, sent, 32 * count + (offset & 31));
        for (uint256 last = offset + window.length - 1 >> 5; leaf <= last; ++leaf) {
            leaves[count++] = leaf;
        }
        window.count = count;
    }

    /// @dev Leaves of one row are neighbours, in the tree and in what was sent. What is copied from past the end of that is
    /// refused later, as the number of leaves is not right.
    function _copy(Window memory window, uint256 target, bytes calldata sent, uint256 source) private pure {
        bytes memory terms = window.terms;
        uint256 length = window.length;
        // `target` is where the row begins, so with skip + length <= width it ends inside `terms`.
        target += window.skip;
        assembly ("memory-safe") {
            calldatacopy(add(add(terms, 0x20), target), add(sent.offset, source), length)
        }
    }

    function _checkWindow(
        Window memory window,
        bytes32 root,
        uint256 length,
        IInferenceDispute.Opening calldata opening
    ) private pure {
        uint256[] memory leaves = window.leaves;
        uint256 count = window.count;
        // A tile may lie in the padding as a whole.
        if (count == 0 && opening.leaves.length == 0 && opening.siblings.length == 0) return;
        // No more than was allocated.
        assembly ("memory-safe") {
            mstore(leaves, count)
        }
        if (!ByteTree.includes(root, length, leaves, opening.leaves, opening.siblings)) {
            revert InvalidOpening(root, count);
        }
    }

    /// @dev Where the bytes `from..to` of a row of weights are in calldata.
    function _weights(
        Architecture.Layer memory layer,
        uint256 element,
        uint256 from,
        uint256 to,
        bytes32 root,
        IInferenceDispute.Opening calldata opening
    ) private pure returns (uint256) {
        uint256 row = element / (layer.output.height * layer.output.width);
        uint256 first = row * layer.rowBytes() + from >> 5;
        return _open(root, layer.weightBytes(), first, (to + 31 >> 5) - (from >> 5), opening) + (from & 31);
    }

    /// @dev Checks that these are `count` leaves from the one at `first` on; gives their place in calldata.
    function _open(bytes32 root, uint256 length, uint256 first, uint256 count, IInferenceDispute.Opening calldata opening)
        private
        pure
        returns (uint256 source)
    {
        uint256[] memory indices = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            indices[i] = first + i;
        }
        bytes calldata leaves = opening.leaves;
        if (!ByteTree.includes(root, length, indices, leaves, opening.siblings)) revert InvalidOpening(root, count);
        assembly ("memory-safe") {
            source := leaves.offset
        }
    }

    function _bias(Architecture.Layer memory layer, uint256 source) private pure returns (int256 bias) {
        for (uint256 k = 0; k < layer.biasDigits; ++k) {
            int256 digit;
            assembly ("memory-safe") {
                digit := signextend(0, byte(0, calldataload(add(source, k))))
            }
            bias += digit << (layer.biasShift + 8 * k);
        }
    }

    /// @dev Products of the bytes of `terms`, whole words, with those at `weights`, as int8. The words end in zeros, so that what follows the weights does not count. A sum of at most 2^17 products of 2^14 stays far inside a word.
    function _dot(bytes memory terms, uint256 weights) private pure returns (int256 sum) {
        assembly ("memory-safe") {
            let at := add(terms, 0x20)
            for { let end := add(at, mload(terms)) } lt(at, end) { at := add(at, 0x20) } {
                let a := mload(at)
                let w := calldataload(weights)
                weights := add(weights, 0x20)
                for { let i := 0 } lt(i, 32) { i := add(i, 8) } {
                    sum := add(sum, mul(signextend(0, byte(0, a)), signextend(0, byte(0, w))))
                    sum := add(sum, mul(signextend(0, byte(1, a)), signextend(0, byte(1, w))))
                    sum := add(sum, mul(signextend(0, byte(2, a)), signextend(0, byte(2, w))))
                    sum := add(sum, mul(signextend(0, byte(3, a)), signextend(0, byte(3, w))))
                    sum := add(sum, mul(signextend(0, byte(4, a)), signextend(0, byte(4, w))))
                    sum := add(sum, mul(signextend(0, byte(5, a)), signextend(0, byte(5, w))))
                    sum := add(sum, mul(signextend(0, byte(6, a)), signextend(0, byte(6, w))))
                    sum := add(sum, mul(signextend(0, byte(7, a)), signextend(0, byte(7, w))))
                    a := shl(64, a)
                    w := shl(64, w)
                }
            }
        }
    }

    function _sum(bytes memory terms) private pure returns (int256 sum) {
        assembly ("memory-safe") {
            let at := add(terms, 0x20)
            for { let end := add(at, mload(terms)) } lt(at, end) { at := add(at, 0x20) } {
                let a := mload(at)
                for { let i := 0 } lt(i, 32) { i := add(i, 1) } {
                    sum := add(sum, signextend(0, byte(i, a)))
                }
            }
        }
    }

    function _largest(bytes memory terms, uint256 count) private pure returns (int256 largest) {
        largest = -128;
        for (uint256 i = 0; i < count; ++i) {
            int256 value = int8(uint8(terms[i]));
            if (value > largest) largest = value;
        }
    }
}

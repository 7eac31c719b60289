// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "../../src/interfaces/IInferenceDispute.sol";
import {Trees} from "./Trees.sol";

/// @title Integer networks as docs/spec/arithmetic.md says, written plainly, with what commits to them
/// @dev Loops over elements and terms, to judge the libraries by.
library Networks {
    struct Network {
        bytes architecture;
        // For each layer: its rows of weights, each filled up to whole leaves. Empty for a layer without.
        bytes[] weights;
    }

    struct Shape {
        uint256 channels;
        uint256 height;
        uint256 width;
    }

    function field(bytes memory architecture, uint256 record, uint256 place) internal pure returns (uint256) {
        return uint8(architecture[32 * record + place]);
    }

    function shape(bytes memory architecture, uint256 node) internal pure returns (Shape memory) {
        uint256 first = 32 * node + 26;
        return Shape(_pair(architecture, first), _pair(architecture, first + 2), _pair(architecture, first + 4));
    }

    function elements(bytes memory architecture, uint256 node) internal pure returns (uint256) {
        Shape memory sides = shape(architecture, node);
        return sides.channels * sides.height * sides.width;
    }

    function layers(bytes memory architecture) internal pure returns (uint256) {
        return field(architecture, 0, 4);
    }

    function isRaw(bytes memory architecture, uint256 node) internal pure returns (bool) {
        return node != 0 && field(architecture, node, 3) == 1;
    }

    function isWeighted(bytes memory architecture, uint256 layer) internal pure returns (bool) {
        return field(architecture, layer + 1, 0) <= 2;
    }

    function terms(bytes memory architecture, uint256 layer) internal pure returns (uint256) {
        uint256 record = layer + 1;
        uint256 kind = field(architecture, record, 0);
        uint256 input = field(architecture, record, 1);
        if (kind == 1) return elements(architecture, input);
        if (kind == 4) return 2;
        uint256 window = field(architecture, record, 9) * field(architecture, record, 10);
        return kind == 2 ? shape(architecture, input).channels * window : window;
    }

    function rowBytes(bytes memory architecture, uint256 layer) internal pure returns (uint256) {
        return (terms(architecture, layer) + field(architecture, layer + 1, 6) + 31) / 32 * 32;
    }

    function rows(bytes memory architecture, uint256 layer) internal pure returns (uint256) {
        return shape(architecture, layer + 1).channels;
    }

    /// @dev Where term `term` of `element` is in its input; not inside where it is padding.
    function source(bytes memory architecture, uint256 layer, uint256 element, uint256 term)
        internal
        pure
        returns (bool inside, uint256 position)
    {
        uint256 record = layer + 1;
        uint256 kind = field(architecture, record, 0);
        if (kind == 1) return (true, term);
        if (kind == 4) return (true, element);
        return _inWindow(architecture, record, element, term);
    }

    function _inWindow(bytes memory architecture, uint256 record, uint256 element, uint256 term)
        private
        pure
        returns (bool, uint256)
    {
        Shape memory input = shape(architecture, field(architecture, record, 1));
        Shape memory output = shape(architecture, record);
        uint256 column = term % field(architecture, record, 10);
        uint256 row = term / field(architecture, record, 10);
        uint256 channel = element / output.width / output.height;
        if (field(architecture, record, 0) == 2) channel = row / field(architecture, record, 9);
        row = row % field(architecture, record, 9);
        row += element / output.width % output.height * field(architecture, record, 11);
        column += element % output.width * field(architecture, record, 12);
        // In the padded plane until here.
        if (row < field(architecture, record, 13) || column < field(architecture, record, 14)) return (false, 0);
        row -= field(architecture, record, 13);
        column -= field(architecture, record, 14);
        if (row >= input.height || column >= input.width) return (false, 0);
        return (true, (channel * input.height + row) * input.width + column);
    }

    /// @dev The sum of the terms `from..to`, without bias and multiplier; the largest term of a max pool.
    function sum(
        Network memory network,
        bytes[] memory nodes,
        uint256 layer,
        uint256 element,
        uint256 from,
        uint256 to
    ) internal pure returns (int256 total) {
        bytes memory architecture = network.architecture;
        uint256 kind = field(architecture, layer + 1, 0);
        bytes memory input = nodes[field(architecture, layer + 1, 1)];
        bytes memory row = network.weights[layer];
        uint256 start = element / _plane(architecture, layer) * rowBytes(architecture, layer);
        if (kind == 5) total = -128;
        for (uint256 term = from; term < to; ++term) {
            (bool inside, uint256 position) = source(architecture, layer, element, term);
            if (!inside) continue;
            int256 number = int8(uint8(input[position]));
            if (kind == 5) {
                if (number > total) total = number;
            } else {
                total += kind <= 2 ? number * int8(uint8(row[start + term])) : number;
            }
        }
    }

    /// @dev What the layer gives at `element`.
    function value(Network memory network, bytes[] memory nodes, uint256 layer, uint256 element)
        internal
        pure
        returns (int256)
    {
        bytes memory architecture = network.architecture;
        uint256 record = layer + 1;
        uint256 kind = field(architecture, record, 0);
        int256 total;
        if (kind == 4) {
            total = int256(field(architecture, record, 7)) * _at(nodes[field(architecture, record, 1)], element);
            total += int256(field(architecture, record, 8)) * _at(nodes[field(architecture, record, 2)], element);
        } else {
            uint256 count = terms(architecture, layer);
            total = sum(network, nodes, layer, element, 0, count);
            if (kind == 5) return total;
            if (kind == 3) total *= int256(field(architecture, record, 7));
            else total += _bias(network, layer, element, count);
        }
        return _end(architecture, record, total);
    }

    function _bias(Network memory network, uint256 layer, uint256 element, uint256 count)
        private
        pure
        returns (int256 total)
    {
        bytes memory architecture = network.architecture;
        uint256 start = element / _plane(architecture, layer) * rowBytes(architecture, layer) + count;
        for (uint256 k = 0; k < field(architecture, layer + 1, 6); ++k) {
            int256 digit = int8(uint8(network.weights[layer][start + k]));
            total += digit * int256(2 ** (field(architecture, layer + 1, 5) + 8 * k));
        }
    }

    function _end(bytes memory architecture, uint256 record, int256 total) private pure returns (int256) {
        uint256 end = field(architecture, record, 3);
        if (end == 1) return total;
        uint256 shift = field(architecture, record, 4);
        if (shift != 0) {
            int256 unit = int256(2 ** shift);
            total += unit / 2;
            // Rounds towards minus infinity, where division rounds towards zero.
            total = total >= 0 ? total / unit : -((-total + unit - 1) / unit);
        }
        if (end == 3 && total < 0) return 0;
        return total > 127 ? int256(127) : total < -128 ? int256(-128) : total;
    }

    /// @dev All nodes, the input first.
    function run(Network memory network, bytes memory input) internal pure returns (bytes[] memory nodes) {
        bytes memory architecture = network.architecture;
        uint256 count = layers(architecture);
        nodes = new bytes[](count + 1);
        nodes[0] = input;
        for (uint256 layer = 0; layer < count; ++layer) {
            bool raw = isRaw(architecture, layer + 1);
            bytes memory node = new bytes(elements(architecture, layer + 1) * (raw ? 4 : 1));
            for (uint256 element = 0; element < elements(architecture, layer + 1); ++element) {
                put(node, raw, element, value(network, nodes, layer, element));
            }
            nodes[layer + 1] = node;
        }
    }

    function put(bytes memory node, bool raw, uint256 element, int256 number) internal pure {
        if (!raw) {
            node[element] = bytes1(uint8(int8(number)));
            return;
        }
        bytes4 word = bytes4(uint32(int32(number)));
        for (uint256 i = 0; i < 4; ++i) {
            node[4 * element + i] = word[i];
        }
    }

    function roots(bytes[] memory nodes) internal pure returns (bytes32[] memory list) {
        list = new bytes32[](nodes.length);
        for (uint256 i = 0; i < nodes.length; ++i) {
            if (nodes[i].length != 0) list[i] = Trees.root(nodes[i]);
        }
    }

    // Openings

    function openElement(bytes memory node, bool raw, uint256 element)
        internal
        pure
        returns (IInferenceDispute.Opening memory)
    {
        uint256 position = raw ? 4 * element : element;
        return Trees.openBytes(node, position, position + 1);
    }

    function openWindow(
        bytes memory architecture,
        bytes memory input,
        uint256 layer,
        uint256 element,
        uint256 from,
        uint256 to
    ) internal pure returns (IInferenceDispute.Opening memory) {
        bool[] memory marked = new bool[](Trees.width(input.length));
        for (uint256 term = from; term < to; ++term) {
            (bool inside, uint256 position) = source(architecture, layer, element, term);
            if (inside) marked[position / 32] = true;
        }
        return Trees.open(input, marked);
    }

    function openRow(Network memory network, uint256 layer, uint256 element, uint256 from, uint256 to)
        internal
        pure
        returns (IInferenceDispute.Opening memory)
    {
        uint256 start =
            element / _plane(network.architecture, layer) * rowBytes(network.architecture, layer);
        return Trees.openBytes(network.weights[layer], start + from, start + to);
    }

    /// @dev What `step` needs beside the output's leaf.
    function openStep(Network memory network, bytes[] memory nodes, uint256 layer, uint256 element)
        internal
        pure
        returns (IInferenceDispute.Opening memory input, IInferenceDispute.Opening memory other)
    {
        bytes memory architecture = network.architecture;
        uint256 count = terms(architecture, layer);
        uint256 kind = field(architecture, layer + 1, 0);
        input = openWindow(architecture, nodes[field(architecture, layer + 1, 1)], layer, element, 0, count);
        if (kind == 4) other = openElement(nodes[field(architecture, layer + 1, 2)], false, element);
        if (kind <= 2) {
            other = openRow(network, layer, element, 0, count + field(architecture, layer + 1, 6));
        }
    }

    // Making architectures

    function header(uint8 count, uint16 channels, uint16 height, uint16 width) internal pure returns (bytes memory) {
        return abi.encodePacked("CWA1", count, new bytes(21), channels, height, width);
    }

    function dense(uint8 input, uint8 end, uint8 shift, uint8 digits, uint16 outputs)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(
            uint8(1), input, uint8(0), end, shift, uint8(0), digits, new bytes(19), outputs, uint16(1), uint16(1)
        );
    }

    function conv(uint8 input, uint8 shift, uint8 side, uint8 padding, uint16 channels, uint16 height, uint16 width)
        internal
        pure
        returns (bytes memory)
    {
        bytes memory front = abi.encodePacked(uint8(2), input, uint8(0), uint8(3), shift, uint8(1), uint8(2), uint16(0));
        bytes memory window = abi.encodePacked(side, side, uint8(1), uint8(1), padding, padding, padding, padding);
        return abi.encodePacked(front, window, new bytes(9), channels, height, width);
    }

    function averagePool(uint8 input, uint8 side, uint8 factor, uint8 shift, uint16 channels, uint16 height, uint16 width)
        internal
        pure
        returns (bytes memory)
    {
        bytes memory front = abi.encodePacked(uint8(3), input, uint8(0), uint8(2), shift, uint16(0), factor, uint8(0));
        return abi.encodePacked(front, side, side, side, side, new bytes(13), channels, height, width);
    }

    function maxPool(uint8 input, uint16 channels, uint16 height, uint16 width) internal pure returns (bytes memory) {
        bytes memory front = abi.encodePacked(uint8(5), input, new bytes(7));
        return abi.encodePacked(front, uint32(0x02020202), new bytes(13), channels, height, width);
    }

    function add(uint8 left, uint8 right, uint16 channels, uint16 height, uint16 width)
        internal
        pure
        returns (bytes memory)
    {
        bytes memory front = abi.encodePacked(uint8(4), left, right, uint8(2), uint8(2), uint16(0), uint8(3), uint8(2));
        return abi.encodePacked(front, new bytes(17), channels, height, width);
    }

    /// @dev Bytes that follow from a seed.
    function numbers(bytes32 seed, uint256 count) internal pure returns (bytes memory data) {
        data = new bytes(count);
        bytes32 word;
        for (uint256 i = 0; i < count; ++i) {
            if (i % 32 == 0) word = keccak256(abi.encode(seed, i));
            data[i] = word[i % 32];
        }
    }

    /// @dev A network of this architecture whose weights follow from a seed.
    function make(bytes memory architecture, bytes32 seed) internal pure returns (Network memory network) {
        network.architecture = architecture;
        network.weights = new bytes[](layers(architecture));
        for (uint256 layer = 0; layer < network.weights.length; ++layer) {
            if (!isWeighted(architecture, layer)) continue;
            uint256 count = rows(architecture, layer) * rowBytes(architecture, layer);
            network.weights[layer] = numbers(keccak256(abi.encode(seed, layer)), count);
        }
    }

    function _plane(bytes memory architecture, uint256 layer) private pure returns (uint256) {
        Shape memory output = shape(architecture, layer + 1);
        return output.height * output.width;
    }

    function _at(bytes memory node, uint256 element) private pure returns (int256) {
        return int8(uint8(node[element]));
    }

    function _pair(bytes memory architecture, uint256 place) private pure returns (uint256) {
        return uint256(uint8(architecture[place])) << 8 | uint8(architecture[place + 1]);
    }
}

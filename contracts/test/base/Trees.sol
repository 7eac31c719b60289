// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "../../src/interfaces/IInferenceDispute.sol";

/// @title The trees of docs/spec/dispute.md, written plainly
/// @dev Recursive and from the definition, to judge the library by.
library Trees {
    bytes32 private constant DOMAIN = keccak256("counterweight/inference/bytes/v1");

    function leafAt(bytes memory data, uint256 index) internal pure returns (bytes32 leaf) {
        for (uint256 i = 0; i < 32; ++i) {
            uint256 position = 32 * index + i;
            if (position < data.length) leaf |= bytes32(data[position]) >> (8 * i);
        }
    }

    function width(uint256 length) internal pure returns (uint256) {
        return (length + 31) / 32;
    }

    /// @dev The node at `level` and `index`: of two children, or of the one there is.
    function node(bytes memory data, uint256 level, uint256 index) internal pure returns (bytes32) {
        if (level == 0) return keccak256(abi.encode(leafAt(data, index)));
        uint256 below = width(data.length);
        for (uint256 i = 1; i < level; ++i) {
            below = (below + 1) / 2;
        }
        bytes32 left = node(data, level - 1, 2 * index);
        if (2 * index + 1 >= below) return left;
        return keccak256(abi.encode(left, node(data, level - 1, 2 * index + 1)));
    }

    function depth(uint256 length) internal pure returns (uint256 levels) {
        for (uint256 count = width(length); count > 1; count = (count + 1) / 2) {
            ++levels;
        }
    }

    function root(bytes memory data) internal pure returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, data.length, node(data, depth(data.length), 0)));
    }

    /// @dev Opens the leaves marked, of which there is at least one.
    function open(bytes memory data, bool[] memory marked)
        internal
        pure
        returns (IInferenceDispute.Opening memory opening)
    {
        for (uint256 i = 0; i < marked.length; ++i) {
            if (marked[i]) opening.leaves = abi.encodePacked(opening.leaves, leafAt(data, i));
        }
        if (opening.leaves.length == 0) return opening;
        bytes32[] memory siblings = new bytes32[](2 * marked.length + 64);
        uint256 count = 0;
        bool[] memory known = marked;
        for (uint256 level = 0; known.length > 1; ++level) {
            bool[] memory above = new bool[]((known.length + 1) / 2);
            for (uint256 i = 0; i < above.length; ++i) {
                bool left = known[2 * i];
                bool right = 2 * i + 1 < known.length && known[2 * i + 1];
                above[i] = left || right;
                if (right && !left) siblings[count++] = node(data, level, 2 * i);
                if (left && !right && 2 * i + 1 < known.length) siblings[count++] = node(data, level, 2 * i + 1);
            }
            known = above;
        }
        assembly ("memory-safe") {
            mstore(siblings, count)
        }
        opening.siblings = siblings;
    }

    /// @dev Opens the leaves that hold the bytes `from..to`.
    function openBytes(bytes memory data, uint256 from, uint256 to)
        internal
        pure
        returns (IInferenceDispute.Opening memory)
    {
        bool[] memory marked = new bool[](width(data.length));
        for (uint256 i = from; i < to; ++i) {
            marked[i / 32] = true;
        }
        return open(data, marked);
    }

    /// @dev The nodes above each block, level 9.
    function tops(bytes memory data) internal pure returns (bytes32[] memory nodes) {
        nodes = new bytes32[]((data.length + 16_383) / 16_384);
        for (uint256 i = 0; i < nodes.length; ++i) {
            nodes[i] = node(data, 9, i);
        }
    }

    /// @dev The nodes beside the path from a block to the top.
    function blockPath(bytes memory data, uint256 index) internal pure returns (bytes32[] memory path) {
        bytes32[] memory level = tops(data);
        path = new bytes32[](16);
        uint256 count = 0;
        while (level.length > 1) {
            if (index ^ 1 < level.length) path[count++] = level[index ^ 1];
            bytes32[] memory above = new bytes32[]((level.length + 1) / 2);
            for (uint256 i = 0; i < above.length; ++i) {
                above[i] = 2 * i + 1 < level.length
                    ? keccak256(abi.encode(level[2 * i], level[2 * i + 1]))
                    : level[2 * i];
            }
            level = above;
            index /= 2;
        }
        assembly ("memory-safe") {
            mstore(path, count)
        }
    }

    function slice(bytes memory data, uint256 from, uint256 to) internal pure returns (bytes memory part) {
        if (to > data.length) to = data.length;
        part = new bytes(to - from);
        for (uint256 i = 0; i < part.length; ++i) {
            part[i] = data[from + i];
        }
    }
}

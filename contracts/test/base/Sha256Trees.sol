// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title Merkle trees of RFC 6962 with SHA-256, written plainly
/// @dev Recursive and from the definition, to judge the library by.
library Sha256Trees {
    function root(bytes[] memory leaves) internal pure returns (bytes32) {
        return _node(leaves, 0, leaves.length);
    }

    /// @dev PATH(m, D[n]): the siblings from the leaf up.
    function path(bytes[] memory leaves, uint256 index) internal pure returns (bytes32[] memory siblings) {
        siblings = new bytes32[](64);
        uint256 count = _path(leaves, 0, leaves.length, index, siblings);
        assembly ("memory-safe") {
            mstore(siblings, count)
        }
    }

    function _node(bytes[] memory leaves, uint256 from, uint256 to) private pure returns (bytes32) {
        if (to - from == 1) return sha256(abi.encodePacked(uint8(0), leaves[from]));
        uint256 middle = from + _split(to - from);
        return sha256(abi.encodePacked(uint8(1), _node(leaves, from, middle), _node(leaves, middle, to)));
    }

    function _path(bytes[] memory leaves, uint256 from, uint256 to, uint256 index, bytes32[] memory siblings)
        private
        pure
        returns (uint256 count)
    {
        if (to - from == 1) return 0;
        uint256 middle = from + _split(to - from);
        bool left = index < middle;
        count = left ? _path(leaves, from, middle, index, siblings) : _path(leaves, middle, to, index, siblings);
        siblings[count++] = left ? _node(leaves, middle, to) : _node(leaves, from, middle);
    }

    /// @dev The largest power of two below `size`.
    function _split(uint256 size) private pure returns (uint256 split) {
        split = 1;
        while (split * 2 < size) {
            split *= 2;
        }
    }
}

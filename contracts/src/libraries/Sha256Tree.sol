// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title Sha256Tree
/// @notice Inclusion in a Merkle tree of RFC 6962 with SHA-256
library Sha256Tree {
    /// @dev Whether `entry` is the leaf number `index`, counted from 0, of the tree of `size` leaves behind `root`: RFC 9162,
    /// section 2.1.3.2.
    function includes(bytes32 root, uint256 size, uint256 index, bytes memory entry, bytes32[] calldata path)
        internal
        pure
        returns (bool)
    {
        if (index >= size) return false;
        bytes32 hash = sha256(abi.encodePacked(uint8(0), entry));
        uint256 last = size - 1;
        for (uint256 i = 0; i < path.length; ++i) {
            if (last == 0) return false;
            if (index & 1 == 1 || index == last) {
                hash = sha256(abi.encodePacked(uint8(1), path[i], hash));
                // The last node of a level of odd width rises until it is a right child. It is `last` and so not 0.
                while (index & 1 == 0) {
                    index >>= 1;
                    last >>= 1;
                }
            } else {
                hash = sha256(abi.encodePacked(uint8(1), hash, path[i]));
            }
            index >>= 1;
            last >>= 1;
        }
        return last == 0 && hash == root;
    }
}

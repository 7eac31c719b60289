// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ILogAnchor} from "./interfaces/ILogAnchor.sol";

/// @title LogAnchor
/// @notice See {ILogAnchor}
contract LogAnchor is ILogAnchor {
    mapping(address owner => mapping(bytes32 log => Head)) private _heads;

    /// @inheritdoc ILogAnchor
    function anchor(bytes32 log, uint64 size, bytes32 root) external {
        Head storage current = _heads[msg.sender][log];
        if (root == 0) revert EmptyCheckpoint(log);
        if (size <= current.size) revert SizeNotGrowing(log, size, current.size);
        current.size = size;
        current.anchoredAt = uint64(block.timestamp);
        current.root = root;
        emit Anchored(log, msg.sender, size, root);
    }

    /// @inheritdoc ILogAnchor
    function head(address owner, bytes32 log) external view returns (Head memory) {
        return _heads[owner][log];
    }

    /// @inheritdoc ILogAnchor
    function verifyInclusion(bytes32 root, uint64 size, uint64 index, bytes32 leaf, bytes32[] calldata path)
        external
        pure
        returns (bool)
    {
        return _includes(root, size, index, leaf, path);
    }

    /// @inheritdoc ILogAnchor
    function isAnchored(address owner, bytes32 log, uint64 index, bytes32 leaf, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        Head storage current = _heads[owner][log];
        return _includes(current.root, current.size, index, leaf, path);
    }

    /// @dev RFC 9162, section 2.1.3.2, step by step; `node`, `last` are its fn, sn. `last` halves at least once for
    /// each hash and ends the loop at 0, so a long path costs no more than 64 hashes.
    function _includes(bytes32 root, uint64 size, uint64 index, bytes32 leaf, bytes32[] calldata path)
        private
        pure
        returns (bool)
    {
        if (index >= size) return false;
        uint64 node = index;
        uint64 last = size - 1;
        bytes32 hash = leaf;
        for (uint256 i = 0; i < path.length; ++i) {
            if (last == 0) return false;
            if (node & 1 == 1 || node == last) {
                hash = sha256(abi.encodePacked(bytes1(0x01), path[i], hash));
                // The last node of a level of odd width has no sibling: it rises until it is a right child.
                while (node & 1 == 0 && node != 0) {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                hash = sha256(abi.encodePacked(bytes1(0x01), hash, path[i]));
            }
            node >>= 1;
            last >>= 1;
        }
        return last == 0 && hash == root;
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title ByteTree
/// @notice Merkle trees over byte strings, in leaves of 32 bytes (docs/spec/dispute.md)
/// @dev A leaf is the keccak256 of 32 bytes, the last one filled up with zeros; a node is the keccak256 of the 64 bytes of its
/// children; the last node of a level of odd width rises as it is. The root binds the length, and the length alone decides
/// the shape: a leaf cannot pass for a node, and there is one tree of each string.
library ByteTree {
    /// @notice Bytes opened, revealed or published at once at most: a subtree of 2^9 leaves
    uint256 internal constant BLOCK = 16_384;

    uint256 private constant BLOCK_LEAVES = 512;

    /// @dev keccak256("counterweight/inference/bytes/v1")
    bytes32 private constant DOMAIN = keccak256("counterweight/inference/bytes/v1");

    /// @dev The root of a tree with this top. A string is never empty here.
    function rootOf(uint256 length, bytes32 top) internal pure returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, length, top));
    }

    /// @dev The root of a string's tree, at most a block.
    function rootOf(bytes calldata data) internal pure returns (bytes32) {
        return rootOf(data.length, _topOf(data));
    }

    /// @dev The root of the tree whose blocks have these tops.
    function rootOfBlocks(uint256 length, bytes32[] calldata tops) internal pure returns (bytes32) {
        uint256 level;
        assembly ("memory-safe") {
            // Beyond the end of allocated memory, and not needed after this function.
            level := mload(0x40)
            calldatacopy(level, tops.offset, shl(5, tops.length))
        }
        return rootOf(length, _fold(level, tops.length));
    }

    /// @dev How many blocks a string of this length has.
    function blocks(uint256 length) internal pure returns (uint256) {
        return (length + BLOCK - 1) / BLOCK;
    }

    /// @dev Whether `data` is the block number `index` of the string behind `root`.
    function includesBlock(
        bytes32 root,
        uint256 length,
        uint256 index,
        bytes calldata data,
        bytes32[] calldata siblings
    ) internal pure returns (bool) {
        if (index >= blocks(length)) return false;
        uint256 rest = length - index * BLOCK;
        if (data.length != (rest < BLOCK ? rest : BLOCK)) return false;
        bytes32 node = _topOf(data);
        uint256 used = 0;
        for (uint256 width = blocks(length); width > 1; width = (width + 1) >> 1) {
            if (index & 1 == 1 || index + 1 < width) {
                if (used == siblings.length) return false;
                bytes32 sibling = siblings[used++];
                node = index & 1 == 1 ? _join(sibling, node) : _join(node, sibling);
            }
            index >>= 1;
        }
        return used == siblings.length && rootOf(length, node) == root;
    }

    /// @dev Whether `leaves` are the leaves at `indices`, which increase strictly, of the string behind `root`. `siblings` are
    /// the nodes that cannot be computed, level by level from the leaves up, from left to right.
    function includes(
        bytes32 root,
        uint256 length,
        uint256[] memory indices,
        bytes calldata leaves,
        bytes32[] calldata siblings
    ) internal pure returns (bool) {
        uint256 count = indices.length;
        uint256 width = (length + 31) >> 5;
        if (count == 0 || leaves.length != count << 5 || indices[count - 1] >= width) return false;
        bytes32 top;
        bool exact;
        // Pairs of a place and a hash are kept beyond the end of allocated memory and rewritten from the front: a level never has
        // more than the one below. Reads past the end of `siblings` are caught at the end, where all must be used exactly.
        assembly ("memory-safe") {
            let start := mload(0x40)
            let place := add(indices, 0x20)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                let at := add(start, shl(6, i))
                mstore(0x00, calldataload(add(leaves.offset, shl(5, i))))
                mstore(at, mload(add(place, shl(5, i))))
                mstore(add(at, 0x20), keccak256(0x00, 0x20))
            }
            let limit := add(start, shl(6, count))
            let next := siblings.offset
            for {} gt(width, 1) { width := shr(1, add(width, 1)) } {
                let to := start
                for { let at := start } lt(at, limit) { at := add(at, 0x40) } {
                    let index := mload(at)
                    let node := mload(add(at, 0x20))
                    switch and(index, 1)
                    case 1 {
                        // A left sibling among ours would have taken this node with it.
                        mstore(0x00, calldataload(next))
                        mstore(0x20, node)
                        next := add(next, 0x20)
                        node := keccak256(0x00, 0x40)
                    }
                    default {
                        let right := add(index, 1)
                        if lt(right, width) {
                            mstore(0x00, node)
                            let following := add(at, 0x40)
                            switch and(lt(following, limit), eq(mload(following), right))
                            case 1 {
                                mstore(0x20, mload(add(following, 0x20)))
                                at := following
                            }
                            default {
                                mstore(0x20, calldataload(next))
                                next := add(next, 0x20)
                            }
                            node := keccak256(0x00, 0x40)
                        }
                    }
                    mstore(to, shr(1, index))
                    mstore(add(to, 0x20), node)
                    to := add(to, 0x40)
                }
                limit := to
            }
            top := mload(add(start, 0x20))
            exact := eq(next, add(siblings.offset, shl(5, siblings.length)))
        }
        return exact && rootOf(length, top) == root;
    }

    function _join(bytes32 left, bytes32 right) private pure returns (bytes32 node) {
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            node := keccak256(0x00, 0x40)
        }
    }

    /// @dev The node above at most a block of bytes.
    function _topOf(bytes calldata data) private pure returns (bytes32) {
        uint256 level;
        uint256 count = (data.length + 31) >> 5;
        assembly ("memory-safe") {
            level := mload(0x40)
            for { let i := 0 } lt(i, count) { i := add(i, 1) } {
                let from := shl(5, i)
                mstore(0x00, calldataload(add(data.offset, from)))
                let rest := sub(data.length, from)
                // What follows the string in calldata is not part of it.
                if lt(rest, 0x20) { mstore(0x00, and(mload(0x00), not(shr(shl(3, rest), not(0))))) }
                mstore(add(level, from), keccak256(0x00, 0x20))
            }
        }
        return _fold(level, count);
    }

    /// @dev The node above `count` words that begin at `level`, which is beyond the end of allocated memory.
    function _fold(uint256 level, uint256 count) private pure returns (bytes32 top) {
        assembly ("memory-safe") {
            for {} gt(count, 1) {} {
                let pairs := shr(1, count)
                for { let i := 0 } lt(i, pairs) { i := add(i, 1) } {
                    mstore(add(level, shl(5, i)), keccak256(add(level, shl(6, i)), 0x40))
                }
                if and(count, 1) { mstore(add(level, shl(5, pairs)), mload(add(level, shl(6, pairs)))) }
                count := shr(1, add(count, 1))
            }
            top := mload(level)
        }
    }
}

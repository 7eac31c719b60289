// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title RFC 6962 trees whose entries are all alike
/// @dev Each full subtree is known by its height, so that a large tree costs few hashes. From the recursive definitions of
/// section 2.1, to judge the contract by.
library UniformLog {
    bytes32 internal constant LEAF = "leaf";

    function root(uint256 count) internal pure returns (bytes32 hash) {
        if (count == 1) return LEAF;
        if (count & (count - 1) == 0) {
            hash = root(count / 2);
            return _node(hash, hash);
        }
        uint256 k = _below(count);
        return _node(root(k), root(count - k));
    }

    /// @dev The audit path of entry `index` (section 2.1.1).
    function path(uint256 index, uint256 count) internal pure returns (bytes32[] memory hashes) {
        if (count == 1) return hashes;
        uint256 k = _below(count);
        return index < k
            ? _append(path(index, k), root(count - k))
            : _append(path(index - k, count - k), root(k));
    }

    /// @dev The consistency proof between two sizes (section 2.1.2).
    function growth(uint256 size, uint256 more) internal pure returns (bytes32[] memory) {
        return _subproof(size, more, true);
    }

    function _subproof(uint256 size, uint256 count, bool whole) private pure returns (bytes32[] memory hashes) {
        if (size == count) return whole ? hashes : _append(hashes, root(count));
        uint256 k = _below(count);
        return size <= k
            ? _append(_subproof(size, k, whole), root(count - k))
            : _append(_subproof(size - k, count - k, false), root(k));
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }

    /// @dev The largest power of two below `count`.
    function _below(uint256 count) private pure returns (uint256 k) {
        k = 1;
        while (k * 2 < count) k *= 2;
    }

    function _append(bytes32[] memory hashes, bytes32 hash) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](hashes.length + 1);
        for (uint256 i = 0; i < hashes.length; ++i) {
            longer[i] = hashes[i];
        }
        longer[hashes.length] = hash;
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Checkpoints of provenance logs
/// @notice A log is named by the SHA-256 of its origin line and belongs to the account that anchored it first.
/// Trees are RFC 6962 with SHA-256.
interface ILogAnchor {
    /// @param owner Who may anchor
    /// @param size Number of entries the newest checkpoint commits to
    /// @param root RFC 6962 root of those entries
    struct Head {
        address owner;
        uint64 size;
        bytes32 root;
    }

    event Anchored(bytes32 indexed log, address indexed owner, uint64 size, bytes32 root);

    error NotLogOwner(bytes32 log, address caller);
    error SizeNotGrowing(bytes32 log, uint64 size, uint64 current);
    error EmptyCheckpoint(bytes32 log);

    function anchor(bytes32 log, uint64 size, bytes32 root) external;
    function head(bytes32 log) external view returns (Head memory);
    /// @notice Whether `leaf` (an RFC 6962 leaf hash) is entry `index` of the tree of `size` entries with `root`
    function verifyInclusion(bytes32 root, uint64 size, uint64 index, bytes32 leaf, bytes32[] calldata path)
        external
        view
        returns (bool);
    /// @notice As `verifyInclusion`, against the newest anchored head of `log`
    function isAnchored(bytes32 log, uint64 index, bytes32 leaf, bytes32[] calldata path) external view returns (bool);
}

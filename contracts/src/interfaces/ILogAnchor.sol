// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Checkpoints of provenance logs
/// @notice A log is named by its owner's account and the SHA-256 of its origin line, so nobody can take a name from
/// anybody. Trees are RFC 6962 with SHA-256. That a checkpoint extends the one before it is not checked here:
/// every checkpoint stays in the events, and anyone who keeps the log can check them against each other.
interface ILogAnchor {
    /// @notice The newest checkpoint of a log
    /// @param size Number of entries it commits to, 0 if nothing was anchored
    /// @param anchoredAt Second (Unix time) of the block that anchored it
    /// @param root RFC 6962 root of those entries
    struct Head {
        uint64 size;
        uint64 anchoredAt;
        bytes32 root;
    }

    /// @notice Emitted with each checkpoint
    /// @param log SHA-256 of the log's origin line
    /// @param owner Whose log it is: the caller
    /// @param size Number of entries the checkpoint commits to
    /// @param root RFC 6962 root of those entries
    event Anchored(bytes32 indexed log, address indexed owner, uint64 size, bytes32 root);

    /// @notice A log only grows
    /// @param log SHA-256 of the log's origin line
    /// @param size Size of the refused checkpoint
    /// @param current Size of the newest checkpoint
    error SizeNotGrowing(bytes32 log, uint64 size, uint64 current);

    /// @notice The root of the refused checkpoint is zero
    /// @param log SHA-256 of the log's origin line
    error EmptyCheckpoint(bytes32 log);

    /// @notice Anchors a checkpoint of the caller's own log
    /// @param log SHA-256 of the log's origin line
    /// @param size Number of entries, larger than before
    /// @param root RFC 6962 root of those entries, not zero
    function anchor(bytes32 log, uint64 size, bytes32 root) external;

    /// @notice The newest checkpoint of a log, all zero if there is none
    function head(address owner, bytes32 log) external view returns (Head memory);

    /// @notice Whether `leaf` (an RFC 6962 leaf hash) is entry `index` of the tree of `size` entries with `root`.
    /// Answers false to anything that is not a proof, and never reverts (given enough gas: about 600 for each hash,
    /// of which there are at most 64, whatever is sent).
    /// @param root RFC 6962 root
    /// @param size Number of entries of the tree
    /// @param index Entry, counted from 0
    /// @param leaf SHA-256 of 0x00 and the entry
    /// @param path Audit path from the leaf upwards, as in RFC 9162, section 2.1.3.1
    function verifyInclusion(bytes32 root, uint64 size, uint64 index, bytes32 leaf, bytes32[] calldata path)
        external
        pure
        returns (bool);

    /// @notice As `verifyInclusion`, against the newest checkpoint of a log; false if there is none
    function isAnchored(address owner, bytes32 log, uint64 index, bytes32 leaf, bytes32[] calldata path)
        external
        view
        returns (bool);
}

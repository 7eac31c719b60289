// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Checkpoints of provenance logs
/// @notice A log is named by its owner's account and the SHA-256 of its origin line, so nobody can take a name from
/// anybody. Trees are RFC 6962 with SHA-256. A checkpoint is taken only with the proof that the log still begins with what
/// was anchored before, so what this contract holds cannot be rewritten by anyone.
///
/// That a log shows one history here and another elsewhere can't be prevented, but punished: the owner signs each
/// checkpoint with the account's key (EIP-712, below), and two signed ones that contradict each other mark the log as
/// forked for good and destroy the bond that its owner posted.
interface ILogAnchor {
    /// @notice The newest checkpoint of a log
    /// @param size Number of entries it commits to, 0 if nothing was anchored
    /// @param anchoredAt Second (Unix time) of the block that anchored it
    /// @param forked Whether the owner was shown to have signed two histories; then nothing more is anchored
    /// @param root RFC 6962 root of those entries
    struct Head {
        uint64 size;
        uint64 anchoredAt;
        bool forked;
        bytes32 root;
    }

    /// @notice A checkpoint signed by the owner of a log: EIP-712, type
    /// `Checkpoint(bytes32 log,uint64 size,bytes32 root)`, domain `EIP712Domain(string name,string version)` with
    /// "Counterweight log" and "1". Neither chain nor contract is in the domain: two histories are a fault anywhere.
    /// @param size Number of entries it commits to
    /// @param root RFC 6962 root of those entries
    /// @param r First half of the signature
    /// @param s Second half of the signature, in the lower half of the group order
    /// @param v 27 or 28
    struct SignedCheckpoint {
        uint64 size;
        bytes32 root;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    /// @notice An entry as a checkpoint has it
    /// @param leaf SHA-256 of 0x00 and the entry
    /// @param path Audit path from the leaf upwards, as in RFC 9162, section 2.1.3.1
    struct Inclusion {
        bytes32 leaf;
        bytes32[] path;
    }

    /// @notice What stands behind a log
    /// @param amount Wei posted
    /// @param withdrawableAt Second (Unix time) from which the owner may take it back, 0 if that was not asked for
    struct Bond {
        uint128 amount;
        uint64 withdrawableAt;
    }

    /// @notice Emitted with each checkpoint
    /// @param log SHA-256 of the log's origin line
    /// @param owner Whose log it is
    /// @param size Number of entries the checkpoint commits to
    /// @param root RFC 6962 root of those entries
    event Anchored(bytes32 indexed log, address indexed owner, uint64 size, bytes32 root);

    /// @notice Emitted when an owner adds to a bond
    /// @param log SHA-256 of the log's origin line
    /// @param owner Whose log it is
    /// @param amount Wei the bond has now
    event Bonded(bytes32 indexed log, address indexed owner, uint128 amount);

    /// @notice Emitted when an owner asks for a bond back
    /// @param log SHA-256 of the log's origin line
    /// @param owner Whose log it is
    /// @param withdrawableAt Second (Unix time) from which it may be taken
    event WithdrawalRequested(bytes32 indexed log, address indexed owner, uint64 withdrawableAt);

    /// @notice Emitted when an owner takes a bond back
    /// @param log SHA-256 of the log's origin line
    /// @param owner Whose log it is
    /// @param amount Wei paid out
    event Withdrawn(bytes32 indexed log, address indexed owner, uint128 amount);

    /// @notice Emitted when an owner was shown to have signed two histories
    /// @param log SHA-256 of the log's origin line
    /// @param owner Whose log it is
    /// @param reporter Who showed it
    /// @param reward Wei paid to the reporter: half of the bond, rounded down
    /// @param burned Wei destroyed: the rest
    event Forked(
        bytes32 indexed log, address indexed owner, address indexed reporter, uint128 reward, uint128 burned
    );

    /// @notice A log only grows
    /// @param log SHA-256 of the log's origin line
    /// @param size Size of the refused checkpoint
    /// @param current Size of the newest checkpoint
    error SizeNotGrowing(bytes32 log, uint64 size, uint64 current);

    /// @notice The root of the refused checkpoint is zero
    /// @param log SHA-256 of the log's origin line
    error EmptyCheckpoint(bytes32 log);

    /// @notice The proof does not show that the tree of the refused checkpoint begins with the newest one
    /// @param log SHA-256 of the log's origin line
    /// @param size Size of the refused checkpoint
    /// @param current Size of the newest checkpoint
    error Inconsistent(bytes32 log, uint64 size, uint64 current);

    /// @notice The owner was shown to have signed two histories of this log
    /// @param log SHA-256 of the log's origin line
    error LogForked(bytes32 log);

    /// @notice The checkpoint was not signed by the owner
    /// @param owner Whose signature was needed
    /// @param size Size of the checkpoint
    error NotSignedByOwner(address owner, uint64 size);

    /// @notice The two checkpoints do not contradict each other in the way that was claimed
    /// @param log SHA-256 of the log's origin line
    error NoContradiction(bytes32 log);

    /// @notice There is no bond, or nothing was added to it
    /// @param log SHA-256 of the log's origin line
    error NoBond(bytes32 log);

    /// @notice The bond is still held
    /// @param log SHA-256 of the log's origin line
    /// @param withdrawableAt Second (Unix time) from which it may be taken, 0 if that was not asked for
    error BondHeld(bytes32 log, uint64 withdrawableAt);

    /// @notice The receiver refused the payment
    /// @param receiver Who was to be paid
    error PaymentRefused(address receiver);

    /// @notice Anchors a checkpoint of the caller's own log
    /// @param log SHA-256 of the log's origin line
    /// @param size Number of entries, larger than before
    /// @param root RFC 6962 root of those entries, not zero
    /// @param proof Consistency proof from the newest anchored size to `size`, as in RFC 9162, section 2.1.4.1; empty for
    /// the first checkpoint
    function anchor(bytes32 log, uint64 size, bytes32 root, bytes32[] calldata proof) external;

    /// @notice As `anchor`, by anyone, for an owner who signed the checkpoint
    function anchorSigned(
        address owner,
        bytes32 log,
        SignedCheckpoint calldata checkpoint,
        bytes32[] calldata proof
    ) external;

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
        view
        returns (bool);

    /// @notice Whether the tree of `newSize` entries with `newRoot` begins with the tree of `oldSize` entries with
    /// `oldRoot`. Every tree begins with the empty one, whose root is the SHA-256 of nothing and whose proof is empty.
    /// Answers false to anything that is not a proof, and never reverts (given enough gas: about 1,100 for each hash, of
    /// which there are at most 65, whatever is sent).
    function verifyConsistency(
        uint64 oldSize,
        bytes32 oldRoot,
        uint64 newSize,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice As `verifyInclusion`, against the newest checkpoint of a log; false if there is none, or the log forked
    function isAnchored(address owner, bytes32 log, uint64 index, bytes32 leaf, bytes32[] calldata path)
        external
        view
        returns (bool);

    /// @notice What the owner of a log signs for a checkpoint: the EIP-712 hash
    function checkpointHash(bytes32 log, uint64 size, bytes32 root) external pure returns (bytes32);

    /// @notice Adds the wei sent along to the bond of the caller's own log; a withdrawal that was asked for is forgotten
    /// @param log SHA-256 of the log's origin line
    function postBond(bytes32 log) external payable;

    /// @notice Asks for the bond of the caller's own log: it can be taken after seven days, in which contradictions can
    /// still be shown
    function requestWithdrawal(bytes32 log) external;

    /// @notice Takes the bond of the caller's own log back
    /// @param log SHA-256 of the log's origin line
    /// @param receiver Who is paid
    function withdraw(bytes32 log, address receiver) external;

    /// @notice The bond behind a log
    function bond(address owner, bytes32 log) external view returns (Bond memory);

    /// @notice Shows that an owner signed two checkpoints of one size with different roots. Half of the bond, rounded
    /// down, goes to the caller; the rest is destroyed, so that an owner who reports itself still loses half.
    function reportSplitView(
        address owner,
        bytes32 log,
        SignedCheckpoint calldata one,
        SignedCheckpoint calldata other
    ) external;

    /// @notice Shows that an owner signed a checkpoint of the size of the newest anchored one, with another root. The bond
    /// goes as in `reportSplitView`.
    function reportUnanchored(address owner, bytes32 log, SignedCheckpoint calldata checkpoint) external;

    /// @notice Shows that an owner signed two checkpoints, of any sizes, that hold different entries in one place. The
    /// bond goes as in `reportSplitView`.
    /// @param index The entry, counted from 0
    /// @param inOne The entry as `one` has it
    /// @param inOther The entry as `other` has it
    function reportRewrittenEntry(
        address owner,
        bytes32 log,
        uint64 index,
        SignedCheckpoint calldata one,
        Inclusion calldata inOne,
        SignedCheckpoint calldata other,
        Inclusion calldata inOther
    ) external;
}

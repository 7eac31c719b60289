// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title The registry of everything worth owning or checking
/// @notice Each asset is an ERC-721 token that commits to bytes (a digest), to a manifest (what it is) and to at
/// most eight parents (what it came from). Ids count from 1, and a parent's id is always smaller than its child's,
/// so the lineage graph is acyclic by construction.
interface IAssetRegistry {
    /// @notice What an asset is. `None` is never registered.
    enum Kind {
        None,
        Dataset,
        Model,
        Program,
        Content,
        Collection
    }

    /// @notice An arrow of the lineage graph
    /// @param id The parent asset
    /// @param sharePpm Part of the child's income that flows to this parent, in millionths
    struct Parent {
        uint64 id;
        uint32 sharePpm;
    }

    /// @notice What an asset commits to
    /// @param kind What it is
    /// @param contentDigest BLAKE3 digest of its bytes
    /// @param manifestDigest BLAKE3 digest of its canonical manifest
    /// @param previous The version before this one, 0 for a first version
    /// @param version Position in the version chain, counted from 1
    struct Asset {
        Kind kind;
        bytes32 contentDigest;
        bytes32 manifestDigest;
        uint64 previous;
        uint32 version;
    }

    /// @notice What to register
    /// @param kind What it is
    /// @param contentDigest BLAKE3 digest of its bytes, not zero
    /// @param manifestDigest BLAKE3 digest of its canonical manifest, not zero
    /// @param previous An asset of the same kind and owner that this one replaces, or 0
    /// @param resaleRoyaltyBps ERC-2981 royalty on resale of the token, in ten-thousandths
    /// @param uri Where the manifest may be found (a hint: the digest decides)
    /// @param parents At most eight, in strictly ascending order of id, shares summing to at most 1,000,000
    struct Registration {
        Kind kind;
        bytes32 contentDigest;
        bytes32 manifestDigest;
        uint64 previous;
        uint16 resaleRoyaltyBps;
        string uri;
        Parent[] parents;
    }

    event AssetRegistered(
        uint64 indexed id,
        address indexed owner,
        Kind indexed kind,
        bytes32 contentDigest,
        bytes32 manifestDigest,
        uint64 previous,
        string uri
    );
    event LineageEdge(uint64 indexed child, uint64 indexed parent, uint32 sharePpm);

    error UnknownAsset(uint64 id);
    error DigestMissing();
    error KindMissing();
    error TooManyParents(uint256 count, uint256 limit);
    error ParentsNotAscending(uint64 previousParent, uint64 parent);
    error SharesExceedWhole(uint256 sumPpm);
    error NotSameKind(Kind previousKind, Kind kind);
    error NotOwnerOfPrevious(uint64 previous, address caller);
    error AlreadyReplaced(uint64 previous, uint64 by);

    /// @notice Registers an asset owned by `owner`; the caller must be `owner`, or register a first version for them
    function register(address owner, Registration calldata registration) external returns (uint64 id);

    function asset(uint64 id) external view returns (Asset memory);
    function parents(uint64 id) external view returns (Parent[] memory);
    function replacedBy(uint64 id) external view returns (uint64);
    function assetCount() external view returns (uint64);
}

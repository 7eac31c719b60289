// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title The registry of everything worth owning or checking
/// @notice Each asset is an ERC-721 token that commits to bytes (a digest), to a manifest (what it is) and to at
/// most eight parents (what it came from). Ids count from 1, and a parent's id is always smaller than its child's,
/// so the lineage graph is acyclic by construction. What an asset commits to never changes; only its owner does, and where
/// its metadata is found (`IAssetMetadata`).
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
    /// @param sharePpm Part of the child's income that flows to this parent, in millionths; 0 records descent alone
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
    /// @param resaleRoyaltyBps ERC-2981 royalty on resale of the token, in ten-thousandths, at most 10,000; its
    /// receiver is the first owner, for good
    /// @param uri Where the manifest may be found (a hint: the digest decides), at most 1,024 bytes
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

    /// @notice Emitted when an asset is registered; ERC-721 `Transfer` from zero comes with it
    /// @param id The new asset, counted from 1
    /// @param owner Its first owner
    /// @param kind What it is
    /// @param contentDigest BLAKE3 digest of its bytes
    /// @param manifestDigest BLAKE3 digest of its canonical manifest
    /// @param previous The version it replaces, or 0
    /// @param uri Where the manifest may be found
    event AssetRegistered(
        uint64 indexed id,
        address indexed owner,
        Kind indexed kind,
        bytes32 contentDigest,
        bytes32 manifestDigest,
        uint64 previous,
        string uri
    );

    /// @notice Emitted once for each parent of a new asset, in ascending order of parent
    /// @param child The new asset
    /// @param parent What it came from
    /// @param sharePpm Part of the child's income that flows to the parent, in millionths
    event LineageEdge(uint64 indexed child, uint64 indexed parent, uint32 sharePpm);

    /// @notice Emitted when the owner of the registry names a registrar or dismisses one
    /// @param registrar The account, normally a contract such as `TrainingRounds`
    /// @param allowed Whether it may register for others from now on
    event RegistrarSet(address indexed registrar, bool allowed);

    /// @notice No asset has this id
    /// @param id The id that was asked for
    error UnknownAsset(uint64 id);

    /// @notice The content or the manifest digest is zero
    error DigestMissing();

    /// @notice The kind is `None`
    error KindMissing();

    /// @notice More parents than an asset may have
    /// @param count Parents given
    /// @param limit Parents allowed
    error TooManyParents(uint256 count, uint256 limit);

    /// @notice Parents are not in strictly ascending order of id (which also rules out repeats and id 0)
    /// @param previousParent The one before, 0 before the first
    /// @param parent The one out of order
    error ParentsNotAscending(uint64 previousParent, uint64 parent);

    /// @notice The shares of the parents are more than the whole
    /// @param sumPpm Their sum, in millionths
    error SharesExceedWhole(uint256 sumPpm);

    /// @notice The replaced asset is of another kind
    /// @param previousKind Kind of the asset to replace
    /// @param kind Kind of the new asset
    error NotSameKind(Kind previousKind, Kind kind);

    /// @notice The replaced asset belongs to somebody else
    /// @param previous The asset to replace
    /// @param owner Who the new asset would belong to
    error NotOwnerOfPrevious(uint64 previous, address owner);

    /// @notice A version chain does not fork: the asset was replaced before
    /// @param previous The asset to replace
    /// @param by The asset that replaced it
    error AlreadyReplaced(uint64 previous, uint64 by);

    /// @notice The caller is neither the owner, nor its approved operator, nor a registrar
    /// @param owner Who the asset would belong to
    /// @param caller Who asked
    error NotAllowedToRegister(address owner, address caller);

    /// @notice The place of the manifest is too long
    /// @param length Bytes given
    /// @param limit Bytes allowed
    error UriTooLong(uint256 length, uint256 limit);

    /// @notice Registers an asset owned by `owner`. The caller is `owner`, an operator that `owner` approved for all
    /// its assets, or a registrar. The token is minted without asking a receiving contract, so that a registration
    /// on somebody's behalf cannot be blocked by them.
    /// @param owner First owner, not zero
    /// @param registration What to register
    /// @return id The new asset
    function register(address owner, Registration calldata registration) external returns (uint64 id);

    /// @notice Names or dismisses a registrar, which may register assets for others (owner of the registry only)
    /// @param registrar The account
    /// @param allowed Whether it may
    function setRegistrar(address registrar, bool allowed) external;

    /// @notice Whether an account may register assets for others
    function isRegistrar(address account) external view returns (bool);

    /// @notice What an asset commits to; reverts with `UnknownAsset`
    function asset(uint64 id) external view returns (Asset memory);

    /// @notice What an asset came from, in ascending order of id; reverts with `UnknownAsset`
    function parents(uint64 id) external view returns (Parent[] memory);

    /// @notice The version that replaced this one, 0 if none did; reverts with `UnknownAsset`
    function replacedBy(uint64 id) external view returns (uint64);

    /// @notice How many times the token has had an owner: 1 from its registration on, one more with each transfer.
    /// What an owner promised (consent) ends with its tenure. Reverts with `UnknownAsset`.
    function tenure(uint64 id) external view returns (uint32);

    /// @notice Assets registered so far, which is also the newest id
    function assetCount() external view returns (uint64);
}

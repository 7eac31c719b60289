// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {ERC721Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC721/ERC721Upgradeable.sol";
import {ERC2981Upgradeable} from "@openzeppelin/contracts-upgradeable/token/common/ERC2981Upgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

import {IAssetMetadata} from "./interfaces/IAssetMetadata.sol";
import {IAssetRegistry} from "./interfaces/IAssetRegistry.sol";

/// @title AssetRegistry
/// @notice See {IAssetRegistry} and {IAssetMetadata}. Upgradeable (UUPS) by its owner, meant to be a `TimelockController`, so that who
/// relies on it sees a change before it takes effect.
contract AssetRegistry is
    IAssetRegistry,
    IAssetMetadata,
    IERC4906,
    ERC721Upgradeable,
    ERC2981Upgradeable,
    OwnableUpgradeable,
    UUPSUpgradeable
{
    uint256 private constant PARENT_LIMIT = 8;
    uint256 private constant URI_LIMIT = 1024;
    uint256 private constant WHOLE_PPM = 1_000_000;
    /// @dev ERC-4906 fixes its identifier: it has events and no function to compute one from.
    bytes4 private constant ERC4906_ID = 0x49064906;

    /// @dev One slot for what changes or links, one for each digest, half of one for each parent.
    struct Record {
        Kind kind;
        uint8 parentCount;
        uint32 version;
        uint32 tenure;
        uint64 previous;
        uint64 replacedBy;
        bytes32 contentDigest;
        bytes32 manifestDigest;
        // `id << 32 | sharePpm`, two to a slot.
        uint96[8] parents;
        string uri;
    }

    /// @custom:storage-location erc7201:counterweight.storage.AssetRegistry
    struct RegistryStorage {
        uint64 count;
        mapping(uint64 id => Record) records;
        mapping(address account => bool) registrars;
    }

    // keccak256(abi.encode(uint256(keccak256("counterweight.storage.AssetRegistry")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORAGE_LOCATION = 0x41e10eb2228c31442bba2b77659f5526ab2226214c17ea749957a2a89d98bc00;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Sets up the proxy
    /// @param initialOwner Who may upgrade and name registrars
    function initialize(address initialOwner) external initializer {
        __ERC721_init("Counterweight Assets", "CWA");
        __ERC2981_init();
        __Ownable_init(initialOwner);
    }

    /// @inheritdoc IAssetRegistry
    function register(address owner, Registration calldata registration) external returns (uint64 id) {
        RegistryStorage storage $ = _registry();
        if (msg.sender != owner && !isApprovedForAll(owner, msg.sender) && !$.registrars[msg.sender]) {
            revert NotAllowedToRegister(owner, msg.sender);
        }
        if (registration.kind == Kind.None) revert KindMissing();
        if (registration.contentDigest == 0 || registration.manifestDigest == 0) revert DigestMissing();
        _checkUri(registration.uri);

        id = ++$.count;
        Record storage record = $.records[id];
        record.kind = registration.kind;
        record.tenure = 1;
        record.version = _replace($, id, owner, registration);
        record.previous = registration.previous;
        record.contentDigest = registration.contentDigest;
        record.manifestDigest = registration.manifestDigest;
        record.uri = registration.uri;
        record.parentCount = _setParents(record, id, registration.parents);

        // Not `_safeMint`: a registrar registers for others, whose code must not be able to refuse or re-enter.
        _mint(owner, id);
        if (registration.resaleRoyaltyBps != 0) _setTokenRoyalty(id, owner, registration.resaleRoyaltyBps);
        emit AssetRegistered(
            id,
            owner,
            registration.kind,
            registration.contentDigest,
            registration.manifestDigest,
            registration.previous,
            registration.uri
        );
        for (uint256 i = 0; i < registration.parents.length; ++i) {
            emit LineageEdge(id, registration.parents[i].id, registration.parents[i].sharePpm);
        }
    }

    /// @inheritdoc IAssetMetadata
    function setUri(uint64 id, string calldata uri) external {
        _checkAuthorized(_ownerOf(id), msg.sender, id);
        _checkUri(uri);
        _registry().records[id].uri = uri;
        emit UriSet(id, uri);
        emit MetadataUpdate(id);
    }

    /// @inheritdoc IAssetRegistry
    function setRegistrar(address registrar, bool allowed) external onlyOwner {
        _registry().registrars[registrar] = allowed;
        emit RegistrarSet(registrar, allowed);
    }

    /// @inheritdoc IAssetRegistry
    function isRegistrar(address account) external view returns (bool) {
        return _registry().registrars[account];
    }

    /// @inheritdoc IAssetRegistry
    function asset(uint64 id) external view returns (Asset memory) {
        Record storage record = _record(id);
        return Asset({
            kind: record.kind,
            contentDigest: record.contentDigest,
            manifestDigest: record.manifestDigest,
            previous: record.previous,
            version: record.version
        });
    }

    /// @inheritdoc IAssetRegistry
    function parents(uint64 id) external view returns (Parent[] memory list) {
        Record storage record = _record(id);
        list = new Parent[](record.parentCount);
        for (uint256 i = 0; i < list.length; ++i) {
            uint96 edge = record.parents[i];
            list[i] = Parent({id: uint64(edge >> 32), sharePpm: uint32(edge)});
        }
    }

    /// @inheritdoc IAssetRegistry
    function replacedBy(uint64 id) external view returns (uint64) {
        return _record(id).replacedBy;
    }

    /// @inheritdoc IAssetRegistry
    function tenure(uint64 id) external view returns (uint32) {
        return _record(id).tenure;
    }

    /// @inheritdoc IAssetRegistry
    function assetCount() external view returns (uint64) {
        return _registry().count;
    }

    /// @notice Where the metadata of an asset may be found; the digests it commits to decide
    function tokenURI(uint256 tokenId) public view override returns (string memory) {
        _requireOwned(tokenId);
        // An owned token is a registered asset, whose id fits.
        return _registry().records[uint64(tokenId)].uri;
    }

    /// @inheritdoc ERC721Upgradeable
    function supportsInterface(bytes4 interfaceId)
        public
        view
        override(ERC721Upgradeable, ERC2981Upgradeable, IERC165)
        returns (bool)
    {
        return interfaceId == type(IAssetRegistry).interfaceId || interfaceId == type(IAssetMetadata).interfaceId
            || interfaceId == ERC4906_ID || super.supportsInterface(interfaceId);
    }

    /// @dev Takes `registration.previous` out of service in favour of `id`; gives the version of the new asset.
    function _replace(RegistryStorage storage $, uint64 id, address owner, Registration calldata registration)
        private
        returns (uint32)
    {
        uint64 previous = registration.previous;
        if (previous == 0) return 1;
        if (previous >= id) revert UnknownAsset(previous);
        Record storage record = $.records[previous];
        if (record.kind != registration.kind) revert NotSameKind(record.kind, registration.kind);
        if (_ownerOf(previous) != owner) revert NotOwnerOfPrevious(previous, owner);
        if (record.replacedBy != 0) revert AlreadyReplaced(previous, record.replacedBy);
        record.replacedBy = id;
        // Its metadata says which version came after it.
        emit MetadataUpdate(previous);
        return record.version + 1;
    }

    function _checkUri(string calldata uri) private pure {
        uint256 length = bytes(uri).length;
        if (length > URI_LIMIT) revert UriTooLong(length, URI_LIMIT);
    }

    function _setParents(Record storage record, uint64 id, Parent[] calldata list) private returns (uint8) {
        if (list.length > PARENT_LIMIT) revert TooManyParents(list.length, PARENT_LIMIT);
        uint256 sumPpm = 0;
        uint64 last = 0;
        for (uint256 i = 0; i < list.length; ++i) {
            Parent calldata parent = list[i];
            if (parent.id <= last) revert ParentsNotAscending(last, parent.id);
            if (parent.id >= id) revert UnknownAsset(parent.id);
            last = parent.id;
            sumPpm += parent.sharePpm;
            record.parents[i] = uint96(parent.id) << 32 | parent.sharePpm;
        }
        if (sumPpm > WHOLE_PPM) revert SharesExceedWhole(sumPpm);
        return uint8(list.length);
    }

    /// @dev Every transfer begins a new tenure, even one to the same owner.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        if (from != address(0)) ++_registry().records[uint64(tokenId)].tenure;
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}

    function _record(uint64 id) private view returns (Record storage record) {
        record = _registry().records[id];
        if (record.kind == Kind.None) revert UnknownAsset(id);
    }

    function _registry() private pure returns (RegistryStorage storage $) {
        assembly ("memory-safe") {
            $.slot := STORAGE_LOCATION
        }
    }
}

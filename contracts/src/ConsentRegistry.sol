// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {EIP712Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/cryptography/EIP712Upgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IAssetRegistry} from "./interfaces/IAssetRegistry.sol";
import {IConsentRegistry} from "./interfaces/IConsentRegistry.sol";

/// @title ConsentRegistry
/// @notice See {IConsentRegistry}. Upgradeable (UUPS) by its owner, meant to be a `TimelockController`.
contract ConsentRegistry is IConsentRegistry, EIP712Upgradeable, OwnableUpgradeable, UUPSUpgradeable {
    bytes32 private constant GRANT_TYPEHASH =
        keccak256("Grant(uint64 datasetId,uint160 purposes,uint64 expiry,uint256 nonce,uint64 deadline)");
    bytes32 private constant REVOKE_TYPEHASH =
        keccak256("Revoke(uint64 datasetId,uint160 purposes,uint256 nonce,uint64 deadline)");

    /// @dev One slot, since every commitment of every study reads it: hence the narrow times and counters.
    struct Record {
        uint160 purposes;
        uint40 expiry;
        uint24 epoch;
        uint32 tenure;
    }

    /// @custom:storage-location erc7201:counterweight.storage.ConsentRegistry
    struct ConsentStorage {
        mapping(uint64 datasetId => Record) records;
    }

    // keccak256(abi.encode(uint256(keccak256("counterweight.storage.ConsentRegistry")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant STORAGE_LOCATION = 0x29eb853921e57b2831fca716991ee06f99bae549f8aa574e053ca8d805057800;

    /// @notice The registry whose owners are the stewards
    /// @custom:oz-upgrades-unsafe-allow state-variable-immutable
    IAssetRegistry public immutable assets;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor(IAssetRegistry registry) {
        assets = registry;
        _disableInitializers();
    }

    /// @notice Sets up the proxy
    /// @param initialOwner Who may upgrade
    function initialize(address initialOwner) external initializer {
        __EIP712_init("Counterweight ConsentRegistry", "1");
        __Ownable_init(initialOwner);
    }

    /// @inheritdoc IConsentRegistry
    function grant(uint64 datasetId, uint160 purposes, uint64 expiry) external returns (uint32 epoch) {
        return _grant(datasetId, _callingSteward(datasetId), purposes, expiry);
    }

    /// @inheritdoc IConsentRegistry
    function grantBySignature(
        uint64 datasetId,
        uint160 purposes,
        uint64 expiry,
        uint64 deadline,
        bytes calldata signature
    ) external returns (uint32 epoch) {
        bytes32 message =
            keccak256(abi.encode(GRANT_TYPEHASH, datasetId, purposes, expiry, nonce(datasetId), deadline));
        return _grant(datasetId, _signingSteward(datasetId, message, deadline, signature), purposes, expiry);
    }

    /// @inheritdoc IConsentRegistry
    function revoke(uint64 datasetId, uint160 purposes) external returns (uint32 epoch) {
        return _revoke(datasetId, _callingSteward(datasetId), purposes);
    }

    /// @inheritdoc IConsentRegistry
    function revokeBySignature(uint64 datasetId, uint160 purposes, uint64 deadline, bytes calldata signature)
        external
        returns (uint32 epoch)
    {
        bytes32 message = keccak256(abi.encode(REVOKE_TYPEHASH, datasetId, purposes, nonce(datasetId), deadline));
        return _revoke(datasetId, _signingSteward(datasetId, message, deadline, signature), purposes);
    }

    /// @inheritdoc IConsentRegistry
    function consent(uint64 datasetId) external view returns (Consent memory) {
        Record memory record = _consent().records[datasetId];
        return Consent({purposes: _effective(datasetId, record), expiry: record.expiry, epoch: record.epoch});
    }

    /// @inheritdoc IConsentRegistry
    function isAllowed(uint64 datasetId, uint8 purpose) external view returns (bool) {
        return _allows(_effective(datasetId, _consent().records[datasetId]), purpose);
    }

    /// @inheritdoc IConsentRegistry
    function requireConsent(uint64 datasetId, uint8 purpose) external view returns (uint32 epoch) {
        Record memory record = _consent().records[datasetId];
        epoch = record.epoch;
        if (!_allows(_effective(datasetId, record), purpose)) revert ConsentMissing(datasetId, purpose, epoch);
    }

    /// @inheritdoc IConsentRegistry
    function nonce(uint64 datasetId) public view returns (uint256) {
        return uint256(assets.tenure(datasetId)) << 32 | _consent().records[datasetId].epoch;
    }

    function _grant(uint64 datasetId, address steward, uint160 purposes, uint64 expiry)
        private
        returns (uint32 epoch)
    {
        if (assets.asset(datasetId).kind != IAssetRegistry.Kind.Dataset) revert NotADataset(datasetId);
        if (purposes == 0) revert PurposesMissing();
        if (expiry != 0 && expiry <= block.timestamp) revert ExpiryInPast(expiry, uint64(block.timestamp));
        if (expiry > type(uint40).max) revert ExpiryTooFar(expiry);
        Record storage record = _consent().records[datasetId];
        epoch = ++record.epoch;
        record.purposes = purposes;
        record.expiry = uint40(expiry);
        record.tenure = assets.tenure(datasetId);
        emit ConsentGranted(datasetId, steward, purposes, expiry, epoch);
    }

    /// @dev A former owner's grant is dead already; taking bits out of it changes nothing but the epoch, which is what
    /// voids a signature in flight.
    function _revoke(uint64 datasetId, address steward, uint160 purposes) private returns (uint32 epoch) {
        if (purposes == 0) revert PurposesMissing();
        Record storage record = _consent().records[datasetId];
        epoch = ++record.epoch;
        record.purposes &= ~purposes;
        emit ConsentRevoked(datasetId, steward, purposes, epoch);
    }

    function _callingSteward(uint64 datasetId) private view returns (address steward) {
        steward = _steward(datasetId);
        if (msg.sender != steward && !_tokens().isApprovedForAll(steward, msg.sender)) {
            revert NotSteward(datasetId, msg.sender);
        }
    }

    function _signingSteward(uint64 datasetId, bytes32 message, uint64 deadline, bytes calldata signature)
        private
        view
        returns (address steward)
    {
        if (block.timestamp > deadline) revert SignatureExpired(deadline);
        steward = _steward(datasetId);
        if (!SignatureChecker.isValidSignatureNowCalldata(steward, _hashTypedDataV4(message), signature)) {
            revert InvalidSignature();
        }
    }

    /// @dev The owner of the dataset; reverts with ERC-721's `ERC721NonexistentToken` for an unknown one.
    function _steward(uint64 datasetId) private view returns (address) {
        return _tokens().ownerOf(datasetId);
    }

    function _tokens() private view returns (IERC721) {
        return IERC721(address(assets));
    }

    /// @dev Nothing once expired or once the token changed hands.
    function _effective(uint64 datasetId, Record memory record) private view returns (uint160) {
        if (record.purposes == 0) return 0;
        if (record.expiry != 0 && record.expiry <= block.timestamp) return 0;
        // Purposes are set on registered datasets only, so the registry knows it.
        return assets.tenure(datasetId) == record.tenure ? record.purposes : 0;
    }

    function _allows(uint160 purposes, uint8 purpose) private pure returns (bool) {
        // A shift by 160 or more leaves nothing.
        return purposes >> purpose & 1 == 1;
    }

    function _authorizeUpgrade(address) internal override onlyOwner {}

    function _consent() private pure returns (ConsentStorage storage $) {
        assembly ("memory-safe") {
            $.slot := STORAGE_LOCATION
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title What a dataset's steward allows
/// @notice The steward of a dataset is the owner of its token. Purposes are bits of a set
/// (`docs/spec/purposes.md`). A grant replaces the one before it and opens a new epoch; a revocation opens a new
/// epoch too. The past is never rewritten: every epoch stays in the events.
///
/// Consent belongs to the owner that gave it: when the dataset's token is transferred (ERC-721 `Transfer`), nothing
/// is allowed any more until the new owner grants, and what was granted does not come back if the token does.
interface IConsentRegistry {
    /// @notice What is allowed now
    /// @param purposes Bit set of allowed purposes; empty when nothing is allowed, for whatever reason
    /// @param expiry Second (Unix time) from which nothing is allowed; 0 means no expiry
    /// @param epoch Counts grants and revocations of this dataset, from 1; 0 means never granted
    struct Consent {
        uint160 purposes;
        uint64 expiry;
        uint32 epoch;
    }

    /// @notice Emitted when a steward allows purposes, in place of whatever it allowed before
    /// @param datasetId The dataset
    /// @param steward Its owner at the time
    /// @param purposes All that is allowed from now on
    /// @param expiry Second (Unix time) from which nothing is allowed; 0 means no expiry
    /// @param epoch The epoch that begins
    event ConsentGranted(
        uint64 indexed datasetId, address indexed steward, uint160 purposes, uint64 expiry, uint32 epoch
    );

    /// @notice Emitted when a steward withdraws purposes
    /// @param datasetId The dataset
    /// @param steward Its owner at the time
    /// @param purposes What was withdrawn; purposes not named here stay as they were
    /// @param epoch The epoch that begins
    event ConsentRevoked(uint64 indexed datasetId, address indexed steward, uint160 purposes, uint32 epoch);

    /// @notice The caller is neither the owner of the dataset nor an operator the owner approved for all its assets
    /// @param datasetId The dataset
    /// @param caller Who asked
    error NotSteward(uint64 datasetId, address caller);

    /// @notice The asset is not a dataset
    /// @param id The asset
    error NotADataset(uint64 id);

    /// @notice The set of purposes is empty
    error PurposesMissing();

    /// @notice The expiry is over already
    /// @param expiry Second (Unix time) given
    /// @param nowSeconds Time of the block
    error ExpiryInPast(uint64 expiry, uint64 nowSeconds);

    /// @notice The expiry lies beyond what is kept (2^40 - 1 seconds, about 34,800 years); use 0 for none
    /// @param expiry Second (Unix time) given
    error ExpiryTooFar(uint64 expiry);

    /// @notice The signature was to be used earlier
    /// @param deadline Last second (Unix time) in which it was good
    error SignatureExpired(uint64 deadline);

    /// @notice The signature is not by the steward, or over something else: another dataset, purpose, expiry,
    /// deadline, chain or contract, or an epoch that is over
    error InvalidSignature();

    /// @notice The purpose is not allowed: never granted, revoked, expired, or granted by a former owner
    /// @param datasetId The dataset
    /// @param purpose Index of the purpose
    /// @param epoch The epoch that does not allow it, 0 if nothing was ever granted
    error ConsentMissing(uint64 datasetId, uint8 purpose, uint32 epoch);

    /// @notice Allows exactly `purposes` until `expiry` (steward or its approved operator)
    /// @param datasetId The dataset
    /// @param purposes All that is allowed from now on, not empty
    /// @param expiry Second (Unix time) from which nothing is allowed, later than now; 0 for no expiry
    /// @return epoch The epoch that begins
    function grant(uint64 datasetId, uint160 purposes, uint64 expiry) external returns (uint32 epoch);

    /// @notice As `grant`, by the steward's EIP-712 signature over
    /// `Grant(uint64 datasetId,uint160 purposes,uint64 expiry,uint256 nonce,uint64 deadline)` in the domain
    /// `name = "Counterweight ConsentRegistry"`, `version = "1"`; ERC-1271 stewards too. Anyone may bring it.
    /// @param datasetId The dataset
    /// @param purposes All that is allowed from now on, not empty
    /// @param expiry Second (Unix time) from which nothing is allowed, later than now; 0 for no expiry
    /// @param deadline Last second (Unix time) in which the signature may be used
    /// @param signature 65 bytes, or whatever the steward's contract takes
    /// @return epoch The epoch that begins
    function grantBySignature(
        uint64 datasetId,
        uint160 purposes,
        uint64 expiry,
        uint64 deadline,
        bytes calldata signature
    ) external returns (uint32 epoch);

    /// @notice Withdraws `purposes` from what is allowed (steward or its approved operator). Stops the next run and
    /// the next commitment; never rewrites the past. Purposes that were not allowed may be named.
    /// @param datasetId The dataset
    /// @param purposes What to withdraw, not empty
    /// @return epoch The epoch that begins
    function revoke(uint64 datasetId, uint160 purposes) external returns (uint32 epoch);

    /// @notice As `revoke`, by the steward's EIP-712 signature over
    /// `Revoke(uint64 datasetId,uint160 purposes,uint256 nonce,uint64 deadline)` in the same domain: withdrawing is
    /// as easy as granting
    /// @param datasetId The dataset
    /// @param purposes What to withdraw, not empty
    /// @param deadline Last second (Unix time) in which the signature may be used
    /// @param signature 65 bytes, or whatever the steward's contract takes
    /// @return epoch The epoch that begins
    function revokeBySignature(uint64 datasetId, uint160 purposes, uint64 deadline, bytes calldata signature)
        external
        returns (uint32 epoch);

    /// @notice What is allowed now. `purposes` is empty after expiry and after a transfer of the dataset.
    function consent(uint64 datasetId) external view returns (Consent memory);

    /// @notice Whether `purpose` is allowed now; false for unknown assets and for indexes above 159
    function isAllowed(uint64 datasetId, uint8 purpose) external view returns (bool);

    /// @notice Reverts with `ConsentMissing` unless `purpose` is allowed now
    /// @return epoch The epoch that allows it
    function requireConsent(uint64 datasetId, uint8 purpose) external view returns (uint32 epoch);

    /// @notice The nonce a signature about this dataset must carry now: the owner's tenure times 2^32, plus the
    /// epoch. Any grant, revocation or transfer changes it, so a signature that was made earlier and kept back
    /// cannot undo what was decided since.
    function nonce(uint64 datasetId) external view returns (uint256);
}

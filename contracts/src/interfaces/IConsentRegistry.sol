// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title What a dataset's steward allows
/// @notice Purposes are bits of a `uint256` (`docs/spec/purposes.md`). A grant replaces the one before it and opens a
/// new epoch; a revocation opens a new epoch too. The past is never rewritten: every epoch stays in the events.
interface IConsentRegistry {
    /// @notice What is allowed now
    /// @param purposes Bit set of allowed purposes
    /// @param expiry Second (Unix time) from which nothing is allowed; 0 means no expiry
    /// @param epoch Counts grants and revocations of this dataset, from 1; 0 means never granted
    struct Consent {
        uint160 purposes;
        uint64 expiry;
        uint32 epoch;
    }

    event ConsentGranted(
        uint64 indexed datasetId, address indexed steward, uint160 purposes, uint64 expiry, uint32 epoch
    );
    event ConsentRevoked(uint64 indexed datasetId, address indexed steward, uint160 purposes, uint32 epoch);

    error NotSteward(uint64 datasetId, address caller);
    error NotADataset(uint64 id);
    error PurposesMissing();
    error ExpiryInPast(uint64 expiry, uint64 nowSeconds);
    error SignatureExpired(uint64 deadline);
    error InvalidSignature();
    /// @notice The purpose is not allowed: never granted, revoked or expired
    error ConsentMissing(uint64 datasetId, uint8 purpose, uint32 epoch);

    function grant(uint64 datasetId, uint160 purposes, uint64 expiry) external returns (uint32 epoch);

    /// @notice As `grant`, by the steward's EIP-712 signature over
    /// `Grant(uint64 datasetId,uint160 purposes,uint64 expiry,uint256 nonce,uint64 deadline)`; ERC-1271 stewards too
    function grantBySignature(uint64 datasetId, uint160 purposes, uint64 expiry, uint64 deadline, bytes calldata signature)
        external
        returns (uint32 epoch);

    /// @notice Withdraws `purposes` from what is allowed. Stops the next run; never rewrites the past.
    function revoke(uint64 datasetId, uint160 purposes) external returns (uint32 epoch);

    function consent(uint64 datasetId) external view returns (Consent memory);
    function isAllowed(uint64 datasetId, uint8 purpose) external view returns (bool);

    /// @notice Reverts with `ConsentMissing` unless `purpose` is allowed now
    /// @return epoch The epoch that allows it
    function requireConsent(uint64 datasetId, uint8 purpose) external view returns (uint32 epoch);

    function nonces(address steward) external view returns (uint256);
}

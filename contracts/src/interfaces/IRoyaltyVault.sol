// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Payments up the lineage, hop by hop
/// @notice `pay` adds to an asset's pending income; `settle` moves each parent's share to that parent's pending income
/// and leaves the rest to the asset's owner; `claim` pays the owner. Each hop costs bounded gas, anyone may push it.
/// Shares round down; what rounding leaves (under 1 wei a parent) stays with the asset's owner.
interface IRoyaltyVault {
    event Paid(uint64 indexed asset, address indexed token, address indexed payer, uint128 amount, bytes32 paymentRef);
    event Settled(uint64 indexed asset, address indexed token, uint128 toParents, uint128 toOwner);
    event Claimed(uint64 indexed asset, address indexed token, address indexed owner, uint128 amount);

    error ZeroAmount();
    error UnknownAsset(uint64 asset);
    error NothingPending(uint64 asset, address token);
    error NothingToClaim(uint64 asset, address token);
    error UnexpectedTransferAmount(uint256 expected, uint256 received);

    function pay(uint64 asset, address token, uint128 amount, bytes32 paymentRef) external;
    function settle(uint64 asset, address token) external returns (uint128 toParents, uint128 toOwner);
    /// @notice Settles several assets in the order given, children before parents; skips those with nothing pending
    function settlePath(uint64[] calldata assets, address token) external;
    /// @notice Pays what is claimable for an asset to its current owner (anyone may call)
    function claim(uint64 asset, address token) external returns (uint128 amount);

    function pending(uint64 asset, address token) external view returns (uint128);
    function claimable(uint64 asset, address token) external view returns (uint128);
}

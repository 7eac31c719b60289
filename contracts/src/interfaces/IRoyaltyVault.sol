// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Payments up the lineage, hop by hop
/// @notice `pay` adds to an asset's pending income; `settle` moves each parent's share to that parent's pending
/// income and leaves the rest to the asset's owner; `claim` pays the owner. Each hop costs bounded gas, anyone may
/// push it. Shares round down; what rounding leaves (under one unit of the token a parent) stays with the asset's
/// owner, so nothing is ever lost: the vault holds exactly the sum of what is pending and claimable.
///
/// Income belongs to whoever owns the asset when it is claimed. Who sells an asset settles and claims first.
interface IRoyaltyVault {
    /// @notice Emitted when an asset is paid
    /// @param asset The asset
    /// @param token ERC-20 of the payment
    /// @param payer Who paid
    /// @param amount Smallest units of the token received
    /// @param paymentRef What it was paid for, as the payer names it; the vault gives it no meaning
    event Paid(uint64 indexed asset, address indexed token, address indexed payer, uint128 amount, bytes32 paymentRef);

    /// @notice Emitted when pending income moves one hop
    /// @param asset The asset whose pending income moved
    /// @param token ERC-20 it is in
    /// @param toParents Smallest units that became pending income of the parents
    /// @param toOwner Smallest units that became claimable by the asset's owner
    event Settled(uint64 indexed asset, address indexed token, uint128 toParents, uint128 toOwner);

    /// @notice Emitted when an owner is paid
    /// @param asset The asset
    /// @param token ERC-20 it was paid in
    /// @param owner Who was paid
    /// @param amount Smallest units of the token
    event Claimed(uint64 indexed asset, address indexed token, address indexed owner, uint128 amount);

    /// @notice The payment is zero
    error ZeroAmount();

    /// @notice No asset has this id
    /// @param asset The id given
    error UnknownAsset(uint64 asset);

    /// @notice There is nothing to settle
    /// @param asset The asset
    /// @param token The ERC-20 asked for
    error NothingPending(uint64 asset, address token);

    /// @notice There is nothing to claim; `settle` may have to come first
    /// @param asset The asset
    /// @param token The ERC-20 asked for
    error NothingToClaim(uint64 asset, address token);

    /// @notice The token moved another amount than was asked for (a fee on transfer): refused
    /// @param expected Smallest units asked for
    /// @param received Smallest units that arrived
    error UnexpectedTransferAmount(uint256 expected, uint256 received);

    /// @notice Pays an asset from the caller's account, which approved the vault before
    /// @param asset The asset
    /// @param token ERC-20 to pay in
    /// @param amount Smallest units of the token, not zero
    /// @param paymentRef What it is paid for, as the payer names it
    function pay(uint64 asset, address token, uint128 amount, bytes32 paymentRef) external;

    /// @notice Moves an asset's pending income one hop: `amount * sharePpm / 1,000,000`, rounded down, to each
    /// parent, and the rest to the owner (anyone may call)
    /// @param asset The asset
    /// @param token ERC-20 the income is in
    /// @return toParents Smallest units that became pending income of the parents
    /// @return toOwner Smallest units that became claimable by the asset's owner
    function settle(uint64 asset, address token) external returns (uint128 toParents, uint128 toOwner);

    /// @notice Settles several assets in the order given, children before parents; skips those with nothing pending
    /// @param assets The assets; the caller pays for the length it chooses
    /// @param token ERC-20 the income is in
    function settlePath(uint64[] calldata assets, address token) external;

    /// @notice Pays what is claimable for an asset to its current owner (anyone may call)
    /// @param asset The asset
    /// @param token ERC-20 to claim
    /// @return amount Smallest units of the token
    function claim(uint64 asset, address token) external returns (uint128 amount);

    /// @notice Income of an asset that was not settled yet, in smallest units
    function pending(uint64 asset, address token) external view returns (uint128);

    /// @notice Settled income of an asset that its owner has not been paid yet, in smallest units
    function claimable(uint64 asset, address token) external view returns (uint128);
}

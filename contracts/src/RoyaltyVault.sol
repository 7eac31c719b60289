// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {ExactTransfer} from "./ExactTransfer.sol";
import {IAssetRegistry} from "./interfaces/IAssetRegistry.sol";
import {IRoyaltyVault} from "./interfaces/IRoyaltyVault.sol";

/// @title RoyaltyVault
/// @notice See {IRoyaltyVault}. Not upgradeable, without an owner. It trusts the registry for lineage and ownership,
/// and a token only with that token's own balances.
contract RoyaltyVault is IRoyaltyVault, ReentrancyGuardTransient {
    using ExactTransfer for IERC20;
    using SafeERC20 for IERC20;

    uint256 private constant WHOLE_PPM = 1_000_000;

    /// @dev One slot for an asset and a token.
    struct Income {
        uint128 pending;
        uint128 claimable;
    }

    /// @notice The registry of the assets that are paid
    IAssetRegistry public immutable assets;

    mapping(uint64 asset => mapping(address token => Income)) private _income;

    constructor(IAssetRegistry registry) {
        assets = registry;
    }

    /// @inheritdoc IRoyaltyVault
    function pay(uint64 asset, address token, uint128 amount, bytes32 paymentRef) external nonReentrant {
        if (amount == 0) revert ZeroAmount();
        if (asset == 0 || asset > assets.assetCount()) revert UnknownAsset(asset);
        _income[asset][token].pending += amount;
        emit Paid(asset, token, msg.sender, amount, paymentRef);
        IERC20(token).take(msg.sender, amount);
    }

    /// @inheritdoc IRoyaltyVault
    function settle(uint64 asset, address token) external nonReentrant returns (uint128 toParents, uint128 toOwner) {
        uint128 amount = _income[asset][token].pending;
        if (amount == 0) revert NothingPending(asset, token);
        return _settle(asset, token, amount);
    }

    /// @inheritdoc IRoyaltyVault
    function settlePath(uint64[] calldata path, address token) external nonReentrant {
        for (uint256 i = 0; i < path.length; ++i) {
            uint128 amount = _income[path[i]][token].pending;
            if (amount != 0) _settle(path[i], token, amount);
        }
    }

    /// @inheritdoc IRoyaltyVault
    function claim(uint64 asset, address token) external nonReentrant returns (uint128 amount) {
        Income storage income = _income[asset][token];
        amount = income.claimable;
        if (amount == 0) revert NothingToClaim(asset, token);
        income.claimable = 0;
        address owner = IERC721(address(assets)).ownerOf(asset);
        emit Claimed(asset, token, owner, amount);
        IERC20(token).safeTransfer(owner, amount);
    }

    /// @inheritdoc IRoyaltyVault
    function pending(uint64 asset, address token) external view returns (uint128) {
        return _income[asset][token].pending;
    }

    /// @inheritdoc IRoyaltyVault
    function claimable(uint64 asset, address token) external view returns (uint128) {
        return _income[asset][token].claimable;
    }

    function _settle(uint64 asset, address token, uint128 amount)
        private
        returns (uint128 toParents, uint128 toOwner)
    {
        IAssetRegistry.Parent[] memory parents = assets.parents(asset);
        for (uint256 i = 0; i < parents.length; ++i) {
            // At most `amount`, as a share is at most the whole.
            uint128 part = uint128(uint256(amount) * parents[i].sharePpm / WHOLE_PPM);
            if (part != 0) {
                toParents += part;
                _income[parents[i].id][token].pending += part;
            }
        }
        // Shares sum to at most the whole, so this does not underflow.
        toOwner = amount - toParents;
        Income storage income = _income[asset][token];
        income.pending = 0;
        income.claimable += toOwner;
        emit Settled(asset, token, toParents, toOwner);
    }
}

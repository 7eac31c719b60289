// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {AssetRegistry} from "../../src/AssetRegistry.sol";
import {RoyaltyVault} from "../../src/RoyaltyVault.sol";
import {IAssetRegistry} from "../../src/interfaces/IAssetRegistry.sol";
import {Test} from "../base/Test.sol";

/// @title People who register, transfer, pay, settle and claim in any order
contract LineageHandler is Test {
    // Few enough that income meets the same assets again and again.
    uint64 private constant ASSET_LIMIT = 24;

    AssetRegistry private immutable _assets;
    RoyaltyVault private immutable _vault;
    address[2] private _tokens;
    address[] private _people;

    constructor(AssetRegistry assets, RoyaltyVault vault, address[2] memory tokens, address[] memory people) {
        _assets = assets;
        _vault = vault;
        _tokens = tokens;
        _people = people;
    }

    /// @dev Parents climb by random steps, and now and then past what there is: the registry has to refuse those.
    function register(uint256 person, uint8 kind, uint8 previous, uint8[8] calldata steps, uint32[8] calldata shares)
        external
    {
        if (_assets.assetCount() >= ASSET_LIMIT) return;
        IAssetRegistry.Registration memory registration;
        registration.kind = IAssetRegistry.Kind(kind % 6);
        registration.contentDigest = "content";
        registration.manifestDigest = "manifest";
        registration.previous = previous % 4 == 0 ? previous / 4 : 0;
        uint256 count = steps[0] % 9;
        registration.parents = new IAssetRegistry.Parent[](count);
        uint64 parent = 0;
        for (uint256 i = 0; i < count; ++i) {
            parent += steps[i] % 6 == 5 ? 0 : 1 + steps[i] % 3;
            registration.parents[i] =
                IAssetRegistry.Parent({id: parent, sharePpm: uint32(_bound(shares[i], 0, 1_100_000 / count))});
        }
        address owner = _person(person);
        vm.prank(owner);
        _assets.register(owner, registration);
    }

    function transfer(uint256 asset, uint256 person) external {
        uint64 id = _asset(asset);
        address owner = _assets.ownerOf(id);
        vm.prank(owner);
        _assets.transferFrom(owner, _person(person), id);
    }

    function pay(uint256 asset, uint256 token, uint128 amount, uint256 person) external {
        amount = uint128(_bound(amount, 1, person % 3 == 0 ? 50 : 1e27));
        uint64 id = _asset(asset);
        vm.prank(_person(person));
        _vault.pay(id, _tokens[token % 2], amount, 0);
    }

    function settle(uint256 asset, uint256 token) external {
        _vault.settle(_next(asset, _tokens[token % 2], _vault.pending), _tokens[token % 2]);
    }

    function settlePath(uint256[5] calldata path, uint256 token) external {
        uint64[] memory ids = new uint64[](5);
        for (uint256 i = 0; i < 5; ++i) {
            ids[i] = _asset(path[i]);
        }
        _vault.settlePath(ids, _tokens[token % 2]);
    }

    function claim(uint256 asset, uint256 token) external {
        _vault.claim(_next(asset, _tokens[token % 2], _vault.claimable), _tokens[token % 2]);
    }

    /// @dev The first asset from a place of somebody's choice that has income of a kind, or that place itself.
    function _next(uint256 asset, address token, function(uint64, address) external view returns (uint128) income)
        private
        view
        returns (uint64 id)
    {
        for (uint256 i = 0; i < ASSET_LIMIT; ++i) {
            id = _asset(asset % ASSET_LIMIT + i);
            if (id != 0 && income(id, token) != 0) return id;
        }
        return _asset(asset);
    }

    function _asset(uint256 asset) private view returns (uint64) {
        return uint64(asset % (_assets.assetCount() + 1));
    }

    function _person(uint256 person) private view returns (address) {
        return _people[person % _people.length];
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {IAssetRegistry} from "../../src/interfaces/IAssetRegistry.sol";
import {SilentToken} from "../base/OddTokens.sol";
import {System} from "../base/System.sol";
import {LineageHandler} from "./LineageHandler.sol";

/// @dev `AssetRegistry` and `RoyaltyVault` together.
contract LineageInvariantTest is System {
    address[2] private tokens;
    LineageHandler private handler;

    function setUp() public override {
        super.setUp();
        SilentToken other = new SilentToken();
        tokens = [address(token), address(other)];
        address[] memory people = new address[](4);
        for (uint256 i = 0; i < 4; ++i) {
            people[i] = _clinic(i);
            _fund(people[i], address(vault), 1e32);
            other.mint(people[i], 1e32);
            vm.prank(people[i]);
            other.approve(address(vault), type(uint256).max);
            _dataset(i);
        }
        handler = new LineageHandler(assets, vault, tokens, people);
        _target(address(handler));
    }

    /// Without this, a handler whose every call reverts would prove anything.
    function test_handler_movesMoney() public {
        uint8[8] memory steps = [uint8(1), 1, 1, 1, 1, 1, 1, 1];
        uint32[8] memory shares = [uint32(500_000), 0, 0, 0, 0, 0, 0, 0];
        handler.register(0, 2, 1, steps, shares);
        // 1,000 units: the handler counts from 1.
        handler.pay(5, 0, 999, 1);
        handler.settle(5, 0);
        handler.transfer(5, 3);
        vm.assertEq(vault.claimable(5, tokens[0]), 500);
        handler.claim(5, 0);
        vm.assertEq(token.balanceOf(address(vault)), 500);
        handler.settlePath([uint256(2), 2, 2, 2, 2], 0);
        handler.claim(2, 0);
        vm.assertEq(token.balanceOf(address(vault)), 0);
    }

    /// Arrows go from younger to older, in order, with shares of at most the whole: no cycle can close.
    function invariant_lineageIsAcyclic() public view {
        for (uint64 id = 1; id <= assets.assetCount(); ++id) {
            IAssetRegistry.Parent[] memory parents = assets.parents(id);
            vm.assertLe(parents.length, 8);
            uint64 last = 0;
            uint256 sumPpm = 0;
            for (uint256 i = 0; i < parents.length; ++i) {
                vm.assertLt(last, parents[i].id);
                last = parents[i].id;
                sumPpm += parents[i].sharePpm;
            }
            vm.assertLt(last, id);
            vm.assertLe(sumPpm, 1_000_000);
        }
    }

    /// Versions are chains: who is replaced knows by whom, and the other way round.
    function invariant_versionsAreChains() public view {
        for (uint64 id = 1; id <= assets.assetCount(); ++id) {
            IAssetRegistry.Asset memory asset = assets.asset(id);
            if (asset.previous != 0) {
                IAssetRegistry.Asset memory previous = assets.asset(asset.previous);
                vm.assertLt(asset.previous, id);
                vm.assertEq(assets.replacedBy(asset.previous), id);
                vm.assertEq(asset.version, previous.version + 1);
                vm.assertEq(uint8(asset.kind), uint8(previous.kind));
            } else {
                vm.assertEq(asset.version, 1);
            }
            uint64 by = assets.replacedBy(id);
            if (by != 0) vm.assertEq(assets.asset(by).previous, id);
        }
    }

    /// The vault holds exactly what is pending and claimable, token by token.
    function invariant_vaultHoldsExactlyWhatItOwes() public view {
        for (uint256 t = 0; t < 2; ++t) {
            uint256 owed = 0;
            for (uint64 id = 1; id <= assets.assetCount(); ++id) {
                owed += vault.pending(id, tokens[t]);
                owed += vault.claimable(id, tokens[t]);
            }
            vm.assertEq(IERC20(tokens[t]).balanceOf(address(vault)), owed);
        }
    }

    /// Whatever happened, a stranger settles the youngest first and everyone is paid: nothing stays behind.
    function afterInvariant() public {
        vm.startPrank(stranger);
        for (uint256 t = 0; t < 2; ++t) {
            for (uint64 id = assets.assetCount(); id != 0; --id) {
                if (vault.pending(id, tokens[t]) != 0) vault.settle(id, tokens[t]);
                if (vault.claimable(id, tokens[t]) != 0) vault.claim(id, tokens[t]);
            }
            vm.assertEq(IERC20(tokens[t]).balanceOf(address(vault)), 0, "something is left behind");
        }
        vm.stopPrank();
    }
}

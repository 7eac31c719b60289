// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IAssetRegistry} from "../src/interfaces/IAssetRegistry.sol";
import {IRoyaltyVault} from "../src/interfaces/IRoyaltyVault.sol";
import {CallbackToken, FeeToken, SilentToken} from "./base/OddTokens.sol";
import {System} from "./base/System.sol";

contract RoyaltyVaultTest is System {
    address private immutable payer = vm.addr(uint256(keccak256("payer")));

    function setUp() public override {
        super.setUp();
        _fund(payer, address(vault), type(uint128).max);
    }

    function test_pay_addsToPendingIncome() public {
        uint64 asset = _dataset(0);
        _pay(asset, 100);
        vm.expectEmit(address(vault));
        emit IRoyaltyVault.Paid(asset, address(token), payer, 50, "invoice 7");
        vm.prank(payer);
        vault.pay(asset, address(token), 50, "invoice 7");
        vm.assertEq(vault.pending(asset, address(token)), 150);
        vm.assertEq(vault.claimable(asset, address(token)), 0);
        vm.assertEq(token.balanceOf(address(vault)), 150);
    }

    function test_pay_revertsWithNothing() public {
        uint64 asset = _dataset(0);
        vm.expectRevert(IRoyaltyVault.ZeroAmount.selector);
        vm.prank(payer);
        vault.pay(asset, address(token), 0, 0);
    }

    function testFuzz_pay_revertsForAnUnknownAsset(uint64 asset) public {
        vm.assume(asset != _dataset(0));
        vm.expectRevert(abi.encodeWithSelector(IRoyaltyVault.UnknownAsset.selector, asset));
        vm.prank(payer);
        vault.pay(asset, address(token), 1, 0);
    }

    function test_pay_refusesATokenThatKeepsAFee() public {
        uint64 asset = _dataset(0);
        FeeToken fee = new FeeToken();
        fee.mint(payer, 1000);
        vm.prank(payer);
        fee.approve(address(vault), 1000);
        vm.expectRevert(abi.encodeWithSelector(IRoyaltyVault.UnexpectedTransferAmount.selector, 1000, 990));
        vm.prank(payer);
        vault.pay(asset, address(fee), 1000, 0);
    }

    function test_pay_takesATokenThatReturnsNothing() public {
        uint64 asset = _dataset(0);
        SilentToken silent = new SilentToken();
        silent.mint(payer, 1000);
        vm.prank(payer);
        silent.approve(address(vault), 1000);
        vm.prank(payer);
        vault.pay(asset, address(silent), 1000, 0);
        vault.settle(asset, address(silent));
        vault.claim(asset, address(silent));
        vm.assertEq(silent.balanceOf(_clinic(0)), 1000);
    }

    function test_pay_cannotBeReentered() public {
        uint64 asset = _dataset(0);
        CallbackToken callback = new CallbackToken();
        callback.mint(payer, 1000);
        vm.prank(payer);
        callback.approve(address(vault), 1000);
        callback.arm(address(vault), abi.encodeCall(vault.settle, (asset, address(callback))));
        vm.prank(payer);
        vault.pay(asset, address(callback), 1000, 0);
        vm.assertTrue(callback.tried());
        vm.assertFalse(callback.succeeded());
        vm.assertEq(vault.pending(asset, address(callback)), 1000);
    }

    function test_settle_leavesEverythingToTheOwnerOfAnAssetWithoutParents() public {
        uint64 asset = _dataset(0);
        _pay(asset, 101);
        (uint128 toParents, uint128 toOwner) = vault.settle(asset, address(token));
        vm.assertEq(toParents, 0);
        vm.assertEq(toOwner, 101);
        vm.assertEq(vault.claimable(asset, address(token)), 101);
    }

    function testFuzz_settle_roundsEachShareDownAndLosesNothing(uint128 amount, uint32[8] calldata weights) public {
        vm.assume(amount != 0);
        IAssetRegistry.Parent[] memory parents = new IAssetRegistry.Parent[](8);
        for (uint256 i = 0; i < 8; ++i) {
            parents[i] =
                IAssetRegistry.Parent({id: _dataset(i), sharePpm: uint32(_bound(weights[i], 0, 125_000))});
        }
        uint64 model = _child(_clinic(9), parents);
        _pay(model, amount);
        (uint128 toParents, uint128 toOwner) = vault.settle(model, address(token));

        uint256 sum = 0;
        uint256 sharesPpm = 0;
        for (uint256 i = 0; i < 8; ++i) {
            uint256 part = uint256(amount) * parents[i].sharePpm / 1_000_000;
            vm.assertEq(vault.pending(parents[i].id, address(token)), part);
            sum += part;
            sharesPpm += parents[i].sharePpm;
        }
        vm.assertEq(toParents, sum);
        vm.assertEq(uint256(toParents) + toOwner, amount);
        vm.assertEq(vault.pending(model, address(token)), 0);
        vm.assertEq(vault.claimable(model, address(token)), toOwner);
        // Rounding left the owner less than one unit for each parent.
        vm.assertLt(toOwner - (uint256(amount) * (1_000_000 - sharesPpm) / 1_000_000), 9);
    }

    function test_settle_revertsWithNothingPending() public {
        uint64 asset = _dataset(0);
        vm.expectRevert(abi.encodeWithSelector(IRoyaltyVault.NothingPending.selector, asset, token));
        vault.settle(asset, address(token));
    }

    function test_settlePath_climbsSeveralHopsAtOnce() public {
        (uint64[] memory path,) = _chain(6, 500_000);
        _pay(path[0], 64);
        vault.settlePath(path, address(token));
        uint256 expected = 32;
        for (uint256 i = 0; i < 5; ++i) {
            vm.assertEq(vault.claimable(path[i], address(token)), expected);
            expected /= 2;
        }
        // The root keeps what reaches it.
        vm.assertEq(vault.claimable(path[5], address(token)), 2);
    }

    function test_settlePath_skipsWhatHasNothingPending() public {
        (uint64[] memory path,) = _chain(3, 0);
        _pay(path[0], 10);
        vault.settlePath(path, address(token));
        vm.assertEq(vault.claimable(path[0], address(token)), 10);
        vm.assertEq(vault.claimable(path[1], address(token)), 0);
    }

    function testFuzz_settlePath_inAnyOrderEndsWithinOneUnitAHop(uint128 amount, uint128 second, uint32 share) public {
        amount = uint128(_bound(amount, 1, type(uint128).max / 2));
        second = uint128(_bound(second, 1, type(uint128).max / 2));
        share = uint32(_bound(share, 0, 1_000_000));
        (uint64[] memory path,) = _chain(4, share);
        _pay(path[0], amount);
        vault.settle(path[0], address(token));
        _pay(path[0], second);
        // Parents first, so that income has to climb again.
        uint64[] memory backwards = new uint64[](4);
        for (uint256 i = 0; i < 4; ++i) {
            backwards[i] = path[3 - i];
        }
        for (uint256 i = 0; i < 4; ++i) {
            vault.settlePath(backwards, address(token));
        }
        uint256 expected = uint256(amount) + second;
        for (uint256 i = 0; i < 3; ++i) {
            uint256 up = expected * share / 1_000_000;
            uint256 kept = vault.claimable(path[i], address(token));
            uint256 wanted = expected - up;
            vm.assertLe(kept > wanted ? kept - wanted : wanted - kept, 1 + 3 * i);
            expected = up;
        }
    }

    function test_claim_paysTheCurrentOwner() public {
        uint64 asset = _dataset(0);
        _pay(asset, 77);
        vault.settle(asset, address(token));
        vm.prank(_clinic(0));
        assets.transferFrom(_clinic(0), stranger, asset);
        vm.expectEmit(address(vault));
        emit IRoyaltyVault.Claimed(asset, address(token), stranger, 77);
        vm.prank(payer);
        vm.assertEq(vault.claim(asset, address(token)), 77);
        vm.assertEq(token.balanceOf(stranger), 77);
        vm.assertEq(token.balanceOf(address(vault)), 0);
    }

    function test_claim_revertsWithNothingSettled() public {
        uint64 asset = _dataset(0);
        _pay(asset, 77);
        vm.expectRevert(abi.encodeWithSelector(IRoyaltyVault.NothingToClaim.selector, asset, token));
        vault.claim(asset, address(token));
    }

    function test_claim_cannotBeReentered() public {
        uint64 asset = _dataset(0);
        CallbackToken callback = new CallbackToken();
        callback.mint(payer, 2000);
        vm.prank(payer);
        callback.approve(address(vault), 2000);
        vm.prank(payer);
        vault.pay(asset, address(callback), 2000, 0);
        vault.settle(asset, address(callback));
        callback.arm(address(vault), abi.encodeCall(vault.claim, (asset, address(callback))));
        vault.claim(asset, address(callback));
        vm.assertTrue(callback.tried());
        vm.assertFalse(callback.succeeded());
        vm.assertEq(callback.balanceOf(_clinic(0)), 2000);
    }

    function test_pay_keepsTokensApart() public {
        uint64 asset = _dataset(0);
        SilentToken other = new SilentToken();
        other.mint(payer, 5);
        vm.prank(payer);
        other.approve(address(vault), 5);
        vm.prank(payer);
        vault.pay(asset, address(other), 5, 0);
        _pay(asset, 9);
        vm.assertEq(vault.pending(asset, address(other)), 5);
        vm.assertEq(vault.pending(asset, address(token)), 9);
    }

    function _pay(uint64 asset, uint128 amount) private {
        vm.prank(payer);
        vault.pay(asset, address(token), amount, 0);
    }

    /// @dev A chain of descent, the youngest first; each owes `sharePpm` to the one after it.
    function _chain(uint256 length, uint32 sharePpm) private returns (uint64[] memory path, address[] memory owners) {
        path = new uint64[](length);
        owners = new address[](length);
        for (uint256 i = length; i > 0; --i) {
            IAssetRegistry.Parent[] memory parents = new IAssetRegistry.Parent[](i == length ? 0 : 1);
            if (i != length) parents[0] = IAssetRegistry.Parent({id: path[i], sharePpm: sharePpm});
            owners[i - 1] = _clinic(i);
            path[i - 1] = _child(owners[i - 1], parents);
        }
    }
}

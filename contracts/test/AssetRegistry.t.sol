// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/interfaces/IERC165.sol";
import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";

import {IAssetMetadata} from "../src/interfaces/IAssetMetadata.sol";
import {IAssetRegistry} from "../src/interfaces/IAssetRegistry.sol";
import {System} from "./base/System.sol";

contract AssetRegistryTest is System {
    address private immutable alice = _clinic(0);
    address private immutable bob = _clinic(1);

    function test_register_keepsWhatTheAssetCommitsTo() public {
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Dataset, "rows");
        vm.expectEmit(address(assets));
        emit IAssetRegistry.AssetRegistered(
            1, alice, IAssetRegistry.Kind.Dataset, "rows", registration.manifestDigest, 0, registration.uri
        );
        vm.prank(alice);
        uint64 id = assets.register(alice, registration);

        IAssetRegistry.Asset memory asset = assets.asset(id);
        vm.assertEq(id, 1);
        vm.assertEq(uint8(asset.kind), uint8(IAssetRegistry.Kind.Dataset));
        vm.assertEq(asset.contentDigest, "rows");
        vm.assertEq(asset.manifestDigest, registration.manifestDigest);
        vm.assertEq(asset.previous, 0);
        vm.assertEq(asset.version, 1);
        vm.assertEq(assets.ownerOf(id), alice);
        vm.assertEq(assets.tokenURI(id), registration.uri);
        vm.assertEq(assets.tenure(id), 1);
        vm.assertEq(assets.assetCount(), 1);
    }

    function test_register_keepsUpToEightParentsInOrder() public {
        IAssetRegistry.Parent[] memory parents = new IAssetRegistry.Parent[](8);
        for (uint256 i = 0; i < 8; ++i) {
            parents[i] = IAssetRegistry.Parent({id: _dataset(i), sharePpm: uint32(125_000 - i)});
        }
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Model, "model");
        registration.parents = parents;
        for (uint256 i = 0; i < 8; ++i) {
            vm.expectEmit(address(assets));
            emit IAssetRegistry.LineageEdge(9, parents[i].id, parents[i].sharePpm);
        }
        vm.prank(alice);
        uint64 id = assets.register(alice, registration);
        IAssetRegistry.Parent[] memory kept = assets.parents(id);
        vm.assertEq(kept.length, 8);
        for (uint256 i = 0; i < 8; ++i) {
            vm.assertEq(kept[i].id, parents[i].id);
            vm.assertEq(kept[i].sharePpm, parents[i].sharePpm);
        }
    }

    function test_register_revertsForSomebodyElse() public {
        vm.expectRevert(abi.encodeWithSelector(IAssetRegistry.NotAllowedToRegister.selector, alice, bob));
        vm.prank(bob);
        assets.register(alice, _registration(IAssetRegistry.Kind.Dataset, "rows"));
    }

    function test_register_letsAnApprovedOperatorRegisterForItsOwner() public {
        vm.prank(alice);
        assets.setApprovalForAll(bob, true);
        vm.prank(bob);
        uint64 id = assets.register(alice, _registration(IAssetRegistry.Kind.Dataset, "rows"));
        vm.assertEq(assets.ownerOf(id), alice);
    }

    function test_register_letsARegistrarRegisterForAnybodyWithoutAskingTheirCode() public {
        // This test has no `onERC721Received`, and is minted to all the same.
        vm.prank(address(rounds));
        uint64 id = assets.register(address(this), _registration(IAssetRegistry.Kind.Model, "model"));
        vm.assertEq(assets.ownerOf(id), address(this));
    }

    function test_setRegistrar_revertsForAnybodyButTheOwner() public {
        vm.expectRevert(
            abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, address(this))
        );
        assets.setRegistrar(bob, true);
    }

    function test_setRegistrar_dismissesARegistrar() public {
        vm.expectEmit(address(assets));
        emit IAssetRegistry.RegistrarSet(address(rounds), false);
        vm.prank(address(timelock));
        assets.setRegistrar(address(rounds), false);
        vm.assertFalse(assets.isRegistrar(address(rounds)));
        vm.expectRevert(abi.encodeWithSelector(IAssetRegistry.NotAllowedToRegister.selector, alice, rounds));
        vm.prank(address(rounds));
        assets.register(alice, _registration(IAssetRegistry.Kind.Model, "model"));
    }

    function test_register_revertsWithoutAKind() public {
        _expectRefusal(_registration(IAssetRegistry.Kind.None, "rows"), abi.encodePacked(IAssetRegistry.KindMissing.selector));
    }

    function test_register_revertsWithoutAContentDigest() public {
        _expectRefusal(
            _registration(IAssetRegistry.Kind.Dataset, 0), abi.encodePacked(IAssetRegistry.DigestMissing.selector)
        );
    }

    function test_register_revertsWithoutAManifestDigest() public {
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Dataset, "rows");
        registration.manifestDigest = 0;
        _expectRefusal(registration, abi.encodePacked(IAssetRegistry.DigestMissing.selector));
    }

    function test_register_revertsWithALongUri() public {
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Dataset, "rows");
        registration.uri = string(new bytes(1025));
        _expectRefusal(registration, abi.encodeWithSelector(IAssetRegistry.UriTooLong.selector, 1025, 1024));
    }

    function test_register_revertsWithNineParents() public {
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Model, "model");
        registration.parents = new IAssetRegistry.Parent[](9);
        for (uint256 i = 0; i < 9; ++i) {
            registration.parents[i].id = _dataset(i);
        }
        _expectRefusal(registration, abi.encodeWithSelector(IAssetRegistry.TooManyParents.selector, 9, 8));
    }

    function testFuzz_register_revertsUnlessParentsAscend(uint64 first, uint64 second) public {
        uint64 low = _dataset(0);
        uint64 high = _dataset(1);
        first = uint64(_bound(first, 0, high));
        second = uint64(_bound(second, 0, first));
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Model, "model");
        registration.parents = new IAssetRegistry.Parent[](2);
        registration.parents[0].id = first;
        registration.parents[1].id = second;
        (uint64 previous, uint64 parent) = first < low ? (0, first) : (first, second);
        _expectRefusal(
            registration, abi.encodeWithSelector(IAssetRegistry.ParentsNotAscending.selector, previous, parent)
        );
    }

    function testFuzz_register_revertsWithAParentThatIsNotOlder(uint64 parent) public {
        uint64 last = _dataset(0);
        parent = uint64(_bound(parent, last + 1, type(uint64).max));
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Model, "model");
        registration.parents = new IAssetRegistry.Parent[](1);
        registration.parents[0].id = parent;
        _expectRefusal(registration, abi.encodeWithSelector(IAssetRegistry.UnknownAsset.selector, parent));
    }

    function testFuzz_register_revertsWhenSharesExceedTheWhole(uint32 first, uint32 second) public {
        vm.assume(uint256(first) + second > 1_000_000);
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Model, "model");
        registration.parents = new IAssetRegistry.Parent[](2);
        registration.parents[0] = IAssetRegistry.Parent({id: _dataset(0), sharePpm: first});
        registration.parents[1] = IAssetRegistry.Parent({id: _dataset(1), sharePpm: second});
        _expectRefusal(
            registration,
            abi.encodeWithSelector(IAssetRegistry.SharesExceedWhole.selector, uint256(first) + second)
        );
    }

    function test_register_chainsVersions() public {
        uint64 first = _dataset(0);
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Dataset, "more rows");
        registration.previous = first;
        vm.prank(alice);
        uint64 second = assets.register(alice, registration);
        vm.assertEq(assets.asset(second).version, 2);
        vm.assertEq(assets.asset(second).previous, first);
        vm.assertEq(assets.replacedBy(first), second);
        vm.assertEq(assets.replacedBy(second), 0);

        _expectRefusal(registration, abi.encodeWithSelector(IAssetRegistry.AlreadyReplaced.selector, first, second));
    }

    function test_register_revertsWhenThePreviousVersionIsOfAnotherKind() public {
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Model, "model");
        registration.previous = _dataset(0);
        _expectRefusal(
            registration,
            abi.encodeWithSelector(
                IAssetRegistry.NotSameKind.selector, IAssetRegistry.Kind.Dataset, IAssetRegistry.Kind.Model
            )
        );
    }

    function test_register_revertsWhenThePreviousVersionBelongsToSomebodyElse() public {
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Dataset, "rows");
        registration.previous = _dataset(1);
        _expectRefusal(
            registration,
            abi.encodeWithSelector(IAssetRegistry.NotOwnerOfPrevious.selector, registration.previous, alice)
        );
    }

    function testFuzz_register_revertsWhenThePreviousVersionIsUnknown(uint64 previous) public {
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Dataset, "rows");
        registration.previous = uint64(_bound(previous, 1, type(uint64).max));
        _expectRefusal(
            registration, abi.encodeWithSelector(IAssetRegistry.UnknownAsset.selector, registration.previous)
        );
    }

    function testFuzz_royaltyInfo_paysTheFirstOwnerForGood(uint16 bps, uint128 price) public {
        bps = uint16(_bound(bps, 1, 10_000));
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Model, "model");
        registration.resaleRoyaltyBps = bps;
        vm.prank(alice);
        uint64 id = assets.register(alice, registration);
        vm.prank(alice);
        assets.transferFrom(alice, bob, id);
        (address receiver, uint256 royalty) = assets.royaltyInfo(id, price);
        vm.assertEq(receiver, alice);
        vm.assertEq(royalty, uint256(price) * bps / 10_000);
    }

    function test_register_revertsWithARoyaltyAboveThePrice() public {
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Model, "model");
        registration.resaleRoyaltyBps = 10_001;
        vm.expectRevert();
        vm.prank(alice);
        assets.register(alice, registration);
    }

    function test_transfer_beginsANewTenureEvenToOneself() public {
        uint64 id = _dataset(0);
        vm.prank(alice);
        assets.transferFrom(alice, bob, id);
        vm.assertEq(assets.tenure(id), 2);
        vm.prank(bob);
        assets.transferFrom(bob, bob, id);
        vm.assertEq(assets.tenure(id), 3);
    }

    function testFuzz_views_revertForUnknownAssets(uint64 id) public {
        vm.assume(id != _dataset(0));
        bytes memory unknown = abi.encodeWithSelector(IAssetRegistry.UnknownAsset.selector, id);
        vm.expectRevert(unknown);
        assets.asset(id);
        vm.expectRevert(unknown);
        assets.parents(id);
        vm.expectRevert(unknown);
        assets.replacedBy(id);
        vm.expectRevert(unknown);
        assets.tenure(id);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, id));
        assets.tokenURI(id);
    }

    function test_register_tellsReadersOfThePreviousVersionToLookAgain() public {
        uint64 first = _dataset(0);
        IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Dataset, "more rows");
        registration.previous = first;
        vm.expectEmit(address(assets));
        emit IERC4906.MetadataUpdate(first);
        vm.prank(alice);
        assets.register(alice, registration);
    }

    function test_setUri_movesTheMetadataAndTellsReaders() public {
        uint64 id = _dataset(0);
        vm.expectEmit(address(assets));
        emit IAssetMetadata.UriSet(id, "ipfs://bafy/1.json");
        vm.expectEmit(address(assets));
        emit IERC4906.MetadataUpdate(id);
        vm.prank(alice);
        assets.setUri(id, "ipfs://bafy/1.json");
        vm.assertEq(assets.tokenURI(id), "ipfs://bafy/1.json");
        // What the asset commits to is as it was.
        vm.assertEq(assets.asset(id).contentDigest, keccak256(abi.encode("rows", uint256(0))));
        vm.prank(alice);
        assets.setUri(id, "");
        vm.assertEq(assets.tokenURI(id), "");
    }

    function test_setUri_isForTheOwnerAndWhomItApproved() public {
        uint64 id = _dataset(0);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, bob, id));
        vm.prank(bob);
        assets.setUri(id, "https://example.com/bob");
        vm.prank(alice);
        assets.approve(bob, id);
        vm.prank(bob);
        assets.setUri(id, "https://example.com/bob");
        vm.assertEq(assets.tokenURI(id), "https://example.com/bob");
        vm.prank(alice);
        assets.transferFrom(alice, bob, id);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, alice, id));
        vm.prank(alice);
        assets.setUri(id, "https://example.com/alice");
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 99));
        assets.setUri(99, "https://example.com/99");
    }

    function test_setUri_revertsWithALongUri() public {
        uint64 id = _dataset(0);
        vm.expectRevert(abi.encodeWithSelector(IAssetRegistry.UriTooLong.selector, 1025, 1024));
        vm.prank(alice);
        assets.setUri(id, string(new bytes(1025)));
    }

    function test_supportsInterface_speaksItsStandards() public view {
        vm.assertTrue(assets.supportsInterface(type(IERC165).interfaceId));
        vm.assertTrue(assets.supportsInterface(type(IERC721).interfaceId));
        vm.assertTrue(assets.supportsInterface(0x5b5e139f), "ERC-721 metadata");
        vm.assertTrue(assets.supportsInterface(type(IERC2981).interfaceId));
        vm.assertTrue(assets.supportsInterface(type(IAssetRegistry).interfaceId));
        vm.assertTrue(assets.supportsInterface(type(IAssetMetadata).interfaceId));
        vm.assertTrue(assets.supportsInterface(0x49064906), "ERC-4906");
        vm.assertFalse(assets.supportsInterface(0xffffffff));
    }

    function _expectRefusal(IAssetRegistry.Registration memory registration, bytes memory reason) private {
        uint64 before = assets.assetCount();
        vm.expectRevert(reason);
        vm.prank(alice);
        assets.register(alice, registration);
        vm.assertEq(assets.assetCount(), before);
    }
}

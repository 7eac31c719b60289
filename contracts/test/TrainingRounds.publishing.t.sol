// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IAssetRegistry} from "../src/interfaces/IAssetRegistry.sol";
import {ITrainingRounds} from "../src/interfaces/ITrainingRounds.sol";
import {System} from "./base/System.sol";

/// @dev What a finished study registers.
contract TrainingRoundsPublishingTest is System {
    function test_publishModel_givesTheSponsorAModelWithItsContributorsAsParents() public {
        uint32[] memory contributions = new uint32[](3);
        (contributions[0], contributions[2]) = (333_333, 600_000);
        uint64 study = _finished(_terms(), contributions);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.ModelPublished(study, 4);
        vm.prank(coordinator);
        uint64 model = rounds.publishModel(study, _result(3), "manifest", 0, 250, "uri");

        IAssetRegistry.Asset memory asset = assets.asset(model);
        vm.assertEq(uint8(asset.kind), uint8(IAssetRegistry.Kind.Model));
        vm.assertEq(asset.contentDigest, _result(3));
        vm.assertEq(asset.manifestDigest, "manifest");
        vm.assertEq(assets.ownerOf(model), sponsor);
        vm.assertEq(assets.tokenURI(model), "uri");
        vm.assertEq(rounds.study(study).model, model);
        (address receiver, uint256 royalty) = assets.royaltyInfo(model, 10_000);
        vm.assertEq(receiver, sponsor);
        vm.assertEq(royalty, 250);
        IAssetRegistry.Parent[] memory parents = assets.parents(model);
        vm.assertEq(parents.length, 2);
        vm.assertEq(parents[0].id, rounds.member(study, 0).dataset);
        // 333,333 * 0.4, rounded down.
        vm.assertEq(parents[0].sharePpm, 133_333);
        vm.assertEq(parents[1].id, rounds.member(study, 2).dataset);
        vm.assertEq(parents[1].sharePpm, 240_000);
    }

    function test_publishModel_sortsParentsThatJoinedOutOfOrder() public {
        uint64 study = _open(_terms());
        uint64[] memory datasets = new uint64[](4);
        for (uint256 i = 0; i < 4; ++i) {
            datasets[i] = _consented(i);
        }
        _join(study, 2, datasets[2]);
        _join(study, 0, datasets[0]);
        _join(study, 3, datasets[3]);
        _join(study, 1, datasets[1]);
        _finishAs(study, 4);
        vm.prank(sponsor);
        uint64 model = rounds.publishModel(study, _result(3), "manifest", 0, 0, "");
        IAssetRegistry.Parent[] memory parents = assets.parents(model);
        // Contributions were 1, 2, 3 and 4 tenths in the order of joining.
        uint32[4] memory expected = [uint32(80_000), 160_000, 40_000, 120_000];
        for (uint256 i = 0; i < 4; ++i) {
            vm.assertEq(parents[i].id, datasets[i]);
            vm.assertEq(parents[i].sharePpm, expected[i]);
        }
    }

    function test_publishModel_recordsTheBaseModelWithoutAShare() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.rounds = 1;
        terms.baseModel = _register(stranger, IAssetRegistry.Kind.Model, "base");
        uint64 study = _running(terms, 7);
        _round(study, 127);
        uint32[] memory contributions = new uint32[](7);
        for (uint256 i = 0; i < 7; ++i) {
            contributions[i] = 100_000;
        }
        vm.prank(coordinator);
        rounds.finish(study, contributions, "evidence");
        vm.prank(sponsor);
        uint64 model = rounds.publishModel(study, _result(1), "manifest", 0, 0, "");
        IAssetRegistry.Parent[] memory parents = assets.parents(model);
        vm.assertEq(parents.length, 8);
        vm.assertEq(parents[0].id, terms.baseModel);
        vm.assertEq(parents[0].sharePpm, 0);
        vm.assertEq(parents[7].sharePpm, 40_000);
    }

    function test_publishModel_revertsForContentThatIsNotTheResult() public {
        uint64 study = _finished(_terms(), new uint32[](2));
        vm.expectRevert(
            abi.encodeWithSelector(
                ITrainingRounds.ContentIsNotResult.selector, _result(3), bytes32("another model")
            )
        );
        vm.prank(sponsor);
        rounds.publishModel(study, "another model", "manifest", 0, 0, "");
    }

    function test_publishModel_revertsForStrangers() public {
        uint64 study = _finished(_terms(), new uint32[](2));
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.NotPublisher.selector, study, stranger));
        vm.prank(stranger);
        rounds.publishModel(study, _result(3), "manifest", 0, 0, "");
    }

    function test_publishModel_revertsTheSecondTime() public {
        uint64 study = _finished(_terms(), new uint32[](2));
        vm.startPrank(sponsor);
        uint64 model = rounds.publishModel(study, _result(3), "manifest", 0, 0, "");
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.AlreadyPublished.selector, study, model));
        rounds.publishModel(study, _result(3), "manifest", 0, 0, "");
        vm.stopPrank();
    }

    function test_publishModel_revertsUnlessTheStudyFinished() public {
        uint64 study = _running(_terms(), 2);
        vm.expectRevert(
            abi.encodeWithSelector(ITrainingRounds.WrongPhase.selector, study, ITrainingRounds.Phase.Running)
        );
        vm.prank(sponsor);
        rounds.publishModel(study, "base", "manifest", 0, 0, "");
    }

    function test_publishModel_letsOnlyTheSponsorReplaceWhatItOwns() public {
        uint64 first = _register(sponsor, IAssetRegistry.Kind.Model, "first");
        uint64 study = _finished(_terms(), new uint32[](2));
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.NotSponsor.selector, study, coordinator));
        vm.prank(coordinator);
        rounds.publishModel(study, _result(3), "manifest", first, 0, "");
        vm.prank(sponsor);
        uint64 second = rounds.publishModel(study, _result(3), "manifest", first, 0, "");
        vm.assertEq(assets.replacedBy(first), second);
        vm.assertEq(assets.asset(second).version, 2);
    }

    function test_publishModel_ofALargeStudyHasCollectionsAsParents() public {
        uint64 study = _large(20);
        // Out of order, so that the parents have to be sorted.
        vm.startPrank(sponsor);
        uint64 third = rounds.publishCollection(study, 2, "third", "");
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.CollectionPublished(study, 0, third + 1);
        uint64 first = rounds.publishCollection(study, 0, "first", "uri");
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.CollectionMissing.selector, study, 1));
        rounds.publishModel(study, _result(1), "manifest", 0, 0, "");
        uint64 second = rounds.publishCollection(study, 1, "second", "");
        uint64 model = rounds.publishModel(study, _result(1), "manifest", 0, 0, "");
        vm.stopPrank();

        vm.assertEq(rounds.collectionOf(study, 0), first);
        vm.assertEq(uint8(assets.asset(first).kind), uint8(IAssetRegistry.Kind.Collection));
        vm.assertEq(assets.asset(first).contentDigest, "first");
        vm.assertEq(assets.asset(first).manifestDigest, "first");
        vm.assertEq(assets.ownerOf(first), sponsor);
        IAssetRegistry.Parent[] memory parents = assets.parents(model);
        vm.assertEq(parents.length, 3);
        vm.assertEq(parents[0].id, third);
        vm.assertEq(parents[1].id, first);
        vm.assertEq(parents[2].id, second);
        // Contributions of member i are 1,000 * (i + 1), of which 40 % flow to the lineage.
        vm.assertEq(parents[0].sharePpm, (17 + 18 + 19 + 20) * 400);
        vm.assertEq(parents[1].sharePpm, 36 * 400);
        vm.assertEq(parents[2].sharePpm, 100 * 400);
    }

    function test_publishCollection_sharesSumToTheWhole() public {
        uint64 study = _large(9);
        vm.prank(coordinator);
        uint64 collection = rounds.publishCollection(study, 0, "manifest", "");
        IAssetRegistry.Parent[] memory parents = assets.parents(collection);
        vm.assertEq(parents.length, 8);
        uint256 sumPpm = 0;
        for (uint256 i = 0; i < 8; ++i) {
            vm.assertEq(parents[i].id, rounds.member(study, uint8(i)).dataset);
            uint256 expected = 1_000_000 * (i + 1) / 36;
            // The first contributor has what rounding left.
            if (i != 0) vm.assertEq(parents[i].sharePpm, expected);
            sumPpm += parents[i].sharePpm;
        }
        vm.assertEq(sumPpm, 1_000_000);
    }

    function test_publishCollection_revertsTheSecondTime() public {
        uint64 study = _large(9);
        vm.startPrank(sponsor);
        uint64 collection = rounds.publishCollection(study, 0, "manifest", "");
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.AlreadyPublished.selector, study, collection));
        rounds.publishCollection(study, 0, "manifest", "");
        vm.stopPrank();
    }

    function testFuzz_publishCollection_revertsForAGroupWithoutContributors(uint8 group) public {
        group = uint8(_bound(group, 2, 255));
        uint64 study = _large(9);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.EmptyGroup.selector, study, group));
        vm.prank(sponsor);
        rounds.publishCollection(study, group, "manifest", "");
    }

    function test_publishCollection_revertsWhenTheModelNeedsNone() public {
        uint64 study = _finished(_terms(), new uint32[](2));
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.CollectionsNotNeeded.selector, study, 0, 8));
        vm.prank(sponsor);
        rounds.publishCollection(study, 0, "manifest", "");
    }

    function test_publishCollection_revertsForStrangers() public {
        uint64 study = _large(9);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.NotPublisher.selector, study, stranger));
        vm.prank(stranger);
        rounds.publishCollection(study, 0, "manifest", "");
    }

    function test_publishModel_ofSixtyFourContributorsPaysEveryoneOfThem() public {
        uint64 study = _large(64);
        uint64[] memory path = new uint64[](9);
        vm.startPrank(sponsor);
        for (uint8 group = 0; group < 8; ++group) {
            path[group + 1] = rounds.publishCollection(study, group, "manifest", "");
        }
        path[0] = rounds.publishModel(study, _result(1), "manifest", 0, 0, "");
        vm.stopPrank();

        _fund(stranger, address(vault), 1e18);
        vm.prank(stranger);
        vault.pay(path[0], address(token), 1e18, 0);
        vault.settlePath(path, address(token));
        uint256 paid = vault.claimable(path[0], address(token));
        for (uint8 i = 0; i < 64; ++i) {
            uint64 dataset = rounds.member(study, i).dataset;
            // Contribution in millionths of 40 %, within the rounding of two hops.
            uint256 expected = uint256(rounds.member(study, i).contributionPpm) * 4e11;
            uint256 part = vault.pending(dataset, address(token));
            vm.assertLe(part > expected ? part - expected : expected - part, 1e13);
            paid += part;
        }
        for (uint8 group = 0; group < 8; ++group) {
            // A Collection passes everything on but what rounding leaves.
            vm.assertLt(vault.claimable(path[group + 1], address(token)), 8);
            paid += vault.claimable(path[group + 1], address(token));
        }
        vm.assertEq(paid, 1e18);
    }

    /// @dev A finished study of `members`, each of which contributed a thousand times its place, counted from 1, up
    /// to 20 thousand.
    function _large(uint256 members) private returns (uint64 study) {
        ITrainingRounds.Terms memory terms = _terms();
        terms.maxMembers = 64;
        terms.rounds = 1;
        uint32[] memory contributions = new uint32[](members);
        for (uint256 i = 0; i < members; ++i) {
            contributions[i] = uint32(1000 * (i < 20 ? i + 1 : 15));
        }
        return _finished(terms, contributions);
    }

    /// @dev Starts, runs and finishes a study whose members joined in an order of their own.
    function _finishAs(uint64 study, uint256 members) private {
        vm.prank(coordinator);
        rounds.start(study);
        for (uint32 round = 1; round <= 3; ++round) {
            _openRound(study);
            for (uint8 i = 0; i < members; ++i) {
                vm.prank(rounds.member(study, i).account);
                rounds.commitUpdate(study, round, i, "update");
            }
            _close(study, uint64((1 << members) - 1));
        }
        uint32[] memory contributions = new uint32[](members);
        for (uint256 i = 0; i < members; ++i) {
            contributions[i] = uint32(100_000 * (i + 1));
        }
        vm.prank(coordinator);
        rounds.finish(study, contributions, "evidence");
    }
}

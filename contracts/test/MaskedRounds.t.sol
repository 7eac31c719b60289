// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IMaskedRounds} from "../src/interfaces/IMaskedRounds.sol";
import {ITrainingRounds} from "../src/interfaces/ITrainingRounds.sol";
import {MaskMembers} from "./base/MaskMembers.sol";

/// @dev Who may take which step of a masked round, and when. Rounds last 600 seconds for members and 300 for the coordinator.
contract MaskedRoundsTest is MaskMembers {
    // Configuration

    function test_configure_takesTheBondOfTheCoordinatorOrSponsor() public {
        uint64 study = _enrolling(4);
        IMaskedRounds.Setting memory setting = _setting(4);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotConfigurable.selector, study, stranger));
        masks.configure(study, setting);
        _fund(sponsor, address(masks), MASK_BOND);
        vm.prank(sponsor);
        masks.configure(study, setting);
        (address depositor, uint128 amount) = masks.bondOf(study);
        vm.assertEq(depositor, sponsor);
        vm.assertEq(amount, MASK_BOND);
        vm.assertEq(token.balanceOf(address(masks)), MASK_BOND);
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.AlreadyConfigured.selector, study));
        masks.configure(study, setting);
        vm.assertEq(masks.settingOf(study).coordinates, COORDINATES);
    }

    function test_configure_refusesWhatMakesNoSense() public {
        uint64 study = _enrolling(4);
        string[8] memory fields = [
            "groupSize", "groupSize", "thresholdPercent", "thresholdPercent", "fewestSurvivors", "fewestSurvivors",
            "coordinates", "disputeSeconds"
        ];
        for (uint256 i = 0; i < 9; ++i) {
            IMaskedRounds.Setting memory setting = _setting(4);
            if (i == 0) setting.groupSize = 2;
            if (i == 1) setting.groupSize = 17;
            if (i == 2) setting.thresholdPercent = 50;
            if (i == 3) setting.thresholdPercent = 101;
            if (i == 4) setting.fewestSurvivors = 2;
            if (i == 5) setting.fewestSurvivors = 5;
            if (i == 6) setting.coordinates = 0;
            if (i == 7) setting.disputeSeconds = 0;
            if (i == 8) setting.bondToken = address(0);
            string memory field = i == 8 ? "bondToken" : fields[i];
            vm.prank(coordinator);
            vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.InvalidSetting.selector, field));
            masks.configure(study, setting);
        }
    }

    function test_configure_isForEnrollingStudies() public {
        uint64 study = _enrolling(4);
        vm.prank(coordinator);
        rounds.start(study);
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotConfigurable.selector, study, coordinator));
        masks.configure(study, _setting(4));
        _openRound(study);
        bytes32 key = _publicKey(0);
        vm.prank(_clinic(0));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotConfigured.selector, study));
        masks.announce(study, 1, 0, key);
    }

    // Announcements and the draw

    function test_announce_isForMembersOnceInTheFirstQuarter() public {
        uint64 study = _masking(5, 4);
        bytes32 key = _publicKey(0);
        vm.startPrank(_clinic(0));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotMember.selector, study, 1, _clinic(0)));
        masks.announce(study, 1, 1, key);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.WrongRound.selector, study, 2, 1));
        masks.announce(study, 2, 0, key);
        bytes32[3] memory weak = [bytes32(0), bytes32(uint256(1) << 248), bytes32(type(uint256).max)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.WeakKey.selector, weak[i]));
            masks.announce(study, 1, 0, weak[i]);
        }
        masks.announce(study, 1, 0, key);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.MemberOutOfTurn.selector, study, 1, 0));
        masks.announce(study, 1, 0, key);
        vm.stopPrank();

        uint64 announceBy = uint64(block.timestamp) + 150;
        vm.warp(announceBy);
        _announce(study, 1);
        vm.warp(announceBy + 1);
        vm.prank(_clinic(2));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.TooLate.selector, announceBy + 1, announceBy));
        masks.announce(study, 1, 2, key);
    }

    function test_announce_ofANewOpeningDropsTheOneBefore() public {
        uint64 study = _masking(5, 4);
        _drawn(study, 31);
        bytes32 beacon = masks.opening(study).beacon;
        vm.warp(rounds.study(study).closeBy + 1);
        rounds.expireRound(study);
        _openRound(study);
        _announce(study, 3);
        IMaskedRounds.Opening memory opening = masks.opening(study);
        vm.assertEq(opening.announced, 8);
        vm.assertEq(opening.beacon, 0);
        vm.assertEq(opening.closedAt, 0);
        _drawn(study, 23);
        vm.assertTrue(masks.opening(study).beacon != beacon);
    }

    function test_draw_comesABlockAfterTheLastKey() public {
        uint64 study = _masking(4, 4);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.WrongRound.selector, study, 1, 0));
        masks.draw(study, 1);
        for (uint256 i = 0; i < 3; ++i) {
            _announce(study, i);
        }
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.TooFewAnnounced.selector, 3, 4));
        masks.draw(study, 1);
        _announce(study, 3);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.SameBlock.selector, block.number));
        masks.draw(study, 1);
        vm.roll(block.number + 1);
        vm.assertTrue(masks.draw(study, 1));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.OutOfTurn.selector, study, 1));
        masks.draw(study, 1);
    }

    function test_draw_isClosedByTheCoordinatorOrByAnyoneInTime() public {
        uint64 study = _masking(6, 4);
        for (uint256 i = 0; i < 4; ++i) {
            _announce(study, i);
        }
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotCoordinator.selector, study, stranger));
        masks.draw(study, 1);
        vm.warp(block.timestamp + 151);
        vm.prank(stranger);
        vm.assertFalse(masks.draw(study, 1));
        bytes32 key = _publicKey(5);
        vm.warp(block.timestamp - 1);
        vm.prank(_clinic(5));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.OutOfTurn.selector, study, 1));
        masks.announce(study, 1, 5, key);
    }

    /// Whoever sends the call, and when, changes nothing: the block in which announcements closed decides.
    function test_draw_dependsOnTheClosingBlockAlone() public {
        uint64 study = _masking(8, 4);
        for (uint256 i = 0; i < 8; ++i) {
            _announce(study, i);
        }
        uint256 closed = block.number;
        uint256 state = vm.snapshotState();
        bytes32[2] memory beacons;
        for (uint256 i = 0; i < 2; ++i) {
            vm.roll(closed + 1 + 100 * i);
            vm.setBlockhash(closed, "hash");
            vm.prank(i == 0 ? stranger : coordinator);
            masks.draw(study, 1);
            beacons[i] = masks.opening(study).beacon;
            vm.revertToState(state);
        }
        vm.assertEq(beacons[0], beacons[1]);
        // After 256 blocks the hash is gone, and announcements close anew.
        vm.roll(closed + 300);
        vm.assertFalse(masks.draw(study, 1));
        vm.assertEq(masks.opening(study).closedAt, closed + 300);
    }

    // Dealings, uploads, survivors

    function test_deal_isForDrawnMembersOnceInTheFirstHalf() public {
        uint64 study = _masking(5, 4);
        for (uint256 i = 0; i < 4; ++i) {
            _announce(study, i);
        }
        vm.prank(_clinic(0));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.OutOfTurn.selector, study, 1));
        masks.deal(study, 1, 0, DEALING, "root");
        _drawn(study, 0);
        vm.startPrank(_clinic(0));
        vm.expectRevert(IMaskedRounds.DigestMissing.selector);
        masks.deal(study, 1, 0, 0, "root");
        vm.expectRevert(IMaskedRounds.DigestMissing.selector);
        masks.deal(study, 1, 0, DEALING, 0);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotMember.selector, study, 1, _clinic(0)));
        masks.deal(study, 1, 1, DEALING, "root");
        masks.deal(study, 1, 0, DEALING, "root");
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.MemberOutOfTurn.selector, study, 1, 0));
        masks.deal(study, 1, 0, DEALING, "root");
        vm.stopPrank();
        vm.prank(_clinic(4));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.MemberOutOfTurn.selector, study, 1, 4));
        masks.deal(study, 1, 4, DEALING, "root");
        uint64 dealBy = masks.opening(study).commitBy - 300;
        vm.warp(dealBy + 1);
        vm.prank(_clinic(1));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.TooLate.selector, dealBy + 1, dealBy));
        masks.deal(study, 1, 1, DEALING, "root");
    }

    function test_upload_waitsUntilItIsSettledWhoTakesPart() public {
        uint64 study = _masking(9, 4);
        _drawn(study, 511);
        Party[] memory parties = _parties(study);
        // The second group deals, of the first one is missing.
        for (uint256 place = 0; place < parties[1].members.length; ++place) {
            _dealAny(study, parties[1].members[place]);
        }
        for (uint256 place = 1; place < parties[0].members.length; ++place) {
            _dealAny(study, parties[0].members[place]);
        }
        _uploadAny(study, parties[1].members[0], "");
        uint8 waiting = parties[0].members[1];
        uint64 dealBy = parties[0].commitBy - 300;
        _uploadAny(
            study, waiting, abi.encodeWithSelector(IMaskedRounds.TooEarly.selector, block.timestamp, dealBy + 1)
        );
        uint8 silent = parties[0].members[0];
        bytes memory outOfTurn = abi.encodeWithSelector(IMaskedRounds.MemberOutOfTurn.selector, study, 1, silent);
        _uploadAny(study, silent, outOfTurn);
        vm.warp(dealBy + 1);
        _uploadAny(study, waiting, "");
        _uploadAny(study, waiting, abi.encodeWithSelector(IMaskedRounds.MemberOutOfTurn.selector, study, 1, waiting));
        _uploadAny(study, silent, outOfTurn);
        vm.warp(parties[0].commitBy + 1);
        _uploadAny(
            study,
            parties[1].members[1],
            abi.encodeWithSelector(IMaskedRounds.TooLate.selector, parties[0].commitBy + 1, parties[0].commitBy)
        );
    }

    function test_fixSurvivors_takesWhoDealtUploadedAndCommitted() public {
        uint64 study = _masking(5, 4);
        _drawn(study, 31);
        for (uint8 i = 0; i < 5; ++i) {
            _dealAny(study, i);
        }
        for (uint8 i = 0; i < 4; ++i) {
            _uploadAny(study, i, "");
            if (i != 3) _commit(study, i);
        }
        uint64 commitBy = masks.opening(study).commitBy;
        _fixAny(study, 7, abi.encodeWithSelector(IMaskedRounds.TooEarly.selector, block.timestamp, commitBy + 1));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotCoordinator.selector, study, stranger));
        masks.fixSurvivors(study, 1, 7);
        vm.warp(commitBy + 1);
        _fixAny(study, 15, abi.encodeWithSelector(IMaskedRounds.NotSurvivors.selector, 15, 7));
        _fixAny(study, 0, abi.encodeWithSelector(IMaskedRounds.NotSurvivors.selector, 0, 7));
        // Of five, with thresholds of 51 in a hundred, three of four neighbours open a secret.
        _fixAny(study, 7, abi.encodeWithSelector(IMaskedRounds.TooFewInGroup.selector, 0, 3, 4));
        vm.warp(commitBy + 76);
        _fixAny(study, 7, abi.encodeWithSelector(IMaskedRounds.TooLate.selector, commitBy + 76, commitBy + 75));
    }

    function test_fixSurvivors_isOnceAndEarlyWhenEveryoneUploaded() public {
        uint64 study = _masking(5, 4);
        _drawn(study, 31);
        for (uint8 i = 0; i < 5; ++i) {
            _dealAny(study, i);
        }
        for (uint8 i = 0; i < 5; ++i) {
            _uploadAny(study, i, "");
            _commit(study, i);
        }
        _fixAny(study, 31, "");
        _fixAny(study, 31, abi.encodeWithSelector(IMaskedRounds.OutOfTurn.selector, study, 1));
    }

    function test_fixSurvivors_refusesAnotherOpeningsCommitments() public {
        uint64 study = _masking(5, 4);
        _drawn(study, 31);
        for (uint8 i = 0; i < 5; ++i) {
            _dealAny(study, i);
        }
        for (uint8 i = 0; i < 5; ++i) {
            _uploadAny(study, i, "");
            _commit(study, i);
        }
        _close(study, 31);
        _fixAny(study, 31, abi.encodeWithSelector(IMaskedRounds.NotSurvivors.selector, 31, 0));
    }

    // Shares and sums

    function test_unmask_isForSurvivorsOnceInTime() public {
        (uint64 study,) = _fixed();
        vm.startPrank(_clinic(0));
        vm.expectRevert(IMaskedRounds.DigestMissing.selector);
        masks.unmask(study, 1, 0, 0);
        masks.unmask(study, 1, 0, UNMASKING);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.MemberOutOfTurn.selector, study, 1, 0));
        masks.unmask(study, 1, 0, UNMASKING);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotMember.selector, study, 1, _clinic(0)));
        masks.unmask(study, 1, 1, UNMASKING);
        vm.stopPrank();
        vm.prank(_clinic(4));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.MemberOutOfTurn.selector, study, 1, 4));
        masks.unmask(study, 1, 4, UNMASKING);
        uint64 unmaskBy = masks.opening(study).commitBy + 225;
        vm.warp(unmaskBy + 1);
        vm.prank(_clinic(1));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.TooLate.selector, unmaskBy + 1, unmaskBy));
        masks.unmask(study, 1, 1, UNMASKING);
    }

    function test_postSums_comesAfterTheSharesOfEveryoneOrTheirTime() public {
        (uint64 study, uint64 commitBy) = _fixed();
        bytes32[] memory sums = new bytes32[](1);
        sums[0] = "sum";
        _postAny(study, sums, abi.encodeWithSelector(IMaskedRounds.TooEarly.selector, block.timestamp, commitBy + 226));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.NotCoordinator.selector, study, stranger));
        masks.postSums(study, 1, sums);
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(_clinic(i));
            masks.unmask(study, 1, uint8(i), UNMASKING);
        }
        vm.warp(commitBy + 226);
        _postAny(study, sums, abi.encodeWithSelector(IMaskedRounds.TooFewInGroup.selector, 0, 3, 4));
    }

    function test_postSums_givesEachGroupWithSurvivorsARootOnce() public {
        (uint64 study, uint64 commitBy) = _fixed();
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(_clinic(i));
            masks.unmask(study, 1, uint8(i), UNMASKING);
        }
        bytes32[] memory sums = new bytes32[](1);
        _postAny(study, sums, abi.encodeWithSelector(IMaskedRounds.WrongSums.selector, 0));
        _postAny(study, new bytes32[](2), abi.encodeWithSelector(IMaskedRounds.WrongSums.selector, 2));
        sums[0] = "sum";
        uint256 state = vm.snapshotState();
        vm.warp(commitBy + 301);
        _postAny(study, sums, abi.encodeWithSelector(IMaskedRounds.TooLate.selector, commitBy + 301, commitBy + 300));
        vm.revertToState(state);
        vm.assertEq(masks.postedOf(study, 1).hash, 0);
        _postAny(study, sums, "");
        vm.assertTrue(masks.postedOf(study, 1).hash != 0);
        _postAny(study, sums, abi.encodeWithSelector(IMaskedRounds.OutOfTurn.selector, study, 1));
    }

    /// A group of which too few are left has no sum, and the others go on without it.
    function test_round_goesOnWithoutAGroupThatLostTooMany() public {
        uint64 study = _masking(8, 4);
        _drawn(study, 255);
        Party[] memory parties = _parties(study);
        for (uint8 i = 0; i < 8; ++i) {
            _dealAny(study, i);
        }
        for (uint256 i = 0; i < 2; ++i) {
            for (uint256 place = 0; place < (i == 0 ? 2 : 4); ++place) {
                _uploadAny(study, parties[i].members[place], "");
                _commit(study, parties[i].members[place]);
            }
        }
        vm.warp(parties[0].commitBy + 1);
        parties[0].survivors = 3;
        parties[1].survivors = 15;
        _fixAny(study, _survivors(parties), abi.encodeWithSelector(IMaskedRounds.TooFewInGroup.selector, 0, 2, 3));
        parties[0].survivors = 0;
        _fixAny(study, _survivors(parties), "");
        for (uint256 place = 0; place < 4; ++place) {
            _unmask(parties[1], place);
        }
        bytes32[] memory sums = new bytes32[](2);
        (sums[0], sums[1]) = ("none", "sum");
        _postAny(study, sums, abi.encodeWithSelector(IMaskedRounds.WrongSums.selector, 0));
        sums[0] = 0;
        _postAny(study, sums, "");
    }

    // The bond

    function test_release_waitsForTheEndAndTheTimeOfDisputes() public {
        (uint64 study,) = _fixed();
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(_clinic(i));
            masks.unmask(study, 1, uint8(i), UNMASKING);
        }
        bytes32[] memory sums = new bytes32[](1);
        sums[0] = "sum";
        _postAny(study, sums, "");
        _close(study, 15);
        bytes memory held = abi.encodeWithSelector(IMaskedRounds.BondHeld.selector, study);
        vm.warp(block.timestamp + 2 days);
        vm.expectRevert(held);
        masks.release(study);
        vm.warp(rounds.study(study).finishBy);
        rounds.abandon(study);
        uint256 before = token.balanceOf(coordinator);
        masks.release(study);
        vm.assertEq(token.balanceOf(coordinator), before + MASK_BOND);
        vm.assertEq(token.balanceOf(address(masks)), 0);
        vm.expectRevert(held);
        masks.release(study);
    }

    function test_release_waitsAfterTheLastSumsOfAStudyThatHasEnded() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.rounds = 1;
        terms.maxMembers = 4;
        uint64 study = _open(terms);
        for (uint256 i = 0; i < 4; ++i) {
            _join(study, i, _consented(i));
        }
        _configure(study, _setting(4));
        vm.prank(coordinator);
        rounds.start(study);
        _openRound(study);
        _drawn(study, 15);
        Party[] memory parties = _upToShares(study, 0, 0);
        _post(study, 1, _honestSums(parties));
        uint256 until = block.timestamp + DISPUTE_SECONDS;
        _close(study, 15);
        vm.prank(coordinator);
        rounds.finish(study, new uint32[](4), "evidence");
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.BondHeld.selector, study));
        masks.release(study);
        vm.warp(until + 1);
        masks.release(study);
    }

    function test_release_givesBackAtOnceWhatNoSumStandsOn() public {
        uint64 study = _enrolling(4);
        _configure(study, _setting(4));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.BondHeld.selector, study));
        masks.release(study);
        vm.prank(sponsor);
        rounds.cancel(study);
        vm.prank(stranger);
        masks.release(study);
        vm.assertEq(token.balanceOf(coordinator), MASK_BOND);
    }

    // Steps with roots that nobody opens

    /// @dev A round of five of whom the first four survive.
    function _fixed() private returns (uint64 study, uint64 commitBy) {
        study = _masking(5, 4);
        _drawn(study, 31);
        commitBy = masks.opening(study).commitBy;
        for (uint8 i = 0; i < 5; ++i) {
            _dealAny(study, i);
        }
        for (uint8 i = 0; i < 4; ++i) {
            _uploadAny(study, i, "");
            _commit(study, i);
        }
        vm.warp(commitBy + 1);
        vm.prank(_clinic(0));
        vm.expectRevert(abi.encodeWithSelector(IMaskedRounds.OutOfTurn.selector, study, 1));
        masks.unmask(study, 1, 0, UNMASKING);
        _fixAny(study, 15, "");
    }

    function _dealAny(uint64 study, uint8 member) private {
        vm.prank(_clinic(member));
        masks.deal(study, 1, member, DEALING, "root");
    }

    function _uploadAny(uint64 study, uint8 member, bytes memory refusal) private {
        vm.prank(_clinic(member));
        if (refusal.length != 0) vm.expectRevert(refusal);
        masks.upload(study, 1, member, "vector");
    }

    function _fixAny(uint64 study, uint64 survivors, bytes memory refusal) private {
        vm.prank(coordinator);
        if (refusal.length != 0) vm.expectRevert(refusal);
        masks.fixSurvivors(study, 1, survivors);
    }

    function _postAny(uint64 study, bytes32[] memory sums, bytes memory refusal) private {
        vm.prank(coordinator);
        if (refusal.length != 0) vm.expectRevert(refusal);
        masks.postSums(study, 1, sums);
    }
}

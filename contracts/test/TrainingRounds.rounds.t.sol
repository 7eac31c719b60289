// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IAssetRegistry} from "../src/interfaces/IAssetRegistry.sol";
import {IConsentRegistry} from "../src/interfaces/IConsentRegistry.sol";
import {ITrainingRounds} from "../src/interfaces/ITrainingRounds.sol";
import {System} from "./base/System.sol";

/// @dev From opening a round to closing it or letting it expire.
contract TrainingRoundsRoundsTest is System {
    uint64 private study;

    function setUp() public override {
        super.setUp();
        study = _running(_terms(), 4);
    }

    function test_openRound_setsBothDeadlines() public {
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.RoundOpened(study, 1, "base", uint64(START + 600), uint64(START + 900));
        vm.prank(coordinator);
        vm.assertEq(rounds.openRound(study, "base"), 1);
        ITrainingRounds.Study memory state = rounds.study(study);
        vm.assertTrue(state.roundOpen);
        vm.assertEq(state.round, 1);
        vm.assertEq(state.closedRounds, 0);
        vm.assertEq(state.commitBy, START + 600);
        vm.assertEq(state.closeBy, START + 900);
    }

    function test_openRound_revertsForAnybodyButTheCoordinator() public {
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.NotCoordinator.selector, study, sponsor));
        vm.prank(sponsor);
        rounds.openRound(study, "base");
    }

    function test_openRound_revertsBeforeTheStudyStarted() public {
        uint64 enrolling = _open(_terms());
        _expectOpen(
            enrolling,
            "base",
            abi.encodeWithSelector(
                ITrainingRounds.WrongPhase.selector, enrolling, ITrainingRounds.Phase.Enrolling
            )
        );
    }

    function test_openRound_revertsWhileARoundIsOpen() public {
        _openRound(study);
        _expectOpen(study, "base", abi.encodeWithSelector(ITrainingRounds.RoundStillOpen.selector, study, 1));
    }

    function test_openRound_revertsWithoutABase() public {
        _expectOpen(study, 0, abi.encodePacked(ITrainingRounds.DigestMissing.selector));
    }

    function test_openRound_revertsUnlessItStartsFromTheLastResult() public {
        _round(study, 15);
        _expectOpen(
            study, "base", abi.encodeWithSelector(ITrainingRounds.BaseMismatch.selector, _result(1), bytes32("base"))
        );
    }

    function test_openRound_startsFromTheBaseModelIfThereIsOne() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.baseModel = _register(sponsor, IAssetRegistry.Kind.Model, "base model");
        uint64 other = _running(terms, 2);
        vm.assertEq(rounds.study(other).result, 0);
        _expectOpen(
            other,
            "base",
            abi.encodeWithSelector(ITrainingRounds.BaseMismatch.selector, bytes32("base model"), bytes32("base"))
        );
        vm.prank(coordinator);
        rounds.openRound(other, "base model");
    }

    function test_openRound_revertsOnceEveryRoundWasClosed() public {
        for (uint256 i = 0; i < 3; ++i) {
            _round(study, 15);
        }
        _expectOpen(study, _result(3), abi.encodeWithSelector(ITrainingRounds.AllRoundsClosed.selector, study, 3));
    }

    function test_openRound_revertsOnceTheStudyIsOverdue() public {
        uint64 finishBy = rounds.study(study).finishBy;
        vm.warp(finishBy);
        _expectOpen(study, "base", abi.encodeWithSelector(ITrainingRounds.TooLate.selector, finishBy, finishBy));
    }

    function test_commitUpdate_isKeptUntilTheNextRound() public {
        _openRound(study);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.UpdateCommitted(study, 1, 2, "update", 1);
        vm.prank(_clinic(2));
        rounds.commitUpdate(study, 1, 2, "update");
        vm.assertEq(rounds.study(study).committed, 4);
        vm.assertEq(rounds.updateOf(study, 2), "update");
        vm.assertEq(rounds.updateOf(study, 1), 0);
        _commit(study, 0);
        _close(study, 5);
        vm.assertEq(rounds.updateOf(study, 2), 0);
        _openRound(study);
        vm.assertEq(rounds.study(study).committed, 0);
        vm.assertEq(rounds.updateOf(study, 2), 0);
    }

    function test_commitUpdate_isTakenInTheLastSecondAndNotAfterIt() public {
        _openRound(study);
        vm.warp(START + 600);
        _commit(study, 0);
        vm.warp(START + 601);
        _expectCommit(1, 1, "late", abi.encodeWithSelector(ITrainingRounds.TooLate.selector, START + 601, START + 600));
    }

    function test_commitUpdate_revertsOnceConsentIsRevoked() public {
        _openRound(study);
        uint64 dataset = rounds.member(study, 0).dataset;
        vm.prank(_clinic(0));
        consents.revoke(dataset, PURPOSES);
        _expectCommit(
            1, 0, "update", abi.encodeWithSelector(IConsentRegistry.ConsentMissing.selector, dataset, PURPOSE, 2)
        );
        vm.prank(_clinic(0));
        consents.grant(dataset, PURPOSES, 0);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.UpdateCommitted(study, 1, 0, "update", 3);
        vm.prank(_clinic(0));
        rounds.commitUpdate(study, 1, 0, "update");
    }

    function test_commitUpdate_revertsOnceTheDatasetWasSold() public {
        _openRound(study);
        uint64 dataset = rounds.member(study, 0).dataset;
        vm.prank(_clinic(0));
        assets.transferFrom(_clinic(0), stranger, dataset);
        _expectCommit(
            1, 0, "update", abi.encodeWithSelector(IConsentRegistry.ConsentMissing.selector, dataset, PURPOSE, 1)
        );
    }

    function test_commitUpdate_revertsForAnotherAccount() public {
        _openRound(study);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.NotMember.selector, study, 0, _clinic(1)));
        vm.prank(_clinic(1));
        rounds.commitUpdate(study, 1, 0, "update");
    }

    function testFuzz_commitUpdate_revertsForAnIndexWithoutAMember(uint8 index) public {
        index = uint8(_bound(index, 4, 255));
        _openRound(study);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.NotMember.selector, study, index, _clinic(0)));
        vm.prank(_clinic(0));
        rounds.commitUpdate(study, 1, index, "update");
    }

    function test_commitUpdate_revertsTheSecondTime() public {
        _openRound(study);
        _commit(study, 0);
        _expectCommit(1, 0, "another", abi.encodeWithSelector(ITrainingRounds.AlreadyCommitted.selector, study, 1, 0));
    }

    function test_commitUpdate_revertsWithoutADigest() public {
        _openRound(study);
        _expectCommit(1, 0, 0, abi.encodePacked(ITrainingRounds.DigestMissing.selector));
    }

    function testFuzz_commitUpdate_revertsForAnotherRound(uint32 round) public {
        vm.assume(round != 1);
        _openRound(study);
        _expectCommit(round, 0, "update", abi.encodeWithSelector(ITrainingRounds.WrongRound.selector, study, round, 1));
    }

    function test_commitUpdate_revertsWhenNoRoundIsOpen() public {
        bytes memory reason = abi.encodeWithSelector(ITrainingRounds.RoundNotOpen.selector, study);
        _expectCommit(1, 0, "update", reason);
        _round(study, 15);
        _expectCommit(1, 0, "update", reason);
    }

    function test_closeRound_countsTheSurvivors() public {
        _openRound(study);
        for (uint256 i = 0; i < 4; ++i) {
            _commit(study, i);
        }
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.RoundClosed(study, 1, 13, "result", 0);
        vm.prank(coordinator);
        rounds.closeRound(study, 1, 13, "result", 0);
        ITrainingRounds.Study memory state = rounds.study(study);
        vm.assertFalse(state.roundOpen);
        vm.assertEq(state.round, 1);
        vm.assertEq(state.closedRounds, 1);
        vm.assertEq(state.committed, 0);
        vm.assertEq(state.commitBy, 0);
        vm.assertEq(state.closeBy, 0);
        vm.assertEq(state.result, "result");
        vm.assertEq(rounds.member(study, 0).survived, 1);
        vm.assertEq(rounds.member(study, 1).survived, 0);
        vm.assertEq(rounds.member(study, 2).survived, 1);
        vm.assertEq(rounds.member(study, 3).survived, 1);
    }

    function test_closeRound_isTakenInTheLastSecondAndNotAfterIt() public {
        _openRound(study);
        _commit(study, 0);
        _commit(study, 1);
        vm.warp(START + 901);
        _expectClose(1, 3, "result", abi.encodeWithSelector(ITrainingRounds.TooLate.selector, START + 901, START + 900));
        vm.warp(START + 900);
        _close(study, 3);
    }

    function testFuzz_closeRound_revertsForSurvivorsWhoDidNotCommit(uint64 survivors) public {
        _openRound(study);
        _commit(study, 0);
        _commit(study, 2);
        vm.assume(survivors & ~uint64(5) != 0);
        _expectClose(
            1, survivors, "result", abi.encodeWithSelector(ITrainingRounds.SurvivorsNotCommitted.selector, survivors, 5)
        );
    }

    function test_closeRound_revertsWithTooFewSurvivors() public {
        _openRound(study);
        _commit(study, 0);
        _commit(study, 2);
        _expectClose(1, 4, "result", abi.encodeWithSelector(ITrainingRounds.TooFewMembers.selector, 1, 2));
    }

    function test_closeRound_revertsForAnybodyButTheCoordinator() public {
        _openRound(study);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.NotCoordinator.selector, study, sponsor));
        vm.prank(sponsor);
        rounds.closeRound(study, 1, 0, "result", 0);
    }

    function test_closeRound_revertsWithoutAResult() public {
        _openRound(study);
        _commit(study, 0);
        _commit(study, 1);
        _expectClose(1, 3, 0, abi.encodePacked(ITrainingRounds.DigestMissing.selector));
    }

    function test_closeRound_revertsForAnotherRoundOrNone() public {
        _expectClose(1, 3, "result", abi.encodeWithSelector(ITrainingRounds.RoundNotOpen.selector, study));
        _openRound(study);
        _expectClose(2, 3, "result", abi.encodeWithSelector(ITrainingRounds.WrongRound.selector, study, 2, 1));
    }

    function test_closeRound_recordsThePrivacySpent() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.epsilonBudget = 1_500_000;
        uint64 private_ = _running(terms, 4);
        vm.assertEq(rounds.study(private_).epsilonBudget, 1_500_000);
        _openRound(private_);
        _commit(private_, 0);
        _commit(private_, 1);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.RoundClosed(private_, 1, 3, _result(1), 900_000);
        _closeSpending(private_, 3, 900_000);
        vm.assertEq(rounds.study(private_).spentEpsilon, 900_000);
    }

    /// To the last millionth, and no further.
    function testFuzz_closeRound_revertsBeyondTheBudgetOfPrivacy(uint64 budget, uint64 spent) public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.epsilonBudget = uint64(_bound(budget, 1, type(uint64).max - 1));
        spent = uint64(_bound(spent, terms.epsilonBudget + 1, type(uint64).max));
        study = _running(terms, 2);
        _openRound(study);
        _commit(study, 0);
        _commit(study, 1);
        vm.expectRevert(
            abi.encodeWithSelector(ITrainingRounds.EpsilonBudgetExceeded.selector, terms.epsilonBudget, spent)
        );
        vm.prank(coordinator);
        rounds.closeRound(study, 1, 3, "result", spent);
        _closeSpending(study, 3, terms.epsilonBudget);
    }

    function testFuzz_closeRound_revertsWhenSpentPrivacyFalls(uint64 before, uint64 given) public {
        before = uint64(_bound(before, 1, type(uint64).max));
        given = uint64(_bound(given, 0, before - 1));
        _openRound(study);
        _commit(study, 0);
        _commit(study, 1);
        // Without a budget what is spent is recorded all the same.
        _closeSpending(study, 3, before);
        _openRound(study);
        _commit(study, 0);
        _commit(study, 1);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.SpentEpsilonFell.selector, before, given));
        vm.prank(coordinator);
        rounds.closeRound(study, 2, 3, "result", given);
        _closeSpending(study, 3, before);
    }

    function test_expireRound_letsAnybodyEndAnOverdueRound() public {
        _openRound(study);
        _commit(study, 0);
        vm.warp(START + 900);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.TooEarly.selector, START + 900, START + 901));
        rounds.expireRound(study);
        vm.warp(START + 901);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.RoundExpired(study, 1);
        vm.prank(stranger);
        rounds.expireRound(study);
        vm.assertEq(rounds.study(study).round, 0);

        // The same round opens again, and what was committed before does not count.
        vm.assertEq(_openRound(study), 1);
        vm.assertEq(rounds.study(study).committed, 0);
        _commit(study, 0);
    }

    function test_expireRound_revertsWhenNoRoundIsOpen() public {
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.RoundNotOpen.selector, study));
        rounds.expireRound(study);
    }

    function test_aRoundOfSixtyFourMembersFits() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.maxMembers = 64;
        uint64 large = _running(terms, 64);
        _round(large, type(uint64).max);
        _round(large, type(uint64).max ^ 1 << 63);
        vm.assertEq(rounds.member(large, 63).survived, 1);
        vm.assertEq(rounds.member(large, 62).survived, 2);
        vm.assertEq(rounds.member(large, 0).survived, 2);
    }

    function _expectOpen(uint64 which, bytes32 base, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(coordinator);
        rounds.openRound(which, base);
    }

    function _expectCommit(uint32 round, uint8 clinic, bytes32 update, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(_clinic(clinic));
        rounds.commitUpdate(study, round, clinic, update);
    }

    function _expectClose(uint32 round, uint64 survivors, bytes32 result, bytes memory reason) private {
        vm.expectRevert(reason);
        vm.prank(coordinator);
        rounds.closeRound(study, round, survivors, result, 0);
    }
}

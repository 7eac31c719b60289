// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "../src/interfaces/ITrainingRounds.sol";
import {CallbackToken} from "./base/OddTokens.sol";
import {System} from "./base/System.sol";

/// @dev From finishing or abandoning a study to the last payment.
contract TrainingRoundsRewardsTest is System {
    function test_finish_recordsContributionsAndRewards() public {
        uint64 study = _closed(_terms(), 3);
        uint32[] memory contributions = new uint32[](3);
        (contributions[0], contributions[2]) = (700_000, 250_001);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.StudyFinished(study, _result(3), "evidence");
        vm.expectEmit(address(rounds));
        // Capped at 60 %.
        emit ITrainingRounds.ContributionRecorded(study, 0, 700_000, BUDGET * 6 / 10);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.ContributionRecorded(study, 1, 0, 0);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.ContributionRecorded(study, 2, 250_001, BUDGET / 1_000_000 * 250_001);
        vm.prank(coordinator);
        rounds.finish(study, contributions, "evidence");

        vm.assertEq(uint8(rounds.study(study).phase), uint8(ITrainingRounds.Phase.Finished));
        vm.assertEq(rounds.member(study, 0).contributionPpm, 700_000);
        vm.assertEq(rounds.rewardOf(study, 0), BUDGET * 6 / 10);
        vm.assertEq(rounds.rewardOf(study, 1), 0);
        vm.assertEq(rounds.returnable(study), BUDGET - BUDGET * 6 / 10 - BUDGET / 1_000_000 * 250_001);
    }

    function testFuzz_finish_paysOutExactlyWhatCameIn(
        uint128 budget,
        uint128 bond,
        uint32 capPpm,
        uint32[5] calldata weights
    ) public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.budget = uint128(_bound(budget, 0, type(uint128).max / 2));
        terms.bond = uint128(_bound(bond, 0, BOND));
        terms.memberCapPpm = uint32(_bound(capPpm, 1, 1_000_000));
        terms.rounds = 1;
        uint32[] memory contributions = new uint32[](5);
        for (uint256 i = 0; i < 5; ++i) {
            contributions[i] = uint32(_bound(weights[i], 0, 200_000));
        }
        uint64 study = _finished(terms, contributions);
        for (uint8 i = 0; i < 5; ++i) {
            uint256 ppm = contributions[i] < terms.memberCapPpm ? contributions[i] : terms.memberCapPpm;
            uint256 reward = uint256(terms.budget) * ppm / 1_000_000;
            uint256 before = token.balanceOf(_clinic(i));
            vm.assertEq(rounds.claim(study, i), reward + terms.bond);
            vm.assertEq(token.balanceOf(_clinic(i)) - before, reward + terms.bond);
        }
        if (rounds.returnable(study) != 0) rounds.returnBudget(study);
        vm.assertEq(token.balanceOf(address(rounds)), 0);
    }

    function test_finish_revertsForAnybodyButTheCoordinator() public {
        uint64 study = _closed(_terms(), 2);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.NotCoordinator.selector, study, sponsor));
        vm.prank(sponsor);
        rounds.finish(study, new uint32[](2), "evidence");
    }

    function test_finish_revertsWhileRoundsRemain() public {
        uint64 study = _running(_terms(), 2);
        _round(study, 3);
        _expectFinish(
            study, new uint32[](2), "evidence", abi.encodeWithSelector(ITrainingRounds.RoundsRemain.selector, study, 1, 3)
        );
    }

    /// Its members are paid by what they contributed, out of the whole budget.
    function test_finish_endsAStudyEarlyThatSpentPrivacyUnderABudget() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.epsilonBudget = 1_000_000;
        uint64 study = _running(terms, 2);
        bytes memory remain = abi.encodeWithSelector(ITrainingRounds.RoundsRemain.selector, study, 0, 3);
        _expectFinish(study, new uint32[](2), "evidence", remain);
        _openRound(study);
        _commit(study, 0);
        _commit(study, 1);
        _closeSpending(study, 3, 800_000);
        // Not under the hands of members who are at work.
        _openRound(study);
        remain = abi.encodeWithSelector(ITrainingRounds.RoundsRemain.selector, study, 1, 3);
        _expectFinish(study, new uint32[](2), "evidence", remain);
        vm.warp(block.timestamp + 901);
        rounds.expireRound(study);
        uint32[] memory contributions = new uint32[](2);
        (contributions[0], contributions[1]) = (600_000, 400_000);
        vm.prank(coordinator);
        rounds.finish(study, contributions, "evidence");
        vm.assertEq(uint8(rounds.study(study).phase), uint8(ITrainingRounds.Phase.Finished));
        vm.assertEq(rounds.rewardOf(study, 0), BUDGET * 6 / 10);
        vm.assertEq(rounds.rewardOf(study, 1), BUDGET * 4 / 10);
        vm.assertEq(rounds.returnable(study), 0);
        vm.assertEq(rounds.study(study).result, _result(1));
    }

    function test_finish_revertsWhileRoundsRemainOfAStudyThatSpentNoPrivacy() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.epsilonBudget = 1_000_000;
        uint64 study = _running(terms, 2);
        _round(study, 3);
        bytes memory remain = abi.encodeWithSelector(ITrainingRounds.RoundsRemain.selector, study, 1, 3);
        _expectFinish(study, new uint32[](2), "evidence", remain);
    }

    function testFuzz_finish_revertsUnlessThereIsOneContributionForEachMember(uint8 count) public {
        vm.assume(count != 2);
        uint64 study = _closed(_terms(), 2);
        _expectFinish(
            study,
            new uint32[](count),
            "evidence",
            abi.encodeWithSelector(ITrainingRounds.ContributionsMismatch.selector, count, 2)
        );
    }

    function testFuzz_finish_revertsWhenContributionsExceedTheWhole(uint32 first, uint32 second) public {
        first = uint32(_bound(first, 0, 1_000_000));
        vm.assume(uint256(first) + second > 1_000_000);
        uint64 study = _closed(_terms(), 2);
        uint32[] memory contributions = new uint32[](2);
        (contributions[0], contributions[1]) = (first, second);
        _expectFinish(
            study,
            contributions,
            "evidence",
            abi.encodeWithSelector(ITrainingRounds.ContributionsExceedWhole.selector, uint256(first) + second)
        );
    }

    function test_finish_revertsWithoutEvidence() public {
        uint64 study = _closed(_terms(), 2);
        _expectFinish(study, new uint32[](2), 0, abi.encodePacked(ITrainingRounds.DigestMissing.selector));
    }

    function test_finish_revertsTheSecondTime() public {
        uint64 study = _finished(_terms(), new uint32[](2));
        _expectFinish(
            study,
            new uint32[](2),
            "evidence",
            abi.encodeWithSelector(
                ITrainingRounds.WrongPhase.selector, study, ITrainingRounds.Phase.Finished
            )
        );
    }

    function test_finish_pastItsTimeIsTakenUntilSomebodyAbandons() public {
        uint64 study = _closed(_terms(), 2);
        vm.warp(rounds.study(study).finishBy + 1);
        vm.prank(coordinator);
        rounds.finish(study, new uint32[](2), "evidence");
    }

    function test_abandon_paysMembersForTheRoundsTheySurvived() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.rounds = 10;
        uint64 study = _running(terms, 4);
        _round(study, 15);
        _round(study, 7);
        _openRound(study);
        uint64 finishBy = rounds.study(study).finishBy;
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.TooEarly.selector, START, finishBy));
        rounds.abandon(study);
        vm.warp(finishBy);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.StudyAbandoned(study, 2);
        vm.prank(stranger);
        rounds.abandon(study);

        vm.assertFalse(rounds.study(study).roundOpen);
        for (uint8 i = 0; i < 4; ++i) {
            uint256 survived = i < 3 ? 2 : 1;
            vm.assertEq(rounds.claim(study, i), BUDGET * survived / 40 + BOND);
        }
        vm.assertEq(rounds.returnBudget(study), BUDGET - BUDGET * 7 / 40);
        vm.assertEq(token.balanceOf(address(rounds)), 0);
    }

    function test_abandon_respectsTheCap() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.memberCapPpm = 100_000;
        terms.rounds = 4;
        uint64 study = _running(terms, 2);
        for (uint256 i = 0; i < 3; ++i) {
            _round(study, 3);
        }
        vm.warp(terms.finishBy);
        rounds.abandon(study);
        vm.assertEq(rounds.rewardOf(study, 0), BUDGET / 10);
        vm.assertEq(rounds.returnable(study), BUDGET * 8 / 10);
    }

    function testFuzz_abandon_paysOutExactlyWhatCameIn(uint128 budget, uint8 planned, uint8[6] calldata survivors) public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.budget = uint128(_bound(budget, 0, type(uint128).max / 2));
        terms.rounds = uint32(_bound(planned, 6, 255));
        uint64 study = _running(terms, 4);
        for (uint256 i = 0; i < 6; ++i) {
            // At least two survivors.
            _round(study, survivors[i] & 15 | 3);
        }
        vm.warp(terms.finishBy);
        rounds.abandon(study);
        for (uint8 i = 0; i < 4; ++i) {
            rounds.claim(study, i);
        }
        if (rounds.returnable(study) != 0) rounds.returnBudget(study);
        vm.assertEq(token.balanceOf(address(rounds)), 0);
    }

    function test_abandon_endsAStudyThatNobodyStartedInTime() public {
        uint64 study = _open(_terms());
        _join(study, 0, _consented(0));
        _join(study, 1, _consented(1));
        vm.warp(rounds.study(study).finishBy + 1);
        vm.expectRevert(
            abi.encodeWithSelector(ITrainingRounds.WrongPhase.selector, study, ITrainingRounds.Phase.Enrolling)
        );
        rounds.abandon(study);
        vm.prank(stranger);
        rounds.start(study);
        rounds.abandon(study);
        vm.assertEq(rounds.claim(study, 0), BOND);
        vm.assertEq(rounds.claim(study, 1), BOND);
        vm.assertEq(rounds.returnBudget(study), BUDGET);
    }

    function test_claim_paysTheMembersAccountWhoeverCalls() public {
        uint32[] memory contributions = new uint32[](2);
        contributions[1] = 10;
        uint64 study = _finished(_terms(), contributions);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.Claimed(study, 1, _clinic(1), BUDGET / 100_000, BOND);
        vm.prank(stranger);
        rounds.claim(study, 1);
        vm.assertEq(token.balanceOf(_clinic(1)), BUDGET / 100_000 + BOND);
        vm.assertTrue(rounds.member(study, 1).claimed);
        vm.assertEq(rounds.rewardOf(study, 1), BUDGET / 100_000);
    }

    function test_claim_revertsTheSecondTime() public {
        uint64 study = _finished(_terms(), new uint32[](2));
        rounds.claim(study, 0);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.AlreadyClaimed.selector, study, 0));
        rounds.claim(study, 0);
    }

    function test_claim_revertsBeforeTheStudyEnded() public {
        uint64 study = _closed(_terms(), 2);
        vm.expectRevert(
            abi.encodeWithSelector(ITrainingRounds.WrongPhase.selector, study, ITrainingRounds.Phase.Running)
        );
        rounds.claim(study, 0);
    }

    function testFuzz_claim_revertsForAnIndexWithoutAMember(uint8 index) public {
        index = uint8(_bound(index, 2, 255));
        uint64 study = _finished(_terms(), new uint32[](2));
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.UnknownMember.selector, study, index));
        rounds.claim(study, index);
    }

    function test_claim_paysTheMemberWhateverBecameOfItsDatasetAndConsent() public {
        uint64 study = _finished(_terms(), new uint32[](2));
        uint64 dataset = rounds.member(study, 0).dataset;
        vm.prank(_clinic(0));
        consents.revoke(dataset, PURPOSES);
        vm.prank(_clinic(0));
        assets.transferFrom(_clinic(0), stranger, dataset);
        rounds.claim(study, 0);
        vm.assertEq(token.balanceOf(_clinic(0)), BOND);
    }

    function test_claim_cannotBeReentered() public {
        CallbackToken callback = new CallbackToken();
        callback.mint(sponsor, 100);
        vm.prank(sponsor);
        callback.approve(address(rounds), 100);
        ITrainingRounds.Terms memory terms = _terms();
        (terms.token, terms.budget, terms.bond, terms.minMembers) = (address(callback), 100, 0, 1);
        vm.prank(sponsor);
        uint64 study = rounds.open(terms);
        uint64 dataset = _consented(0);
        vm.prank(_clinic(0));
        rounds.join(study, dataset);
        vm.prank(coordinator);
        rounds.start(study);
        for (uint256 i = 0; i < 3; ++i) {
            _round(study, 1);
        }
        uint32[] memory contributions = new uint32[](1);
        contributions[0] = 500_000;
        vm.prank(coordinator);
        rounds.finish(study, contributions, "evidence");
        callback.arm(address(rounds), abi.encodeCall(rounds.returnBudget, (study)));
        rounds.claim(study, 0);
        vm.assertTrue(callback.tried());
        vm.assertFalse(callback.succeeded());
        vm.assertEq(callback.balanceOf(address(rounds)), 50);
    }

    function test_returnBudget_paysTheSponsorOnceWhoeverCalls() public {
        uint64 study = _finished(_terms(), new uint32[](2));
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.BudgetReturned(study, sponsor, BUDGET);
        vm.prank(stranger);
        vm.assertEq(rounds.returnBudget(study), BUDGET);
        vm.assertEq(token.balanceOf(sponsor), BUDGET);
        vm.assertEq(rounds.returnable(study), 0);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.NothingToClaim.selector, study));
        rounds.returnBudget(study);
    }

    function test_returnBudget_revertsWhenMembersEarnedEverything() public {
        uint32[] memory contributions = new uint32[](2);
        (contributions[0], contributions[1]) = (500_000, 500_000);
        uint64 study = _finished(_terms(), contributions);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.NothingToClaim.selector, study));
        rounds.returnBudget(study);
    }

    function test_returnBudget_revertsBeforeTheStudyEnded() public {
        uint64 study = _closed(_terms(), 2);
        vm.assertEq(rounds.returnable(study), 0);
        vm.expectRevert(
            abi.encodeWithSelector(ITrainingRounds.WrongPhase.selector, study, ITrainingRounds.Phase.Running)
        );
        rounds.returnBudget(study);
    }

    function test_aStudyWithoutMoneyRunsToItsEnd() public {
        ITrainingRounds.Terms memory terms = _terms();
        (terms.budget, terms.bond) = (0, 0);
        uint64 study = _finished(terms, new uint32[](2));
        vm.assertEq(rounds.claim(study, 0), 0);
        vm.assertTrue(rounds.member(study, 0).claimed);
    }

    /// @dev A study all of whose rounds were closed, with every member surviving.
    function _closed(ITrainingRounds.Terms memory terms, uint256 members) private returns (uint64 study) {
        study = _running(terms, members);
        for (uint256 i = 0; i < terms.rounds; ++i) {
            _round(study, uint64((1 << members) - 1));
        }
    }

    function _expectFinish(uint64 study, uint32[] memory contributions, bytes32 evidence, bytes memory reason)
        private
    {
        vm.expectRevert(reason);
        vm.prank(coordinator);
        rounds.finish(study, contributions, evidence);
    }
}

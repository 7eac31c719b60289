// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IMemberStanding} from "../src/interfaces/IMemberStanding.sol";
import {ITrainingRounds} from "../src/interfaces/ITrainingRounds.sol";
import {StandingStudies} from "./base/StandingStudies.sol";

/// @dev Who may propose, appeal and decide, when, and what holds afterwards.
contract MemberStandingTest is StandingStudies {
    // Configuration

    function test_configure_isForTheCoordinatorOrSponsorWhileMembersEnrol() public {
        uint64 study = _open(_terms());
        IMemberStanding.Setting memory setting = IMemberStanding.Setting(arbiter, WINDOW);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NotConfigurable.selector, study, stranger));
        standing.configure(study, setting);
        _configure(study);
        vm.assertEq(standing.settingOf(study).arbiter, arbiter);
        vm.prank(sponsor);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.AlreadyConfigured.selector, study));
        standing.configure(study, setting);
        uint64 started = _running(_terms(), 2);
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NotConfigurable.selector, started, coordinator));
        standing.configure(started, setting);
        _round(started, 3);
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NotConfigured.selector, started));
        standing.propose(started, 1, 1, "values");
    }

    function test_configure_makesTheSponsorTheArbiterAndNeverTheCoordinator() public {
        uint64 study = _open(_terms());
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.ArbiterIsCoordinator.selector, coordinator));
        standing.configure(study, IMemberStanding.Setting(coordinator, WINDOW));
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.InvalidSetting.selector, "appealSeconds"));
        standing.configure(study, IMemberStanding.Setting(arbiter, 0));
        vm.prank(coordinator);
        standing.configure(study, IMemberStanding.Setting(address(0), WINDOW));
        vm.assertEq(standing.settingOf(study).arbiter, sponsor);
        ITrainingRounds.Terms memory terms = _terms();
        terms.coordinator = sponsor;
        uint64 own = _open(terms);
        vm.prank(sponsor);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.ArbiterIsCoordinator.selector, sponsor));
        standing.configure(own, IMemberStanding.Setting(address(0), WINDOW));
    }

    // Proposals

    function test_propose_isTheCoordinatorsForAClosedRoundOfARunningStudy() public {
        uint64 study = _judged();
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NotCoordinator.selector, study, stranger));
        standing.propose(study, 3, 1, "values");
        vm.startPrank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.WrongRound.selector, 2, 0, 1));
        standing.propose(study, 3, 2, "values");
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.WrongRound.selector, 0, 0, 1));
        standing.propose(study, 3, 0, "values");
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.DigestMissing.selector));
        standing.propose(study, 3, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.UnknownMember.selector, study, 4));
        standing.propose(study, 4, 1, "values");
        vm.stopPrank();
        _propose(study, 3, 1);
        IMemberStanding.Proposal memory proposal = standing.proposalOf(study, 3);
        vm.assertEq(proposal.round, 1);
        vm.assertEq(proposal.proposedAt, block.timestamp);
        _round(study, 15);
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.AlreadyProposed.selector, study, 3));
        standing.propose(study, 3, 2, "values");
    }

    function test_propose_isOverWithTheStudy() public {
        uint64 study = _judged();
        _round(study, 15);
        _round(study, 15);
        vm.prank(coordinator);
        rounds.finish(study, new uint32[](4), "evidence");
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NotRunning.selector, study));
        standing.propose(study, 3, 1, "values");
    }

    // Without an appeal

    function test_exclusion_holdsWithoutAnAppealOnceTheTimeIsOver() public {
        uint64 study = _judged();
        _propose(study, 3, 1);
        uint64 until = uint64(block.timestamp) + WINDOW;
        vm.assertEq(standing.excludedFrom(study, 3), until + 1);
        vm.warp(until);
        vm.assertEq(standing.excluded(study), 0);
        vm.warp(until + 1);
        vm.assertEq(standing.excluded(study), 8);
        vm.prank(_clinic(3));
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.TooLate.selector, until + 1, until));
        standing.appeal(study, 3, "reason");
        _round(study, 7);
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.AlreadyProposed.selector, study, 3));
        standing.propose(study, 3, 2, "values");
    }

    // With an appeal

    function test_appeal_isTheMembersOnce() public {
        uint64 study = _judged();
        vm.prank(_clinic(3));
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NothingToAppeal.selector, study, 3));
        standing.appeal(study, 3, "reason");
        _propose(study, 3, 1);
        vm.prank(_clinic(2));
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NotMember.selector, study, 3, _clinic(2)));
        standing.appeal(study, 3, "reason");
        vm.prank(_clinic(3));
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.DigestMissing.selector));
        standing.appeal(study, 3, 0);
        _appeal(study, 3);
        vm.prank(_clinic(3));
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NothingToAppeal.selector, study, 3));
        standing.appeal(study, 3, "reason");
    }

    function test_decide_isTheArbitersOnceAndInTime() public {
        uint64 study = _judged();
        _propose(study, 3, 1);
        vm.prank(arbiter);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NothingToDecide.selector, study, 3));
        standing.decide(study, 3, true);
        _appeal(study, 3);
        uint64 until = uint64(block.timestamp) + WINDOW;
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NotArbiter.selector, study, coordinator));
        standing.decide(study, 3, false);
        _propose(study, 2, 1);
        _appeal(study, 2);
        vm.warp(until);
        _decide(study, 3, false);
        vm.prank(arbiter);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.NothingToDecide.selector, study, 3));
        standing.decide(study, 3, true);
        vm.warp(until + 1);
        vm.prank(arbiter);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.TooLate.selector, until + 1, until));
        standing.decide(study, 2, false);
    }

    function test_decide_excludesAtOnceWhereTheAppealIsRejected() public {
        uint64 study = _judged();
        _propose(study, 1, 1);
        _appeal(study, 1);
        vm.warp(block.timestamp + WINDOW);
        vm.assertEq(standing.excluded(study), 0);
        _decide(study, 1, false);
        vm.assertEq(standing.excluded(study), 2);
        vm.assertEq(standing.excludedFrom(study, 1), block.timestamp);
    }

    function test_silence_ofTheArbiterKeepsTheMember() public {
        uint64 study = _judged();
        _propose(study, 1, 1);
        _appeal(study, 1);
        vm.warp(block.timestamp + WINDOW + 1);
        vm.assertEq(standing.excluded(study), 0);
        vm.assertEq(standing.excludedFrom(study, 1), 0);
        vm.prank(coordinator);
        vm.expectRevert(abi.encodeWithSelector(IMemberStanding.WrongRound.selector, 1, 1, 1));
        standing.propose(study, 1, 1, "values");
        _round(study, 15);
        _propose(study, 1, 2);
        vm.assertEq(standing.excludedFrom(study, 1), block.timestamp + WINDOW + 1);
    }

    function test_anUpheldAppealKeepsTheMemberUntilALaterProposal() public {
        uint64 study = _judged();
        _propose(study, 1, 1);
        _appeal(study, 1);
        _decide(study, 1, true);
        vm.warp(block.timestamp + 10 * uint256(WINDOW));
        vm.assertEq(standing.excluded(study), 0);
        _round(study, 15);
        _propose(study, 1, 2);
        vm.assertEq(standing.proposalOf(study, 1).appealedAt, 0);
    }

    /// Excluded or not, a member gets its bond back.
    function test_exclusion_leavesTheBond() public {
        uint64 study = _judged();
        _propose(study, 3, 1);
        vm.warp(block.timestamp + WINDOW + 1);
        _round(study, 7);
        _round(study, 7);
        vm.prank(coordinator);
        rounds.finish(study, new uint32[](4), "evidence");
        vm.assertEq(rounds.claim(study, 3), BOND);
    }

    /// Whenever the member appeals and the arbiter speaks, it is excluded if and only if the time for the appeal ran out, or the
    /// appeal was rejected in time.
    function testFuzz_exclusion_holdsOnlyWithoutAnAppealOrWhenItIsRejected(
        uint32 appealAfter,
        uint32 decideAfter,
        bool appeals,
        bool decides,
        bool uphold
    ) public {
        uint64 study = _judged();
        _propose(study, 0, 1);
        uint256 proposedAt = block.timestamp;
        appealAfter = uint32(_bound(appealAfter, 0, 2 * uint256(WINDOW)));
        decideAfter = uint32(_bound(decideAfter, 0, 2 * uint256(WINDOW)));
        bool appealed = appeals && appealAfter <= WINDOW;
        bool decided = appealed && decides && decideAfter <= WINDOW;
        vm.warp(proposedAt + appealAfter);
        if (appeals) {
            vm.prank(_clinic(0));
            try standing.appeal(study, 0, "reason") {
                vm.assertTrue(appealed);
            } catch {
                vm.assertFalse(appealed);
            }
        }
        vm.warp(proposedAt + appealAfter + decideAfter);
        if (decides) {
            vm.prank(arbiter);
            try standing.decide(study, 0, uphold) {
                vm.assertTrue(decided);
            } catch {
                vm.assertFalse(decided);
            }
        }
        vm.warp(proposedAt + 5 * uint256(WINDOW));
        vm.assertTrue((standing.excluded(study) == 1) == (!appealed || (decided && !uphold)));
        vm.assertTrue((standing.excludedFrom(study, 0) != 0) == (standing.excluded(study) == 1));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ITrainingRounds} from "../../src/interfaces/ITrainingRounds.sol";
import {System} from "../base/System.sol";
import {RoundsHandler} from "./RoundsHandler.sol";

contract TrainingRoundsInvariantTest is System {
    uint256 private constant CLINICS = 5;

    RoundsHandler private handler;

    function setUp() public override {
        super.setUp();
        address[] memory people = new address[](CLINICS + 1);
        uint64[] memory datasets = new uint64[](CLINICS + 2);
        for (uint256 i = 0; i < CLINICS; ++i) {
            people[i] = _clinic(i);
            _fund(people[i], address(rounds), 1e30);
        }
        people[CLINICS] = sponsor;
        _fund(sponsor, address(rounds), 1e30);
        for (uint256 i = 0; i < datasets.length; ++i) {
            datasets[i] = _dataset(i % CLINICS);
        }
        handler = new RoundsHandler(rounds, assets, consents, address(token), coordinator, people, datasets);
        _target(address(handler));
        // Something to begin with.
        for (uint256 i = 0; i < datasets.length; ++i) {
            handler.grant(i, 0, 2);
        }
        for (uint8 i = 0; i < 3; ++i) {
            handler.open(i, 1e24 - 7, 1e20 - 3, 31, i, 300_000);
        }
        handler.joinAll(0);
        handler.joinAll(1);
        handler.start(0, 0);
    }

    /// Without this, a handler whose every call reverts would prove anything.
    function test_handler_playsAStudyToItsEnd() public {
        uint64 id = 1;
        while (rounds.study(id).closedRounds < rounds.study(id).rounds) {
            handler.playRound(0);
        }
        handler.finish(0, [uint32(9), 8, 7, 6, 5, 4, 3, 2]);
        handler.publishModel(0);
        handler.claim(0, 1);
        handler.returnBudget(0);
        vm.assertTrue(rounds.member(id, 1).claimed);
        vm.assertEq(rounds.member(id, 1).survived, rounds.study(id).rounds);
        vm.assertEq(rounds.returnable(id), 0);
        vm.assertEq(handler.violations(), 0);
        handler.revoke(0, PURPOSES);
        vm.assertFalse(consents.isAllowed(1, PURPOSE));
        handler.grant(0, 0, 2);
        handler.transfer(0, 1);
        vm.assertFalse(consents.isAllowed(1, PURPOSE));
    }

    /// The contract holds exactly what it owes: budgets and bonds of studies under way, and what was not pulled of
    /// those that ended.
    function invariant_holdsExactlyWhatItOwes() public view {
        uint256 owed = 0;
        for (uint64 id = 1; id <= rounds.studyCount(); ++id) {
            owed += _owed(id);
        }
        vm.assertEq(token.balanceOf(address(rounds)), owed);
    }

    /// Nobody joins or commits but under a steward's word that stands.
    function invariant_noRunWithoutConsent() public view {
        vm.assertEq(handler.violations(), 0);
    }

    /// What was told of members is never taken back.
    function invariant_privacyIsNeverRefunded() public view {
        vm.assertEq(handler.refunds(), 0);
    }

    /// A study's counters stay in their order.
    function invariant_countersStayInOrder() public view {
        for (uint64 id = 1; id <= rounds.studyCount(); ++id) {
            ITrainingRounds.Study memory study = rounds.study(id);
            vm.assertLe(study.closedRounds, study.rounds);
            if (study.epsilonBudget != 0) vm.assertLe(study.spentEpsilon, study.epsilonBudget);
            vm.assertLe(study.memberCount, study.maxMembers);
            vm.assertEq(study.committed >> study.memberCount, 0);
            if (study.roundOpen) vm.assertEq(study.round, study.closedRounds + 1);
            for (uint8 i = 0; i < study.memberCount; ++i) {
                vm.assertLe(rounds.member(id, i).survived, study.closedRounds);
            }
        }
    }

    /// Whatever happened, once the times are over a stranger ends every study and everyone is paid in full.
    function afterInvariant() public {
        vm.warp(block.timestamp + 1 days);
        vm.startPrank(stranger);
        for (uint64 id = 1; id <= rounds.studyCount(); ++id) {
            ITrainingRounds.Study memory study = rounds.study(id);
            if (study.phase == ITrainingRounds.Phase.Enrolling) {
                if (study.memberCount < study.minMembers) rounds.cancel(id);
                else rounds.start(id);
            }
            if (rounds.study(id).phase == ITrainingRounds.Phase.Running) rounds.abandon(id);
            for (uint8 i = 0; i < study.memberCount; ++i) {
                ITrainingRounds.Member memory member = rounds.member(id, i);
                if (member.claimed) continue;
                uint256 before = token.balanceOf(member.account);
                rounds.claim(id, i);
                vm.assertEq(token.balanceOf(member.account) - before, rounds.rewardOf(id, i) + study.bond);
            }
            if (rounds.returnable(id) != 0) rounds.returnBudget(id);
        }
        vm.stopPrank();
        vm.assertEq(token.balanceOf(address(rounds)), 0, "something is left behind");
    }

    function _owed(uint64 id) private view returns (uint256 owed) {
        ITrainingRounds.Study memory study = rounds.study(id);
        bool ended = study.phase > ITrainingRounds.Phase.Running;
        owed = ended ? rounds.returnable(id) : study.budget;
        for (uint8 i = 0; i < study.memberCount; ++i) {
            if (!rounds.member(id, i).claimed) owed += uint256(study.bond) + rounds.rewardOf(id, i);
        }
    }
}

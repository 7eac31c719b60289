// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IAssetRegistry} from "../src/interfaces/IAssetRegistry.sol";
import {IConsentRegistry} from "../src/interfaces/IConsentRegistry.sol";
import {ITrainingRounds} from "../src/interfaces/ITrainingRounds.sol";
import {CallbackToken, FeeToken} from "./base/OddTokens.sol";
import {System} from "./base/System.sol";

/// @dev From opening a study to starting or cancelling it.
contract TrainingRoundsEnrolmentTest is System {
    function test_open_takesTheBudgetAndKeepsTheTerms() public {
        ITrainingRounds.Terms memory terms = _terms();
        _fund(sponsor, address(rounds), BUDGET);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.StudyOpened(1, sponsor, "terms", BUDGET, address(token));
        vm.prank(sponsor);
        uint64 id = rounds.open(terms);

        vm.assertEq(rounds.studyCount(), 1);
        vm.assertEq(token.balanceOf(address(rounds)), BUDGET);
        ITrainingRounds.Study memory study = rounds.study(id);
        vm.assertEq(uint8(study.phase), uint8(ITrainingRounds.Phase.Enrolling));
        vm.assertEq(study.sponsor, sponsor);
        vm.assertEq(study.coordinator, coordinator);
        vm.assertEq(study.token, address(token));
        vm.assertEq(study.budget, BUDGET);
        vm.assertEq(study.bond, BOND);
        vm.assertEq(study.purpose, PURPOSE);
        vm.assertEq(study.memberCount, 0);
        vm.assertEq(study.minMembers, terms.minMembers);
        vm.assertEq(study.maxMembers, terms.maxMembers);
        vm.assertEq(study.rounds, terms.rounds);
        vm.assertEq(study.round, 0);
        vm.assertEq(study.roundSeconds, terms.roundSeconds);
        vm.assertEq(study.closeSeconds, terms.closeSeconds);
        vm.assertEq(study.enrolUntil, terms.enrolUntil);
        vm.assertEq(study.finishBy, terms.finishBy);
        vm.assertEq(study.memberCapPpm, terms.memberCapPpm);
        vm.assertEq(study.lineageSharePpm, terms.lineageSharePpm);
        vm.assertEq(study.termsDigest, "terms");
        vm.assertEq(study.result, 0);
        vm.assertFalse(study.inviteOnly);
    }

    function test_open_revertsOutsideTheBoundsOfEachTerm() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.token = stranger;
        _expectInvalid(terms, "token");
        terms = _terms();
        terms.coordinator = address(0);
        _expectInvalid(terms, "coordinator");
        terms = _terms();
        (terms.budget, terms.bond) = (type(uint128).max, 1);
        _expectInvalid(terms, "bond");
        terms = _terms();
        terms.purpose = 160;
        _expectInvalid(terms, "purpose");
        terms = _terms();
        terms.termsDigest = 0;
        _expectInvalid(terms, "termsDigest");
        terms = _terms();
        terms.maxMembers = 65;
        _expectInvalid(terms, "maxMembers");
        terms = _terms();
        (terms.minMembers, terms.maxMembers) = (0, 0);
        _expectInvalid(terms, "minMembers");
        terms = _terms();
        terms.minMembers = terms.maxMembers + 1;
        _expectInvalid(terms, "minMembers");
        terms = _terms();
        terms.rounds = 0;
        _expectInvalid(terms, "rounds");
        terms.rounds = 65_536;
        _expectInvalid(terms, "rounds");
        terms = _terms();
        terms.roundSeconds = 0;
        _expectInvalid(terms, "roundSeconds");
        terms = _terms();
        terms.closeSeconds = 0;
        _expectInvalid(terms, "closeSeconds");
        terms = _terms();
        terms.enrolUntil = uint64(block.timestamp);
        _expectInvalid(terms, "enrolUntil");
        terms = _terms();
        terms.finishBy = terms.enrolUntil;
        _expectInvalid(terms, "finishBy");
        terms.finishBy = uint64(block.timestamp + 3650 days + 1);
        _expectInvalid(terms, "finishBy");
        terms = _terms();
        terms.memberCapPpm = 0;
        _expectInvalid(terms, "memberCapPpm");
        terms.memberCapPpm = 1_000_001;
        _expectInvalid(terms, "memberCapPpm");
        terms = _terms();
        terms.lineageSharePpm = 1_000_001;
        _expectInvalid(terms, "lineageSharePpm");
        terms = _terms();
        terms.invited = new address[](65);
        _expectInvalid(terms, "invited");
        terms = _terms();
        terms.baseModel = _dataset(0);
        _expectInvalid(terms, "baseModel");
        terms.baseModel = _register(sponsor, IAssetRegistry.Kind.Model, "base");
        terms.maxMembers = 57;
        _expectInvalid(terms, "maxMembers");
    }

    function test_open_revertsWithAnUnknownBaseModel() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.baseModel = 7;
        vm.expectRevert(abi.encodeWithSelector(IAssetRegistry.UnknownAsset.selector, 7));
        vm.prank(sponsor);
        rounds.open(terms);
    }

    function test_open_refusesATokenThatKeepsAFee() public {
        FeeToken fee = new FeeToken();
        fee.mint(sponsor, 1000);
        vm.prank(sponsor);
        fee.approve(address(rounds), 1000);
        ITrainingRounds.Terms memory terms = _terms();
        (terms.token, terms.budget) = (address(fee), 1000);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.UnexpectedTransferAmount.selector, 1000, 990));
        vm.prank(sponsor);
        rounds.open(terms);
    }

    function test_open_cannotBeReentered() public {
        CallbackToken callback = new CallbackToken();
        callback.mint(sponsor, 1000);
        vm.prank(sponsor);
        callback.approve(address(rounds), 1000);
        ITrainingRounds.Terms memory terms = _terms();
        (terms.token, terms.budget) = (address(callback), 1000);
        callback.arm(address(rounds), abi.encodeCall(rounds.open, (terms)));
        vm.prank(sponsor);
        rounds.open(terms);
        vm.assertTrue(callback.tried());
        vm.assertFalse(callback.succeeded());
    }

    function test_join_takesTheBondOfAConsentedDataset() public {
        uint64 study = _open(_terms());
        uint64 dataset = _consented(0);
        _fund(_clinic(0), address(rounds), BOND);
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.MemberJoined(study, 0, _clinic(0), dataset, 1);
        vm.prank(_clinic(0));
        vm.assertEq(rounds.join(study, dataset), 0);

        ITrainingRounds.Member memory member = rounds.member(study, 0);
        vm.assertEq(member.account, _clinic(0));
        vm.assertEq(member.dataset, dataset);
        vm.assertEq(member.consentEpoch, 1);
        vm.assertEq(member.survived, 0);
        vm.assertFalse(member.claimed);
        vm.assertEq(rounds.study(study).memberCount, 1);
        vm.assertEq(token.balanceOf(address(rounds)), BUDGET + BOND);
        vm.assertEq(_join(study, 1, _consented(1)), 1);
    }

    function test_join_revertsWithoutConsentForThePurpose() public {
        uint64 study = _open(_terms());
        uint64 dataset = _dataset(0);
        _expectJoin(
            study, 0, dataset, abi.encodeWithSelector(IConsentRegistry.ConsentMissing.selector, dataset, PURPOSE, 0)
        );
        vm.prank(_clinic(0));
        consents.grant(dataset, ~PURPOSES, 0);
        _expectJoin(
            study, 0, dataset, abi.encodeWithSelector(IConsentRegistry.ConsentMissing.selector, dataset, PURPOSE, 1)
        );
    }

    function test_join_revertsAfterConsentWasRevoked() public {
        uint64 study = _open(_terms());
        uint64 dataset = _consented(0);
        vm.prank(_clinic(0));
        consents.revoke(dataset, PURPOSES);
        _expectJoin(
            study, 0, dataset, abi.encodeWithSelector(IConsentRegistry.ConsentMissing.selector, dataset, PURPOSE, 2)
        );
    }

    function test_join_revertsForABuyerUnderTheFormerOwnersConsent() public {
        uint64 study = _open(_terms());
        uint64 dataset = _consented(0);
        vm.prank(_clinic(0));
        assets.transferFrom(_clinic(0), _clinic(1), dataset);
        _expectJoin(
            study, 1, dataset, abi.encodeWithSelector(IConsentRegistry.ConsentMissing.selector, dataset, PURPOSE, 1)
        );
    }

    function test_join_revertsForWhoDoesNotOwnTheDataset() public {
        uint64 study = _open(_terms());
        uint64 dataset = _consented(0);
        _expectJoin(
            study,
            1,
            dataset,
            abi.encodeWithSelector(ITrainingRounds.NotDatasetOwner.selector, dataset, _clinic(1))
        );
        _expectJoin(study, 1, 99, abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 99));
    }

    function test_join_revertsForADatasetThatJoined() public {
        uint64 study = _open(_terms());
        uint64 dataset = _consented(0);
        _join(study, 0, dataset);
        _expectJoin(
            study, 0, dataset, abi.encodeWithSelector(ITrainingRounds.DatasetAlreadyMember.selector, study, dataset)
        );
    }

    function test_join_revertsWhenTheStudyIsFull() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.maxMembers = 2;
        uint64 study = _open(terms);
        _join(study, 0, _consented(0));
        _join(study, 1, _consented(1));
        _expectJoin(study, 2, _consented(2), abi.encodeWithSelector(ITrainingRounds.StudyFull.selector, study, 2));
    }

    function test_join_letsInvitedAddressesInAndNobodyElse() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.invited = new address[](1);
        terms.invited[0] = _clinic(0);
        uint64 study = _open(terms);
        vm.assertTrue(rounds.isInvited(study, _clinic(0)));
        vm.assertFalse(rounds.isInvited(study, _clinic(1)));
        vm.assertTrue(rounds.study(study).inviteOnly);
        _join(study, 0, _consented(0));
        _expectJoin(
            study,
            1,
            _consented(1),
            abi.encodeWithSelector(ITrainingRounds.NotInvited.selector, study, _clinic(1))
        );
    }

    function test_join_revertsOnceEnrolmentIsOver() public {
        uint64 study = _open(_terms());
        uint64 enrolUntil = rounds.study(study).enrolUntil;
        vm.warp(enrolUntil);
        _expectJoin(
            study,
            0,
            _consented(0),
            abi.encodeWithSelector(ITrainingRounds.TooLate.selector, enrolUntil, enrolUntil)
        );
    }

    function test_join_revertsOnceStarted() public {
        uint64 study = _running(_terms(), 2);
        _expectJoin(
            study,
            2,
            _consented(2),
            abi.encodeWithSelector(
                ITrainingRounds.WrongPhase.selector, study, ITrainingRounds.Phase.Running
            )
        );
    }

    function test_start_byTheCoordinatorNeedsEnoughMembers() public {
        uint64 study = _open(_terms());
        _join(study, 0, _consented(0));
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.TooFewMembers.selector, 1, 2));
        vm.prank(coordinator);
        rounds.start(study);
        _join(study, 1, _consented(1));
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.StudyStarted(study, 2);
        vm.prank(coordinator);
        rounds.start(study);
        vm.assertEq(uint8(rounds.study(study).phase), uint8(ITrainingRounds.Phase.Running));
    }

    function test_start_isForAnybodyOnceEnrolmentIsOver() public {
        uint64 study = _open(_terms());
        _join(study, 0, _consented(0));
        _join(study, 1, _consented(1));
        uint64 enrolUntil = rounds.study(study).enrolUntil;
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.TooEarly.selector, START, enrolUntil));
        vm.prank(stranger);
        rounds.start(study);
        vm.warp(enrolUntil);
        vm.prank(stranger);
        rounds.start(study);
    }

    function test_cancel_byTheSponsorGivesEverythingBack() public {
        uint64 study = _open(_terms());
        _join(study, 0, _consented(0));
        _join(study, 1, _consented(1));
        vm.expectEmit(address(rounds));
        emit ITrainingRounds.StudyCancelled(study);
        vm.prank(sponsor);
        rounds.cancel(study);
        rounds.claim(study, 0);
        rounds.claim(study, 1);
        rounds.returnBudget(study);
        vm.assertEq(token.balanceOf(_clinic(0)), BOND);
        vm.assertEq(token.balanceOf(_clinic(1)), BOND);
        vm.assertEq(token.balanceOf(sponsor), BUDGET);
        vm.assertEq(token.balanceOf(address(rounds)), 0);
    }

    function test_cancel_isForAnybodyOnceEnrolmentFailed() public {
        uint64 study = _open(_terms());
        _join(study, 0, _consented(0));
        uint64 enrolUntil = rounds.study(study).enrolUntil;
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.TooEarly.selector, START, enrolUntil));
        vm.prank(stranger);
        rounds.cancel(study);
        vm.warp(enrolUntil);
        vm.prank(stranger);
        rounds.cancel(study);
    }

    function test_cancel_byOthersRevertsWhenEnoughMembersJoined() public {
        uint64 study = _open(_terms());
        _join(study, 0, _consented(0));
        _join(study, 1, _consented(1));
        vm.warp(rounds.study(study).enrolUntil);
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.EnoughMembers.selector, 2, 2));
        vm.prank(stranger);
        rounds.cancel(study);
    }

    function test_cancel_revertsOnceStarted() public {
        uint64 study = _running(_terms(), 2);
        vm.expectRevert(
            abi.encodeWithSelector(ITrainingRounds.WrongPhase.selector, study, ITrainingRounds.Phase.Running)
        );
        vm.prank(sponsor);
        rounds.cancel(study);
    }

    function testFuzz_everyEntry_revertsForAnUnknownStudy(uint64 study) public {
        vm.assume(study != _open(_terms()));
        bytes memory unknown = abi.encodeWithSelector(ITrainingRounds.UnknownStudy.selector, study);
        bytes[] memory calls = new bytes[](16);
        calls[0] = abi.encodeCall(rounds.join, (study, 1));
        calls[1] = abi.encodeCall(rounds.start, (study));
        calls[2] = abi.encodeCall(rounds.openRound, (study, "base"));
        calls[3] = abi.encodeCall(rounds.commitUpdate, (study, 1, 0, "update"));
        calls[4] = abi.encodeCall(rounds.closeRound, (study, 1, 0, "result", 0));
        calls[5] = abi.encodeCall(rounds.expireRound, (study));
        calls[6] = abi.encodeCall(rounds.finish, (study, new uint32[](0), "evidence"));
        calls[7] = abi.encodeCall(rounds.cancel, (study));
        calls[8] = abi.encodeCall(rounds.abandon, (study));
        calls[9] = abi.encodeCall(rounds.claim, (study, 0));
        calls[10] = abi.encodeCall(rounds.returnBudget, (study));
        calls[11] = abi.encodeCall(rounds.publishCollection, (study, 0, "manifest", ""));
        calls[12] = abi.encodeCall(rounds.publishModel, (study, "content", "manifest", 0, 0, ""));
        calls[13] = abi.encodeCall(rounds.study, (study));
        calls[14] = abi.encodeCall(rounds.member, (study, 0));
        calls[15] = abi.encodeCall(rounds.returnable, (study));
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool success, bytes memory reason) = address(rounds).call(calls[i]);
            vm.assertFalse(success);
            vm.assertEq(keccak256(reason), keccak256(unknown));
        }
    }

    function _expectInvalid(ITrainingRounds.Terms memory terms, string memory field) private {
        vm.expectRevert(abi.encodeWithSelector(ITrainingRounds.InvalidTerms.selector, field));
        vm.prank(sponsor);
        rounds.open(terms);
    }

    function _expectJoin(uint64 study, uint256 clinic, uint64 dataset, bytes memory reason) private {
        _fund(_clinic(clinic), address(rounds), BOND);
        vm.expectRevert(reason);
        vm.prank(_clinic(clinic));
        rounds.join(study, dataset);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceDispute} from "../src/interfaces/IInferenceDispute.sol";
import {Disputes} from "./base/Disputes.sol";

/// @dev Claims about hidden weights: proven, or lost.
contract InferenceDisputeSealedTest is Disputes {
    bytes private constant OUTPUT = "output";

    IInferenceDispute.Claim private claim;
    bytes32 private id;

    function _make(IInferenceDispute.Lane lane, uint32 auditPpm) private {
        IInferenceDispute.Terms memory terms = _terms();
        terms.auditPpm = auditPpm;
        (claim, id) = _sealed(lane, terms, OUTPUT);
    }

    function _prove() private {
        bytes memory proof = _proof(claim, OUTPUT);
        bytes memory input = claim.lane == IInferenceDispute.Lane.Private ? bytes("") : _input();
        vm.prank(stranger);
        dispute.prove(claim, input, OUTPUT, proof);
    }

    function _challengeIt() private {
        vm.prank(challenger);
        dispute.challengeSealed{value: CHALLENGE_BOND}(claim);
    }

    function test_prove_acceptsAtOnceWithoutAChallenge() public {
        _make(IInferenceDispute.Lane.Sealed, 0);
        _prove();
        _assertStatus(id, IInferenceDispute.Status.Accepted);
        _assertCredit(claimant, CLAIM_BOND);
        vm.expectPartialRevert(IInferenceDispute.NotPending.selector);
        dispute.finalise(claim);
    }

    function test_prove_winsTheChallenge() public {
        _make(IInferenceDispute.Lane.Private, 0);
        _challengeIt();
        vm.warp(START + RESPONSE);
        _prove();
        _assertStatus(id, IInferenceDispute.Status.Accepted);
        _assertPhase(id, 0, IInferenceDispute.Phase.ClaimantWon);
        _assertCredit(claimant, CLAIM_BOND + CHALLENGE_BOND - _burntOf(CHALLENGE_BOND));
    }

    function test_prove_isTooLateAfterTheDeadline() public {
        _make(IInferenceDispute.Lane.Sealed, 0);
        _challengeIt();
        vm.warp(START + RESPONSE + 1);
        bytes memory proof = _proof(claim, OUTPUT);
        bytes memory input = _input();
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceDispute.TooLate.selector, START + RESPONSE + 1, START + RESPONSE)
        );
        dispute.prove(claim, input, OUTPUT, proof);
        dispute.settle(claim, 0);
        _assertChallengerWon(id, challenger);
    }

    function test_prove_refusesAnotherInputOutputContextAndProof() public {
        _make(IInferenceDispute.Lane.Sealed, 0);
        bytes memory proof = _proof(claim, OUTPUT);
        bytes memory input = _input();
        vm.expectPartialRevert(IInferenceDispute.HashMismatch.selector);
        dispute.prove(claim, input, "another", proof);
        input[0] ^= 0x01;
        vm.expectPartialRevert(IInferenceDispute.HashMismatch.selector);
        dispute.prove(claim, input, OUTPUT, proof);
        input[0] ^= 0x01;
        proof[31] ^= 0x01;
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.ProofRefused.selector, id));
        dispute.prove(claim, input, OUTPUT, proof);
        claim.context = "job 8";
        proof = _proof(claim, OUTPUT);
        claim.context = CONTEXT;
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.ProofRefused.selector, id));
        dispute.prove(claim, input, OUTPUT, proof);
    }

    function test_challengeSealed_happensOnce() public {
        _make(IInferenceDispute.Lane.Sealed, 0);
        _challengeIt();
        vm.prank(other);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.AlreadyChallenged.selector, id));
        dispute.challengeSealed{value: CHALLENGE_BOND}(claim);
    }

    function test_draw_auditsAllWhereAllAreAudited() public {
        _make(IInferenceDispute.Lane.Sealed, 1_000_000);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.TooEarly.selector, 1000, 1003));
        dispute.draw(claim);
        vm.roll(1003);
        dispute.draw(claim);
        _assertPhase(id, 0, IInferenceDispute.Phase.Prove);
        vm.warp(START + WINDOW + 1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.StillChallenged.selector, id, 1));
        dispute.finalise(claim);
        dispute.settle(claim, 0);
        _assertStatus(id, IInferenceDispute.Status.Rejected);
        // Nobody to reward: all of it is burnt.
        vm.assertEq(dispute.burnt(), CLAIM_BOND);
        _assertCredit(claimant, 0);
    }

    function test_draw_isAnsweredByAProof() public {
        _make(IInferenceDispute.Lane.Sealed, 1_000_000);
        vm.roll(1003);
        dispute.draw(claim);
        _prove();
        _assertStatus(id, IInferenceDispute.Status.Accepted);
        _assertCredit(claimant, CLAIM_BOND);
        vm.assertEq(dispute.burnt(), 0);
    }

    function testFuzz_draw_auditsByTheHashOfALaterBlock(bytes32 hash, uint32 auditPpm) public {
        vm.assume(hash != 0);
        _make(IInferenceDispute.Lane.Sealed, uint32(_bound(auditPpm, 1, 999_999)));
        vm.roll(1010);
        vm.setBlockhash(1002, hash);
        vm.warp(START + WINDOW + 1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.AuditDue.selector, id));
        dispute.finalise(claim);
        dispute.draw(claim);
        bool audited = uint256(keccak256(abi.encode(hash, id))) % 1_000_000 < claim.terms.auditPpm;
        (, uint32 open) = dispute.challengesOf(id);
        vm.assertEq(open, audited ? 1 : 0);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.NoAuditDue.selector, id));
        dispute.draw(claim);
        if (audited) return;
        dispute.finalise(claim);
        _assertStatus(id, IInferenceDispute.Status.Accepted);
    }

    /// @dev Or a claimant could wait until a hash is forgotten, and draw again.
    function test_draw_auditsWhereTheHashIsForgotten() public {
        _make(IInferenceDispute.Lane.Sealed, 1);
        vm.roll(1002 + 257);
        dispute.draw(claim);
        _assertPhase(id, 0, IInferenceDispute.Phase.Prove);
    }

    function test_claimSealed_needsARegisteredModelAndAnotherLane() public {
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.UnknownModel.selector, bytes32("none")));
        dispute.claimSealed{value: CLAIM_BOND}(IInferenceDispute.Lane.Sealed, "none", CONTEXT, _terms(), "", OUTPUT);
        vm.expectRevert(abi.encodeWithSelector(IInferenceDispute.WrongLane.selector, 0));
        dispute.claimSealed{value: CLAIM_BOND}(IInferenceDispute.Lane.Open, "none", CONTEXT, _terms(), "", OUTPUT);
    }
}

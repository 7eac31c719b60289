// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {OptimisticEvaluator} from "../src/OptimisticEvaluator.sol";
import {ProofEvaluator} from "../src/ProofEvaluator.sol";
import {IInferenceDispute} from "../src/interfaces/IInferenceDispute.sol";
import {IOptimisticEvaluator} from "../src/interfaces/IOptimisticEvaluator.sol";
import {IProofEvaluator} from "../src/interfaces/IProofEvaluator.sol";
import {Disputes} from "./base/Disputes.sol";
import {Jobs} from "./base/Jobs.sol";
import {Trees} from "./base/Trees.sol";

contract EvaluatorsTest is Disputes {
    bytes private constant OUTPUT = "output";

    ProofEvaluator private proofs;
    OptimisticEvaluator private claims;
    Jobs private jobs;

    function setUp() public override {
        super.setUp();
        proofs = ProofEvaluator(_deploy("ProofEvaluator", abi.encode(verifier)));
        claims = OptimisticEvaluator(_deploy("OptimisticEvaluator", abi.encode(dispute)));
        jobs = new Jobs();
    }

    // By proof

    function _provable(bool hidden) private returns (uint256 job, bytes32 model) {
        job = jobs.add(stranger, claimant, address(proofs));
        model = _sealedModel();
        IProofEvaluator.Task memory task =
            IProofEvaluator.Task(model, hidden ? bytes32("commitment") : Trees.root(_input()), hidden);
        vm.prank(stranger);
        proofs.setTask(address(jobs), job, task);
        jobs.submit(job, keccak256(OUTPUT));
    }

    function _assertEnd(uint256 job, Jobs.End expected) private view {
        vm.assertEq(uint256(jobs.endOf(job)), uint256(expected), "end");
    }

    function test_proof_completesTheJob() public {
        (uint256 job, bytes32 model) = _provable(false);
        bytes32 context = proofs.contextOf(address(jobs), job);
        bytes memory proof = verifier.prove(model, context, keccak256(_input()), OUTPUT);
        bytes memory input = _input();
        vm.prank(other);
        proofs.evaluate(address(jobs), job, input, OUTPUT, proof);
        _assertEnd(job, Jobs.End.Completed);
        vm.expectRevert(Jobs.AlreadyOver.selector);
        proofs.evaluate(address(jobs), job, input, OUTPUT, proof);
    }

    function test_proof_completesAJobWithAHiddenInput() public {
        (uint256 job, bytes32 model) = _provable(true);
        bytes32 context = proofs.contextOf(address(jobs), job);
        proofs.evaluate(address(jobs), job, "", OUTPUT, verifier.prove(model, context, "commitment", OUTPUT));
        _assertEnd(job, Jobs.End.Completed);
    }

    function test_proof_ofAnotherJobIsRefused() public {
        (uint256 job, bytes32 model) = _provable(false);
        (uint256 second,) = _provable(false);
        bytes32 context = proofs.contextOf(address(jobs), job);
        bytes memory proof = verifier.prove(model, context, keccak256(_input()), OUTPUT);
        bytes memory input = _input();
        vm.expectRevert(abi.encodeWithSelector(IProofEvaluator.ProofRefused.selector, second));
        proofs.evaluate(address(jobs), second, input, OUTPUT, proof);
        _assertEnd(second, Jobs.End.None);
    }

    function test_proof_isForTheTasksInputAndTheProvidersOutput() public {
        (uint256 job,) = _provable(false);
        bytes memory input = _input();
        vm.expectRevert(
            abi.encodeWithSelector(IProofEvaluator.WrongOutput.selector, keccak256(OUTPUT), keccak256("another"))
        );
        proofs.evaluate(address(jobs), job, input, "another", "");
        input[0] ^= 0x01;
        vm.expectPartialRevert(IProofEvaluator.WrongInput.selector);
        proofs.evaluate(address(jobs), job, input, OUTPUT, "");
        vm.expectRevert(abi.encodeWithSelector(IProofEvaluator.NoTask.selector, job + 1));
        proofs.evaluate(address(jobs), job + 1, input, OUTPUT, "");
    }

    function test_setTask_isTheClientsOnce() public {
        (uint256 job, bytes32 model) = _provable(false);
        IProofEvaluator.Task memory task = IProofEvaluator.Task(model, "input", false);
        vm.prank(claimant);
        vm.expectRevert(abi.encodeWithSelector(IProofEvaluator.NotClient.selector, stranger, claimant));
        proofs.setTask(address(jobs), job, task);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IProofEvaluator.TaskAlreadySet.selector, job));
        proofs.setTask(address(jobs), job, task);
        uint256 second = jobs.add(stranger, claimant, address(proofs));
        task.model = "none";
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IProofEvaluator.UnknownModel.selector, bytes32("none")));
        proofs.setTask(address(jobs), second, task);
    }

    // By claim

    /// @dev A job, its task, and its provider's claim.
    function _claimed() private returns (uint256 job, IInferenceDispute.Claim memory claim) {
        job = jobs.add(stranger, claimant, address(claims));
        bytes32 model = _sealedModel();
        IInferenceDispute.Terms memory terms = _terms();
        vm.prank(stranger);
        claims.setTask(
            address(jobs),
            job,
            IOptimisticEvaluator.Task(
                model, Trees.root(_input()), IInferenceDispute.Lane.Sealed, keccak256(abi.encode(terms))
            )
        );
        jobs.submit(job, keccak256(OUTPUT));
        claim = _claimFor(claims.contextOf(address(jobs), job), claimant, terms);
    }

    function _claimFor(bytes32 context, address by, IInferenceDispute.Terms memory terms)
        private
        returns (IInferenceDispute.Claim memory claim)
    {
        claim.model = _sealedModel();
        claim.context = context;
        claim.input = Trees.root(_input());
        claim.output = keccak256(OUTPUT);
        claim.claimant = by;
        claim.madeAt = uint64(block.timestamp);
        claim.madeIn = uint64(block.number);
        claim.lane = IInferenceDispute.Lane.Sealed;
        claim.terms = terms;
        vm.prank(by);
        dispute.claimSealed{value: terms.claimBond}(claim.lane, claim.model, context, terms, claim.input, OUTPUT);
    }

    function test_claim_thatStandsCompletesTheJob() public {
        (uint256 job, IInferenceDispute.Claim memory claim) = _claimed();
        bytes32 id = dispute.idOf(claim);
        vm.expectRevert(abi.encodeWithSelector(IOptimisticEvaluator.NotEnded.selector, id));
        claims.evaluate(address(jobs), job, claim);
        vm.warp(START + WINDOW + 1);
        dispute.finalise(claim);
        claims.evaluate(address(jobs), job, claim);
        _assertEnd(job, Jobs.End.Completed);
    }

    function test_claim_thatFellRejectsTheJob() public {
        (uint256 job, IInferenceDispute.Claim memory claim) = _claimed();
        vm.prank(challenger);
        dispute.challengeSealed{value: CHALLENGE_BOND}(claim);
        vm.warp(START + RESPONSE + 1);
        dispute.settle(claim, 0);
        claims.evaluate(address(jobs), job, claim);
        _assertEnd(job, Jobs.End.Rejected);
    }

    /// @dev Somebody's own false claim about the job must not cost the provider his pay, nor a claim on cheaper terms win it.
    function test_claim_isTheProvidersOnTheTasksTerms() public {
        (uint256 job,) = _claimed();
        bytes32 context = claims.contextOf(address(jobs), job);
        IInferenceDispute.Claim memory claim = _claimFor(context, other, _terms());
        vm.expectRevert(abi.encodeWithSelector(IOptimisticEvaluator.WrongClaim.selector, "claimant"));
        claims.evaluate(address(jobs), job, claim);
        IInferenceDispute.Terms memory terms = _terms();
        terms.window = 1;
        claim = _claimFor(context, claimant, terms);
        vm.expectRevert(abi.encodeWithSelector(IOptimisticEvaluator.WrongClaim.selector, "terms"));
        claims.evaluate(address(jobs), job, claim);
        claim = _claimFor("another job", claimant, _terms());
        vm.expectRevert(abi.encodeWithSelector(IOptimisticEvaluator.WrongClaim.selector, "context"));
        claims.evaluate(address(jobs), job, claim);
        claim.output = keccak256("another");
        vm.expectRevert(abi.encodeWithSelector(IOptimisticEvaluator.WrongClaim.selector, "output"));
        claims.evaluate(address(jobs), job, claim);
        // One that was never made.
        (job, claim) = _claimed();
        claim.madeIn += 1;
        vm.expectPartialRevert(IOptimisticEvaluator.NotEnded.selector);
        claims.evaluate(address(jobs), job, claim);
    }
}

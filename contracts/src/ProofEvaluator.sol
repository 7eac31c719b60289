// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IEvaluatedJobs} from "./interfaces/IEvaluatedJobs.sol";
import {IInferenceVerifier} from "./interfaces/IInferenceVerifier.sol";
import {IProofEvaluator} from "./interfaces/IProofEvaluator.sol";
import {ByteTree} from "./libraries/ByteTree.sol";

/// @title ProofEvaluator
/// @notice See {IProofEvaluator}. Not upgradeable, without an owner, holds nothing. It trusts the verifier for proofs, and an
/// escrow only with that escrow's own jobs.
contract ProofEvaluator is IProofEvaluator, ReentrancyGuardTransient {
    bytes32 private constant CONTEXT_DOMAIN = keccak256("counterweight/inference/job/v1");

    /// @notice Who verifies proofs
    IInferenceVerifier public immutable verifier;

    mapping(address jobs => mapping(uint256 jobId => Task)) private _tasks;

    constructor(IInferenceVerifier inferenceVerifier) {
        verifier = inferenceVerifier;
    }

    /// @inheritdoc IProofEvaluator
    function setTask(address jobs, uint256 jobId, Task calldata task) external {
        (address client,,) = IEvaluatedJobs(jobs).workOf(jobId);
        if (msg.sender != client) revert NotClient(client, msg.sender);
        // A provider works for the task that was set.
        if (_tasks[jobs][jobId].model != 0) revert TaskAlreadySet(jobId);
        if (!verifier.isRegistered(task.model)) revert UnknownModel(task.model);
        _tasks[jobs][jobId] = task;
        emit TaskSet(jobs, jobId, task);
    }

    /// @inheritdoc IProofEvaluator
    function evaluate(address jobs, uint256 jobId, bytes calldata input, bytes calldata output, bytes calldata proof)
        external
        nonReentrant
    {
        Task memory task = _tasks[jobs][jobId];
        if (task.model == 0) revert NoTask(jobId);
        bytes32 hash = keccak256(output);
        {
            (,, bytes32 deliverable) = IEvaluatedJobs(jobs).workOf(jobId);
            if (hash != deliverable) revert WrongOutput(deliverable, hash);
        }
        if (!_holds(task, contextOf(jobs, jobId), input, output, proof)) revert ProofRefused(jobId);
        emit Proven(jobs, jobId, task.model, hash);
        IEvaluatedJobs(jobs).complete(jobId, task.model, "");
    }

    /// @inheritdoc IProofEvaluator
    function contextOf(address jobs, uint256 jobId) public view returns (bytes32) {
        return keccak256(abi.encode(CONTEXT_DOMAIN, block.chainid, address(this), jobs, jobId));
    }

    /// @inheritdoc IProofEvaluator
    function taskOf(address jobs, uint256 jobId) external view returns (Task memory) {
        return _tasks[jobs][jobId];
    }

    function _holds(
        Task memory task,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) private view returns (bool) {
        if (task.hidden) return verifier.verifyCommitted(task.model, context, task.input, output, proof);
        bytes32 root = ByteTree.rootOf(input);
        if (root != task.input) revert WrongInput(task.input, root);
        return verifier.verify(task.model, context, input, output, proof);
    }
}

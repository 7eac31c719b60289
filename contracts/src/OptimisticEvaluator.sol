// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IEvaluatedJobs} from "./interfaces/IEvaluatedJobs.sol";
import {IInferenceDispute} from "./interfaces/IInferenceDispute.sol";
import {IOptimisticEvaluator} from "./interfaces/IOptimisticEvaluator.sol";

/// @title OptimisticEvaluator
/// @notice See {IOptimisticEvaluator}. Not upgradeable, without an owner, holds nothing. It trusts the dispute contract for
/// claims, and an escrow only with that escrow's own jobs.
contract OptimisticEvaluator is IOptimisticEvaluator, ReentrancyGuardTransient {
    bytes32 private constant CONTEXT_DOMAIN = keccak256("counterweight/inference/job/v1");

    /// @notice Where claims are made and disputed
    IInferenceDispute public immutable dispute;

    mapping(address jobs => mapping(uint256 jobId => Task)) private _tasks;

    constructor(IInferenceDispute inferenceDispute) {
        dispute = inferenceDispute;
    }

    /// @inheritdoc IOptimisticEvaluator
    function setTask(address jobs, uint256 jobId, Task calldata task) external {
        (address client,,) = IEvaluatedJobs(jobs).workOf(jobId);
        if (msg.sender != client) revert NotClient(client, msg.sender);
        // A provider works, and stakes, for the task that was set.
        if (_tasks[jobs][jobId].model != 0) revert TaskAlreadySet(jobId);
        if (task.model == 0) revert ModelMissing();
        _tasks[jobs][jobId] = task;
        emit TaskSet(jobs, jobId, task);
    }

    /// @inheritdoc IOptimisticEvaluator
    function evaluate(address jobs, uint256 jobId, IInferenceDispute.Claim calldata claim) external nonReentrant {
        Task memory task = _tasks[jobs][jobId];
        if (task.model == 0) revert NoTask(jobId);
        (, address provider, bytes32 deliverable) = IEvaluatedJobs(jobs).workOf(jobId);
        // Another's false claim about this job must not cost its provider the pay.
        if (claim.claimant != provider) revert WrongClaim("claimant");
        if (claim.output != deliverable) revert WrongClaim("output");
        if (claim.context != contextOf(jobs, jobId)) revert WrongClaim("context");
        if (claim.model != task.model) revert WrongClaim("model");
        if (claim.input != task.input) revert WrongClaim("input");
        if (claim.lane != task.lane) revert WrongClaim("lane");
        if (keccak256(abi.encode(claim.terms)) != task.terms) revert WrongClaim("terms");
        bytes32 id = dispute.idOf(claim);
        IInferenceDispute.Status status = dispute.statusOf(id);
        bool completed = status == IInferenceDispute.Status.Accepted;
        if (!completed && status != IInferenceDispute.Status.Rejected) revert NotEnded(id);
        emit Evaluated(jobs, jobId, id, completed);
        if (completed) IEvaluatedJobs(jobs).complete(jobId, id, "");
        else IEvaluatedJobs(jobs).reject(jobId, id, "");
    }

    /// @inheritdoc IOptimisticEvaluator
    function contextOf(address jobs, uint256 jobId) public view returns (bytes32) {
        return keccak256(abi.encode(CONTEXT_DOMAIN, block.chainid, address(this), jobs, jobId));
    }

    /// @inheritdoc IOptimisticEvaluator
    function taskOf(address jobs, uint256 jobId) external view returns (Task memory) {
        return _tasks[jobs][jobId];
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IInferenceDispute} from "./IInferenceDispute.sol";

/// @title Completes or rejects jobs by claims that could be disputed
/// @notice The client of a job says which model is to answer which input, and what a claim must be staked on. The provider
/// submits keccak256 of the output and claims it in `InferenceDispute`, for this job. Once the claim has ended, anyone has the
/// job completed or rejected by it. A provider who never claims is refunded by the escrow when the job expires, so a job must
/// outlast the longest game: the window and eight moves.
interface IOptimisticEvaluator {
    /// @notice What a job is to compute, and on what it is staked
    /// @param model The model: of `OpenModels` in the open lane, otherwise of the verifier
    /// @param input Root of the input's tree; in the private lane keccak256 of the input's commitment
    /// @param lane How the claim can be checked
    /// @param terms keccak256 of the ABI-encoded terms
    struct Task {
        bytes32 model;
        bytes32 input;
        IInferenceDispute.Lane lane;
        bytes32 terms;
    }

    /// @notice Emitted when a client says what a job is to compute
    /// @param jobs The escrow
    /// @param jobId The job
    /// @param task What it is to compute
    event TaskSet(address indexed jobs, uint256 indexed jobId, Task task);

    /// @notice Emitted when a claim decides a job
    /// @param jobs The escrow
    /// @param jobId The job
    /// @param claim The claim's id
    /// @param completed Whether the job was completed; otherwise it was rejected
    event Evaluated(address indexed jobs, uint256 indexed jobId, bytes32 indexed claim, bool completed);

    /// @notice Only the job's client says what it is to compute
    /// @param client The client
    /// @param got Who tried
    error NotClient(address client, address got);

    /// @notice The task of a job is said once
    /// @param jobId The job
    error TaskAlreadySet(uint256 jobId);

    /// @notice Nobody said what the job is to compute
    /// @param jobId The job
    error NoTask(uint256 jobId);

    /// @notice A task needs a model
    error ModelMissing();

    /// @notice The claim is not about this job
    /// @param field What differs
    error WrongClaim(string field);

    /// @notice The claim has not ended
    /// @param claim The claim's id
    error NotEnded(bytes32 claim);

    /// @notice Says what a job is to compute, once (its client)
    /// @param jobs The escrow
    /// @param jobId The job
    /// @param task What it is to compute
    function setTask(address jobs, uint256 jobId, Task calldata task) external;

    /// @notice Completes a job whose claim was accepted, rejects one whose claim was not (anyone may call)
    /// @param jobs The escrow
    /// @param jobId The job
    /// @param claim The provider's claim
    function evaluate(address jobs, uint256 jobId, IInferenceDispute.Claim calldata claim) external;

    /// @notice What a claim for a job is made for: a hash of the chain, this contract, the escrow and the job
    function contextOf(address jobs, uint256 jobId) external view returns (bytes32);

    /// @notice What a job is to compute
    function taskOf(address jobs, uint256 jobId) external view returns (Task memory);
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Completes jobs whose inference is proven in zero knowledge
/// @notice The client of a job says which model is to answer which input. The provider submits keccak256 of the output. A
/// proof of it, bound to that job on that chain, completes the job; anyone may bring it. This evaluator never rejects: that
/// nobody proved yet says nothing, and a job that expires is refunded by its escrow.
interface IProofEvaluator {
    /// @notice What a job is to compute
    /// @param model The verifier's model
    /// @param input Root of the input's tree; where it is hidden, keccak256 of the input's commitment
    /// @param hidden Whether the input is hidden
    struct Task {
        bytes32 model;
        bytes32 input;
        bool hidden;
    }

    /// @notice Emitted when a client says what a job is to compute
    /// @param jobs The escrow
    /// @param jobId The job
    /// @param task What it is to compute
    event TaskSet(address indexed jobs, uint256 indexed jobId, Task task);

    /// @notice Emitted when a proof completes a job
    /// @param jobs The escrow
    /// @param jobId The job
    /// @param model The model that answered
    /// @param output keccak256 of the output
    event Proven(address indexed jobs, uint256 indexed jobId, bytes32 indexed model, bytes32 output);

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

    /// @notice No model has this id
    /// @param model The id given
    error UnknownModel(bytes32 model);

    /// @notice The input is not the task's
    /// @param expected Its root in the task
    /// @param got Root of what was given
    error WrongInput(bytes32 expected, bytes32 got);

    /// @notice The output is not what the provider submitted
    /// @param expected The job's deliverable
    /// @param got Hash of what was given
    error WrongOutput(bytes32 expected, bytes32 got);

    /// @notice The proof does not hold
    /// @param jobId The job
    error ProofRefused(uint256 jobId);

    /// @notice Says what a job is to compute, once (its client)
    /// @param jobs The escrow
    /// @param jobId The job
    /// @param task What it is to compute
    function setTask(address jobs, uint256 jobId, Task calldata task) external;

    /// @notice Completes a job with a proof (anyone may call)
    /// @param jobs The escrow
    /// @param jobId The job
    /// @param input The input's bytes; nothing where it is hidden
    /// @param output The output's bytes
    /// @param proof The proof, bound to `contextOf(jobs, jobId)`
    function evaluate(address jobs, uint256 jobId, bytes calldata input, bytes calldata output, bytes calldata proof)
        external;

    /// @notice What a proof for a job is bound to: a hash of the chain, this contract, the escrow and the job
    function contextOf(address jobs, uint256 jobId) external view returns (bytes32);

    /// @notice What a job is to compute
    function taskOf(address jobs, uint256 jobId) external view returns (Task memory);
}

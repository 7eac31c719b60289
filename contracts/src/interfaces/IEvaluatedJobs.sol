// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title What an evaluator needs of a job escrow
/// @notice `complete` and `reject` are those of ERC-8183 (a draft). Its text does not say how a contract reads a job, so
/// `workOf` is ours: an adapter of a few lines gives it to any other escrow.
interface IEvaluatedJobs {
    /// @notice Pays the provider of a submitted job (its evaluator)
    /// @param jobId The job
    /// @param reason What the evaluator went by
    /// @param optParams Nothing
    function complete(uint256 jobId, bytes32 reason, bytes calldata optParams) external;

    /// @notice Refunds the client of a funded or submitted job (its evaluator)
    /// @param jobId The job
    /// @param reason What the evaluator went by
    /// @param optParams Nothing
    function reject(uint256 jobId, bytes32 reason, bytes calldata optParams) external;

    /// @notice The job as its evaluator sees it
    /// @param jobId The job
    /// @return client Who pays
    /// @return provider Who works
    /// @return deliverable What the provider submitted, zero before: for an inference, keccak256 of the output's bytes
    function workOf(uint256 jobId)
        external
        view
        returns (address client, address provider, bytes32 deliverable);
}

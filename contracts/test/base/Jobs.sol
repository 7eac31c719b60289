// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IEvaluatedJobs} from "../../src/interfaces/IEvaluatedJobs.sol";

/// @title An escrow without money: jobs, and what their evaluator said
contract Jobs is IEvaluatedJobs {
    enum End {
        None,
        Completed,
        Rejected
    }

    struct Job {
        address client;
        address provider;
        address evaluator;
        bytes32 deliverable;
        End end;
        bytes32 reason;
    }

    Job[] public jobs;

    error NotEvaluator();
    error AlreadyOver();

    function add(address client, address provider, address evaluator) external returns (uint256) {
        jobs.push(Job(client, provider, evaluator, 0, End.None, 0));
        return jobs.length - 1;
    }

    function submit(uint256 jobId, bytes32 deliverable) external {
        jobs[jobId].deliverable = deliverable;
    }

    function complete(uint256 jobId, bytes32 reason, bytes calldata) external {
        _end(jobId, End.Completed, reason);
    }

    function reject(uint256 jobId, bytes32 reason, bytes calldata) external {
        _end(jobId, End.Rejected, reason);
    }

    function workOf(uint256 jobId) external view returns (address, address, bytes32) {
        Job storage job = jobs[jobId];
        return (job.client, job.provider, job.deliverable);
    }

    function endOf(uint256 jobId) external view returns (End) {
        return jobs[jobId].end;
    }

    function _end(uint256 jobId, End end, bytes32 reason) private {
        Job storage job = jobs[jobId];
        if (msg.sender != job.evaluator) revert NotEvaluator();
        if (job.end != End.None) revert AlreadyOver();
        (job.end, job.reason) = (end, reason);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Proofs that the weights behind a commitment are int8 (docs/spec/zkml.md, section 7)
/// @notice Errors are those of {IInferenceVerifier} and {IArchitecturePlanner}.
interface IRegistrationVerifier {
    /// @notice Reverts unless the architecture keeps the rules, the commitment has as many rows as it takes, and the proof holds
    /// @param modelId What the proof is bound to
    /// @param architecture The architecture's canonical bytes
    /// @param commitment The rows that commit to the weights
    /// @param proof The proof
    /// @return plans What {IArchitecturePlanner} makes of the architecture
    function examine(
        bytes32 modelId,
        bytes calldata architecture,
        bytes calldata commitment,
        bytes calldata proof
    ) external view returns (bytes memory plans);
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Proofs that the weights behind a commitment are int8 (docs/spec/zkml.md, section 7)
/// @notice Pure but for precompiles. Errors are those of {IInferenceVerifier}.
interface IRegistrationVerifier {
    /// @notice Reverts unless the proof holds
    /// @param modelId What the proof is bound to
    /// @param plan What {IArchitecturePlanner} made of the architecture
    /// @param commitment The rows that commit to the weights
    /// @param proof The proof
    /// @param tau `[tau]_2` of the set-up, as in EIP-197
    function check(
        bytes32 modelId,
        bytes calldata plan,
        bytes calldata commitment,
        bytes calldata proof,
        uint256[4] calldata tau
    ) external view;
}

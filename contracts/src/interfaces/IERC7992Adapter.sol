// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

import {IERC7992Registry, IERC7992Verifier} from "./IERC7992.sol";
import {IInferenceVerifier} from "./IInferenceVerifier.sol";

/// @title ERC-7992 in front of an `InferenceVerifier`
/// @notice For contracts that speak the draft. What its words stand for here:
///
/// - `modelHash` is the verifier's model id, `circuitHash` the hash of the model's architecture, `vkHash` the id of the set-up. They are
///   checked when a model is registered and cannot be updated: another commitment is another model. Only `uri` can.
/// - Registering says nothing about whose the weights are: several accounts may register one verifier's model, each as a model of its
///   own. Whoever relies on an owner's deprecation names the id that this owner registered.
/// - `inputCommitment` is `commitmentOf` of a salt and the input. The salt, or what it is derived from, is the nonce that the draft asks
///   for: a proof is bound to chain, this contract, model and commitment by `contextOf`, so that it is good for one salt only. Nothing
///   is remembered: the same proof verifies again, and a caller who pays once keeps the commitments it paid for.
/// - `output` is in the bytes of docs/spec/arithmetic.md, not ABI-encoded.
/// - `proof` is `abi.encode(ProvenInput)`.
interface IERC7992Adapter is IERC7992Registry, IERC7992Verifier {
    /// @notice What `proof` holds
    /// @param salt The commitment's salt
    /// @param hidden Whether the input stays hidden
    /// @param input The input's bytes; where it is hidden, the 32 bytes of keccak256 of its commitment, which the proof carries
    /// @param proof The verifier's proof, bound to `contextOf`
    struct ProvenInput {
        bytes32 salt;
        bool hidden;
        bytes input;
        bytes proof;
    }

    /// @notice Of a model, only `uri` can be updated
    error CommitmentFixed();

    /// @notice Who verifies proofs
    function verifier() external view returns (IInferenceVerifier);

    /// @notice The proof system of all models here
    function proofSystem() external pure returns (bytes4);

    /// @notice What to register for a model of the verifier's, without `uri`
    /// @param model The verifier's model
    function commitmentFor(bytes32 model) external view returns (ModelCommitment memory);

    /// @notice Commits to an input
    /// @param salt Anything not used before for this model
    /// @param hidden Whether the input stays hidden
    /// @param input Its bytes; where it is hidden, the 32 bytes of keccak256 of its commitment
    function commitmentOf(bytes32 salt, bool hidden, bytes calldata input) external pure returns (bytes32);

    /// @notice What a proof must be bound to
    /// @param modelId The model
    /// @param inputCommitment Commits to the input
    function contextOf(uint256 modelId, bytes32 inputCommitment) external view returns (bytes32);
}

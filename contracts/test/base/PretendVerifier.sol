// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";

/// @title A verifier that knows who may have proofs: one made by `prove` for exactly this statement
contract PretendVerifier is IInferenceVerifier {
    bytes32 public constant srsId = "no set-up";
    mapping(bytes32 model => bytes32) public architectureOf;

    function registerModel(bytes calldata architecture, bytes calldata commitment, bytes calldata)
        external
        returns (bytes32 model)
    {
        model = keccak256(abi.encode(architecture, commitment));
        architectureOf[model] = keccak256(architecture);
        emit ModelRegistered(model, keccak256(architecture), keccak256(commitment), msg.sender);
    }

    function isRegistered(bytes32 model) external view returns (bool) {
        return architectureOf[model] != 0;
    }

    function prove(bytes32 model, bytes32 context, bytes32 input, bytes calldata output)
        public
        pure
        returns (bytes memory)
    {
        return abi.encode(keccak256(abi.encode(model, context, input, output)));
    }

    function verify(
        bytes32 model,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external view returns (bool) {
        return _verify(model, context, keccak256(input), output, proof);
    }

    function verifyCommitted(
        bytes32 model,
        bytes32 context,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external view returns (bool) {
        return _verify(model, context, inputCommitment, output, proof);
    }

    function _verify(bytes32 model, bytes32 context, bytes32 input, bytes calldata output, bytes calldata proof)
        private
        view
        returns (bool)
    {
        if (architectureOf[model] == 0) revert UnknownModel(model);
        return keccak256(proof) == keccak256(prove(model, context, input, output));
    }
}

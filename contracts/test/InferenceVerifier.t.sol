// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceVerifier} from "../src/interfaces/IInferenceVerifier.sol";
import {Proofs} from "./base/Proofs.sol";

/// @dev Holds the contract to testdata/zkml-v1.json, proofs that the Rust prover made.
contract InferenceVerifierTest is Proofs {
    function test_verify_holdsForEveryPinnedProof() public {
        for (uint256 i = 0; i < modelCount(); ++i) {
            Model memory model = _model(i);
            _register(model);
            for (uint256 j = 0; j < model.inferences.length; ++j) {
                vm.assertTrue(_verify(model, model.inferences[j]), string.concat(model.name, ": ", model.inferences[j].kind));
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceVerifier} from "../src/interfaces/IInferenceVerifier.sol";
import {Proofs} from "./base/Proofs.sol";

/// @dev What proofs of inference cost, with their transactions: `npm run gas` writes gas.json, `npm test` compares. The pinned
/// models are a perceptron 784-128-10 and LeNet-5 with max pools on a drawn digit.
contract InferenceVerifierGasTest is Proofs {
    string private constant FILE = "gas";

    function _file() internal pure override returns (string memory) {
        return "../testdata/zkml-gas-v1.json";
    }

    function test_gas_perceptron() public {
        _measure(0, "784-128-10");
    }

    function test_gas_lenet() public {
        _measure(1, "LeNet-5");
    }

    function _measure(uint256 index, string memory name) private {
        Model memory model = _model(index);
        _register(model);
        vm.snapshotGasLastCall(FILE, string.concat("InferenceVerifier.registerModel, ", name));
        Inference memory inference = model.inferences[0];
        // A call that is not static is a transaction of its own here, calldata and all.
        (bool done, bytes memory answer) = address(verifier).call(
            abi.encodeCall(
                IInferenceVerifier.verify,
                (model.modelId, inference.context, inference.input, inference.output, inference.proof)
            )
        );
        vm.snapshotGasLastCall(FILE, string.concat("InferenceVerifier.verify, ", name));
        vm.assertTrue(done && abi.decode(answer, (bool)));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {Test} from "./Test.sol";

/// @title The verifier under the development set-up, and pinned proofs
abstract contract Proofs is Test {
    /// @dev Fields in alphabetical order, as JSON is parsed. `input` is a commitment for a committed input.
    struct Inference {
        bytes32 context;
        bytes input;
        string kind;
        bytes output;
        bytes proof;
    }

    struct Model {
        bytes architecture;
        bytes commitment;
        Inference[] inferences;
        bytes32 modelId;
        string name;
        bytes registration;
    }

    string private _json;
    address internal planner;
    IInferenceVerifier internal verifier;

    function setUp() public virtual {
        vm.chainId(31_337);
        _json = vm.readFile(_file());
        planner = _deploy("ArchitecturePlanner", "");
        verifier = IInferenceVerifier(_deploy("InferenceVerifier", abi.encode(planner, _tau())));
    }

    /// @dev Which proofs.
    function _file() internal pure virtual returns (string memory) {
        return "../testdata/zkml-v1.json";
    }

    function _tau() internal view returns (uint256[4] memory) {
        return abi.decode(vm.parseJsonBytes(_json, ".srs.tau_g2"), (uint256[4]));
    }

    function modelCount() internal view returns (uint256 count) {
        while (vm.keyExistsJson(_json, string.concat(".models[", vm.toString(count), "].name"))) {
            ++count;
        }
    }

    function _model(uint256 index) internal view returns (Model memory model) {
        string memory path = string.concat(".models[", vm.toString(index), "].");
        model.architecture = vm.parseJsonBytes(_json, string.concat(path, "architecture"));
        model.commitment = vm.parseJsonBytes(_json, string.concat(path, "commitment"));
        model.modelId = vm.parseJsonBytes32(_json, string.concat(path, "model_id"));
        model.name = vm.parseJsonString(_json, string.concat(path, "name"));
        model.registration = vm.parseJsonBytes(_json, string.concat(path, "registration"));
        uint256 count = 0;
        while (vm.keyExistsJson(_json, string.concat(path, "inferences[", vm.toString(count), "].kind"))) {
            ++count;
        }
        model.inferences = new Inference[](count);
        for (uint256 i = 0; i < count; ++i) {
            model.inferences[i] = _inference(string.concat(path, "inferences[", vm.toString(i), "]."));
        }
    }

    function _inference(string memory path) private view returns (Inference memory inference) {
        inference.context = vm.parseJsonBytes32(_json, string.concat(path, "context"));
        inference.kind = vm.parseJsonString(_json, string.concat(path, "kind"));
        string memory input = _isPublic(inference) ? "input" : "input_commitment";
        inference.input = vm.parseJsonBytes(_json, string.concat(path, input));
        inference.output = vm.parseJsonBytes(_json, string.concat(path, "output"));
        inference.proof = vm.parseJsonBytes(_json, string.concat(path, "proof"));
    }

    function _register(Model memory model) internal returns (bytes32) {
        return verifier.registerModel(model.architecture, model.commitment, model.registration);
    }

    function _isPublic(Inference memory inference) internal pure returns (bool) {
        return keccak256(bytes(inference.kind)) == keccak256("public input");
    }

    function _verify(Model memory model, Inference memory inference) internal view returns (bool) {
        if (_isPublic(inference)) {
            return verifier.verify(
                model.modelId, inference.context, inference.input, inference.output, inference.proof
            );
        }
        return verifier.verifyCommitted(
            model.modelId, inference.context, bytes32(inference.input), inference.output, inference.proof
        );
    }

    /// @dev Deploys a committed artifact, so that what is tested is what is deployed.
    function _deploy(string memory name, bytes memory arguments) internal returns (address deployed) {
        bytes memory code = abi.encodePacked(vm.getCode(string.concat("artifacts/", name, ".json")), arguments);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        require(deployed != address(0), name);
    }
}

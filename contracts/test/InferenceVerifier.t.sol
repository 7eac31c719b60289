// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IArchitecturePlanner} from "../src/interfaces/IArchitecturePlanner.sol";
import {IInferenceVerifier} from "../src/interfaces/IInferenceVerifier.sol";
import {Proofs} from "./base/Proofs.sol";

/// @dev Holds the contract to testdata/zkml-v1.json, proofs that the Rust prover made.
contract InferenceVerifierTest is Proofs {
    uint256 private constant ORDER = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;
    // Models of the file that a test of one model takes: one for each opening.
    uint256 private constant SMALL = 1;
    uint256 private constant HYPER_KZG = 6;

    function test_verify_holdsForEveryPinnedProof() public {
        for (uint256 i = 0; i < modelCount(); ++i) {
            Model memory model = _model(i);
            bytes32 id = _register(model);
            vm.assertEq(id, model.modelId);
            vm.assertTrue(verifier.isRegistered(id));
            vm.assertEq(verifier.architectureOf(id), keccak256(model.architecture));
            for (uint256 j = 0; j < model.inferences.length; ++j) {
                Inference memory inference = model.inferences[j];
                vm.assertTrue(_verify(model, inference), string.concat(model.name, ": ", inference.kind));
            }
        }
    }

    /// forge-config: default.fuzz.runs = 16
    /// forge-config: long.fuzz.runs = 512
    function testFuzz_verify_isFalseForASpoiltProof(uint256 place, uint8 bit, bool hyperKzg) public {
        Model memory model = _model(hyperKzg ? HYPER_KZG : SMALL);
        _register(model);
        for (uint256 i = 0; i < model.inferences.length; ++i) {
            Inference memory inference = model.inferences[i];
            place %= inference.proof.length;
            inference.proof[place] ^= bytes1(uint8(1 << (bit % 8)));
            vm.assertFalse(_verify(model, inference));
        }
    }

    /// forge-config: default.fuzz.runs = 16
    /// forge-config: long.fuzz.runs = 512
    function testFuzz_verify_isFalseForAnotherStatement(uint256 place, uint8 bit) public {
        Model memory model = _model(SMALL);
        _register(model);
        bytes1 change = bytes1(uint8(1 << (bit % 8)));
        for (uint256 i = 0; i < model.inferences.length; ++i) {
            Inference memory inference = model.inferences[i];
            inference.input[place % inference.input.length] ^= change;
            vm.assertFalse(_verify(model, inference), "input");
            inference.input[place % inference.input.length] ^= change;
            inference.output[place % inference.output.length] ^= change;
            vm.assertFalse(_verify(model, inference), "output");
            inference.output[place % inference.output.length] ^= change;
            inference.context ^= bytes32(1 << (place % 256));
            vm.assertFalse(_verify(model, inference), "context");
        }
    }

    function test_verify_isFalseForOtherLengths() public {
        Model memory model = _model(SMALL);
        _register(model);
        Inference memory inference = model.inferences[0];
        bytes memory proof = inference.proof;
        inference.proof = bytes.concat(proof, new bytes(32));
        vm.assertFalse(_verify(model, inference), "longer");
        inference.proof = "";
        vm.assertFalse(_verify(model, inference), "none");
        inference.proof = proof;
        inference.input = bytes.concat(inference.input, hex"00");
        vm.assertFalse(_verify(model, inference), "input");
        inference.input = model.inferences[0].input;
        inference.output = bytes.concat(inference.output, hex"00");
        vm.assertFalse(_verify(model, inference), "output");
    }

    /// @dev A scalar has one encoding: the same number plus the order is refused.
    function test_verify_isFalseForAScalarThatIsNotReduced() public {
        Model memory model = _model(SMALL);
        _register(model);
        Inference memory inference = model.inferences[0];
        bytes memory proof = inference.proof;
        // The last scalars of Mercury's opening come before three points; those of the argument before the opening.
        uint256[2] memory places = [proof.length - 3 * 64 - 32, proof.length - 704 - 32];
        for (uint256 i = 0; i < places.length; ++i) {
            uint256 place = places[i] + 32;
            uint256 scalar;
            assembly ("memory-safe") {
                scalar := mload(add(proof, place))
                mstore(add(proof, place), add(scalar, ORDER))
            }
            vm.assertFalse(_verify(model, inference));
            assembly ("memory-safe") {
                mstore(add(proof, place), scalar)
            }
        }
        vm.assertTrue(_verify(model, inference));
    }

    /// @dev Too little gas is never taken for a bad proof: whoever chooses the gas would choose the answer.
    /// forge-config: default.fuzz.runs = 16
    /// forge-config: long.fuzz.runs = 512
    function testFuzz_verify_neverAnswersFalseForLackOfGas(uint256 gas) public {
        Model memory model = _model(SMALL);
        _register(model);
        Inference memory inference = model.inferences[0];
        bytes memory call = abi.encodeCall(
            IInferenceVerifier.verify,
            (model.modelId, inference.context, inference.input, inference.output, inference.proof)
        );
        gas = _bound(gas, 10_000, 1_000_000);
        (bool done, bytes memory answer) = address(verifier).staticcall{gas: gas}(call);
        if (done) vm.assertTrue(abi.decode(answer, (bool)));
    }

    function test_verify_revertsForAModelThatIsNotRegistered() public {
        Model memory model = _model(SMALL);
        vm.assertFalse(verifier.isRegistered(model.modelId));
        vm.assertEq(verifier.architectureOf(model.modelId), bytes32(0));
        for (uint256 i = 0; i < model.inferences.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IInferenceVerifier.UnknownModel.selector, model.modelId));
            _verify(model, model.inferences[i]);
        }
    }

    /// forge-config: default.fuzz.runs = 16
    /// forge-config: long.fuzz.runs = 512
    function testFuzz_registerModel_revertsForASpoiltProof(uint256 place, uint8 bit) public {
        Model memory model = _model(SMALL);
        model.registration[place % model.registration.length] ^= bytes1(uint8(1 << (bit % 8)));
        vm.expectRevert(IInferenceVerifier.RegistrationRefused.selector);
        _register(model);
    }

    /// forge-config: default.fuzz.runs = 16
    /// forge-config: long.fuzz.runs = 512
    function testFuzz_registerModel_revertsForOtherRows(uint256 place, uint8 bit) public {
        Model memory model = _model(SMALL);
        place = 2 + place % (model.commitment.length - 2);
        model.commitment[place] ^= bytes1(uint8(1 << (bit % 8)));
        vm.expectRevert(IInferenceVerifier.RegistrationRefused.selector);
        _register(model);
    }

    function test_registerModel_revertsForOtherLengths() public {
        Model memory model = _model(SMALL);
        bytes memory commitment = model.commitment;
        model.commitment = bytes.concat(commitment, new bytes(64));
        vm.expectRevert(IInferenceVerifier.CommitmentRefused.selector);
        _register(model);
        model.commitment = hex"0b";
        vm.expectRevert(IInferenceVerifier.CommitmentRefused.selector);
        _register(model);
        model.commitment = commitment;
        model.registration = bytes.concat(model.registration, new bytes(32));
        vm.expectRevert(IInferenceVerifier.RegistrationRefused.selector);
        _register(model);
    }

    function test_registerModel_changesNothingTheSecondTime() public {
        Model memory model = _model(SMALL);
        vm.assertEq(_register(model), model.modelId);
        model.registration = "";
        vm.assertEq(_register(model), model.modelId);
    }

    function test_theDevelopmentSetUpIsForOneChain() public {
        vm.chainId(1);
        vm.expectRevert(abi.encodeWithSelector(IInferenceVerifier.DevelopmentSetUp.selector, uint256(1)));
        this.deployVerifier(_tau());
    }

    function test_aSetUpIsAPointOfTheSecondGroupWithASecretOfItsOwn() public {
        uint256[4] memory tau = _tau();
        tau[0] ^= 1;
        vm.expectRevert(IInferenceVerifier.SetUpRefused.selector);
        this.deployVerifier(tau);
        vm.expectRevert(IInferenceVerifier.SetUpRefused.selector);
        this.deployVerifier([uint256(0), 0, 0, 0]);
        vm.expectRevert(IInferenceVerifier.SetUpRefused.selector);
        this.deployVerifier(
            [
                0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2,
                0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed,
                0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b,
                0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa
            ]
        );
    }

    /// @dev External, so that a revert can be expected; passes on the constructor's words.
    function deployVerifier(uint256[4] memory tau) external {
        bytes memory code =
            abi.encodePacked(vm.getCode("artifacts/InferenceVerifier.json"), abi.encode(planner, tau));
        assembly ("memory-safe") {
            if iszero(create(0, add(code, 32), mload(code))) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    // Architectures

    /// @dev A perceptron 784-128-10, as crates/primitives pins it.
    function _perceptron() private pure returns (bytes memory) {
        return abi.encodePacked(
            bytes32(0x4357413102000000000000000000000000000000000000000000031000010001),
            bytes32(0x010000030c000200000000000000000000000000000000000000008000010001),
            bytes32(0x0101000100000200000000000000000000000000000000000000000a00010001)
        );
    }

    function test_plan_laysOutAPerceptron() public view {
        bytes memory plans = IArchitecturePlanner(planner).plan(_perceptron(), 13, 1);
        vm.assertEq(plans.length, 2 * 32 * (4 + 3 * 2));
        uint256 first;
        assembly ("memory-safe") {
            first := mload(add(plans, 32))
        }
        // Rows of 2^13 cells, Mercury, 8 slot bits, 11 rounds, 11 bits of tau, 2 layers, 17 rows of weights, public input.
        vm.assertEq(first, 0x0000000d00000001000000080000000b0000000b000000020000001100000000);
    }

    /// @dev Any one byte that is changed makes another architecture or none.
    function testFuzz_plan_readsOrRefusesEveryChange(uint256 place, uint8 change) public view {
        bytes memory architecture = _perceptron();
        vm.assume(change != 0);
        architecture[place % architecture.length] ^= bytes1(change);
        try IArchitecturePlanner(planner).plan(architecture, 13, 1) returns (bytes memory plans) {
            vm.assertEq(plans.length, 2 * 32 * (4 + 3 * 2));
        } catch (bytes memory reason) {
            vm.assertTrue(
                bytes4(reason) == IArchitecturePlanner.ArchitectureRefused.selector
                    || bytes4(reason) == IArchitecturePlanner.TooLarge.selector
            );
        }
    }

    function test_plan_revertsForOtherRowsAndSchemes() public {
        vm.expectRevert(abi.encodeWithSelector(IArchitecturePlanner.RowBitsOutOfRange.selector, uint256(10)));
        IArchitecturePlanner(planner).plan(_perceptron(), 10, 1);
        vm.expectRevert(abi.encodeWithSelector(IArchitecturePlanner.RowBitsOutOfRange.selector, uint256(19)));
        IArchitecturePlanner(planner).plan(_perceptron(), 19, 1);
        vm.expectRevert(abi.encodeWithSelector(IArchitecturePlanner.UnknownScheme.selector, uint256(0)));
        IArchitecturePlanner(planner).plan(_perceptron(), 13, 0);
        bytes memory longer = bytes.concat(_perceptron(), new bytes(32));
        bytes memory refused = abi.encodeWithSelector(
            IArchitecturePlanner.ArchitectureRefused.selector, uint256(0), IArchitecturePlanner.Rule.Length
        );
        vm.expectRevert(refused);
        IArchitecturePlanner(planner).plan(longer, 13, 1);
        vm.expectRevert(refused);
        IArchitecturePlanner(planner).plan("", 13, 1);
    }
}

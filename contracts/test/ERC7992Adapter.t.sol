// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

import {ERC7992Adapter} from "../src/ERC7992Adapter.sol";
import {IERC7992Registry, IERC7992Verifier} from "../src/interfaces/IERC7992.sol";
import {IERC7992Adapter} from "../src/interfaces/IERC7992Adapter.sol";
import {Disputes} from "./base/Disputes.sol";

contract ERC7992AdapterTest is Disputes {
    bytes private constant OUTPUT = "output";
    bytes32 private constant SALT = "salt";

    ERC7992Adapter private adapter;
    bytes32 private model;
    uint256 private modelId;

    function setUp() public override {
        super.setUp();
        adapter = ERC7992Adapter(_deploy("ERC7992Adapter", abi.encode(verifier)));
        model = _sealedModel();
        IERC7992Registry.ModelCommitment memory commitment = _commitment("ipfs://card");
        vm.prank(claimant);
        modelId = adapter.registerModel(commitment);
    }

    function _commitment(string memory uri) private view returns (IERC7992Registry.ModelCommitment memory commitment) {
        commitment = adapter.commitmentFor(model);
        commitment.uri = uri;
    }

    /// @dev A commitment and the proof for it.
    function _prove(uint256 id, bytes32 salt, bool hidden) private view returns (bytes32 commitment, bytes memory proof) {
        bytes memory input = hidden ? abi.encode(bytes32("rows")) : _input();
        commitment = adapter.commitmentOf(salt, hidden, input);
        bytes32 known = hidden ? bytes32("rows") : keccak256(input);
        bytes memory inner = verifier.prove(model, adapter.contextOf(id, commitment), known, OUTPUT);
        proof = abi.encode(IERC7992Adapter.ProvenInput(salt, hidden, input, inner));
    }

    function test_interfaces_areTheDrafts() public view {
        vm.assertTrue(adapter.supportsInterface(type(IERC165).interfaceId));
        vm.assertTrue(adapter.supportsInterface(type(IERC7992Registry).interfaceId));
        vm.assertTrue(adapter.supportsInterface(type(IERC7992Verifier).interfaceId));
        vm.assertFalse(adapter.supportsInterface(0xffffffff));
        vm.assertTrue(adapter.proofSystemOf(modelId) == bytes4(keccak256("counterweight-zkml-bn254-v1")));
        vm.assertEq(adapter.registry(), address(adapter));
        vm.assertTrue(
            IERC7992Verifier.verifyInference.selector
                == bytes4(keccak256("verifyInference(uint256,bytes32,bytes,bytes)"))
        );
        vm.assertTrue(
            IERC7992Registry.registerModel.selector
                == bytes4(keccak256("registerModel((bytes32,bytes32,bytes32,bytes4,string))"))
        );
    }

    function test_verifyInference_emitsForAProofOfEitherKind() public {
        for (uint256 kind = 0; kind < 2; ++kind) {
            (bytes32 commitment, bytes memory proof) = _prove(modelId, SALT, kind == 1);
            vm.expectEmit(address(adapter));
            emit IERC7992Verifier.InferenceVerified(modelId, commitment, OUTPUT, stranger);
            vm.prank(stranger);
            adapter.verifyInference(modelId, commitment, OUTPUT, proof);
        }
    }

    function test_verifyInference_refusesAnotherOutputCommitmentAndModel() public {
        (bytes32 commitment, bytes memory proof) = _prove(modelId, SALT, false);
        vm.expectRevert(IERC7992Verifier.InvalidProof.selector);
        adapter.verifyInference(modelId, commitment, "another", proof);
        vm.expectRevert(IERC7992Verifier.InputCommitmentMismatch.selector);
        adapter.verifyInference(modelId, "another", OUTPUT, proof);
        uint256 second = adapter.registerModel(_commitment(""));
        vm.expectRevert(IERC7992Verifier.InvalidProof.selector);
        adapter.verifyInference(second, commitment, OUTPUT, proof);
        vm.expectRevert(abi.encodeWithSelector(IERC7992Registry.ModelNotFound.selector, 99));
        adapter.verifyInference(99, commitment, OUTPUT, proof);
    }

    /// @dev A proof made for one salt is not one for another, whoever opens the commitment.
    function testFuzz_verifyInference_isForOneSalt(bytes32 salt) public {
        vm.assume(salt != SALT);
        (, bytes memory proof) = _prove(modelId, SALT, false);
        IERC7992Adapter.ProvenInput memory proven = abi.decode(proof, (IERC7992Adapter.ProvenInput));
        proven.salt = salt;
        bytes32 commitment = adapter.commitmentOf(salt, false, proven.input);
        vm.expectRevert(IERC7992Verifier.InvalidProof.selector);
        adapter.verifyInference(modelId, commitment, OUTPUT, abi.encode(proven));
    }

    /// @dev Chain and contract are in what a proof is bound to.
    function test_verifyInference_isForOneContractOnOneChain() public {
        (bytes32 commitment, bytes memory proof) = _prove(modelId, SALT, false);
        ERC7992Adapter other_ = ERC7992Adapter(_deploy("ERC7992Adapter", abi.encode(verifier)));
        vm.assertEq(other_.registerModel(_commitment("")), modelId);
        vm.expectRevert(IERC7992Verifier.InvalidProof.selector);
        other_.verifyInference(modelId, commitment, OUTPUT, proof);
        vm.chainId(block.chainid + 1);
        vm.expectRevert(IERC7992Verifier.InvalidProof.selector);
        adapter.verifyInference(modelId, commitment, OUTPUT, proof);
    }

    /// @dev A hidden input's hash may not be passed off as a public input, nor be written in more bytes.
    function test_verifyInference_tellsHiddenFromPublicInputs() public {
        (bytes32 commitment, bytes memory proof) = _prove(modelId, SALT, true);
        IERC7992Adapter.ProvenInput memory proven = abi.decode(proof, (IERC7992Adapter.ProvenInput));
        proven.hidden = false;
        vm.expectRevert(IERC7992Verifier.InputCommitmentMismatch.selector);
        adapter.verifyInference(modelId, commitment, OUTPUT, abi.encode(proven));
        proven.hidden = true;
        proven.input = abi.encodePacked(proven.input, uint8(0));
        commitment = adapter.commitmentOf(SALT, true, proven.input);
        proven.proof = verifier.prove(model, adapter.contextOf(modelId, commitment), "rows", OUTPUT);
        vm.expectRevert(IERC7992Verifier.InputCommitmentMismatch.selector);
        adapter.verifyInference(modelId, commitment, OUTPUT, abi.encode(proven));
    }

    function testFuzz_verifyInference_revertsForWhatIsNoProof(bytes memory proof) public {
        (bytes32 commitment,) = _prove(modelId, SALT, false);
        vm.expectRevert();
        adapter.verifyInference(modelId, commitment, OUTPUT, proof);
    }

    function test_registerModel_checksWhatProofsRestOn() public {
        IERC7992Registry.ModelCommitment memory commitment = _commitment("");
        commitment.proofSystemId = bytes4(keccak256("groth16-bn254-v1"));
        vm.expectRevert(
            abi.encodeWithSelector(IERC7992Verifier.UnsupportedProofSystem.selector, commitment.proofSystemId)
        );
        adapter.registerModel(commitment);
        commitment = _commitment("");
        commitment.modelHash = "none";
        vm.expectRevert(IERC7992Verifier.ModelMismatch.selector);
        adapter.registerModel(commitment);
        // Of a model that is not registered, the architecture is zero.
        commitment.circuitHash = 0;
        vm.expectRevert(IERC7992Verifier.ModelMismatch.selector);
        adapter.registerModel(commitment);
        commitment = _commitment("");
        commitment.circuitHash = "another";
        vm.expectRevert(IERC7992Verifier.ModelMismatch.selector);
        adapter.registerModel(commitment);
        commitment = _commitment("");
        commitment.vkHash = "another";
        vm.expectRevert(IERC7992Verifier.ModelMismatch.selector);
        adapter.registerModel(commitment);
    }

    function test_updateModel_changesTheUriAlone() public {
        IERC7992Registry.ModelCommitment memory commitment = _commitment("ipfs://new card");
        vm.expectRevert(abi.encodeWithSelector(IERC7992Registry.NotModelOwner.selector, modelId, address(this)));
        adapter.updateModel(modelId, commitment);
        vm.expectEmit(address(adapter));
        emit IERC7992Registry.ModelUpdated(modelId, _commitment("ipfs://card"), commitment);
        vm.prank(claimant);
        adapter.updateModel(modelId, commitment);
        (IERC7992Registry.ModelCommitment memory got, bool deprecated, address owner) = adapter.getModel(modelId);
        vm.assertEq(keccak256(abi.encode(got)), keccak256(abi.encode(commitment)));
        vm.assertFalse(deprecated);
        vm.assertEq(owner, claimant);
        commitment.vkHash = "another";
        vm.expectRevert(IERC7992Adapter.CommitmentFixed.selector);
        vm.prank(claimant);
        adapter.updateModel(modelId, commitment);
    }

    function test_deprecateModel_endsVerificationOfThatIdOnly() public {
        uint256 second = adapter.registerModel(_commitment(""));
        vm.expectRevert(abi.encodeWithSelector(IERC7992Registry.NotModelOwner.selector, modelId, address(this)));
        adapter.deprecateModel(modelId);
        vm.prank(claimant);
        adapter.deprecateModel(modelId);
        (, bool deprecated,) = adapter.getModel(modelId);
        vm.assertTrue(deprecated);
        (bytes32 commitment, bytes memory proof) = _prove(modelId, SALT, false);
        vm.expectRevert(abi.encodeWithSelector(IERC7992Verifier.VerificationRefused_ModelDeprecated.selector, modelId));
        adapter.verifyInference(modelId, commitment, OUTPUT, proof);
        vm.prank(claimant);
        vm.expectRevert(abi.encodeWithSelector(IERC7992Registry.ModelIsDeprecated.selector, modelId));
        adapter.deprecateModel(modelId);
        (commitment, proof) = _prove(second, SALT, false);
        adapter.verifyInference(second, commitment, OUTPUT, proof);
    }
}

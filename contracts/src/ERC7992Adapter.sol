// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ERC165} from "@openzeppelin/contracts/utils/introspection/ERC165.sol";

import {IERC7992Registry, IERC7992Verifier} from "./interfaces/IERC7992.sol";
import {IERC7992Adapter} from "./interfaces/IERC7992Adapter.sol";
import {IInferenceVerifier} from "./interfaces/IInferenceVerifier.sol";

/// @title ERC7992Adapter
/// @notice See {IERC7992Adapter}. Not upgradeable, without an owner, holds nothing. It trusts the verifier for proofs.
contract ERC7992Adapter is IERC7992Adapter, ERC165 {
    bytes32 private constant INPUT_DOMAIN = keccak256("counterweight/erc7992/input/v1");
    bytes32 private constant CONTEXT_DOMAIN = keccak256("counterweight/erc7992/context/v1");
    bytes4 private constant PROOF_SYSTEM = bytes4(keccak256("counterweight-zkml-bn254-v1"));

    struct Entry {
        bytes32 model;
        address owner;
        bool deprecated;
        string uri;
    }

    /// @inheritdoc IERC7992Adapter
    IInferenceVerifier public immutable verifier;

    mapping(uint256 modelId => Entry) private _entries;
    uint256 private _count;

    constructor(IInferenceVerifier inferenceVerifier) {
        verifier = inferenceVerifier;
    }

    // Registry

    /// @inheritdoc IERC7992Registry
    function registerModel(ModelCommitment calldata commitment) external returns (uint256 modelId) {
        _checkCommitment(commitment);
        modelId = ++_count;
        _entries[modelId] = Entry(commitment.modelHash, msg.sender, false, commitment.uri);
        emit ModelRegistered(modelId, msg.sender, commitment);
    }

    /// @inheritdoc IERC7992Registry
    function updateModel(uint256 modelId, ModelCommitment calldata newCommitment) external {
        Entry storage entry = _owned(modelId);
        ModelCommitment memory old = _commitment(entry);
        if (
            newCommitment.modelHash != old.modelHash || newCommitment.circuitHash != old.circuitHash
                || newCommitment.vkHash != old.vkHash || newCommitment.proofSystemId != old.proofSystemId
        ) revert CommitmentFixed();
        entry.uri = newCommitment.uri;
        emit ModelUpdated(modelId, old, newCommitment);
    }

    /// @inheritdoc IERC7992Registry
    function deprecateModel(uint256 modelId) external {
        _owned(modelId).deprecated = true;
        emit ModelDeprecated(modelId);
    }

    /// @inheritdoc IERC7992Registry
    function getModel(uint256 modelId)
        external
        view
        returns (ModelCommitment memory commitment, bool deprecated, address owner)
    {
        Entry storage entry = _entry(modelId);
        return (_commitment(entry), entry.deprecated, entry.owner);
    }

    // Verifier

    /// @inheritdoc IERC7992Verifier
    function verifyInference(uint256 modelId, bytes32 inputCommitment, bytes calldata output, bytes calldata proof)
        external
    {
        Entry storage entry = _entry(modelId);
        if (entry.deprecated) revert VerificationRefused_ModelDeprecated(modelId);
        ProvenInput memory proven = abi.decode(proof, (ProvenInput));
        if (_commitmentOf(proven.salt, proven.hidden, proven.input) != inputCommitment) {
            revert InputCommitmentMismatch();
        }
        bytes32 context = contextOf(modelId, inputCommitment);
        bool holds;
        if (proven.hidden) {
            // A longer string would be another commitment to the same hidden input.
            if (proven.input.length != 32) revert InputCommitmentMismatch();
            holds = verifier.verifyCommitted(entry.model, context, bytes32(proven.input), output, proven.proof);
        } else {
            holds = verifier.verify(entry.model, context, proven.input, output, proven.proof);
        }
        if (!holds) revert InvalidProof();
        emit InferenceVerified(modelId, inputCommitment, output, msg.sender);
    }

    /// @inheritdoc IERC7992Verifier
    function proofSystemOf(uint256 modelId) external view returns (bytes4) {
        _entry(modelId);
        return PROOF_SYSTEM;
    }

    /// @inheritdoc IERC7992Verifier
    function registry() external view returns (address) {
        return address(this);
    }

    // What its words stand for

    /// @inheritdoc IERC7992Adapter
    function proofSystem() external pure returns (bytes4) {
        return PROOF_SYSTEM;
    }

    /// @inheritdoc IERC7992Adapter
    function commitmentFor(bytes32 model) external view returns (ModelCommitment memory) {
        return _commitmentFor(model, "");
    }

    /// @inheritdoc IERC7992Adapter
    function commitmentOf(bytes32 salt, bool hidden, bytes calldata input) external pure returns (bytes32) {
        return _commitmentOf(salt, hidden, input);
    }

    /// @inheritdoc IERC7992Adapter
    function contextOf(uint256 modelId, bytes32 inputCommitment) public view returns (bytes32) {
        return keccak256(abi.encode(CONTEXT_DOMAIN, block.chainid, address(this), modelId, inputCommitment));
    }

    /// @inheritdoc ERC165
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IERC7992Registry).interfaceId || interfaceId == type(IERC7992Verifier).interfaceId
            || super.supportsInterface(interfaceId);
    }

    function _checkCommitment(ModelCommitment calldata given) private view {
        if (given.proofSystemId != PROOF_SYSTEM) revert UnsupportedProofSystem(given.proofSystemId);
        bytes32 architecture = verifier.architectureOf(given.modelHash);
        bool matches = architecture != 0 && given.circuitHash == architecture && given.vkHash == verifier.srsId();
        if (!matches) revert ModelMismatch();
    }

    function _entry(uint256 modelId) private view returns (Entry storage entry) {
        entry = _entries[modelId];
        if (entry.owner == address(0)) revert ModelNotFound(modelId);
    }

    function _owned(uint256 modelId) private view returns (Entry storage entry) {
        entry = _entry(modelId);
        if (msg.sender != entry.owner) revert NotModelOwner(modelId, msg.sender);
        if (entry.deprecated) revert ModelIsDeprecated(modelId);
    }

    function _commitment(Entry storage entry) private view returns (ModelCommitment memory) {
        return _commitmentFor(entry.model, entry.uri);
    }

    // The verifier keeps all but `uri`, and never changes it.
    function _commitmentFor(bytes32 model, string memory uri) private view returns (ModelCommitment memory) {
        return ModelCommitment(model, verifier.architectureOf(model), verifier.srsId(), PROOF_SYSTEM, uri);
    }

    function _commitmentOf(bytes32 salt, bool hidden, bytes memory input) private pure returns (bytes32) {
        return keccak256(abi.encode(INPUT_DOMAIN, salt, hidden, keccak256(input)));
    }
}

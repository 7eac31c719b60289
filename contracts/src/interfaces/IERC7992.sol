// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

// The two interfaces of ERC-7992, "Verifiable ML Model Inference (ZKML)", as of its draft of November 2025. Names, arguments and
// interface ids are the draft's. The draft gives an event and an error one name, `ModelDeprecated`, which no compiler takes: the
// error is `ModelIsDeprecated` here.

/// @title Models whose inferences can be proven
/// @notice The registry of ERC-7992
interface IERC7992Registry {
    /// @notice What a model's proofs rest on
    /// @param modelHash Commits to weights and architecture
    /// @param circuitHash Commits to what is proven
    /// @param vkHash Commits to what proofs are verified with
    /// @param proofSystemId First four bytes of keccak256 of the proof system's name and version
    /// @param uri Where to read about it; may be empty
    struct ModelCommitment {
        bytes32 modelHash;
        bytes32 circuitHash;
        bytes32 vkHash;
        bytes4 proofSystemId;
        string uri;
    }

    /// @notice Emitted for each new model
    /// @param modelId Its id
    /// @param owner Who may update and deprecate it
    /// @param commitment What its proofs rest on
    event ModelRegistered(uint256 indexed modelId, address indexed owner, ModelCommitment commitment);

    /// @notice Emitted when an owner updates a model
    /// @param modelId The model
    /// @param oldCommitment As it was
    /// @param newCommitment As it is
    event ModelUpdated(uint256 indexed modelId, ModelCommitment oldCommitment, ModelCommitment newCommitment);

    /// @notice Emitted when an owner deprecates a model
    /// @param modelId The model
    event ModelDeprecated(uint256 indexed modelId);

    /// @notice No model has this id
    /// @param modelId The id given
    error ModelNotFound(uint256 modelId);

    /// @notice Only the model's owner may do this
    /// @param modelId The model
    /// @param caller Who tried
    error NotModelOwner(uint256 modelId, address caller);

    /// @notice The model was deprecated, for good
    /// @param modelId The model
    error ModelIsDeprecated(uint256 modelId);

    /// @notice Registers a model; the caller becomes its owner (anyone may call)
    /// @param commitment What its proofs rest on
    /// @return modelId Its id
    function registerModel(ModelCommitment calldata commitment) external returns (uint256 modelId);

    /// @notice Updates a model (owner)
    /// @param modelId The model
    /// @param newCommitment What it becomes
    function updateModel(uint256 modelId, ModelCommitment calldata newCommitment) external;

    /// @notice Deprecates a model, for good: inferences of it are verified no more (owner)
    /// @param modelId The model
    function deprecateModel(uint256 modelId) external;

    /// @notice A model
    /// @param modelId The model
    /// @return commitment What its proofs rest on
    /// @return deprecated Whether it was deprecated
    /// @return owner Who may update and deprecate it
    function getModel(uint256 modelId)
        external
        view
        returns (ModelCommitment memory commitment, bool deprecated, address owner);
}

/// @title Verified inferences
/// @notice The verifier of ERC-7992
interface IERC7992Verifier {
    /// @notice Emitted when a proof held
    /// @param modelId The model
    /// @param inputCommitment Commits to the input
    /// @param output The output
    /// @param caller Who asked
    event InferenceVerified(
        uint256 indexed modelId, bytes32 indexed inputCommitment, bytes output, address indexed caller
    );

    /// @notice The proof does not hold
    error InvalidProof();

    /// @notice What a model is said to rest on is not so
    error ModelMismatch();

    /// @notice The input in the proof is not the one committed to
    error InputCommitmentMismatch();

    /// @notice The output is not of the form that was agreed
    error OutputMismatch();

    /// @notice No such proof system is verified here
    /// @param proofSystemId The one given
    error UnsupportedProofSystem(bytes4 proofSystemId);

    /// @notice The model was deprecated
    /// @param modelId The model
    error VerificationRefused_ModelDeprecated(uint256 modelId);

    /// @notice Reverts unless the proof shows that the model gives `output` on the committed input (anyone may call)
    /// @param modelId The model
    /// @param inputCommitment Commits to the input
    /// @param output The output
    /// @param proof The proof
    function verifyInference(uint256 modelId, bytes32 inputCommitment, bytes calldata output, bytes calldata proof)
        external;

    /// @notice The proof system of a model
    /// @param modelId The model
    function proofSystemOf(uint256 modelId) external view returns (bytes4);

    /// @notice Where models are registered
    function registry() external view returns (address registryAddress);
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Zero-knowledge proofs of inference by committed models
/// @notice A model is an architecture, which is public, and a hiding commitment to its weights. A proof says that the
/// network of that architecture, with the committed weights, gives `output` on an input, in the exact arithmetic of
/// docs/spec/arithmetic.md. It holds for one `context` only: 32 bytes that the caller chooses, such as a hash of the chain,
/// contract and job, so that a proof made for one job is refused for another.
interface IInferenceVerifier {
    /// @notice Emitted once for each model
    /// @param modelId Commits to the architecture and the commitment
    /// @param architecture keccak256 of the architecture's bytes
    /// @param commitment keccak256 of the weights' commitment
    /// @param registrant Who registered it; this gives no rights
    event ModelRegistered(
        bytes32 indexed modelId, bytes32 indexed architecture, bytes32 commitment, address indexed registrant
    );

    /// @notice No model has this id
    /// @param modelId The id given
    error UnknownModel(bytes32 modelId);

    /// @notice The commitment does not have as many rows as the architecture takes
    error CommitmentRefused();

    /// @notice The proof that every weight is an int8 does not hold
    error RegistrationRefused();

    /// @notice A precompiled contract of the chain gave no answer: too little gas, or the chain lacks it. A proof is never
    /// called bad for this
    /// @param precompile Its address
    error PrecompileFailed(uint256 precompile);

    /// @notice The contract that keeps a model could not be made
    error StorageRefused();

    /// @notice The set-up's point is none, or its secret is zero or one
    error SetUpRefused();

    /// @notice The development set-up, under which anybody can forge, is for chain 31337 alone
    /// @param chainId This chain
    error DevelopmentSetUp(uint256 chainId);

    /// @notice The set-up that proofs rest on (docs/spec/opening.md)
    function srsId() external view returns (bytes32);

    /// @notice Registers a model; registering it again gives the same id and changes nothing (anyone may call)
    /// @param architecture The architecture's canonical bytes (docs/spec/arithmetic.md)
    /// @param commitment The rows that commit to the weights (docs/spec/zkml.md)
    /// @param proof That every committed weight is an int8 and every bias digit in range
    /// @return modelId The model's id
    function registerModel(bytes calldata architecture, bytes calldata commitment, bytes calldata proof)
        external
        returns (bytes32 modelId);

    /// @notice Whether a model with this id was registered
    function isRegistered(bytes32 modelId) external view returns (bool);

    /// @notice keccak256 of a registered model's architecture bytes, zero where there is no such model
    function architectureOf(bytes32 modelId) external view returns (bytes32);

    /// @notice Whether a proof about a public input holds. False for a proof that does not, however malformed; reverts
    /// only for a model that is not registered
    /// @param modelId The model
    /// @param context What the proof is bound to
    /// @param input The input: one byte an element, two's complement, row-major
    /// @param output The output in the same form; four bytes an element, big endian, where the last layer is raw
    /// @param proof The proof (docs/spec/zkml.md)
    function verify(
        bytes32 modelId,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external view returns (bool);

    /// @notice Whether a proof about an input that stays hidden behind its commitment holds; otherwise as `verify`
    /// @param modelId The model
    /// @param context What the proof is bound to
    /// @param inputCommitment keccak256 of the input's commitment, which the proof carries
    /// @param output The output, as for `verify`
    /// @param proof The proof (docs/spec/zkml.md)
    function verifyCommitted(
        bytes32 modelId,
        bytes32 context,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external view returns (bool);
}

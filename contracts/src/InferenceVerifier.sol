// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {OpeningVerifier} from "./OpeningVerifier.sol";
import {RegistrationVerifier} from "./RegistrationVerifier.sol";
import {IArchitecturePlanner} from "./interfaces/IArchitecturePlanner.sol";
import {IOpeningVerifier} from "./interfaces/IOpeningVerifier.sol";
import {IInferenceVerifier} from "./interfaces/IInferenceVerifier.sol";
import {IRegistrationVerifier} from "./interfaces/IRegistrationVerifier.sol";
import {Argument, BLINDING_X, BLINDING_Y, COMMITMENT_HEADER} from "./zkml/Argument.sol";
import {Inference} from "./zkml/Inference.sol";
import {Plan} from "./zkml/Plan.sol";
import {RowCoefficients} from "./zkml/RowCoefficients.sol";
import {Session, Sessions} from "./zkml/Session.sol";

/// @title InferenceVerifier
/// @notice See {IInferenceVerifier}. One contract checks proofs about every model: what a model is follows from its
/// architecture, which {IArchitecturePlanner} digests once. Without an owner, not upgradeable.
/// @dev How much gas a proof takes is bounded by the model alone: every length follows from the plan, and is compared before
/// anything else is done. Nothing is answered for a lack of gas: a failed precompile reverts.
contract InferenceVerifier is IInferenceVerifier {
    bytes32 private constant SRS_LABEL = keccak256("counterweight/zkml/srs/v1");
    /// @dev The set-up whose secret is published: anybody can forge proofs under it.
    bytes32 private constant DEVELOPMENT_SRS = 0x2231ad4995a7cad95facb25d16b92eaf6894cf67a9acc9eecda3d2a343f4bcba;
    uint256 private constant DEVELOPMENT_CHAIN = 31_337;
    /// @dev The generator of the second group, as in EIP-197.
    uint256 private constant G2_X1 = 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2;
    uint256 private constant G2_X0 = 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed;
    uint256 private constant G2_Y1 = 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b;
    uint256 private constant G2_Y0 = 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa;
    // Kinds of statements.
    uint256 private constant PUBLIC_INPUT = 0;
    uint256 private constant COMMITTED_INPUT = 1;
    /// @dev Bytes of a model's code before its plans: a STOP, the hashes of commitment and architecture.
    uint256 private constant MODEL_HEADER = 65;

    /// @inheritdoc IInferenceVerifier
    bytes32 public immutable srsId;
    /// @notice What digests architectures
    IArchitecturePlanner public immutable planner;

    /// @dev Parts with contracts of their own, made here: the code of all would not fit in one.
    IOpeningVerifier private immutable _openings;
    IRegistrationVerifier private immutable _registrations;

    /// @dev Each model's plans and hashes are the code of a contract: read for a tenth of what storage costs.
    mapping(bytes32 modelId => address) private _models;

    /// @param architecturePlanner What digests architectures
    /// @param tau `[tau]_2` of the set-up, as in EIP-197
    constructor(IArchitecturePlanner architecturePlanner, uint256[4] memory tau) {
        bool isTrivial = tau[0] == G2_X1 && tau[1] == G2_X0 && tau[2] == G2_Y1 && tau[3] == G2_Y0;
        isTrivial = isTrivial || tau[0] | tau[1] | tau[2] | tau[3] == 0;
        if (isTrivial || !_isInSecondGroup(tau)) revert SetUpRefused();
        bytes32 id = keccak256(
            abi.encode(SRS_LABEL, 1, 2, BLINDING_X, BLINDING_Y, G2_X1, G2_X0, G2_Y1, G2_Y0, tau[0], tau[1], tau[2], tau[3])
        );
        if (id == DEVELOPMENT_SRS && block.chainid != DEVELOPMENT_CHAIN) revert DevelopmentSetUp(block.chainid);
        srsId = id;
        planner = architecturePlanner;
        _openings = new OpeningVerifier(tau);
        _registrations = new RegistrationVerifier(_openings, architecturePlanner);
    }

    /// @dev The pairing precompile refuses points that are off the curve or outside the group.
    function _isInSecondGroup(uint256[4] memory tau) private view returns (bool done) {
        (done,) = address(8).staticcall(abi.encode(0, 0, tau[0], tau[1], tau[2], tau[3]));
    }

    /// @inheritdoc IInferenceVerifier
    function registerModel(bytes calldata architecture, bytes calldata commitment, bytes calldata proof)
        external
        returns (bytes32 modelId)
    {
        bytes32 architectureHash = keccak256(architecture);
        bytes32 commitmentHash = keccak256(commitment);
        modelId = keccak256(abi.encode(srsId, architectureHash, commitmentHash));
        if (_models[modelId] != address(0)) return modelId;
        bytes memory plans = _registrations.examine(modelId, architecture, commitment, proof);
        _models[modelId] = _store(commitmentHash, architectureHash, plans);
        emit ModelRegistered(modelId, architectureHash, commitmentHash, msg.sender);
    }

    /// @inheritdoc IInferenceVerifier
    function isRegistered(bytes32 modelId) external view returns (bool) {
        return _models[modelId] != address(0);
    }

    /// @inheritdoc IInferenceVerifier
    function architectureOf(bytes32 modelId) external view returns (bytes32 architecture) {
        address model = _models[modelId];
        if (model == address(0)) return 0;
        assembly ("memory-safe") {
            extcodecopy(model, 0, 33, 32)
            architecture := mload(0)
        }
    }

    /// @inheritdoc IInferenceVerifier
    function verify(
        bytes32 modelId,
        bytes32 context,
        bytes calldata input,
        bytes calldata output,
        bytes calldata proof
    ) external view returns (bool) {
        Session memory session;
        bytes32 commitmentHash = _load(session, modelId, PUBLIC_INPUT);
        _setStatement(session, input, output);
        if (session.inputBytes != Plan.number(session.plan, Plan.INPUT_BYTES)) return false;
        uint256 statement = Argument.statement(PUBLIC_INPUT, modelId, context, keccak256(input), keccak256(output));
        return _verify(session, commitmentHash, 0, statement, proof);
    }

    /// @inheritdoc IInferenceVerifier
    function verifyCommitted(
        bytes32 modelId,
        bytes32 context,
        bytes32 inputCommitment,
        bytes calldata output,
        bytes calldata proof
    ) external view returns (bool) {
        Session memory session;
        bytes32 commitmentHash = _load(session, modelId, COMMITTED_INPUT);
        _setStatement(session, output[:0], output);
        uint256 statement = Argument.statement(COMMITTED_INPUT, modelId, context, inputCommitment, keccak256(output));
        return _verify(session, commitmentHash, inputCommitment, statement, proof);
    }

    // Models

    function _store(bytes32 commitmentHash, bytes32 architectureHash, bytes memory plans)
        private
        returns (address model)
    {
        // Copies what follows these ten bytes and returns it.
        uint16 length = uint16(MODEL_HEADER + plans.length);
        bytes memory code = abi.encodePacked(
            hex"61", length, hex"80600a3d393df3", bytes1(0), commitmentHash, architectureHash, plans
        );
        assembly ("memory-safe") {
            model := create(0, add(code, 32), mload(code))
        }
        if (model == address(0)) revert StorageRefused();
    }

    /// @dev Reads a model's plan for a kind of statement; gives the hash of its commitment.
    function _load(Session memory session, bytes32 modelId, uint256 kind)
        private
        view
        returns (bytes32 commitmentHash)
    {
        address model = _models[modelId];
        if (model == address(0)) revert UnknownModel(modelId);
        uint256 plan = Sessions.allocate(0);
        assembly ("memory-safe") {
            let length := shr(1, sub(extcodesize(model), MODEL_HEADER))
            extcodecopy(model, 0, 1, 32)
            commitmentHash := mload(0)
            extcodecopy(model, plan, add(MODEL_HEADER, mul(kind, length)), length)
            mstore(0x40, add(plan, length))
        }
        session.plan = plan;
        session.openings = _openings;
        session.rowBits = Plan.number(plan, Plan.ROW_BITS);
        session.slotBits = Plan.number(plan, Plan.SLOT_BITS);
        session.rounds = Plan.number(plan, Plan.ROUNDS);
        session.tauBits = Plan.number(plan, Plan.TAU_BITS);
    }

    // Statements

    function _setStatement(Session memory session, bytes calldata input, bytes calldata output) private pure {
        uint256 cursor;
        assembly ("memory-safe") {
            cursor := input.offset
        }
        (session.input, session.inputBytes) = (cursor, input.length);
        assembly ("memory-safe") {
            cursor := output.offset
        }
        (session.output, session.outputBytes) = (cursor, output.length);
    }

    function _verify(
        Session memory session,
        bytes32 commitmentHash,
        bytes32 inputCommitment,
        uint256 statement,
        bytes calldata proof
    ) private view returns (bool) {
        uint256 plan = session.plan;
        if (session.outputBytes != Plan.number(plan, Plan.OUTPUT_BYTES)) return false;
        uint256 cursor;
        assembly ("memory-safe") {
            cursor := proof.offset
        }
        Argument.Shape memory shape;
        shape.weightRows = Plan.number(plan, Plan.WEIGHT_ROWS);
        shape.inputRows = Plan.number(plan, Plan.INPUT_ROWS);
        shape.firstRows = Plan.number(plan, Plan.FIRST_ROWS);
        shape.secondRows = Plan.number(plan, Plan.SECOND_ROWS);
        shape.evaluations = Plan.number(plan, Plan.EVALUATIONS);
        shape.opening = Plan.number(plan, Plan.OPENING_BYTES);
        shape.scheme = Plan.number(plan, Plan.SCHEME);
        session.weightsAt = cursor;
        cursor += 64 * shape.weightRows;
        session.inputAt = cursor;
        session.firstAt = cursor + 64 * shape.inputRows;
        if (proof.length != Argument.length(session, shape) + 64 * shape.weightRows) return false;
        if (_weightsHash(session, shape) != commitmentHash) return false;
        if (shape.inputRows != 0 && keccak256(proof[64 * shape.weightRows:][:64 * shape.inputRows]) != inputCommitment)
        {
            return false;
        }
        Argument.begin(session, shape, statement);
        Inference.settle(session);
        Argument.followRows(session, shape);
        RowCoefficients.settle(session);
        return Argument.isOpened(session, shape);
    }

    /// @dev keccak256 of the commitment whose rows the proof repeats.
    function _weightsHash(Session memory session, Argument.Shape memory shape) private pure returns (bytes32 hash) {
        uint256 header = (session.rowBits << 8) | shape.scheme;
        uint256 rows = session.weightsAt;
        uint256 length = 64 * shape.weightRows;
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, shl(240, header))
            calldatacopy(add(data, COMMITMENT_HEADER), rows, length)
            hash := keccak256(data, add(COMMITMENT_HEADER, length))
        }
    }
}

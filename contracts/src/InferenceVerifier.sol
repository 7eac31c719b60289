// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IArchitecturePlanner} from "./interfaces/IArchitecturePlanner.sol";
import {IInferenceVerifier} from "./interfaces/IInferenceVerifier.sol";
import {Inference} from "./zkml/Inference.sol";
import {Multilinear} from "./zkml/Multilinear.sol";
import {Opening} from "./zkml/Opening.sol";
import {MASK_BITS, MASK_ROWS, MERCURY, Plan, ROUND_DEGREE, TABLE_BITS} from "./zkml/Plan.sol";
import {Points} from "./zkml/Points.sol";
import {Registration} from "./zkml/Registration.sol";
import {RowCoefficients} from "./zkml/RowCoefficients.sol";
import {minus, plus, times} from "./zkml/Scalars.sol";
import {Session, Sessions} from "./zkml/Session.sol";

/// @title InferenceVerifier
/// @notice See {IInferenceVerifier}. One contract checks proofs about every model: what a model is follows from its
/// architecture, which {IArchitecturePlanner} digests once. Without an owner, not upgradeable.
/// @dev How much gas a proof takes is bounded by the model alone: every length follows from the plan, and is compared before
/// anything else is done. Nothing is answered for a lack of gas: a failed precompile reverts.
contract InferenceVerifier is IInferenceVerifier {
    using Sessions for Session;

    bytes32 private constant PROTOCOL = keccak256("counterweight/zkml/v1");
    bytes32 private constant SRS_LABEL = keccak256("counterweight/zkml/srs/v1");
    /// @dev The set-up whose secret is published: anybody can forge proofs under it.
    bytes32 private constant DEVELOPMENT_SRS = 0x2231ad4995a7cad95facb25d16b92eaf6894cf67a9acc9eecda3d2a343f4bcba;
    uint256 private constant DEVELOPMENT_CHAIN = 31_337;
    /// @dev The blinding generator (docs/spec/opening.md).
    uint256 private constant BLINDING_X = 0x022129ec5e2d96e5662dc51ba9256e5e41a59548e4713ac1bdfcfc3284a9ab45;
    uint256 private constant BLINDING_Y = 0x06692f957b79afe3db2c01b1b067b162610c800567d8e08e06dfd61a1c079aca;
    /// @dev The generator of the second group, as in EIP-197.
    uint256 private constant G2_X1 = 0x198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2;
    uint256 private constant G2_X0 = 0x1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed;
    uint256 private constant G2_Y1 = 0x090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b;
    uint256 private constant G2_Y0 = 0x12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa;
    // Kinds of statements.
    uint256 private constant PUBLIC_INPUT = 0;
    uint256 private constant COMMITTED_INPUT = 1;
    uint256 private constant REGISTRATION = 2;
    /// @dev Bytes of a commitment before its rows: bits of a row's index, number of the opening scheme.
    uint256 private constant COMMITMENT_HEADER = 2;
    /// @dev Bytes of a model's code before its plans: a STOP, the hashes of commitment and architecture.
    uint256 private constant MODEL_HEADER = 65;

    /// @inheritdoc IInferenceVerifier
    bytes32 public immutable srsId;
    /// @notice What digests architectures
    IArchitecturePlanner public immutable planner;

    uint256 private immutable TAU_X1;
    uint256 private immutable TAU_X0;
    uint256 private immutable TAU_Y1;
    uint256 private immutable TAU_Y0;

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
        (TAU_X1, TAU_X0, TAU_Y1, TAU_Y0) = (tau[0], tau[1], tau[2], tau[3]);
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
        if (commitment.length < COMMITMENT_HEADER) revert CommitmentRefused();
        bytes memory plans = planner.plan(architecture, uint8(commitment[0]), uint8(commitment[1]));
        _models[modelId] = _store(abi.encodePacked(bytes1(0), commitmentHash, architectureHash, plans));
        _checkRegistration(modelId, plans, commitment, proof);
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
        bytes32 state = _state(PUBLIC_INPUT, modelId, context, keccak256(input), keccak256(output));
        return _verify(session, commitmentHash, 0, state, proof);
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
        bytes32 state = _state(COMMITTED_INPUT, modelId, context, inputCommitment, keccak256(output));
        return _verify(session, commitmentHash, inputCommitment, state, proof);
    }

    // Models

    function _store(bytes memory code) private returns (address model) {
        // Copies what follows these ten bytes and returns it.
        code = abi.encodePacked(hex"61", uint16(code.length), hex"80600a3d393df3", code);
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

    /// @dev What the transcript absorbs first, in memory.
    function _state(uint256 kind, bytes32 modelId, bytes32 context, bytes32 input, bytes32 output)
        private
        pure
        returns (bytes32 statement)
    {
        assembly ("memory-safe") {
            statement := mload(0x40)
            mstore(statement, kind)
            mstore(add(statement, 32), modelId)
            mstore(add(statement, 64), context)
            mstore(add(statement, 96), input)
            mstore(add(statement, 128), output)
            mstore(0x40, add(statement, 160))
        }
    }

    function _verify(
        Session memory session,
        bytes32 commitmentHash,
        bytes32 inputCommitment,
        bytes32 statement,
        bytes calldata proof
    ) private view returns (bool) {
        uint256 plan = session.plan;
        if (session.outputBytes != Plan.number(plan, Plan.OUTPUT_BYTES)) return false;
        uint256 cursor;
        assembly ("memory-safe") {
            cursor := proof.offset
        }
        Shape memory shape;
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
        if (proof.length != _length(session, shape) + 64 * shape.weightRows) return false;
        if (_weightsHash(session, shape) != commitmentHash) return false;
        if (shape.inputRows != 0 && keccak256(proof[64 * shape.weightRows:][:64 * shape.inputRows]) != inputCommitment)
        {
            return false;
        }
        _begin(session, shape, uint256(statement));
        Inference.settle(session);
        _followRows(session, shape);
        RowCoefficients.settle(session);
        return _isOpened(session, shape);
    }

    /// @dev keccak256 of the commitment whose rows the proof repeats.
    function _weightsHash(Session memory session, Shape memory shape) private pure returns (bytes32 hash) {
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

    /// @dev A model's weights are int8, or this reverts.
    function _checkRegistration(
        bytes32 modelId,
        bytes memory plans,
        bytes calldata commitment,
        bytes calldata proof
    ) private view {
        Session memory session;
        session.isRegistration = true;
        uint256 plan;
        uint256 commitmentAt;
        uint256 cursor;
        assembly ("memory-safe") {
            plan := add(plans, 32)
            commitmentAt := add(commitment.offset, COMMITMENT_HEADER)
            cursor := proof.offset
        }
        Shape memory shape;
        shape.weightRows = Plan.number(plan, Plan.WEIGHT_ROWS);
        session.rowBits = Plan.number(plan, Plan.ROW_BITS);
        uint256 slots = shape.weightRows << (session.rowBits - Registration.LANE_BITS);
        while (slots > 1 << session.slotBits) {
            ++session.slotBits;
        }
        session.rounds = session.tauBits = session.slotBits > TABLE_BITS ? session.slotBits : TABLE_BITS;
        shape.firstRows = _rows(session, (1 << TABLE_BITS) + (1 << MASK_BITS));
        shape.secondRows = _rows(session, slots) + 1;
        shape.evaluations = Registration.EVALUATIONS;
        shape.opening = Plan.number(plan, Plan.OPENING_BYTES);
        shape.scheme = Plan.number(plan, Plan.SCHEME);
        session.weightsAt = commitmentAt;
        session.firstAt = session.inputAt = cursor;
        if (commitment.length != COMMITMENT_HEADER + 64 * shape.weightRows) revert CommitmentRefused();
        if (proof.length != _length(session, shape)) revert RegistrationRefused();
        uint256 statement = uint256(_state(REGISTRATION, modelId, 0, 0, 0));
        uint256 sum = _begin(session, shape, statement);
        Registration.settle(session, slots - 1, sum);
        _followRows(session, shape);
        Registration.coefficients(session, slots - 1, shape.weightRows, shape.secondRows - 1);
        if (!_isOpened(session, shape)) revert RegistrationRefused();
    }

    function _rows(Session memory session, uint256 cells) private pure returns (uint256) {
        return (cells + (1 << session.rowBits) - 1) >> session.rowBits;
    }

    // The argument

    /// @dev How many of each thing a proof holds.
    struct Shape {
        uint256 weightRows;
        uint256 inputRows;
        uint256 firstRows;
        uint256 secondRows;
        uint256 evaluations;
        uint256 opening;
        uint256 scheme;
    }

    /// @dev Bytes of a proof without its rows of weights.
    function _length(Session memory session, Shape memory shape) private pure returns (uint256) {
        unchecked {
            uint256 points = shape.inputRows + shape.firstRows + MASK_ROWS + shape.secondRows;
            return 64 * points + 32 * _scalars(session, shape) + shape.opening;
        }
    }

    /// @dev Scalars of a proof before its opening.
    function _scalars(Session memory session, Shape memory shape) private pure returns (uint256) {
        unchecked {
            return 4 + ROUND_DEGREE * session.rounds + shape.evaluations + 2 * session.rowBits;
        }
    }

    /// @dev Checks that points are points and scalars are scalars, and follows the proof up to the weights of claims. Gives
    /// the claimed sum.
    function _begin(Session memory session, Shape memory shape, uint256 statement) private pure returns (uint256 sum) {
        unchecked {
            session.secondAt = session.firstAt + 64 * (shape.firstRows + MASK_ROWS);
            uint256 cursor = session.secondAt + 64 * shape.secondRows;
            _checkEncodings(session, shape, cursor);
            session.state = uint256(PROTOCOL);
            session.next = session.firstAt;
            session.alpha = session.drawAfter(statement, 160, 64 * (shape.firstRows + MASK_ROWS));
            session.beta = session.draw(0);
            session.tau = session.drawPoint(session.tauBits, 64 * shape.secondRows);
            session.lambda = session.draw(0);
            session.eta = session.draw(0);
            assembly ("memory-safe") {
                sum := calldataload(cursor)
            }
            session.claim = sum;
            session.point = Sessions.allocate(session.rounds);
            session.follow(session.point, session.rounds, ROUND_DEGREE, 32);
            session.evaluationsAt = session.next;
            session.maskPoint = session.drawPoint(session.rowBits, 32 * shape.evaluations);
            session.gamma = session.draw(32);
        }
    }

    function _checkEncodings(Session memory session, Shape memory shape, uint256 scalarsAt) private pure {
        unchecked {
            uint256 scalars = _scalars(session, shape);
            bool isGood = Points.areValid(session.weightsAt, shape.weightRows);
            isGood = isGood && Points.areValid(session.inputAt, (scalarsAt - session.inputAt) / 64);
            isGood = isGood && Sessions.areScalars(scalarsAt, scalars);
            uint256 opening = scalarsAt + 32 * scalars;
            uint256 points = shape.scheme == MERCURY ? 5 : session.rowBits - 1;
            uint256 values = shape.scheme == MERCURY ? 6 : 2 * session.rowBits + 1;
            isGood = isGood && Points.areValid(opening, points);
            isGood = isGood && Sessions.areScalars(opening + 64 * points, values);
            isGood = isGood && Points.areValid(opening + 64 * points + 32 * values, 3);
            if (!isGood) session.refuse();
        }
    }

    /// @dev Follows the second sum-check, which leaves one row at one point.
    function _followRows(Session memory session, Shape memory shape) private pure {
        unchecked {
            uint256 maskSum = session.next - 32;
            assembly ("memory-safe") {
                maskSum := calldataload(maskSum)
            }
            session.claim = plus(maskSum, session.value);
            // The bits of a row's number go before the point.
            session.rowPoint = Sessions.allocate(RowCoefficients.MOST_BLOCK_ROW_BITS + session.rowBits)
                + 32 * RowCoefficients.MOST_BLOCK_ROW_BITS;
            session.follow(session.rowPoint, session.rowBits, 2, 0);
            session.weightRows = Sessions.zeros(shape.weightRows);
            session.inputRows = Sessions.zeros(shape.inputRows);
            session.firstRows = Sessions.zeros(shape.firstRows);
            session.secondRows = Sessions.zeros(shape.secondRows);
        }
    }

    /// @dev Combines all rows, takes the blinding off, and checks what the sum is at the row point.
    function _isOpened(Session memory session, Shape memory shape) private view returns (bool) {
        unchecked {
            uint256 value;
            uint256 blinding;
            uint256 next = session.next;
            assembly ("memory-safe") {
                value := calldataload(next)
                blinding := calldataload(add(next, 32))
            }
            uint256 factor = session.draw(32);
            value = plus(value, times(factor, session.claim));
            uint256 sum = Points.begin();
            Points.combine(sum, session.weightsAt, shape.weightRows, session.weightRows, factor);
            Points.combine(sum, session.inputAt, shape.inputRows, session.inputRows, factor);
            Points.combine(sum, session.firstAt, shape.firstRows, session.firstRows, factor);
            Points.combine(sum, session.secondAt, shape.secondRows, session.secondRows, factor);
            uint256 masks = session.firstAt + 64 * shape.firstRows;
            uint256 same = Multilinear.equal(session.rowBits, session.maskPoint, session.rowPoint);
            Points.add(sum, masks, times(factor, same));
            Points.add(sum, masks + 64, factor);
            Points.add(sum, masks + 128, 1);
            Points.add(sum, BLINDING_X, BLINDING_Y, minus(0, blinding));
            return Opening.holds(session, shape.scheme, sum, value, 32, _tau());
        }
    }

    /// @dev `[tau]_2` in memory.
    function _tau() private view returns (uint256 tau) {
        tau = Sessions.allocate(4);
        (uint256 x1, uint256 x0, uint256 y1, uint256 y0) = (TAU_X1, TAU_X0, TAU_Y1, TAU_Y0);
        assembly ("memory-safe") {
            mstore(tau, x1)
            mstore(add(tau, 32), x0)
            mstore(add(tau, 64), y1)
            mstore(add(tau, 96), y0)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IArchitecturePlanner} from "./interfaces/IArchitecturePlanner.sol";
import {IInferenceVerifier} from "./interfaces/IInferenceVerifier.sol";
import {IOpeningVerifier} from "./interfaces/IOpeningVerifier.sol";
import {IRegistrationVerifier} from "./interfaces/IRegistrationVerifier.sol";
import {Argument, COMMITMENT_HEADER} from "./zkml/Argument.sol";
import {MASK_BITS, Plan, TABLE_BITS} from "./zkml/Plan.sol";
import {Registration} from "./zkml/Registration.sol";
import {Session} from "./zkml/Session.sol";

/// @title RegistrationVerifier
/// @notice See {IRegistrationVerifier}. A contract of its own because its code and {InferenceVerifier}'s do not fit in one.
contract RegistrationVerifier is IRegistrationVerifier {
    /// @dev A kind of statement, beside the two of {InferenceVerifier}.
    uint256 private constant REGISTRATION = 2;

    IOpeningVerifier private immutable _openings;
    IArchitecturePlanner private immutable _planner;

    constructor(IOpeningVerifier openings, IArchitecturePlanner planner) {
        (_openings, _planner) = (openings, planner);
    }

    /// @inheritdoc IRegistrationVerifier
    function examine(
        bytes32 modelId,
        bytes calldata architecture,
        bytes calldata commitment,
        bytes calldata proof
    ) external view returns (bytes memory plans) {
        if (commitment.length < COMMITMENT_HEADER) revert IInferenceVerifier.CommitmentRefused();
        plans = _planner.plan(architecture, uint8(commitment[0]), uint8(commitment[1]));
        _check(modelId, plans, commitment, proof);
    }

    function _check(bytes32 modelId, bytes memory plans, bytes calldata commitment, bytes calldata proof) private view {
        Session memory session;
        Argument.Shape memory shape;
        _layOut(session, shape, plans);
        uint256 cursor;
        assembly ("memory-safe") {
            cursor := add(commitment.offset, COMMITMENT_HEADER)
        }
        session.weightsAt = cursor;
        assembly ("memory-safe") {
            cursor := proof.offset
        }
        session.firstAt = session.inputAt = cursor;
        if (commitment.length != COMMITMENT_HEADER + 64 * shape.weightRows) {
            revert IInferenceVerifier.CommitmentRefused();
        }
        bool isGood = proof.length == Argument.length(session, shape);
        if (!isGood || !_holds(session, shape, modelId)) revert IInferenceVerifier.RegistrationRefused();
    }

    function _holds(Session memory session, Argument.Shape memory shape, bytes32 modelId) private view returns (bool) {
        uint256 slots = shape.weightRows << (session.rowBits - Registration.LANE_BITS);
        uint256 sum = Argument.begin(session, shape, Argument.statement(REGISTRATION, modelId, 0, 0, 0));
        Registration.settle(session, slots - 1, sum);
        Argument.followRows(session, shape);
        Registration.coefficients(session, slots - 1, shape.weightRows, shape.secondRows - 1);
        return Argument.isOpened(session, shape);
    }

    /// @dev What a registration's session and proof are made of; of the plan only what it says of the weights matters.
    function _layOut(Session memory session, Argument.Shape memory shape, bytes memory plans) private view {
        uint256 plan;
        assembly ("memory-safe") {
            plan := add(plans, 32)
        }
        session.isRegistration = true;
        session.openings = _openings;
        session.rowBits = Plan.number(plan, Plan.ROW_BITS);
        shape.weightRows = Plan.number(plan, Plan.WEIGHT_ROWS);
        shape.opening = Plan.number(plan, Plan.OPENING_BYTES);
        shape.scheme = Plan.number(plan, Plan.SCHEME);
        uint256 slots = shape.weightRows << (session.rowBits - Registration.LANE_BITS);
        while (slots > 1 << session.slotBits) {
            ++session.slotBits;
        }
        session.rounds = session.tauBits = session.slotBits > TABLE_BITS ? session.slotBits : TABLE_BITS;
        shape.firstRows = _rows(session, (1 << TABLE_BITS) + (1 << MASK_BITS));
        shape.secondRows = _rows(session, slots) + 1;
        shape.evaluations = Registration.EVALUATIONS;
    }

    function _rows(Session memory session, uint256 cells) private pure returns (uint256) {
        return (cells + (1 << session.rowBits) - 1) >> session.rowBits;
    }
}

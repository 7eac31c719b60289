// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Inference} from "./Inference.sol";
import {LookupTable} from "./LookupTable.sol";
import {Multilinear} from "./Multilinear.sol";
import {TABLE_BITS} from "./Plan.sol";
import {RowCoefficients} from "./RowCoefficients.sol";
import {minus, plus, times} from "./Scalars.sol";
import {Session, Sessions} from "./Session.sol";

/// @title What a registration claims: every committed weight is an int8 (docs/spec/zkml.md, section 7)
/// @notice Four weights share a slot. The last slot holds masks.
library Registration {
    using Sessions for Session;

    uint256 internal constant LANES = 4;
    uint256 internal constant LANE_BITS = 2;
    /// @dev Values revealed: the four weights, both inverses, the multiplicity.
    uint256 internal constant EVALUATIONS = LANES + 3;
    /// @dev Where masks follow multiplicities in the first vector.
    uint256 internal constant MASKS_AT = 1 << TABLE_BITS;

    uint256 private constant WEIGHT = Inference.BALANCE + 1;
    uint256 private constant SLOT_INVERSE = WEIGHT + LANES;
    uint256 private constant TABLE_INVERSE = SLOT_INVERSE + 1;
    uint256 private constant MULTIPLICITY = TABLE_INVERSE + 1;

    /// @dev Adds up the values of all claims. `active` slots hold weights; `sum` is the claimed sum.
    function settle(Session memory session, uint256 active, uint256 sum) internal pure {
        unchecked {
            session.weigh(MULTIPLICITY);
            session.claimed(session.weight(Inference.SUM), sum);
            uint256 bits = session.slotBits;
            uint256 slots = Multilinear.equalBelow(active, bits, session.tauFor(bits), session.pointFor(bits));
            uint256 holds = Inference.inverseHolds(
                session.evaluation(LANES), _lane(session, 0), _lane(session, 1), _lane(session, 2), _lane(session, 3)
            );
            uint256 last = minus(session.claim, times(slots, holds));
            last = minus(last, times(session.lambda, Inference.entriesAt(session, LANES + 1)));
            session.claimed(session.weight(Inference.LAST), last);
            // Weights, both inverses and the multiplicity follow each other in the same order.
            for (uint256 i = 0; i < EVALUATIONS; ++i) {
                session.claimed(session.weight(WEIGHT + i), session.evaluation(i));
            }
        }
    }

    /// @dev What stands for "weight + 128 is a byte" in the lookup.
    function _lane(Session memory session, uint256 lane) private pure returns (uint256) {
        unchecked {
            uint256 value = session.evaluation(lane) + 128;
            return session.alpha + LookupTable.TAG_BYTE + times(session.beta, value);
        }
    }

    /// @dev Fills in all coefficients, for so many rows of weights.
    function coefficients(Session memory session, uint256 active, uint256 rows, uint256 inverseRows) internal pure {
        unchecked {
            uint256 bits = session.slotBits;
            uint256 same = session.pointFor(bits);
            uint256 lanes = _lanes(session);
            for (uint256 row = 0; row < rows; ++row) {
                uint256 point = RowCoefficients.enter(session, bits + LANE_BITS, row);
                _store(session.weightRows + 32 * row, times(lanes, Multilinear.equal(bits, same, point)));
            }
            uint256 place = RowCoefficients.blockPlace(session, 0, bits);
            for (uint256 row = 0; row < inverseRows; ++row) {
                uint256 point = RowCoefficients.enter(session, bits, row);
                uint256 value = times(session.weight(SLOT_INVERSE), Multilinear.equal(bits, same, point));
                uint256 balance = Multilinear.sumBelow(active, bits, point);
                value += times(session.weight(Inference.BALANCE), balance);
                _store(session.secondRows + 32 * row, times(value, place));
            }
            // The table's inverses have a row of their own after the slots'.
            uint256 tableRows = session.secondRows + 32 * inverseRows;
            RowCoefficients.lookups(session, session.firstRows, 0, tableRows, 0, MULTIPLICITY, TABLE_INVERSE);
            RowCoefficients.masks(session, RowCoefficients.blockPlace(session, MASKS_AT, 8), MASKS_AT);
        }
    }

    /// @dev The claims on the weights of a slot, by the last bits of the row point.
    function _lanes(Session memory session) private pure returns (uint256 sum) {
        unchecked {
            uint256 point = session.rowPointFor(LANE_BITS);
            for (uint256 lane = 0; lane < LANES; ++lane) {
                uint256 ofLane = Multilinear.corner(lane, LANE_BITS, point);
                sum = plus(sum, times(session.weight(WEIGHT + lane), ofLane));
            }
        }
    }

    function _store(uint256 cursor, uint256 value) private pure {
        assembly ("memory-safe") {
            mstore(cursor, value)
        }
    }
}

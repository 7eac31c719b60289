// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Multilinear} from "./Multilinear.sol";
import {Opening} from "./Opening.sol";
import {MASK_ROWS, MERCURY, ROUND_DEGREE} from "./Plan.sol";
import {Points} from "./Points.sol";
import {RowCoefficients} from "./RowCoefficients.sol";
import {minus, plus, times} from "./Scalars.sol";
import {Session, Sessions} from "./Session.sol";

/// @dev The blinding generator (docs/spec/opening.md).
uint256 constant BLINDING_X = 0x022129ec5e2d96e5662dc51ba9256e5e41a59548e4713ac1bdfcfc3284a9ab45;
uint256 constant BLINDING_Y = 0x06692f957b79afe3db2c01b1b067b162610c800567d8e08e06dfd61a1c079aca;

/// @dev Bytes of a commitment before its rows: bits of a row's index, number of the opening scheme.
uint256 constant COMMITMENT_HEADER = 2;

/// @title What inferences and registrations have in common: two sum-checks and an opening (docs/spec/zkml.md, section 4)
library Argument {
    using Sessions for Session;

    bytes32 private constant PROTOCOL = keccak256("counterweight/zkml/v1");

    /// @dev What the transcript absorbs first, in memory.
    function statement(uint256 kind, bytes32 modelId, bytes32 context, bytes32 input, bytes32 output)
        internal
        pure
        returns (uint256 words)
    {
        assembly ("memory-safe") {
            words := mload(0x40)
            mstore(words, kind)
            mstore(add(words, 32), modelId)
            mstore(add(words, 64), context)
            mstore(add(words, 96), input)
            mstore(add(words, 128), output)
            mstore(0x40, add(words, 160))
        }
    }

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
    function length(Session memory session, Shape memory shape) internal pure returns (uint256) {
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
    function begin(Session memory session, Shape memory shape, uint256 words) internal pure returns (uint256 sum) {
        unchecked {
            session.secondAt = session.firstAt + 64 * (shape.firstRows + MASK_ROWS);
            uint256 cursor = session.secondAt + 64 * shape.secondRows;
            _checkEncodings(session, shape, cursor);
            session.state = uint256(PROTOCOL);
            session.next = session.firstAt;
            session.alpha = session.drawAfter(words, 160, 64 * (shape.firstRows + MASK_ROWS));
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
            // The rows of weights are those of the registration, which checked them.
            bool isGood = !session.isRegistration || Points.areValid(session.weightsAt, shape.weightRows);
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
    function followRows(Session memory session, Shape memory shape) internal pure {
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
    function isOpened(Session memory session, Shape memory shape) internal view returns (bool) {
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
            session.next = next + 64;
            return Opening.holds(session, shape.scheme, shape.opening, sum, blinding, value);
        }
    }
}

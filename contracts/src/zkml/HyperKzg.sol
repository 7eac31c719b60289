// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Points} from "./Points.sol";
import {HALF, ORDER, Scalars, minus, plus, times} from "./Scalars.sol";
import {Session, Sessions} from "./Session.sol";

/// @title Openings by HyperKZG (docs/spec/opening.md)
/// @dev Points and scalars of the proof were checked by the caller.
library HyperKzg {
    using Sessions for Session;

    /// @dev Challenges and what follows from them.
    struct Batch {
        uint256 rho;
        uint256 q;
        uint256 delta;
        // The batch at rho, -rho and rho^2.
        uint256 atPlus;
        uint256 atMinus;
        uint256 atSquare;
        // The powers of q, one word each.
        uint256 powers;
    }

    /// @dev As {Mercury}'s.
    function holds(
        Session memory session,
        bytes memory claim,
        uint256 commitment,
        uint256 value,
        uint256[4] memory tau
    ) internal view returns (bool) {
        unchecked {
            uint256 proof = session.next;
            uint256 rowBits = session.rowBits;
            Batch memory h;
            h.rho = session.drawFrom(claim, 64 * (rowBits - 1));
            h.q = session.draw(64 * rowBits + 32);
            h.delta = session.draw(192);
            if (h.rho == 0) return false;
            uint256 evaluations = proof + 64 * (rowBits - 1);
            if (_fold(h, evaluations, session.rowPoint, rowBits) != value) return false;
            uint256 left = _sum(h, proof, commitment, rowBits);
            uint256 right = _quotients(h, left, evaluations + 64 * rowBits + 32);
            return Points.pairingIsOne(left, right, tau);
        }
    }

    /// @dev Adds the quotients to the sum, each by its place; gives the sum of them that is paired with tau.
    function _quotients(Batch memory h, uint256 left, uint256 data) private view returns (uint256 right) {
        unchecked {
            uint256 rho = h.rho;
            uint256 square = times(h.delta, h.delta);
            right = Points.begin();
            Points.add(right, data, 1);
            Points.add(right, data + 64, h.delta);
            Points.add(right, data + 128, square);
            Points.add(left, data, rho);
            Points.add(left, data + 64, minus(0, times(h.delta, rho)));
            Points.add(left, data + 128, times(square, times(rho, rho)));
        }
    }

    /// @dev Follows the folds: each one's value at rho^2 follows from those of the one before at rho and -rho. Gives the last,
    /// and sets what the batch is.
    function _fold(Batch memory h, uint256 evaluations, uint256 point, uint256 rowBits)
        private
        view
        returns (uint256 atSquare)
    {
        unchecked {
            atSquare = _scalar(evaluations, 0);
            evaluations += 32;
            uint256 half = times(HALF, Scalars.inverse(h.rho));
            uint256 power = 1;
            h.powers = Sessions.allocate(rowBits);
            for (uint256 i = 0; i < rowBits; ++i) {
                uint256 even = _scalar(evaluations, 64 * i);
                uint256 odd = _scalar(evaluations, 64 * i + 32);
                h.atPlus = plus(h.atPlus, times(power, even));
                h.atMinus = plus(h.atMinus, times(power, odd));
                h.atSquare = plus(h.atSquare, times(power, atSquare));
                _store(h.powers + 32 * i, power);
                power = times(power, h.q);
                uint256 x = _load(point + 32 * (rowBits - 1 - i));
                atSquare = times(times(h.rho, minus(1, x)), even + odd);
                atSquare = times(atSquare + times(x, minus(even, odd)), half);
            }
        }
    }

    /// @dev The folds' commitments and the constant.
    function _sum(Batch memory h, uint256 proof, uint256 commitment, uint256 rowBits)
        private
        view
        returns (uint256 sum)
    {
        unchecked {
            uint256 delta = h.delta;
            uint256 square = times(delta, delta);
            uint256 factor = plus(1 + delta, square);
            sum = Points.begin();
            Points.add(sum, _load(commitment), _load(commitment + 32), factor);
            Points.combine(sum, proof, rowBits - 1, h.powers + 32, factor);
            uint256 constantTerm = h.atPlus + times(delta, h.atMinus) + times(square, h.atSquare);
            Points.add(sum, 1, 2, minus(0, constantTerm % ORDER));
        }
    }

    // Words

    function _scalar(uint256 data, uint256 offset) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(add(data, offset))
        }
    }

    function _load(uint256 cursor) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(cursor)
        }
    }

    function _store(uint256 cursor, uint256 value) private pure {
        assembly ("memory-safe") {
            mstore(cursor, value)
        }
    }
}

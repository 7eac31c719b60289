// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Points} from "./Points.sol";
import {HALF, ORDER, Scalars, minus, plus, times} from "./Scalars.sol";
import {Session, Sessions} from "./Session.sol";

/// @title Openings by Mercury (docs/spec/opening.md)
/// @dev Points and scalars of the proof were checked by the caller.
library Mercury {
    using Sessions for Session;

    /// @dev Challenges and what follows from them.
    struct Batch {
        uint256 alpha;
        uint256 gamma;
        uint256 zeta;
        uint256 beta;
        uint256 z;
        uint256 delta;
        // zeta^b with b the number of columns, 1 / zeta, 1 / (zeta - 1/zeta), 1 / (zeta - alpha), 1 / (1/zeta - alpha).
        uint256 power;
        uint256 inverse;
        uint256 span;
        uint256 zetaToAlpha;
        uint256 inverseToAlpha;
        // z - zeta, z - 1/zeta, z - alpha.
        uint256 atZeta;
        uint256 atInverse;
        uint256 atAlpha;
    }

    /// @dev Whether the sum `commitment` has the value at the row point. `claim` is the transcript's state and what is absorbed
    /// of the claim; the proof is what follows in the session.
    function holds(
        Session memory session,
        bytes memory claim,
        uint256 commitment,
        uint256 value,
        uint256[4] memory tau
    ) internal view returns (bool) {
        Batch memory m;
        uint256 proof = session.next;
        m.alpha = session.drawFrom(claim, 64);
        m.gamma = session.draw(128);
        m.zeta = session.draw(128);
        m.beta = session.draw(256);
        m.z = session.draw(64);
        m.delta = session.draw(64);
        if (!_invert(m)) return false;
        uint256 hAlpha = _hAlpha(session, m, proof, value);
        uint256 constantTerm = _constant(m, proof, hAlpha);
        _sum(m, proof, commitment, constantTerm);
        uint256 right = Points.begin();
        unchecked {
            Points.add(right, proof + 512, 1);
            Points.add(right, proof + 640, m.delta);
        }
        return Points.pairingIsOne(commitment, right, tau);
    }

    /// @dev All inverses by one inversion. False where there are none: with chance below 2^-240.
    function _invert(Batch memory m) private view returns (bool) {
        unchecked {
            uint256 zeta = m.zeta;
            uint256 square = minus(times(zeta, zeta), 1);
            uint256 first = times(zeta, square);
            uint256 zetaMinusAlpha = minus(zeta, m.alpha);
            uint256 oneMinusBoth = minus(1, times(zeta, m.alpha));
            uint256 second = times(zetaMinusAlpha, oneMinusBoth);
            uint256 product = times(first, second);
            if (product == 0) return false;
            uint256 inverse = Scalars.inverse(product);
            // Of zeta (zeta^2 - 1), and of (zeta - alpha)(1 - alpha zeta).
            uint256 ofFirst = times(inverse, second);
            uint256 ofSecond = times(inverse, first);
            m.inverse = times(ofFirst, square);
            m.span = times(times(ofFirst, zeta), zeta);
            m.zetaToAlpha = times(ofSecond, oneMinusBoth);
            m.inverseToAlpha = times(times(ofSecond, zetaMinusAlpha), zeta);
            m.atZeta = minus(m.z, zeta);
            m.atInverse = minus(m.z, m.inverse);
            m.atAlpha = minus(m.z, m.alpha);
            return true;
        }
    }

    /// @dev h(alpha), from the identity of the inner products; sets `power`.
    function _hAlpha(Session memory session, Batch memory m, uint256 proof, uint256 value)
        private
        pure
        returns (uint256 sum)
    {
        unchecked {
            uint256 rowBits = session.rowBits;
            uint256 columnBits = (rowBits + 1) / 2;
            (uint256 row, uint256 power) = _equalities(session.rowPoint, rowBits - columnBits, m.zeta);
            (uint256 rowInverse,) = _equalities(session.rowPoint, rowBits - columnBits, m.inverse);
            sum = times(_scalar(proof, 416), row) + times(_scalar(proof, 384), rowInverse);
            sum = times(m.gamma, minus(minus(sum, value), value));
            uint256 column = session.rowPointFor(columnBits);
            (row, power) = _equalities(column, columnBits, m.zeta);
            (rowInverse,) = _equalities(column, columnBits, m.inverse);
            m.power = power;
            sum += times(_scalar(proof, 352), row) + times(_scalar(proof, 320), rowInverse);
            sum = minus(sum, times(m.zeta, _scalar(proof, 448)));
            sum = times(minus(sum, times(m.inverse, _scalar(proof, 480))), HALF);
        }
    }

    /// @dev What the batch is at z: kappa of the specification.
    function _constant(Batch memory m, uint256 proof, uint256 hAlpha) private pure returns (uint256 sum) {
        unchecked {
            uint256 both = times(m.atZeta, m.atInverse);
            sum = times(times(hAlpha, both), times(m.zetaToAlpha, m.inverseToAlpha));
            uint256 spanAlpha = times(m.span, m.atAlpha);
            both = times(times(_scalar(proof, 384), m.atInverse), m.zetaToAlpha);
            both = minus(both, times(times(_scalar(proof, 416), m.atZeta), m.inverseToAlpha));
            // beta h*
            sum = times(m.beta, sum + times(both, spanAlpha));
            // (z - alpha) (g* + beta^2 s*)
            uint256 square = times(m.beta, m.beta);
            both = _scalar(proof, 320) + times(square, _scalar(proof, 448));
            both = times(both, m.atInverse);
            uint256 taken = _scalar(proof, 352) + times(square, _scalar(proof, 480));
            both = minus(both, times(taken, m.atZeta));
            sum += times(both, spanAlpha);
            // beta^3 (z - alpha)(z - 1/zeta) d(zeta), with d(zeta) = zeta^(b-1) g(1/zeta)
            both = times(times(m.power, m.inverse), _scalar(proof, 352));
            both = times(both, times(m.atAlpha, m.atInverse));
            sum = plus(sum, times(both, times(square, m.beta)));
        }
    }

    /// @dev Adds all points but the commitment, which is in the sum already.
    function _sum(Batch memory m, uint256 proof, uint256 sum, uint256 constantTerm) private view {
        unchecked {
            uint256 scalar = _scalar(proof, 320) + times(m.delta, constantTerm);
            Points.add(sum, 1, 2, minus(0, scalar % ORDER));
            Points.add(sum, proof + 64, minus(m.alpha, m.power));
            Points.add(sum, proof + 512, m.zeta);
            scalar = times(m.delta, m.atAlpha);
            Points.add(sum, proof + 128, scalar);
            uint256 atBoth = times(scalar, m.atInverse);
            Points.add(sum, proof + 576, minus(0, times(atBoth, m.atZeta)));
            uint256 square = times(m.beta, m.beta);
            Points.add(sum, proof + 192, times(scalar, square));
            Points.add(sum, proof + 256, times(atBoth, times(square, m.beta)));
            Points.add(sum, proof, times(m.delta, m.beta));
            Points.add(sum, proof + 640, times(m.delta, m.z));
        }
    }

    /// @dev The polynomial with coefficients eq(i, point) at x, and x^(2^bits).
    function _equalities(uint256 point, uint256 bits, uint256 x)
        private
        pure
        returns (uint256 product, uint256 power)
    {
        assembly ("memory-safe") {
            let order := ORDER
            product := 1
            power := x
            for { let cursor := add(point, shl(5, bits)) } gt(cursor, point) {} {
                cursor := sub(cursor, 32)
                let coordinate := mload(cursor)
                let factor := add(mulmod(coordinate, power, order), sub(add(order, 1), coordinate))
                product := mulmod(product, factor, order)
                power := mulmod(power, power, order)
            }
        }
    }

    function _scalar(uint256 data, uint256 offset) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(add(data, offset))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {MERCURY} from "./Plan.sol";
import {Points} from "./Points.sol";
import {ORDER, Scalars, minus, plus, times} from "./Scalars.sol";
import {Session, Sessions} from "./Session.sol";

/// @title What a committed row is at a point (docs/spec/opening.md)
/// @dev Points and scalars of the proof were checked by the caller.
library Opening {
    using Sessions for Session;

    bytes32 private constant MERCURY_LABEL = keccak256("counterweight/zkml/opening/mercury/v1");
    bytes32 private constant HYPER_KZG_LABEL = keccak256("counterweight/zkml/opening/hyperkzg/v1");
    uint256 private constant HALF = 0x183227397098d014dc2822db40c0ac2e9419f4243cdcb848a1f0fac9f8000001;

    /// @dev Whether the row committed to by the sum `commitment` has the value at the row point; the proof is what follows
    /// in the session. `first` bytes of it before are absorbed first. Only one row is opened in a call: the transcript's
    /// state after it is of no use.
    function holds(
        Session memory session,
        uint256 scheme,
        uint256 commitment,
        uint256 value,
        uint256 first,
        uint256 tau
    ) internal view returns (bool) {
        (uint256 claim, uint256 length) = _claim(session, scheme, commitment, value, first);
        uint256 proof = session.next;
        if (scheme == MERCURY) {
            uint256 alpha = session.drawAfter(claim, length, 64);
            return _mercury(session, proof, commitment, alpha, value, tau);
        }
        uint256 rho = session.drawAfter(claim, length, 64 * (session.rowBits - 1));
        return _hyperKzg(session, proof, commitment, rho, value, tau);
    }

    /// @dev What is absorbed of the claim, in memory.
    function _claim(Session memory session, uint256 scheme, uint256 commitment, uint256 value, uint256 first)
        private
        pure
        returns (uint256 claim, uint256 length)
    {
        uint256 rowBits = session.rowBits;
        uint256 rowPoint = session.rowPoint;
        uint256 next = session.next;
        bytes32 label = scheme == MERCURY ? MERCURY_LABEL : HYPER_KZG_LABEL;
        unchecked {
            length = first + 160 + 32 * rowBits;
            claim = Sessions.allocate(length / 32);
        }
        assembly ("memory-safe") {
            calldatacopy(claim, next, first)
            let cursor := add(claim, first)
            mstore(cursor, label)
            mstore(add(cursor, 32), rowBits)
            mcopy(add(cursor, 64), commitment, 64)
            mcopy(add(cursor, 128), rowPoint, shl(5, rowBits))
            mstore(sub(add(claim, length), 32), value)
            next := add(next, first)
        }
        session.next = next;
    }

    // Mercury

    struct Mercury {
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

    function _mercury(
        Session memory session,
        uint256 proof,
        uint256 commitment,
        uint256 alpha,
        uint256 value,
        uint256 tau
    ) private view returns (bool) {
        Mercury memory m;
        m.alpha = alpha;
        m.gamma = session.draw(128);
        m.zeta = session.draw(128);
        m.beta = session.draw(256);
        m.z = session.draw(64);
        m.delta = session.draw(64);
        if (!_invert(m)) return false;
        uint256 hAlpha = _hAlpha(session, m, proof, value);
        uint256 constantTerm = _constant(m, proof, hAlpha);
        _mercurySum(m, proof, commitment, constantTerm);
        uint256 right = Points.begin();
        unchecked {
            Points.add(right, proof + 512, 1);
            Points.add(right, proof + 640, m.delta);
        }
        return Points.pairingIsOne(commitment, right, tau);
    }

    /// @dev All inverses by one inversion. False where there are none: with chance below 2^-240.
    function _invert(Mercury memory m) private view returns (bool) {
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
    function _hAlpha(Session memory session, Mercury memory m, uint256 proof, uint256 value)
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
    function _constant(Mercury memory m, uint256 proof, uint256 hAlpha) private pure returns (uint256 sum) {
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
    function _mercurySum(Mercury memory m, uint256 proof, uint256 sum, uint256 constantTerm) private view {
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

    // HyperKZG

    struct HyperKzg {
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

    function _hyperKzg(
        Session memory session,
        uint256 proof,
        uint256 commitment,
        uint256 rho,
        uint256 value,
        uint256 tau
    ) private view returns (bool) {
        unchecked {
            uint256 rowBits = session.rowBits;
            HyperKzg memory h;
            h.rho = rho;
            h.q = session.draw(64 * rowBits + 32);
            h.delta = session.draw(192);
            if (rho == 0) return false;
            uint256 evaluations = proof + 64 * (rowBits - 1);
            if (_fold(h, evaluations, session.rowPoint, rowBits) != value) return false;
            uint256 left = _hyperKzgSum(h, proof, commitment, rowBits);
            uint256 right = _quotients(h, left, evaluations + 64 * rowBits + 32);
            return Points.pairingIsOne(left, right, tau);
        }
    }

    /// @dev Adds the quotients to the sum, each by its place; gives the sum of them that is paired with tau.
    function _quotients(HyperKzg memory h, uint256 left, uint256 data) private view returns (uint256 right) {
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
    function _fold(HyperKzg memory h, uint256 evaluations, uint256 point, uint256 rowBits)
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
    function _hyperKzgSum(HyperKzg memory h, uint256 proof, uint256 commitment, uint256 rowBits)
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

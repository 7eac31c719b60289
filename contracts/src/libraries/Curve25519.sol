// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title Curve25519
/// @notice The Montgomery curve of RFC 7748 by its u-coordinates, and the scalars of its prime-order group
/// @dev A point is X : Z with u = X / Z, and Z = 0 the neutral element. A point and its opposite are one here: whoever compares
/// points must not need their sign.
library Curve25519 {
    /// @notice The field's prime, 2^255 - 19
    uint256 internal constant P = 0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed;
    /// @notice The order of the base point
    uint256 internal constant ORDER = 0x1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed;
    /// @notice u of the base point
    uint256 internal constant BASE = 9;

    // 8^-1 modulo ORDER.
    uint256 private constant INVERSE_EIGHT = 0x0600000000000000000000000000000007d39db37d1cdad06106e529e2dc2f79;

    /// @dev The bytes in the other order: what is little-endian on the wire, and back.
    function swap(bytes32 value) internal pure returns (uint256 swapped) {
        swapped = uint256(value);
        uint256 mask = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
        swapped = (swapped >> 8 & mask) | (swapped & mask) << 8;
        mask = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
        swapped = (swapped >> 16 & mask) | (swapped & mask) << 16;
        mask = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
        swapped = (swapped >> 32 & mask) | (swapped & mask) << 32;
        mask = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
        swapped = (swapped >> 64 & mask) | (swapped & mask) << 64;
        swapped = swapped >> 128 | swapped << 128;
    }

    /// @dev u of a public key as RFC 7748 reads it: the highest bit does not count, and values from P on are taken modulo P.
    function decode(bytes32 key) internal pure returns (uint256) {
        return (swap(key) & type(uint256).max >> 1) % P;
    }

    /// @dev `scalar` times the point with this u, by the ladder of RFC 7748, section 5. Below P both.
    function multiply(uint256 scalar, uint256 u) internal pure returns (uint256 x, uint256 z) {
        x = 1;
        // Safe: arithmetic on the stack alone. Sums and differences of two values below P are below 2^256, and are not reduced
        // before they are multiplied.
        assembly ("memory-safe") {
            let x3 := u
            let z3 := 1
            let swapped := 0
            for { let i := 255 } i {} {
                i := sub(i, 1)
                if xor(swapped, and(shr(i, scalar), 1)) {
                    let t := x
                    x := x3
                    x3 := t
                    t := z
                    z := z3
                    z3 := t
                    swapped := iszero(swapped)
                }
                let a := add(x, z)
                let b := add(x, sub(P, z))
                let da := mulmod(add(x3, sub(P, z3)), a, P)
                let cb := mulmod(add(x3, z3), b, P)
                x3 := add(da, cb)
                x3 := mulmod(x3, x3, P)
                z3 := add(da, sub(P, cb))
                z3 := mulmod(u, mulmod(z3, z3, P), P)
                a := mulmod(a, a, P)
                b := mulmod(b, b, P)
                x := mulmod(a, b, P)
                b := add(a, sub(P, b))
                z := mulmod(b, add(a, mulmod(121665, b, P)), P)
            }
            if swapped {
                x := x3
                z := z3
            }
        }
    }

    /// @dev Eight times a point: whatever it had of small order is gone.
    function timesEight(uint256 x, uint256 z) internal pure returns (uint256, uint256) {
        for (uint256 i = 0; i < 3; ++i) {
            // Safe: as in `multiply`.
            assembly ("memory-safe") {
                let a := addmod(x, z, P)
                let b := addmod(x, sub(P, z), P)
                a := mulmod(a, a, P)
                b := mulmod(b, b, P)
                x := mulmod(a, b, P)
                b := add(a, sub(P, b))
                z := mulmod(b, add(a, mulmod(121665, b, P)), P)
            }
        }
        return (x, z);
    }

    /// @dev Whether eight times the base point times `scalar` is eight times X : Z, or its opposite.
    function opens(uint256 scalar, uint256 x, uint256 z) internal pure returns (bool) {
        (uint256 gotX, uint256 gotZ) = multiply(scalar, BASE);
        (gotX, gotZ) = timesEight(gotX, gotZ);
        (x, z) = timesEight(x, z);
        if (z == 0 || gotZ == 0) return z == gotZ;
        return mulmod(x, gotZ, P) == mulmod(gotX, z, P);
    }

    /// @dev X : Z of a point of edwards25519 in the form of RFC 8032; its sign does not count.
    function fromEdwards(bytes32 point) internal pure returns (uint256 x, uint256 z) {
        uint256 y = decode(point);
        return (addmod(1, y, P), addmod(1, P - y, P));
    }

    /// @dev Whether a key is of small order, so that every secret agreed with it is zero.
    function isWeak(bytes32 key) internal pure returns (bool) {
        (, uint256 z) = timesEight(decode(key), 1);
        return z == 0;
    }

    /// @dev What a key that was recovered modulo the order agrees on with a public key: (key / 8) (8 P), as on the wire. A clamped
    /// key is a multiple of 8 and ignores what a public key has of small order; the recovered one is not, so the factor is put
    /// back. Zero for a weak key.
    function agree(uint256 key, bytes32 with) internal view returns (bytes32) {
        (uint256 x, uint256 z) = multiply(mulmod(key, INVERSE_EIGHT, ORDER), decode(with));
        (x, z) = timesEight(x, z);
        return bytes32(swap(bytes32(mulmod(x, invert(z, P), P))));
    }

    /// @dev The value at 0 of the polynomial, modulo the order, through these values at these places: different, none of them 0.
    function interpolate(uint256[] memory places, uint256[] memory values) internal view returns (uint256) {
        (uint256 above, uint256 below) = (0, 1);
        for (uint256 i = 0; i < places.length; ++i) {
            uint256 numerator = values[i];
            uint256 denominator = 1;
            for (uint256 j = 0; j < places.length; ++j) {
                if (i == j) continue;
                numerator = mulmod(numerator, places[j], ORDER);
                uint256 difference = places[j] > places[i] ? places[j] - places[i] : ORDER - (places[i] - places[j]);
                denominator = mulmod(denominator, difference, ORDER);
            }
            // One fraction, so that one inversion is enough.
            above = addmod(mulmod(above, denominator, ORDER), mulmod(numerator, below, ORDER), ORDER);
            below = mulmod(below, denominator, ORDER);
        }
        return mulmod(above, invert(below, ORDER), ORDER);
    }

    /// @dev value^-1 modulo a prime; 0 for 0.
    function invert(uint256 value, uint256 prime) internal view returns (uint256 inverse) {
        bool done;
        // Safe: 192 bytes from the free memory pointer on, which need not move.
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, 0x20)
            mstore(add(input, 0x20), 0x20)
            mstore(add(input, 0x40), 0x20)
            mstore(add(input, 0x60), value)
            mstore(add(input, 0x80), sub(prime, 2))
            mstore(add(input, 0xa0), prime)
            done := staticcall(gas(), 5, input, 0xc0, input, 0x20)
            inverse := mload(input)
        }
        // A precompile that ran out of gas is not taken for an answer.
        if (!done) revert();
    }
}

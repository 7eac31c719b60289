// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title ChaCha20
/// @notice Blocks of the keystream of RFC 8439 under a zero nonce, and sums of blocks modulo 2^32
/// @dev A block is 16 words of 32 bits in four rows of four. A row is one word here, its four words in lanes of 64 bits from the
/// highest down: a sum of rows adds lanes without a carry from one to the next, up to 2^32 rows.
library ChaCha20 {
    /// @notice Sixteen words of 32 bits; what a lane holds above its 32 bits does not count
    struct Rows {
        uint256 a;
        uint256 b;
        uint256 c;
        uint256 d;
    }

    uint256 private constant WORDS = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    // "expand 32-byte k"
    uint256 private constant SIGMA = 0x0000000061707865000000003320646e0000000079622d32000000006b206574;

    /// @dev The block number `counter`, counted from 0, of the keystream under `key`.
    function keystream(bytes32 key, uint32 counter) internal pure returns (Rows memory rows) {
        (uint256 b, uint256 c) = _read(key);
        uint256 d = uint256(counter) << 192;
        uint256 a = SIGMA;
        // Safe: it touches no memory but the four words of `rows`. Lanes are kept below 2^32 after each step.
        assembly ("memory-safe") {
            function quarters(w, x, y, z) -> p, q, r, s {
                w := and(add(w, x), WORDS)
                z := xor(z, w)
                z := and(or(shl(16, z), shr(16, z)), WORDS)
                y := and(add(y, z), WORDS)
                x := xor(x, y)
                x := and(or(shl(12, x), shr(20, x)), WORDS)
                p := and(add(w, x), WORDS)
                z := xor(z, p)
                s := and(or(shl(8, z), shr(24, z)), WORDS)
                r := and(add(y, s), WORDS)
                x := xor(x, r)
                q := and(or(shl(7, x), shr(25, x)), WORDS)
            }
            let w := a
            let x := b
            let y := c
            let z := d
            for { let i := 0 } lt(i, 10) { i := add(i, 1) } {
                w, x, y, z := quarters(w, x, y, z)
                // Diagonals become columns.
                x := or(shl(64, x), shr(192, x))
                y := or(shl(128, y), shr(128, y))
                z := or(shl(192, z), shr(64, z))
                w, x, y, z := quarters(w, x, y, z)
                x := or(shl(192, x), shr(64, x))
                y := or(shl(128, y), shr(128, y))
                z := or(shl(64, z), shr(192, z))
            }
            mstore(rows, add(w, a))
            mstore(add(rows, 0x20), add(x, b))
            mstore(add(rows, 0x40), add(y, c))
            mstore(add(rows, 0x60), add(z, d))
        }
    }

    /// @dev Sixteen little-endian words.
    function read(bytes32[2] calldata bytes_) internal pure returns (Rows memory rows) {
        (rows.a, rows.b) = _read(bytes_[0]);
        (rows.c, rows.d) = _read(bytes_[1]);
    }

    /// @dev Adds `term` to `sum`.
    function add(Rows memory sum, Rows memory term) internal pure {
        // A lane is below 2^34 in a term, and there are some hundreds of terms.
        unchecked {
            sum.a += term.a;
            sum.b += term.b;
            sum.c += term.c;
            sum.d += term.d;
        }
    }

    /// @dev Whether the first `count` words of both are the same modulo 2^32; all of them from 16 on.
    function equal(Rows memory one, Rows memory other, uint256 count) internal pure returns (bool) {
        uint256 different = (one.a ^ other.a) & _first(count, 0);
        different |= (one.b ^ other.b) & _first(count, 4);
        different |= (one.c ^ other.c) & _first(count, 8);
        different |= (one.d ^ other.d) & _first(count, 12);
        return different == 0;
    }

    /// @dev The low halves of the lanes of a row, whose first word has number `from`, that are below `count`.
    function _first(uint256 count, uint256 from) private pure returns (uint256) {
        if (count >= from + 4) return WORDS;
        if (count <= from) return 0;
        return WORDS & ~(type(uint256).max >> 64 * (count - from));
    }

    /// @dev Eight little-endian words as two rows.
    function _read(bytes32 bytes_) private pure returns (uint256 low, uint256 high) {
        uint256 words = uint256(bytes_);
        uint256 odd = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
        words = (words >> 8 & odd) | (words & odd) << 8;
        uint256 pairs = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
        words = (words >> 16 & pairs) | (words & pairs) << 16;
        (low, high) = (_spread(words >> 128), _spread(words & type(uint128).max));
    }

    function _spread(uint256 four) private pure returns (uint256) {
        uint256 two = (four >> 64) << 128 | (four & type(uint64).max);
        return (two | two << 32) & WORDS;
    }
}

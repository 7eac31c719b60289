// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ChaCha20} from "../src/libraries/ChaCha20.sol";
import {Curve25519} from "../src/libraries/Curve25519.sol";
import {HkdfSha256} from "../src/libraries/HkdfSha256.sol";
import {MaskGroups} from "../src/libraries/MaskGroups.sol";
import {MaskedSums} from "../src/libraries/MaskedSums.sol";
import {Sha256Tree} from "../src/libraries/Sha256Tree.sol";
import {Sha256Trees} from "./base/Sha256Trees.sol";
import {Test} from "./base/Test.sol";

/// @dev The libraries of masked sums against the RFCs they are of, the vectors of the Rust library, and laws.
contract MaskLibrariesTest is Test {
    using ChaCha20 for ChaCha20.Rows;

    // RFC 8439, appendix A.1, test vectors 1, 2, 3 and 4: zero nonce.
    function test_keystream_isThatOfRfc8439() public pure {
        _requireStream(
            0,
            0,
            hex"76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        );
        _requireStream(
            0,
            1,
            hex"9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
        );
        _requireStream(
            bytes32(uint256(1)),
            1,
            hex"3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"
        );
        _requireStream(
            bytes32(uint256(0xff) << 240),
            2,
            hex"72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096"
        );
    }

    function testFuzz_equal_looksAtTheFirstWordsAlone(bytes32 key, uint8 changed, uint8 count) public view {
        uint256 word = changed % 16;
        bytes memory bytes_ = _stream(ChaCha20.keystream(key, 7));
        ChaCha20.Rows memory one = this.read(abi.decode(bytes_, (bytes32[2])));
        bytes_[4 * word + changed / 16 % 4] ^= 0x10;
        ChaCha20.Rows memory other = this.read(abi.decode(bytes_, (bytes32[2])));
        vm.assertEq(one.equal(other, count) ? 1 : 0, count > word ? 0 : 1);
    }

    /// Sums wrap at 2^32, and a word never carries into the next.
    function testFuzz_add_isModulo2To32(bytes32[2] calldata one, bytes32[2] calldata other, uint8 times)
        public
        pure
    {
        ChaCha20.Rows memory sum = ChaCha20.read(one);
        for (uint256 i = 0; i < times; ++i) {
            sum.add(ChaCha20.read(other));
        }
        bytes memory got = _stream(sum);
        bytes memory left = abi.encode(one);
        bytes memory right = abi.encode(other);
        for (uint256 i = 0; i < 16; ++i) {
            uint256 expected = _word(left, i) + uint256(times) * _word(right, i);
            vm.assertEq(_word(got, i), expected & 0xffffffff);
        }
    }

    // RFC 7748, section 5.2: a scalar is clamped before it is used.
    function test_multiply_isThatOfRfc7748() public view {
        _requireProduct(
            hex"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            hex"e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            hex"c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
        );
        _requireProduct(
            hex"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            hex"e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            hex"95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"
        );
    }

    // Bob's key is that of RFC 7748, section 6.1.
    function test_agree_isTheSameForAKeyRecoveredModuloTheOrder() public view {
        bytes32 alice = keccak256("alice");
        bytes32 key = _public(alice);
        bytes32 bob = 0x5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb;
        vm.assertEq(_public(bob), 0xde9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f);
        // Both sides agree, whether clamped or recovered modulo the order.
        bytes32 agreed = Curve25519.agree(_clamped(alice) % Curve25519.ORDER, _public(bob));
        vm.assertEq(agreed, Curve25519.agree(_clamped(bob) % Curve25519.ORDER, key));
        (uint256 x, uint256 z) = Curve25519.multiply(_clamped(bob), Curve25519.decode(key));
        vm.assertEq(agreed, _affine(x, z));
    }

    /// A part of small order in a peer's key changes nothing: the peer that is not recovered ignores it too.
    function test_agree_ignoresSmallOrder() public pure {
        // Points of small order: u = 0, 1, and those of order 8 (RFC 7748, section 7; cr.yp.to/ecdh.html).
        vm.assertTrue(Curve25519.isWeak(0));
        vm.assertTrue(Curve25519.isWeak(bytes32(uint256(1) << 248)));
        vm.assertTrue(Curve25519.isWeak(hex"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"));
        vm.assertTrue(Curve25519.isWeak(hex"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"));
        vm.assertTrue(Curve25519.isWeak(hex"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"));
        vm.assertFalse(Curve25519.isWeak(bytes32(uint256(9) << 248)));
    }

    function testFuzz_opens_theSecretAndItsOppositeAndNoOther(uint256 secret, uint256 other) public pure {
        secret %= Curve25519.ORDER;
        other %= Curve25519.ORDER;
        vm.assume(secret != 0 && other != secret && other != Curve25519.ORDER - secret);
        (uint256 x, uint256 z) = Curve25519.multiply(secret, Curve25519.BASE);
        vm.assertTrue(Curve25519.opens(secret, x, z));
        vm.assertTrue(Curve25519.opens(Curve25519.ORDER - secret, x, z));
        vm.assertFalse(Curve25519.opens(other, x, z));
        vm.assertFalse(Curve25519.opens(0, x, z));
        vm.assertEq(MaskedSums.selfSeed("context", 3, secret), MaskedSums.selfSeed("context", 3, Curve25519.ORDER - secret));
    }

    /// Any shares of a polynomial, as many as it has coefficients, give its value at 0.
    function testFuzz_interpolate_givesTheValueAtZero(uint256 seed, uint8 degree) public view {
        uint256 count = 1 + degree % 12;
        uint256[] memory places = new uint256[](count);
        uint256[] memory values = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            places[i] = 2 * i + 1 + (seed >> i & 1);
            for (uint256 j = count; j != 0;) {
                --j;
                uint256 coefficient = uint256(keccak256(abi.encode(seed, j))) % Curve25519.ORDER;
                values[i] = addmod(mulmod(values[i], places[i], Curve25519.ORDER), coefficient, Curve25519.ORDER);
            }
        }
        vm.assertEq(
            Curve25519.interpolate(places, values), uint256(keccak256(abi.encode(seed, uint256(0)))) % Curve25519.ORDER
        );
    }

    // RFC 5869, appendix A.3, does not fit a salt of 32 bytes; HMAC pads keys with zeros, so A.1 and A.3 with their salts padded do.
    function test_derive_isThatOfRfc5869() public pure {
        bytes memory secret = hex"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b";
        vm.assertEq(
            HkdfSha256.derive(hex"000102030405060708090a0b0c", secret, hex"f0f1f2f3f4f5f6f7f8f9"),
            hex"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
        );
        vm.assertEq(
            HkdfSha256.derive(0, secret, ""), hex"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
        );
    }

    /// Every leaf is in its tree at its place, and nowhere else; no path is too long or too short.
    function testFuzz_includes_everyLeafAtItsPlaceAlone(uint8 size, uint8 index, uint8 other) public view {
        uint256 count = 1 + size % 21;
        uint256 place = index % count;
        bytes[] memory leaves = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            leaves[i] = abi.encode(i);
        }
        bytes32 root = Sha256Trees.root(leaves);
        bytes32[] memory path = Sha256Trees.path(leaves, place);
        vm.assertTrue(this.includes(root, count, place, leaves[place], path));
        if (other != place) vm.assertFalse(this.includes(root, count, other, leaves[place], path));
        vm.assertFalse(this.includes(root, count, place, abi.encode(other, other), path));
        bytes32[] memory longer = new bytes32[](path.length + 1);
        for (uint256 i = 0; i < path.length; ++i) {
            longer[i] = path[i];
        }
        vm.assertFalse(this.includes(root, count, place, leaves[place], longer));
        if (path.length == 0) return;
        assembly ("memory-safe") {
            mstore(path, sub(mload(path), 1))
        }
        vm.assertFalse(this.includes(root, count, place, leaves[place], path));
    }

    /// Everyone announced is in one group; sizes differ by one at most, and the larger come first.
    function testFuzz_draw_partsTheAnnounced(bytes32 beacon, uint64 members, uint8 groupSize) public pure {
        groupSize = uint8(3 + groupSize % 14);
        uint8[][] memory groups = MaskGroups.draw(beacon, members, groupSize);
        uint256 count = MaskGroups.size(members);
        vm.assertEq(groups.length, count / groupSize);
        if (groups.length == 0) return;
        uint64 seen = 0;
        for (uint256 i = 0; i < groups.length; ++i) {
            vm.assertTrue(groups[i].length >= groupSize && groups[i].length <= groups[0].length);
            vm.assertTrue(i == 0 || groups[i].length <= groups[i - 1].length);
            vm.assertTrue(groups[0].length <= groups[i].length + 1);
            for (uint256 place = 0; place < groups[i].length; ++place) {
                uint64 bit = uint64(1) << groups[i][place];
                vm.assertTrue(seen & bit == 0);
                seen |= bit;
            }
        }
        vm.assertEq(seen, members);
    }

    // Calldata for libraries that read from there.

    function read(bytes32[2] calldata words) external pure returns (ChaCha20.Rows memory) {
        return ChaCha20.read(words);
    }

    function includes(bytes32 root, uint256 size, uint256 index, bytes calldata entry, bytes32[] calldata path)
        external
        pure
        returns (bool)
    {
        return Sha256Tree.includes(root, size, index, entry, path);
    }

    function _requireStream(bytes32 key, uint32 counter, bytes memory expected) private pure {
        vm.assertEq(keccak256(_stream(ChaCha20.keystream(key, counter))), keccak256(expected));
    }

    function _requireProduct(bytes32 scalar, bytes32 u, bytes32 expected) private view {
        (uint256 x, uint256 z) = Curve25519.multiply(_clamped(scalar), Curve25519.decode(u));
        vm.assertEq(_affine(x, z), expected);
    }

    function _clamped(bytes32 scalar) private pure returns (uint256) {
        return (Curve25519.swap(scalar) & ~uint256(7) & (type(uint256).max >> 2)) | uint256(1) << 254;
    }

    function _public(bytes32 scalar) private view returns (bytes32) {
        (uint256 x, uint256 z) = Curve25519.multiply(_clamped(scalar), Curve25519.BASE);
        return _affine(x, z);
    }

    function _affine(uint256 x, uint256 z) private view returns (bytes32) {
        return bytes32(Curve25519.swap(bytes32(mulmod(x, Curve25519.invert(z, Curve25519.P), Curve25519.P))));
    }

    /// @dev The words of four rows as little-endian bytes.
    function _stream(ChaCha20.Rows memory rows) private pure returns (bytes memory bytes_) {
        uint256[4] memory row = [rows.a, rows.b, rows.c, rows.d];
        for (uint256 i = 0; i < 16; ++i) {
            uint256 word = row[i / 4] >> 64 * (3 - i % 4);
            bytes_ = abi.encodePacked(
                bytes_, uint8(word), uint8(word >> 8), uint8(word >> 16), uint8(word >> 24)
            );
        }
    }

    function _word(bytes memory bytes_, uint256 index) private pure returns (uint256 word) {
        for (uint256 i = 4; i != 0;) {
            --i;
            word = word << 8 | uint8(bytes_[4 * index + i]);
        }
    }
}

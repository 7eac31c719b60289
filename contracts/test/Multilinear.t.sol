// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {LookupTable} from "../src/zkml/LookupTable.sol";
import {Multilinear} from "../src/zkml/Multilinear.sol";
import {PublicData} from "../src/zkml/PublicData.sol";
import {ORDER, Scalars, minus, plus, times} from "../src/zkml/Scalars.sol";
import {Test} from "./base/Test.sol";

/// @dev What the verifier evaluates by closed forms, against sums over every corner.
contract MultilinearTest is Test {
    uint256 private constant BITS = 5;

    /// @dev Coordinates that follow from a seed, in memory.
    function _point(uint256 seed, uint256 bits) private pure returns (uint256 place) {
        uint256[] memory coordinates = new uint256[](bits);
        for (uint256 i = 0; i < bits; ++i) {
            coordinates[i] = uint256(keccak256(abi.encode(seed, i))) % ORDER;
        }
        assembly ("memory-safe") {
            place := add(coordinates, 32)
        }
    }

    function _load(uint256 place, uint256 index) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(place, mul(32, index)))
        }
    }

    /// @dev eq(point, index), as it is defined.
    function _corner(uint256 index, uint256 bits, uint256 point) private pure returns (uint256 product) {
        product = 1;
        for (uint256 i = 0; i < bits; ++i) {
            uint256 x = _load(point, i);
            product = times(product, (index >> (bits - 1 - i)) & 1 == 1 ? x : minus(1, x));
        }
    }

    function testFuzz_sumsBelowASizeAreSumsOverItsCorners(uint256 seed, uint256 size) public pure {
        size = _bound(size, 0, 1 << BITS);
        uint256 left = _point(seed, BITS);
        uint256 right = _point(~seed, BITS);
        uint256 equal = 0;
        uint256 sum = 0;
        for (uint256 i = 0; i < size; ++i) {
            vm.assertEq(Multilinear.corner(i, BITS, left), _corner(i, BITS, left));
            equal = plus(equal, times(_corner(i, BITS, left), _corner(i, BITS, right)));
            sum = plus(sum, _corner(i, BITS, left));
        }
        vm.assertEq(Multilinear.equalBelow(size, BITS, left, right), equal);
        vm.assertEq(Multilinear.sumBelow(size, BITS, left), sum);
        (uint256 both, uint256 ofRight) = Multilinear.equalAndSumBelow(size, BITS, right, left);
        vm.assertEq(both, equal);
        vm.assertEq(ofRight, sum);
        if (size == 1 << BITS) vm.assertEq(Multilinear.equal(BITS, left, right), equal);
    }

    function testFuzz_cornersInARowShareFactors(uint256 seed, uint256 first, uint256 count, uint256 bits) public pure {
        bits = _bound(bits, 3, 9);
        count = _bound(count, 1, 4);
        first = _bound(first, 0, (1 << bits) - count);
        uint256 point = _point(seed, bits);
        uint256 table = Multilinear.corners(first, count, bits, point);
        for (uint256 i = 0; i < count; ++i) {
            vm.assertEq(_load(table, i), _corner(first + i, bits, point));
        }
    }

    function testFuzz_anInnerProductStepsThroughTheRightTable(uint256 seed, uint256 size, uint256 step) public pure {
        size = _bound(size, 0, 9);
        step = _bound(step, 1, 3);
        uint256 left = _point(seed, size);
        uint256 right = _point(~seed, 3 * size);
        uint256 sum = 0;
        for (uint256 i = 0; i < size; ++i) {
            sum = plus(sum, times(_load(left, i), _load(right, step * i)));
        }
        vm.assertEq(Multilinear.inner(size, left, right, 32 * step), sum);
    }

    function testFuzz_theTableHoldsEachCorner(uint256 seed, uint256 size, uint256 bits) public pure {
        bits = _bound(bits, 0, 6);
        size = _bound(size, 1, 1 << bits);
        uint256 point = _point(seed, bits);
        uint256 table = Multilinear.weights(size, bits, point);
        // What is allocated next must not be written over by the table.
        uint256 next = Multilinear.weights(1, 0, point);
        for (uint256 i = 0; i < size; ++i) {
            vm.assertEq(_load(table, i), _corner(i, bits, point));
        }
        vm.assertEq(_load(next, 0), 1);
    }

    function test_theLookupTablesExtensionIsThatOfItsEntries() public pure {
        uint256 point = _point(1, 11);
        uint256 beta = _load(_point(2, 1), 0);
        uint256 sum = 0;
        for (uint256 i = 0; i < 1 << 11; ++i) {
            sum = plus(sum, times(_corner(i, 11, point), _entry(i, beta)));
        }
        vm.assertEq(LookupTable.extended(point, beta), sum);
        uint256 tau = _point(3, 11);
        uint256 used = 0;
        for (uint256 i = 1; i < 1536; ++i) {
            used = plus(used, times(_corner(i, 11, tau), _corner(i, 11, point)));
        }
        vm.assertEq(LookupTable.usedEqual(tau, point), used);
    }

    /// @dev docs/spec/zkml.md, section 2.
    function _entry(uint256 index, uint256 beta) private pure returns (uint256) {
        if (index == 0 || index >= 1536) return 0;
        uint256 value = index & 0xff;
        uint256 part = index >> 8;
        if (part == 0) {
            uint256 bits = 0;
            while (index >> (bits + 1) != 0) {
                ++bits;
            }
            return _fold(beta, bits + 1, index - (1 << bits), 0, 0);
        }
        uint256 second = 0;
        uint256 third = 0;
        if (part == 2 || part == 3) {
            second = value == 128 ? 1 : 0;
            if (value > 128) third = 127;
            if (value < 128 && part == 2) third = ORDER - 128;
        }
        if (part == 4) second = minus(value, 128);
        if (part == 5 && value > 128) second = value - 128;
        return _fold(beta, part + 8, value, second, third);
    }

    function _fold(uint256 beta, uint256 tag, uint256 first, uint256 second, uint256 third)
        private
        pure
        returns (uint256)
    {
        third = plus(second, times(beta, third));
        third = plus(first, times(beta, third));
        return plus(tag, times(beta, third));
    }

    function testFuzz_publicBytesAreWeighedAsSignedNumbers(bytes calldata data, uint256 length, uint256 seed)
        public
        pure
    {
        vm.assume(data.length < 100);
        length = _bound(length, 1, 40);
        uint256 inner = _point(seed, length);
        uint256 outer = _point(~seed, data.length / length + 1);
        uint256 place;
        assembly ("memory-safe") {
            place := data.offset
        }
        uint256 sum = 0;
        for (uint256 i = 0; i < data.length; ++i) {
            int256 value = int8(uint8(data[i]));
            uint256 weight = times(_load(outer, i / length), _load(inner, i % length));
            sum = plus(sum, times(weight, value < 0 ? ORDER - uint256(-value) : uint256(value)));
        }
        vm.assertEq(PublicData.weigh(place, data.length, outer, inner, length), sum);
    }

    function testFuzz_publicWordsAreWeighedAsSignedNumbers(bytes calldata data, uint256 seed) public pure {
        uint256 count = data.length / 4;
        uint256 table = _point(seed, count);
        uint256 place;
        assembly ("memory-safe") {
            place := data.offset
        }
        uint256 sum = 0;
        for (uint256 i = 0; i < count; ++i) {
            int256 value = int32(uint32(bytes4(data[4 * i:4 * i + 4])));
            sum = plus(sum, times(_load(table, i), value < 0 ? ORDER - uint256(-value) : uint256(value)));
        }
        vm.assertEq(PublicData.weighWords(place, count, table), sum);
    }

    function testFuzz_aNumberTimesItsInverseIsOne(uint256 value) public view {
        value = _bound(value, 1, ORDER - 1);
        vm.assertEq(times(value, Scalars.inverse(value)), 1);
        vm.assertEq(Scalars.inverse(0), 0);
    }
}

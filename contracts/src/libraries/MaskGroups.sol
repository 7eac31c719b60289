// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title MaskGroups
/// @notice Who is in which group of a masked round (docs/spec/masked-rounds.md)
library MaskGroups {
    /// @dev The members with a bit set, shuffled after Fisher and Yates with draws from the beacon.
    function shuffle(bytes32 beacon, uint64 members) internal pure returns (uint8[] memory order) {
        uint256 count = size(members);
        order = new uint8[](count);
        uint256 next = 0;
        for (uint256 member = 0; next < count; ++member) {
            if (members >> member & 1 == 1) order[next++] = uint8(member);
        }
        for (uint256 i = count; i > 1;) {
            --i;
            uint256 with;
            // Safe: the first two words are scratch space.
            assembly ("memory-safe") {
                mstore(0, beacon)
                mstore(0x20, i)
                with := mod(keccak256(0, 0x40), add(i, 1))
            }
            (order[i], order[with]) = (order[with], order[i]);
        }
    }

    /// @dev The groups: consecutive parts of the shuffled order, as many as fit, dealt evenly; the first ones have one more. None where
    /// there are fewer members than a group has.
    function draw(bytes32 beacon, uint64 members, uint256 groupSize) internal pure returns (uint8[][] memory groups) {
        uint8[] memory order = shuffle(beacon, members);
        groups = new uint8[][](order.length / groupSize);
        uint256 next = 0;
        for (uint256 left = groups.length; left != 0; --left) {
            // What is left over is less than one each, so rounding up gives it to the first.
            uint8[] memory group = new uint8[]((order.length - next + left - 1) / left);
            for (uint256 place = 0; place < group.length; ++place) {
                group[place] = order[next++];
            }
            groups[groups.length - left] = group;
        }
    }

    /// @dev Which places of a group are of members with a bit set, and how many.
    function places(uint8[] memory group, uint64 members) internal pure returns (uint32 bits, uint256 count) {
        for (uint256 place = 0; place < group.length; ++place) {
            if (members >> group[place] & 1 == 0) continue;
            bits |= uint32(1) << uint32(place);
            ++count;
        }
    }

    /// @dev Shares that open a secret in a group of so many.
    function threshold(uint256 percent, uint256 members) internal pure returns (uint256) {
        uint256 neighbours = members - 1;
        uint256 needed = neighbours * percent / 100 + 1;
        return needed < neighbours ? needed : neighbours;
    }

    /// @dev How many bits are set.
    function size(uint64 members) internal pure returns (uint256 bits) {
        for (; members != 0; members &= members - 1) {
            ++bits;
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IMaskedRounds} from "./interfaces/IMaskedRounds.sol";
import {ISumDisputes} from "./interfaces/ISumDisputes.sol";
import {ChaCha20} from "./libraries/ChaCha20.sol";
import {Curve25519} from "./libraries/Curve25519.sol";
import {MaskGroups} from "./libraries/MaskGroups.sol";
import {MaskedSums} from "./libraries/MaskedSums.sol";
import {Sha256Tree} from "./libraries/Sha256Tree.sol";

/// @title SumDisputes
/// @notice See {ISumDisputes}. Made by {MaskedRounds}, which holds the bonds and keeps what was refuted; here are only the seeds that
/// were opened.
contract SumDisputes is ISumDisputes {
    using ChaCha20 for ChaCha20.Rows;

    /// @notice The rounds whose sums are disputed
    IMaskedRounds public immutable rounds;

    mapping(bytes32 context => mapping(uint256 pair => bytes32)) private _seeds;

    constructor(IMaskedRounds maskedRounds) {
        rounds = maskedRounds;
    }

    /// @inheritdoc ISumDisputes
    function openSeed(Group calldata group, Secret calldata secret) external {
        uint256 threshold = _threshold(group);
        if (!MaskedSums.isSurvivor(group, secret.place)) revert WrongPlace(secret.place);
        uint256 value = MaskedSums.secretOf(group, secret, MaskedSums.SEED, threshold);
        bytes32 seed = MaskedSums.selfSeed(group.context, secret.place, value);
        _keepSeed(group.context, secret.place, secret.place, seed);
    }

    /// @inheritdoc ISumDisputes
    function openPairs(Group calldata group, Secret calldata secret, uint8[] calldata survivors) external {
        uint256 threshold = _threshold(group);
        if (!MaskedSums.isDropped(group, secret.place)) revert WrongPlace(secret.place);
        uint256 key = MaskedSums.secretOf(group, secret, MaskedSums.KEY, threshold);
        for (uint256 i = 0; i < survivors.length; ++i) {
            uint8 survivor = survivors[i];
            if (!MaskedSums.isSurvivor(group, survivor)) revert WrongPlace(survivor);
            (uint8 low, uint8 high) = secret.place < survivor ? (secret.place, survivor) : (survivor, secret.place);
            bytes32 agreed = Curve25519.agree(key, group.seats[survivor].key);
            _keepSeed(group.context, low, high, MaskedSums.pairSeed(group.context, low, high, agreed));
        }
    }

    /// @inheritdoc ISumDisputes
    function disputeSum(Group calldata group, uint32 number, Block calldata posted, Block[] calldata masked)
        external
    {
        IMaskedRounds.Posted memory record = _posted(group);
        if (record.refuted >> group.index & 1 == 1) revert AlreadyRefuted(group.study, group.round, group.index);
        if (_sumIsRight(group, record.coordinates, number, posted, masked)) revert SumHolds(number);
        rounds.refute(group.study, group.round, group.index, number, msg.sender);
    }

    // Views

    /// @inheritdoc ISumDisputes
    function seedOf(bytes32 context, uint8 low, uint8 high) external view returns (bytes32) {
        return _seeds[context][_pair(low, high)];
    }

    /// @inheritdoc ISumDisputes
    function hashOf(Group calldata group) external pure returns (bytes32) {
        return MaskedSums.hashOf(group);
    }

    // Rules

    /// @dev The round's record, if the group was posted as it is given.
    function _posted(Group calldata group) private view returns (IMaskedRounds.Posted memory record) {
        record = rounds.postedOf(group.study, group.round);
        bool known = group.index < group.groups.length && group.groups[group.index] == MaskedSums.hashOf(group)
            && keccak256(abi.encodePacked(group.groups)) == record.hash;
        if (!known || group.survivors == 0) revert UnknownGroup(group.study, group.round, group.index);
    }

    function _threshold(Group calldata group) private view returns (uint256) {
        return MaskGroups.threshold(_posted(group).thresholdPercent, group.seats.length);
    }

    function _keepSeed(bytes32 context, uint8 low, uint8 high, bytes32 seed) private {
        _seeds[context][_pair(low, high)] = seed;
        emit SeedOpened(context, low, high, seed);
    }

    function _pair(uint8 low, uint8 high) private pure returns (uint256) {
        return uint256(low) << 8 | high;
    }

    /// @dev Whether a block of the posted sum is what the survivors' blocks give without their masks.
    function _sumIsRight(
        Group calldata group,
        uint256 coordinates,
        uint32 number,
        Block calldata posted,
        Block[] calldata masked
    ) private view returns (bool) {
        uint256 blocks = (coordinates + MaskedSums.WORDS - 1) / MaskedSums.WORDS;
        // Masks that were added go to the other side, where everything is added.
        ChaCha20.Rows memory left = _read(group.sum, blocks, number, posted, MaskedSums.SUM);
        ChaCha20.Rows memory right;
        uint256 next = 0;
        for (uint256 place = 0; place < group.seats.length; ++place) {
            if (!MaskedSums.isSurvivor(group, place)) continue;
            if (next == masked.length) revert NotInVector(place);
            right.add(_read(group.seats[place].uploadRoot, blocks, number, masked[next++], place));
            _addMasks(group, number, uint8(place), left, right);
        }
        return left.equal(right, coordinates - number * MaskedSums.WORDS);
    }

    /// @dev A survivor's masks that no other survivor's cancel: those it added to the left, those it took away to the right.
    function _addMasks(
        Group calldata group,
        uint32 number,
        uint8 place,
        ChaCha20.Rows memory left,
        ChaCha20.Rows memory right
    ) private view {
        left.add(_mask(group.context, place, place, number));
        for (uint8 other = 0; other < group.seats.length; ++other) {
            if (!MaskedSums.isDropped(group, other)) continue;
            if (place < other) left.add(_mask(group.context, place, other, number));
            else right.add(_mask(group.context, other, place, number));
        }
    }

    function _read(bytes32 root, uint256 blocks, uint256 number, Block calldata part, uint256 place)
        private
        pure
        returns (ChaCha20.Rows memory)
    {
        bool there = Sha256Tree.includes(root, blocks, number, abi.encodePacked(part.words), part.path);
        if (!there) revert NotInVector(place);
        return ChaCha20.read(part.words);
    }

    function _mask(bytes32 context, uint8 low, uint8 high, uint32 number)
        private
        view
        returns (ChaCha20.Rows memory)
    {
        bytes32 seed = _seeds[context][_pair(low, high)];
        if (seed == 0) revert SeedMissing(low, high);
        return ChaCha20.keystream(seed, number);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {ExactTransfer} from "./ExactTransfer.sol";
import {IMaskedRounds} from "./interfaces/IMaskedRounds.sol";
import {ISumDisputes} from "./interfaces/ISumDisputes.sol";
import {ChaCha20} from "./libraries/ChaCha20.sol";
import {Curve25519} from "./libraries/Curve25519.sol";
import {MaskGroups} from "./libraries/MaskGroups.sol";
import {MaskedSums} from "./libraries/MaskedSums.sol";
import {Sha256Tree} from "./libraries/Sha256Tree.sol";

/// @title SumDisputes
/// @notice See {ISumDisputes}. Made by {MaskedRounds}, which holds the bonds and keeps what was refuted; here are the seeds that were
/// opened, and demands with their deposits.
contract SumDisputes is ISumDisputes, ReentrancyGuardTransient {
    using ChaCha20 for ChaCha20.Rows;
    using ExactTransfer for IERC20;
    using SafeERC20 for IERC20;

    uint128 private constant DEPOSIT_SHARE = 100;

    /// @notice The rounds whose sums are disputed
    IMaskedRounds public immutable rounds;

    mapping(bytes32 context => mapping(uint256 pair => bytes32)) private _seeds;

    mapping(bytes32 id => Demand) private _demands;
    mapping(uint64 study => uint256) private _open;

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

    // Demands

    /// @inheritdoc ISumDisputes
    function demand(Group calldata group, uint32 number) external nonReentrant {
        IMaskedRounds.Posted memory record = _posted(group);
        (uint64 study, uint32 round, uint8 index) = (group.study, group.round, group.index);
        if (record.refuted >> index & 1 == 1) revert AlreadyRefuted(study, round, index);
        uint256 count = MaskedSums.blocks(record.coordinates);
        if (number >= count) revert NoSuchBlock(number, count);
        Demand storage demanded = _demands[_id(study, round, index, number)];
        if (demanded.state != DemandState.None) revert WrongDemand(demanded.state);
        IMaskedRounds.Setting memory setting = rounds.settingOf(study);
        uint64 answerBy = uint64(block.timestamp) + setting.disputeSeconds;
        uint128 deposit = depositOf(study);
        ++_open[study];
        (demanded.challenger, demanded.answerBy) = (msg.sender, answerBy);
        (demanded.state, demanded.deposit) = (DemandState.Open, deposit);
        emit BlockDemanded(study, round, index, number, msg.sender, answerBy, deposit);
        if (deposit != 0) IERC20(setting.bondToken).take(msg.sender, deposit);
    }

    /// @inheritdoc ISumDisputes
    function answer(Group calldata group, uint32 number, Block calldata part) external nonReentrant {
        IMaskedRounds.Posted memory record = _posted(group);
        uint64 study = group.study;
        Demand storage demanded = _demanded(study, group.round, group.index, number);
        if (block.timestamp > demanded.answerBy) revert WrongTime(demanded.answerBy);
        _read(group.sum, MaskedSums.blocks(record.coordinates), number, part, MaskedSums.SUM);
        demanded.state = DemandState.Answered;
        --_open[study];
        emit BlockShown(study, group.round, group.index, number, part.words, part.path);
        (address depositor,) = rounds.bondOf(study);
        _pay(study, depositor, demanded.deposit);
    }

    /// @inheritdoc ISumDisputes
    function settle(uint64 study, uint32 round, uint8 group, uint32 number) external nonReentrant {
        Demand storage demanded = _demanded(study, round, group, number);
        if (block.timestamp <= demanded.answerBy) revert WrongTime(demanded.answerBy);
        demanded.state = DemandState.Settled;
        --_open[study];
        address challenger = demanded.challenger;
        bool refuted = rounds.postedOf(study, round).refuted >> group & 1 == 1;
        if (!refuted) rounds.refute(study, round, group, number, challenger);
        _pay(study, challenger, demanded.deposit);
    }

    // Views

    /// @inheritdoc ISumDisputes
    function demandOf(uint64 study, uint32 round, uint8 group, uint32 number) external view returns (Demand memory) {
        return _demands[_id(study, round, group, number)];
    }

    /// @inheritdoc ISumDisputes
    function openDemands(uint64 study) external view returns (uint256) {
        return _open[study];
    }

    /// @inheritdoc ISumDisputes
    function depositOf(uint64 study) public view returns (uint128) {
        uint128 bond = rounds.settingOf(study).bond;
        return bond / DEPOSIT_SHARE + (bond % DEPOSIT_SHARE == 0 ? 0 : 1);
    }

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

    function _demanded(uint64 study, uint32 round, uint8 group, uint32 number)
        private
        view
        returns (Demand storage demanded)
    {
        demanded = _demands[_id(study, round, group, number)];
        if (demanded.state != DemandState.Open) revert WrongDemand(demanded.state);
    }

    function _id(uint64 study, uint32 round, uint8 group, uint32 number) private pure returns (bytes32) {
        return keccak256(abi.encode(study, round, group, number));
    }

    function _pay(uint64 study, address to, uint128 amount) private {
        if (amount != 0) IERC20(rounds.settingOf(study).bondToken).safeTransfer(to, amount);
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
        uint256 blocks = MaskedSums.blocks(coordinates);
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

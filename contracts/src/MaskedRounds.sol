// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {ExactTransfer} from "./ExactTransfer.sol";
import {SumDisputes} from "./SumDisputes.sol";
import {IMaskedRounds} from "./interfaces/IMaskedRounds.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";
import {Curve25519} from "./libraries/Curve25519.sol";
import {MaskGroups} from "./libraries/MaskGroups.sol";
import {MemberRecord} from "./libraries/MemberRecord.sol";

/// @title MaskedRounds
/// @notice See {IMaskedRounds}. Not upgradeable, without an owner. `TrainingRounds` says who is who and when a round is open; no
/// payment out depends on anyone.
contract MaskedRounds is IMaskedRounds, ReentrancyGuardTransient {
    using ExactTransfer for IERC20;
    using SafeERC20 for IERC20;

    uint256 private constant LARGEST_GROUP_SIZE = 16;
    uint256 private constant FEWEST = 3;
    address private constant BURNT = address(0xdEaD);

    /// @dev keccak256("counterweight/masked-round/v1")
    bytes32 private constant DOMAIN = keccak256("counterweight/masked-round/v1");
    /// @dev keccak256("counterweight/masked-round/beacon/v1")
    bytes32 private constant BEACON = keccak256("counterweight/masked-round/beacon/v1");

    /// @dev What of a study does not change, so that a step need not ask for it.
    struct Record {
        Setting setting;
        uint64 postedAt;
        uint32 roundSeconds;
        uint32 closeSeconds;
        //
        address coordinator;
        uint8 memberCount;
        bool refuted;
        bool released;
        //
        address depositor;
    }

    /// @notice Studies, their members and their rounds
    ITrainingRounds public immutable rounds;
    /// @notice Where a posted sum is disputed: a part of this contract with code of its own
    SumDisputes public immutable disputes;

    mapping(uint64 study => Record) private _records;
    mapping(uint64 study => Opening) private _openings;
    // A slot for each member, however many rounds: the hash of what it recorded in its last opening.
    mapping(uint64 study => mapping(uint256 member => bytes32)) private _members;
    // Sums can be disputed long after their slots were used again, so each round with sums leaves one hash.
    mapping(uint64 study => mapping(uint32 round => bytes32)) private _posted;
    mapping(uint64 study => mapping(uint32 round => uint32)) private _refuted;

    constructor(ITrainingRounds trainingRounds) {
        rounds = trainingRounds;
        disputes = new SumDisputes(this);
    }

    /// @inheritdoc IMaskedRounds
    function configure(uint64 study, Setting calldata setting) external nonReentrant {
        Record storage record = _records[study];
        if (record.depositor != address(0)) revert AlreadyConfigured(study);
        ITrainingRounds.Study memory state = rounds.study(study);
        bool entitled = msg.sender == state.coordinator || msg.sender == state.sponsor;
        if (!entitled || state.phase != ITrainingRounds.Phase.Enrolling) revert NotConfigurable(study, msg.sender);
        _checkSetting(setting);
        record.setting = setting;
        record.roundSeconds = state.roundSeconds;
        record.closeSeconds = state.closeSeconds;
        record.coordinator = state.coordinator;
        record.depositor = msg.sender;
        emit MaskingConfigured(study, msg.sender, setting);
        if (setting.bond != 0) IERC20(setting.bondToken).take(msg.sender, setting.bond);
    }

    // The steps of a round

    /// @inheritdoc IMaskedRounds
    function announce(uint64 study, uint32 round, uint8 member, bytes32 key) external {
        Record storage record = _configured(study);
        Opening storage current = _openings[study];
        // An opening that expired is past this time, so its round's next opening is noticed; until then it costs no look.
        if (current.round != round || block.timestamp > _announceBy(record, current)) {
            _refresh(study, round, record, current);
        }
        _notAfter(_announceBy(record, current));
        if (current.closedAt != 0) revert OutOfTurn(study, round);
        _requireMember(study, member);
        uint64 bit = uint64(1) << member;
        if (current.announced & bit != 0) revert MemberOutOfTurn(study, round, member);
        // A weak key would stop each member that is handed it.
        if (Curve25519.swap(key) >= Curve25519.P || Curve25519.isWeak(key)) revert WeakKey(key);

        current.announced |= bit;
        _members[study][member] = MemberRecord.announced(current.commitBy, key);
        emit KeyAnnounced(study, round, member, current.commitBy, key);
        if (MaskGroups.size(current.announced) == record.memberCount) {
            // A study smaller than a group never gets here with enough members; `draw` says so.
            if (record.memberCount >= record.setting.groupSize) _close(study, round, current);
        }
    }

    /// @inheritdoc IMaskedRounds
    function draw(uint64 study, uint32 round) external returns (bool) {
        (Record storage record, Opening storage current) = _current(study, round);
        if (current.beacon != 0) revert OutOfTurn(study, round);
        _notAfter(_dealBy(record, current));
        uint64 closedAt = current.closedAt;
        if (closedAt == 0) {
            uint256 count = MaskGroups.size(current.announced);
            if (count < record.setting.groupSize) revert TooFewAnnounced(count, record.setting.groupSize);
            if (msg.sender != record.coordinator && block.timestamp <= _announceBy(record, current)) {
                revert NotCoordinator(study, msg.sender);
            }
            _close(study, round, current);
            return false;
        }
        if (block.number == closedAt) revert SameBlock(closedAt);
        bytes32 blockHash = blockhash(closedAt);
        if (blockHash == 0) {
            _close(study, round, current);
            return false;
        }
        // The block's hash covers the keys: they were all in its state. Nobody but its producer could choose it, and who sends this
        // decides nothing.
        bytes32 beacon = keccak256(
            abi.encode(
                BEACON, block.chainid, address(this), study, round, current.commitBy, current.announced, blockHash
            )
        );
        current.beacon = beacon;
        emit GroupsDrawn(study, round, current.announced, beacon);
        return true;
    }

    /// @inheritdoc IMaskedRounds
    function deal(uint64 study, uint32 round, uint8 member, bytes32 dealing, bytes32 digestsRoot) external {
        (Record storage record, Opening storage current) = _drawn(study, round);
        _notAfter(_dealBy(record, current));
        _requireMember(study, member);
        uint64 bit = uint64(1) << member;
        if (current.announced & bit == 0 || current.dealt & bit != 0) revert MemberOutOfTurn(study, round, member);
        if (dealing == 0 || digestsRoot == 0) revert DigestMissing();

        current.dealt |= bit;
        _members[study][member] = MemberRecord.followed(_members[study][member], digestsRoot);
        emit SecretsDealt(study, round, member, dealing, digestsRoot);
    }

    /// @inheritdoc IMaskedRounds
    function upload(uint64 study, uint32 round, uint8 member, bytes32 root) external {
        (Record storage record, Opening storage current) = _drawn(study, round);
        _notAfter(current.commitBy);
        if (current.fixedSurvivors) revert OutOfTurn(study, round);
        _requireMember(study, member);
        uint64 bit = uint64(1) << member;
        if (current.dealt & bit == 0 || current.uploaded & bit != 0) revert MemberOutOfTurn(study, round, member);
        if (root == 0) revert DigestMissing();
        uint64 dealBy = _dealBy(record, current);
        if (block.timestamp <= dealBy) {
            // Whoever masks must know who takes part; that is settled early where everyone does.
            if (!_groupDealt(record, current, member)) revert TooEarly(uint64(block.timestamp), dealBy + 1);
        }

        current.uploaded |= bit;
        _members[study][member] = MemberRecord.followed(_members[study][member], root);
        emit VectorUploaded(study, round, member, root);
    }

    /// @inheritdoc IMaskedRounds
    function fixSurvivors(uint64 study, uint32 round, uint64 survivors) external {
        (Record storage record, Opening storage current) = _drawn(study, round);
        _requireCoordinator(study, record);
        uint64 commitBy = current.commitBy;
        _notAfter(commitBy + record.closeSeconds / 4);
        if (current.fixedSurvivors) revert OutOfTurn(study, round);
        if (block.timestamp <= commitBy) {
            bool settled = current.dealt == current.announced || block.timestamp > _dealBy(record, current);
            if (!settled || current.uploaded != current.dealt) revert TooEarly(uint64(block.timestamp), commitBy + 1);
        }
        ITrainingRounds.Study memory state = rounds.study(study);
        // Of another opening nobody committed to this one.
        bool same = state.roundOpen && state.round == round && state.commitBy == commitBy;
        uint64 possible = same ? current.uploaded & state.committed : 0;
        if (survivors == 0 || survivors & ~possible != 0) revert NotSurvivors(survivors, possible);
        _requireEnough(record, current, survivors);
        current.survivors = survivors;
        current.fixedSurvivors = true;
        emit SurvivorsFixed(study, round, survivors);
    }

    /// @inheritdoc IMaskedRounds
    function unmask(uint64 study, uint32 round, uint8 member, bytes32 unmasking) external {
        (Record storage record, Opening storage current) = _current(study, round);
        _notAfter(_unmaskBy(record, current));
        if (!current.fixedSurvivors) revert OutOfTurn(study, round);
        _requireMember(study, member);
        uint64 bit = uint64(1) << member;
        if (current.survivors & bit == 0 || current.unmasked & bit != 0) {
            revert MemberOutOfTurn(study, round, member);
        }
        if (unmasking == 0) revert DigestMissing();

        current.unmasked |= bit;
        emit SharesPublished(study, round, member, unmasking);
    }

    /// @inheritdoc IMaskedRounds
    function postSums(uint64 study, uint32 round, bytes32[] calldata sums) external {
        (Record storage record, Opening storage current) = _current(study, round);
        _requireCoordinator(study, record);
        _notAfter(current.commitBy + record.closeSeconds);
        if (!current.fixedSurvivors || current.posted) revert OutOfTurn(study, round);
        uint64 unmaskBy = _unmaskBy(record, current);
        if (current.unmasked != current.survivors && block.timestamp <= unmaskBy) {
            revert TooEarly(uint64(block.timestamp), unmaskBy + 1);
        }
        current.posted = true;
        record.postedAt = uint64(block.timestamp);
        _posted[study][round] = keccak256(abi.encodePacked(_hashGroups(study, record, current, sums)));
        emit SumsPosted(study, round, sums);
    }

    // The bond

    /// @inheritdoc IMaskedRounds
    function refute(uint64 study, uint32 round, uint8 group, uint32 number, address challenger)
        external
        nonReentrant
    {
        if (msg.sender != address(disputes)) revert NotDisputes(msg.sender);
        _refuted[study][round] |= uint32(1) << group;
        Record storage record = _records[study];
        uint128 bond = _held(record);
        record.refuted = true;
        uint128 reward = bond / 2;
        emit SumRefuted(study, round, group, number, challenger, reward, bond - reward);
        if (bond == 0) return;
        IERC20 token = IERC20(record.setting.bondToken);
        token.safeTransfer(BURNT, bond - reward);
        if (reward != 0) token.safeTransfer(challenger, reward);
    }

    /// @inheritdoc IMaskedRounds
    function release(uint64 study) external nonReentrant {
        Record storage record = _configured(study);
        ITrainingRounds.Phase phase = rounds.study(study).phase;
        bool running = phase == ITrainingRounds.Phase.Enrolling || phase == ITrainingRounds.Phase.Running;
        uint128 bond = _held(record);
        uint64 heldUntil = record.postedAt == 0 ? 0 : record.postedAt + record.setting.disputeSeconds;
        bool disputed = disputes.openDemands(study) != 0;
        if (running || disputed || bond == 0 || block.timestamp <= heldUntil) revert BondHeld(study);
        record.released = true;
        emit BondReleased(study, record.depositor, bond);
        IERC20(record.setting.bondToken).safeTransfer(record.depositor, bond);
    }

    // Views

    /// @inheritdoc IMaskedRounds
    function settingOf(uint64 study) external view returns (Setting memory) {
        return _records[study].setting;
    }

    /// @inheritdoc IMaskedRounds
    function bondOf(uint64 study) external view returns (address, uint128) {
        return (_records[study].depositor, _held(_records[study]));
    }

    /// @inheritdoc IMaskedRounds
    function opening(uint64 study) external view returns (Opening memory) {
        return _openings[study];
    }

    /// @inheritdoc IMaskedRounds
    function postedOf(uint64 study, uint32 round) external view returns (Posted memory) {
        Setting storage setting = _records[study].setting;
        return Posted(
            _posted[study][round], _refuted[study][round], setting.thresholdPercent, setting.coordinates
        );
    }

    /// @inheritdoc IMaskedRounds
    function contextOf(uint64 study, uint32 round, uint64 commitBy, uint8 group, bytes32 beacon)
        public
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(DOMAIN, block.chainid, address(this), study, round, commitBy, group, beacon)
        );
    }

    /// @inheritdoc IMaskedRounds
    function groupsOf(bytes32 beacon, uint64 announced, uint8 groupSize)
        external
        pure
        returns (uint8[][] memory)
    {
        return MaskGroups.draw(beacon, announced, groupSize);
    }

    // Rules

    function _checkSetting(Setting calldata setting) private pure {
        uint256 groupSize = setting.groupSize;
        if (groupSize < FEWEST || groupSize > LARGEST_GROUP_SIZE) revert InvalidSetting("groupSize");
        if (setting.thresholdPercent < 51 || setting.thresholdPercent > 100) revert InvalidSetting("thresholdPercent");
        if (setting.fewestSurvivors < FEWEST || setting.fewestSurvivors > groupSize) {
            revert InvalidSetting("fewestSurvivors");
        }
        if (setting.coordinates == 0) revert InvalidSetting("coordinates");
        if (setting.disputeSeconds == 0) revert InvalidSetting("disputeSeconds");
        if (setting.bond != 0 && setting.bondToken == address(0)) revert InvalidSetting("bondToken");
    }

    function _held(Record storage record) private view returns (uint128) {
        return record.refuted || record.released ? 0 : record.setting.bond;
    }

    function _configured(uint64 study) private view returns (Record storage record) {
        record = _records[study];
        if (record.depositor == address(0)) revert NotConfigured(study);
    }

    function _current(uint64 study, uint32 round)
        private
        view
        returns (Record storage record, Opening storage current)
    {
        record = _configured(study);
        current = _openings[study];
        if (current.round != round || round == 0) revert WrongRound(study, round, current.round);
    }

    function _drawn(uint64 study, uint32 round)
        private
        view
        returns (Record storage record, Opening storage current)
    {
        (record, current) = _current(study, round);
        if (current.beacon == 0) revert OutOfTurn(study, round);
    }

    function _requireMember(uint64 study, uint8 member) private view {
        if (rounds.member(study, member).account != msg.sender) revert NotMember(study, member, msg.sender);
    }

    function _requireCoordinator(uint64 study, Record storage record) private view {
        if (msg.sender != record.coordinator) revert NotCoordinator(study, msg.sender);
    }

    function _notAfter(uint64 limit) private view {
        if (block.timestamp > limit) revert TooLate(uint64(block.timestamp), limit);
    }

    function _announceBy(Record storage record, Opening storage current) private view returns (uint64) {
        return current.commitBy - record.roundSeconds + record.roundSeconds / 4;
    }

    function _dealBy(Record storage record, Opening storage current) private view returns (uint64) {
        return current.commitBy - record.roundSeconds + record.roundSeconds / 2;
    }

    function _unmaskBy(Record storage record, Opening storage current) private view returns (uint64) {
        return current.commitBy + uint64(uint256(record.closeSeconds) * 3 / 4);
    }

    /// @dev Moves on to the round's newest opening, if there is one that `current` is not.
    function _refresh(uint64 study, uint32 round, Record storage record, Opening storage current) private {
        if (record.refuted) revert CoordinatorRefuted(study);
        ITrainingRounds.Study memory state = rounds.study(study);
        if (!state.roundOpen || state.round != round) revert WrongRound(study, round, state.round);
        if (current.round == round && current.commitBy == state.commitBy) return;
        record.memberCount = state.memberCount;
        (current.commitBy, current.announced, current.dealt, current.uploaded) = (state.commitBy, 0, 0, 0);
        (current.survivors, current.unmasked, current.closedAt, current.round) = (0, 0, 0, round);
        (current.fixedSurvivors, current.posted, current.beacon) = (false, false, 0);
    }

    function _close(uint64 study, uint32 round, Opening storage current) private {
        current.closedAt = uint64(block.number);
        emit AnnouncementsClosed(study, round, uint64(block.number));
    }

    function _groups(Record storage record, Opening storage current) private view returns (uint8[][] memory) {
        return MaskGroups.draw(current.beacon, current.announced, record.setting.groupSize);
    }

    /// @dev Of each group nobody survives, or enough to open what survivors and dropped ones dealt.
    function _requireEnough(Record storage record, Opening storage current, uint64 survivors) private view {
        uint8[][] memory groups = _groups(record, current);
        uint256 fewest = record.setting.fewestSurvivors;
        for (uint256 group = 0; group < groups.length; ++group) {
            (, uint256 count) = MaskGroups.places(groups[group], survivors);
            uint256 needed = MaskGroups.threshold(record.setting.thresholdPercent, groups[group].length) + 1;
            if (needed < fewest) needed = fewest;
            if (count != 0 && count < needed) revert TooFewInGroup(uint8(group), count, needed);
        }
    }

    /// @dev Whether everyone in a member's group dealt.
    function _groupDealt(Record storage record, Opening storage current, uint8 member) private view returns (bool) {
        uint64 dealt = current.dealt;
        if (dealt == current.announced) return true;
        uint8[][] memory groups = _groups(record, current);
        for (uint256 group = 0; group < groups.length; ++group) {
            (, uint256 own) = MaskGroups.places(groups[group], uint64(1) << member);
            (, uint256 count) = MaskGroups.places(groups[group], dealt);
            if (own == 1) return count == groups[group].length;
        }
        return false;
    }

    function _hashGroups(
        uint64 study,
        Record storage record,
        Opening storage current,
        bytes32[] calldata sums
    ) private view returns (bytes32[] memory hashes) {
        uint8[][] memory groups = _groups(record, current);
        hashes = new bytes32[](groups.length);
        if (sums.length != hashes.length) revert WrongSums(sums.length);
        for (uint256 group = 0; group < hashes.length; ++group) {
            uint32 survivors = _requireAnswered(record, current, groups[group], group);
            if ((survivors == 0) != (sums[group] == 0)) revert WrongSums(group);
            hashes[group] = _hashGroup(study, current, groups[group], group, survivors, sums[group]);
        }
    }

    /// @dev The places of a group's survivors. Each who answered needs the threshold without itself.
    function _requireAnswered(Record storage record, Opening storage current, uint8[] memory members, uint256 group)
        private
        view
        returns (uint32 survivors)
    {
        (survivors,) = MaskGroups.places(members, current.survivors);
        (, uint256 answers) = MaskGroups.places(members, current.unmasked);
        uint256 needed = MaskGroups.threshold(record.setting.thresholdPercent, members.length) + 1;
        if (survivors != 0 && answers < needed) revert TooFewInGroup(uint8(group), answers, needed);
    }

    function _hashGroup(
        uint64 study,
        Opening storage current,
        uint8[] memory members,
        uint256 group,
        uint32 survivors,
        bytes32 sum
    ) private view returns (bytes32) {
        uint64 commitBy = current.commitBy;
        bytes32 context = contextOf(study, current.round, commitBy, uint8(group), current.beacon);
        bytes32[] memory seats = new bytes32[](members.length);
        for (uint256 place = 0; place < members.length; ++place) {
            seats[place] = _members[study][members[place]];
        }
        return MemberRecord.hashOf(commitBy, context, survivors, sum, seats);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {ExactTransfer} from "./ExactTransfer.sol";
import {IAssetRegistry} from "./interfaces/IAssetRegistry.sol";
import {IConsentRegistry} from "./interfaces/IConsentRegistry.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";

/// @title TrainingRounds
/// @notice See {ITrainingRounds}. Not upgradeable, without an owner. The registries decide who may join, commit and
/// publish; no payment out depends on them.
contract TrainingRounds is ITrainingRounds, ReentrancyGuardTransient {
    using ExactTransfer for IERC20;
    using SafeERC20 for IERC20;

    uint256 private constant MEMBER_LIMIT = 64;
    uint256 private constant INVITED_LIMIT = 64;
    uint256 private constant PARENT_LIMIT = 8;
    uint256 private constant GROUP_SIZE = 8;
    uint256 private constant PURPOSE_LIMIT = 160;
    uint256 private constant WHOLE_PPM = 1_000_000;
    // Bounds how long a sponsor and a coordinator who fall silent together can keep bonds waiting.
    uint256 private constant LONGEST_STUDY = 3650 days;

    /// @dev A commitment rewrites `update` in place: a slot for each member, however many rounds. History is in the
    /// events.
    struct MemberRecord {
        address account;
        uint64 dataset;
        uint32 consentEpoch;
        bytes32 update;
    }

    /// @dev Whatever a round changes is in the first slot, apart from its result, the counts of survivors and, next to the
    /// coordinator that each step asks for, the privacy it spent.
    struct Record {
        Phase phase;
        uint8 memberCount;
        uint8 minMembers;
        uint8 maxMembers;
        uint8 purpose;
        bool roundOpen;
        bool inviteOnly;
        uint32 closedRounds;
        uint64 committed;
        uint64 commitBy;
        uint32 closeSeconds;
        //
        address coordinator;
        uint32 rounds;
        uint64 spentEpsilon;
        //
        address sponsor;
        uint64 enrolUntil;
        //
        address token;
        uint64 finishBy;
        uint32 roundSeconds;
        //
        uint128 budget;
        uint128 bond;
        //
        uint64 baseModel;
        uint64 model;
        uint32 memberCapPpm;
        uint32 lineageSharePpm;
        uint64 epsilonBudget;
        //
        // Set when the study ends: what goes back to the sponsor, and who was paid (bit i: member i).
        uint128 unearned;
        uint64 claimed;
        bool returned;
        //
        bytes32 termsDigest;
        // Before the first round closes, the content digest of the base model.
        bytes32 result;
        uint16[MEMBER_LIMIT] survived;
        uint32[MEMBER_LIMIT] contributionPpm;
        mapping(uint256 index => MemberRecord) members;
        mapping(uint64 dataset => bool) joined;
        mapping(address account => bool) invited;
        mapping(uint256 group => uint64 asset) collections;
    }

    /// @notice The registry that knows datasets and models; it lets this contract register for sponsors
    IAssetRegistry public immutable assets;
    /// @notice The registry that knows what stewards allow
    IConsentRegistry public immutable consents;

    uint64 private _count;
    mapping(uint64 id => Record) private _studies;

    constructor(IAssetRegistry assetRegistry, IConsentRegistry consentRegistry) {
        assets = assetRegistry;
        consents = consentRegistry;
    }

    /// @inheritdoc ITrainingRounds
    function open(Terms calldata terms) external nonReentrant returns (uint64 studyId) {
        _checkTerms(terms);
        studyId = ++_count;
        Record storage record = _studies[studyId];
        record.phase = Phase.Enrolling;
        record.sponsor = msg.sender;
        record.coordinator = terms.coordinator;
        record.token = terms.token;
        record.budget = terms.budget;
        record.bond = terms.bond;
        record.purpose = terms.purpose;
        record.minMembers = terms.minMembers;
        record.maxMembers = terms.maxMembers;
        record.rounds = terms.rounds;
        record.roundSeconds = terms.roundSeconds;
        record.closeSeconds = terms.closeSeconds;
        record.enrolUntil = terms.enrolUntil;
        record.finishBy = terms.finishBy;
        record.memberCapPpm = terms.memberCapPpm;
        record.lineageSharePpm = terms.lineageSharePpm;
        record.epsilonBudget = terms.epsilonBudget;
        record.termsDigest = terms.termsDigest;
        if (terms.baseModel != 0) {
            IAssetRegistry.Asset memory base = assets.asset(terms.baseModel);
            if (base.kind != IAssetRegistry.Kind.Model) revert InvalidTerms("baseModel");
            record.baseModel = terms.baseModel;
            record.result = base.contentDigest;
        }
        record.inviteOnly = terms.invited.length != 0;
        for (uint256 i = 0; i < terms.invited.length; ++i) {
            record.invited[terms.invited[i]] = true;
        }
        emit StudyOpened(studyId, msg.sender, terms.termsDigest, terms.budget, terms.token);
        if (terms.budget != 0) IERC20(terms.token).take(msg.sender, terms.budget);
    }

    /// @inheritdoc ITrainingRounds
    function join(uint64 studyId, uint64 dataset) external nonReentrant returns (uint8 memberIndex) {
        Record storage record = _inPhase(studyId, Phase.Enrolling);
        if (block.timestamp >= record.enrolUntil) revert TooLate(uint64(block.timestamp), record.enrolUntil);
        if (record.inviteOnly && !record.invited[msg.sender]) revert NotInvited(studyId, msg.sender);
        if (IERC721(address(assets)).ownerOf(dataset) != msg.sender) revert NotDatasetOwner(dataset, msg.sender);
        if (record.joined[dataset]) revert DatasetAlreadyMember(studyId, dataset);
        memberIndex = record.memberCount;
        if (memberIndex >= record.maxMembers) revert StudyFull(studyId, record.maxMembers);
        uint32 consentEpoch = consents.requireConsent(dataset, record.purpose);

        record.memberCount = memberIndex + 1;
        record.joined[dataset] = true;
        MemberRecord storage joining = record.members[memberIndex];
        joining.account = msg.sender;
        joining.dataset = dataset;
        joining.consentEpoch = consentEpoch;
        emit MemberJoined(studyId, memberIndex, msg.sender, dataset, consentEpoch);
        if (record.bond != 0) IERC20(record.token).take(msg.sender, record.bond);
    }

    /// @inheritdoc ITrainingRounds
    function start(uint64 studyId) external {
        Record storage record = _inPhase(studyId, Phase.Enrolling);
        if (msg.sender != record.coordinator && block.timestamp < record.enrolUntil) {
            revert TooEarly(uint64(block.timestamp), record.enrolUntil);
        }
        if (record.memberCount < record.minMembers) revert TooFewMembers(record.memberCount, record.minMembers);
        // Even past `finishBy`: starting is then the way to `abandon`.
        record.phase = Phase.Running;
        emit StudyStarted(studyId, record.memberCount);
    }

    /// @inheritdoc ITrainingRounds
    function openRound(uint64 studyId, bytes32 base) external returns (uint32 round) {
        Record storage record = _inPhase(studyId, Phase.Running);
        if (msg.sender != record.coordinator) revert NotCoordinator(studyId, msg.sender);
        if (block.timestamp >= record.finishBy) revert TooLate(uint64(block.timestamp), record.finishBy);
        round = record.closedRounds + 1;
        if (record.roundOpen) revert RoundStillOpen(studyId, round);
        if (round > record.rounds) revert AllRoundsClosed(studyId, record.rounds);
        if (base == 0) revert DigestMissing();
        bytes32 expected = record.result;
        if (expected != 0 && base != expected) revert BaseMismatch(expected, base);

        uint64 commitBy = uint64(block.timestamp) + record.roundSeconds;
        record.roundOpen = true;
        record.committed = 0;
        record.commitBy = commitBy;
        emit RoundOpened(studyId, round, base, commitBy, commitBy + record.closeSeconds);
    }

    /// @inheritdoc ITrainingRounds
    function commitUpdate(uint64 studyId, uint32 round, uint8 memberIndex, bytes32 update) external {
        Record storage record = _inRound(studyId, round);
        if (block.timestamp > record.commitBy) revert TooLate(uint64(block.timestamp), record.commitBy);
        MemberRecord storage committing = record.members[memberIndex];
        // Also catches an index without a member, whose account is zero.
        if (msg.sender != committing.account) revert NotMember(studyId, memberIndex, msg.sender);
        if (update == 0) revert DigestMissing();
        uint64 bit = uint64(1) << memberIndex;
        if (record.committed & bit != 0) revert AlreadyCommitted(studyId, round, memberIndex);
        uint32 consentEpoch = consents.requireConsent(committing.dataset, record.purpose);

        record.committed |= bit;
        committing.update = update;
        emit UpdateCommitted(studyId, round, memberIndex, update, consentEpoch);
    }

    /// @inheritdoc ITrainingRounds
    function closeRound(uint64 studyId, uint32 round, uint64 survivors, bytes32 result, uint64 spentEpsilon) external {
        Record storage record = _inRound(studyId, round);
        if (msg.sender != record.coordinator) revert NotCoordinator(studyId, msg.sender);
        uint64 closeBy = record.commitBy + record.closeSeconds;
        if (block.timestamp > closeBy) revert TooLate(uint64(block.timestamp), closeBy);
        if (result == 0) revert DigestMissing();
        if (survivors & ~record.committed != 0) revert SurvivorsNotCommitted(survivors, record.committed);
        uint256 count = 0;
        // Only members commit, so a survivor's index is below 64.
        for (uint64 rest = survivors; rest != 0; rest >>= 1) {
            count += rest & 1;
        }
        if (count < record.minMembers) revert TooFewMembers(count, record.minMembers);
        uint64 spentBefore = record.spentEpsilon;
        if (spentEpsilon < spentBefore) revert SpentEpsilonFell(spentBefore, spentEpsilon);
        if (spentEpsilon != spentBefore) {
            uint64 epsilonBudget = record.epsilonBudget;
            if (epsilonBudget != 0 && spentEpsilon > epsilonBudget) {
                revert EpsilonBudgetExceeded(epsilonBudget, spentEpsilon);
            }
            record.spentEpsilon = spentEpsilon;
        }

        record.roundOpen = false;
        record.closedRounds = round;
        record.result = result;
        uint256 index = 0;
        for (uint64 rest = survivors; rest != 0; rest >>= 1) {
            if (rest & 1 == 1) ++record.survived[index];
            ++index;
        }
        emit RoundClosed(studyId, round, survivors, result, spentEpsilon);
    }

    /// @inheritdoc ITrainingRounds
    function expireRound(uint64 studyId) external {
        Record storage record = _inPhase(studyId, Phase.Running);
        if (!record.roundOpen) revert RoundNotOpen(studyId);
        uint64 closeBy = record.commitBy + record.closeSeconds;
        if (block.timestamp <= closeBy) revert TooEarly(uint64(block.timestamp), closeBy + 1);
        record.roundOpen = false;
        emit RoundExpired(studyId, record.closedRounds + 1);
    }

    /// @inheritdoc ITrainingRounds
    function finish(uint64 studyId, uint32[] calldata contributionsPpm, bytes32 evidence) external {
        Record storage record = _inPhase(studyId, Phase.Running);
        if (msg.sender != record.coordinator) revert NotCoordinator(studyId, msg.sender);
        // An open round would have to be closed or to expire first: its members may still be at work.
        bool endsEarly = record.epsilonBudget != 0 && record.spentEpsilon != 0 && !record.roundOpen;
        if (record.closedRounds != record.rounds && !endsEarly) {
            revert RoundsRemain(studyId, record.closedRounds, record.rounds);
        }
        uint256 count = record.memberCount;
        if (contributionsPpm.length != count) revert ContributionsMismatch(contributionsPpm.length, count);
        if (evidence == 0) revert DigestMissing();

        record.phase = Phase.Finished;
        emit StudyFinished(studyId, record.result, evidence);
        uint256 sumPpm = 0;
        uint128 unearned = record.budget;
        for (uint256 i = 0; i < count; ++i) {
            uint32 contribution = contributionsPpm[i];
            sumPpm += contribution;
            if (sumPpm > WHOLE_PPM) revert ContributionsExceedWhole(sumPpm);
            record.contributionPpm[i] = contribution;
            uint128 reward = _reward(record, i);
            // Contributions so far are at most the whole, so rewards so far are at most the budget.
            unearned -= reward;
            emit ContributionRecorded(studyId, uint8(i), contribution, reward);
        }
        record.unearned = unearned;
    }

    /// @inheritdoc ITrainingRounds
    function cancel(uint64 studyId) external {
        Record storage record = _inPhase(studyId, Phase.Enrolling);
        if (msg.sender != record.sponsor) {
            if (block.timestamp < record.enrolUntil) revert TooEarly(uint64(block.timestamp), record.enrolUntil);
            if (record.memberCount >= record.minMembers) {
                revert EnoughMembers(record.memberCount, record.minMembers);
            }
        }
        record.phase = Phase.Cancelled;
        record.unearned = record.budget;
        emit StudyCancelled(studyId);
    }

    /// @inheritdoc ITrainingRounds
    function abandon(uint64 studyId) external {
        Record storage record = _inPhase(studyId, Phase.Running);
        if (block.timestamp < record.finishBy) revert TooEarly(uint64(block.timestamp), record.finishBy);
        record.phase = Phase.Abandoned;
        record.roundOpen = false;
        uint128 unearned = record.budget;
        for (uint256 i = 0; i < record.memberCount; ++i) {
            // No member survived more than every round, so the parts sum to at most the budget.
            unearned -= _reward(record, i);
        }
        record.unearned = unearned;
        emit StudyAbandoned(studyId, record.closedRounds);
    }

    /// @inheritdoc ITrainingRounds
    function claim(uint64 studyId, uint8 memberIndex) external nonReentrant returns (uint128 paid) {
        Record storage record = _ended(studyId);
        if (memberIndex >= record.memberCount) revert UnknownMember(studyId, memberIndex);
        uint64 bit = uint64(1) << memberIndex;
        if (record.claimed & bit != 0) revert AlreadyClaimed(studyId, memberIndex);
        record.claimed |= bit;
        uint128 reward = _reward(record, memberIndex);
        // Does not overflow: a budget and a bond fit together (`_checkTerms`).
        paid = reward + record.bond;
        address account = record.members[memberIndex].account;
        emit Claimed(studyId, memberIndex, account, reward, record.bond);
        if (paid != 0) IERC20(record.token).safeTransfer(account, paid);
    }

    /// @inheritdoc ITrainingRounds
    function returnBudget(uint64 studyId) external nonReentrant returns (uint128 paid) {
        Record storage record = _ended(studyId);
        paid = record.returned ? 0 : record.unearned;
        if (paid == 0) revert NothingToClaim(studyId);
        record.returned = true;
        emit BudgetReturned(studyId, record.sponsor, paid);
        IERC20(record.token).safeTransfer(record.sponsor, paid);
    }

    /// @inheritdoc ITrainingRounds
    function publishCollection(uint64 studyId, uint8 group, bytes32 manifestDigest, string calldata uri)
        external
        returns (uint64 asset)
    {
        Record storage record = _publishable(studyId);
        asset = record.collections[group];
        if (asset != 0) revert AlreadyPublished(studyId, asset);
        (uint256 contributors, uint256 limit) = (_contributors(record), _lineageLimit(record));
        if (contributors <= limit) revert CollectionsNotNeeded(studyId, contributors, limit);
        IAssetRegistry.Parent[] memory parents = _groupParents(record, group);
        if (parents.length == 0) revert EmptyGroup(studyId, group);
        // The registry makes no calls, so there is nothing to re-enter before the id is kept.
        asset = assets.register(
            record.sponsor,
            IAssetRegistry.Registration({
                kind: IAssetRegistry.Kind.Collection,
                contentDigest: manifestDigest,
                manifestDigest: manifestDigest,
                previous: 0,
                resaleRoyaltyBps: 0,
                uri: uri,
                parents: parents
            })
        );
        record.collections[group] = asset;
        emit CollectionPublished(studyId, group, asset);
    }

    /// @inheritdoc ITrainingRounds
    function publishModel(
        uint64 studyId,
        bytes32 contentDigest,
        bytes32 manifestDigest,
        uint64 previous,
        uint16 resaleRoyaltyBps,
        string calldata uri
    ) external returns (uint64 model) {
        Record storage record = _publishable(studyId);
        if (contentDigest != record.result) revert ContentIsNotResult(record.result, contentDigest);
        // A coordinator must not put its study's model in the place of whatever the sponsor owns.
        if (previous != 0 && msg.sender != record.sponsor) revert NotSponsor(studyId, msg.sender);
        IAssetRegistry.Registration memory registration;
        registration.kind = IAssetRegistry.Kind.Model;
        registration.contentDigest = contentDigest;
        registration.manifestDigest = manifestDigest;
        registration.previous = previous;
        registration.resaleRoyaltyBps = resaleRoyaltyBps;
        registration.uri = uri;
        registration.parents = _modelParents(record, studyId);
        model = assets.register(record.sponsor, registration);
        record.model = model;
        emit ModelPublished(studyId, model);
    }

    /// @inheritdoc ITrainingRounds
    function study(uint64 studyId) external view returns (Study memory state) {
        Record storage record = _known(studyId);
        // One by one: as many values as this do not fit on the stack together.
        state.phase = record.phase;
        state.sponsor = record.sponsor;
        state.coordinator = record.coordinator;
        state.token = record.token;
        state.budget = record.budget;
        state.bond = record.bond;
        state.purpose = record.purpose;
        state.memberCount = record.memberCount;
        state.minMembers = record.minMembers;
        state.maxMembers = record.maxMembers;
        state.rounds = record.rounds;
        state.round = record.closedRounds;
        state.closedRounds = record.closedRounds;
        if (record.roundOpen) {
            state.roundOpen = true;
            state.round = record.closedRounds + 1;
            state.committed = record.committed;
            state.commitBy = record.commitBy;
            state.closeBy = record.commitBy + record.closeSeconds;
        }
        state.roundSeconds = record.roundSeconds;
        state.closeSeconds = record.closeSeconds;
        state.enrolUntil = record.enrolUntil;
        state.finishBy = record.finishBy;
        state.memberCapPpm = record.memberCapPpm;
        state.lineageSharePpm = record.lineageSharePpm;
        state.inviteOnly = record.inviteOnly;
        state.baseModel = record.baseModel;
        state.model = record.model;
        state.epsilonBudget = record.epsilonBudget;
        state.spentEpsilon = record.spentEpsilon;
        state.termsDigest = record.termsDigest;
        if (record.closedRounds != 0) state.result = record.result;
    }

    /// @inheritdoc ITrainingRounds
    function member(uint64 studyId, uint8 memberIndex) external view returns (Member memory) {
        Record storage record = _withMember(studyId, memberIndex);
        MemberRecord storage entry = record.members[memberIndex];
        return Member({
            account: entry.account,
            dataset: entry.dataset,
            consentEpoch: entry.consentEpoch,
            survived: record.survived[memberIndex],
            contributionPpm: record.contributionPpm[memberIndex],
            claimed: record.claimed >> memberIndex & 1 == 1
        });
    }

    /// @inheritdoc ITrainingRounds
    function updateOf(uint64 studyId, uint8 memberIndex) external view returns (bytes32) {
        Record storage record = _withMember(studyId, memberIndex);
        bool committed = record.roundOpen && record.committed >> memberIndex & 1 == 1;
        return committed ? record.members[memberIndex].update : bytes32(0);
    }

    /// @inheritdoc ITrainingRounds
    function rewardOf(uint64 studyId, uint8 memberIndex) external view returns (uint128) {
        return _reward(_withMember(studyId, memberIndex), memberIndex);
    }

    /// @inheritdoc ITrainingRounds
    function returnable(uint64 studyId) external view returns (uint128) {
        Record storage record = _known(studyId);
        return record.returned ? 0 : record.unearned;
    }

    /// @inheritdoc ITrainingRounds
    function isInvited(uint64 studyId, address account) external view returns (bool) {
        Record storage record = _known(studyId);
        return !record.inviteOnly || record.invited[account];
    }

    /// @inheritdoc ITrainingRounds
    function collectionOf(uint64 studyId, uint8 group) external view returns (uint64) {
        return _known(studyId).collections[group];
    }

    /// @inheritdoc ITrainingRounds
    function studyCount() external view returns (uint64) {
        return _count;
    }

    function _checkTerms(Terms calldata terms) private view {
        if (terms.token.code.length == 0) revert InvalidTerms("token");
        if (terms.coordinator == address(0)) revert InvalidTerms("coordinator");
        // What a claim pays fits in its type.
        if (uint256(terms.budget) + terms.bond > type(uint128).max) revert InvalidTerms("bond");
        if (terms.purpose >= PURPOSE_LIMIT) revert InvalidTerms("purpose");
        if (terms.termsDigest == 0) revert InvalidTerms("termsDigest");
        uint256 limit = terms.baseModel == 0 ? MEMBER_LIMIT : MEMBER_LIMIT - GROUP_SIZE;
        if (terms.maxMembers > limit) revert InvalidTerms("maxMembers");
        if (terms.minMembers == 0 || terms.minMembers > terms.maxMembers) revert InvalidTerms("minMembers");
        if (terms.rounds == 0 || terms.rounds > type(uint16).max) revert InvalidTerms("rounds");
        if (terms.roundSeconds == 0) revert InvalidTerms("roundSeconds");
        if (terms.closeSeconds == 0) revert InvalidTerms("closeSeconds");
        if (terms.enrolUntil <= block.timestamp) revert InvalidTerms("enrolUntil");
        if (terms.finishBy <= terms.enrolUntil || terms.finishBy > block.timestamp + LONGEST_STUDY) {
            revert InvalidTerms("finishBy");
        }
        if (terms.memberCapPpm == 0 || terms.memberCapPpm > WHOLE_PPM) revert InvalidTerms("memberCapPpm");
        if (terms.lineageSharePpm > WHOLE_PPM) revert InvalidTerms("lineageSharePpm");
        if (terms.invited.length > INVITED_LIMIT) revert InvalidTerms("invited");
    }

    function _known(uint64 studyId) private view returns (Record storage record) {
        record = _studies[studyId];
        if (record.phase == Phase.None) revert UnknownStudy(studyId);
    }

    function _inPhase(uint64 studyId, Phase phase) private view returns (Record storage record) {
        record = _known(studyId);
        if (record.phase != phase) revert WrongPhase(studyId, record.phase);
    }

    function _inRound(uint64 studyId, uint32 round) private view returns (Record storage record) {
        record = _inPhase(studyId, Phase.Running);
        if (!record.roundOpen) revert RoundNotOpen(studyId);
        uint32 current = record.closedRounds + 1;
        if (round != current) revert WrongRound(studyId, round, current);
    }

    function _ended(uint64 studyId) private view returns (Record storage record) {
        record = _known(studyId);
        if (record.phase < Phase.Finished) revert WrongPhase(studyId, record.phase);
    }

    function _withMember(uint64 studyId, uint8 memberIndex) private view returns (Record storage record) {
        record = _known(studyId);
        if (memberIndex >= record.memberCount) revert UnknownMember(studyId, memberIndex);
    }

    function _publishable(uint64 studyId) private view returns (Record storage record) {
        record = _inPhase(studyId, Phase.Finished);
        if (msg.sender != record.sponsor && msg.sender != record.coordinator) {
            revert NotPublisher(studyId, msg.sender);
        }
        if (record.model != 0) revert AlreadyPublished(studyId, record.model);
    }

    /// @dev What a member earned. Products stay below 2^160, so nothing overflows.
    function _reward(Record storage record, uint256 index) private view returns (uint128) {
        uint256 budget = record.budget;
        uint256 capPpm = record.memberCapPpm;
        if (record.phase == Phase.Finished) {
            uint256 contribution = record.contributionPpm[index];
            return uint128(budget * (contribution < capPpm ? contribution : capPpm) / WHOLE_PPM);
        }
        if (record.phase == Phase.Abandoned) {
            uint256 part = budget * record.survived[index] / (uint256(record.rounds) * record.memberCount);
            uint256 cap = budget * capPpm / WHOLE_PPM;
            return uint128(part < cap ? part : cap);
        }
        return 0;
    }

    function _contributors(Record storage record) private view returns (uint256 count) {
        for (uint256 i = 0; i < record.memberCount; ++i) {
            if (record.contributionPpm[i] != 0) ++count;
        }
    }

    /// @dev How many parents of the model are left for datasets or their Collections.
    function _lineageLimit(Record storage record) private view returns (uint256) {
        return record.baseModel == 0 ? PARENT_LIMIT : PARENT_LIMIT - 1;
    }

    /// @dev Sum of a group's contributions, in millionths; 0 for a group that does not exist.
    function _groupPpm(Record storage record, uint256 group) private view returns (uint256 sumPpm) {
        uint256 end = (group + 1) * GROUP_SIZE;
        for (uint256 i = group * GROUP_SIZE; i < end && i < record.memberCount; ++i) {
            sumPpm += record.contributionPpm[i];
        }
    }

    function _groupParents(Record storage record, uint256 group)
        private
        view
        returns (IAssetRegistry.Parent[] memory parents)
    {
        uint256 sumPpm = _groupPpm(record, group);
        parents = new IAssetRegistry.Parent[](GROUP_SIZE);
        uint256 count = 0;
        uint256 left = WHOLE_PPM;
        uint256 end = (group + 1) * GROUP_SIZE;
        for (uint256 i = group * GROUP_SIZE; i < end && i < record.memberCount; ++i) {
            uint256 contribution = record.contributionPpm[i];
            if (contribution == 0) continue;
            uint256 share = contribution * WHOLE_PPM / sumPpm;
            left -= share;
            parents[count++] = IAssetRegistry.Parent({id: record.members[i].dataset, sharePpm: uint32(share)});
        }
        if (count != 0) parents[0].sharePpm += uint32(left);
        _shortenAndSort(parents, count);
    }

    function _modelParents(Record storage record, uint64 studyId)
        private
        view
        returns (IAssetRegistry.Parent[] memory parents)
    {
        parents = new IAssetRegistry.Parent[](PARENT_LIMIT);
        uint256 count = 0;
        // What it started from is recorded; what its owner is due is a matter of licences.
        if (record.baseModel != 0) parents[count++] = IAssetRegistry.Parent({id: record.baseModel, sharePpm: 0});
        uint256 members = record.memberCount;
        if (_contributors(record) <= _lineageLimit(record)) {
            for (uint256 i = 0; i < members; ++i) {
                uint256 contribution = record.contributionPpm[i];
                if (contribution == 0) continue;
                parents[count++] = IAssetRegistry.Parent({
                    id: record.members[i].dataset, sharePpm: _lineagePpm(record, contribution)
                });
            }
        } else {
            for (uint256 group = 0; group * GROUP_SIZE < members; ++group) {
                uint256 contribution = _groupPpm(record, group);
                if (contribution == 0) continue;
                uint64 collection = record.collections[group];
                if (collection == 0) revert CollectionMissing(studyId, uint8(group));
                parents[count++] =
                    IAssetRegistry.Parent({id: collection, sharePpm: _lineagePpm(record, contribution)});
            }
        }
        _shortenAndSort(parents, count);
    }

    function _lineagePpm(Record storage record, uint256 contributionPpm) private view returns (uint32) {
        return uint32(contributionPpm * record.lineageSharePpm / WHOLE_PPM);
    }

    /// @dev Cuts the list to `count` and puts it in ascending order of id, as the registry asks; at most 8 entries.
    function _shortenAndSort(IAssetRegistry.Parent[] memory parents, uint256 count) private pure {
        // Safe: the length only shrinks, so no memory is claimed.
        assembly ("memory-safe") {
            mstore(parents, count)
        }
        for (uint256 i = 1; i < count; ++i) {
            IAssetRegistry.Parent memory moving = parents[i];
            uint256 place = i;
            for (; place != 0 && parents[place - 1].id > moving.id; --place) {
                parents[place] = parents[place - 1];
            }
            parents[place] = moving;
        }
    }
}

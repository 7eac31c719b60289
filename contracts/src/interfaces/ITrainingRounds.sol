// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Studies: rounds of federated training, and the rewards for them
/// @notice A sponsor opens a study with a reward budget; owners of consented datasets join with a bond; the
/// coordinator opens rounds; each member commits the digest of its update; the coordinator closes the round with the
/// survivors and the digest of the result; at the end it posts what each member contributed, and everyone pulls what
/// is theirs. Silence at any step can be ended by anyone once its time has passed.
interface ITrainingRounds {
    enum Phase {
        None,
        Enrolling,
        Running,
        Finished,
        Cancelled,
        Abandoned
    }

    /// @notice What a sponsor offers
    /// @param token ERC-20 in which budget and bonds are held
    /// @param coordinator Who opens and closes rounds
    /// @param budget Reward for the whole study, in the token's smallest unit
    /// @param bond What each member deposits and gets back
    /// @param purpose Index of the purpose bit that every dataset must allow
    /// @param baseModel Model the study starts from, 0 for none
    /// @param termsDigest BLAKE3 digest of the canonical study terms (model, training, hold-out digest)
    /// @param minMembers Fewest members to start, and fewest survivors of a round
    /// @param maxMembers At most 64
    /// @param rounds How many rounds are planned
    /// @param roundSeconds Time members have to commit, from the opening of a round
    /// @param closeSeconds Time the coordinator has to close, after that
    /// @param enrolUntil Second (Unix time) from which anyone may start or cancel
    /// @param finishBy Second (Unix time) from which anyone may abandon an unfinished study
    /// @param memberCapPpm Largest part of the budget one member may earn, in millionths
    /// @param lineageSharePpm Part of the model's income that flows to the datasets, in millionths
    /// @param invited Addresses that may join; empty means anyone
    struct Terms {
        address token;
        address coordinator;
        uint128 budget;
        uint128 bond;
        uint8 purpose;
        uint64 baseModel;
        bytes32 termsDigest;
        uint8 minMembers;
        uint8 maxMembers;
        uint32 rounds;
        uint32 roundSeconds;
        uint32 closeSeconds;
        uint64 enrolUntil;
        uint64 finishBy;
        uint32 memberCapPpm;
        uint32 lineageSharePpm;
        address[] invited;
    }

    /// @notice Where a study stands
    /// @param round The open round, or the last closed one; counted from 1, 0 before the first
    /// @param roundOpen Whether `round` is open
    /// @param committed Bit i set: member i committed to the open round
    /// @param result Digest of the newest model parameters
    struct Study {
        Phase phase;
        address sponsor;
        address coordinator;
        address token;
        uint128 budget;
        uint128 bond;
        uint8 purpose;
        uint8 memberCount;
        uint8 minMembers;
        uint32 rounds;
        uint32 round;
        uint32 closedRounds;
        bool roundOpen;
        uint64 committed;
        uint64 commitBy;
        uint64 closeBy;
        uint64 enrolUntil;
        uint64 finishBy;
        uint32 memberCapPpm;
        uint32 lineageSharePpm;
        uint64 baseModel;
        uint64 model;
        bytes32 termsDigest;
        bytes32 result;
    }

    /// @notice A member of a study
    /// @param account Who joined, commits and is paid
    /// @param dataset Its dataset
    /// @param consentEpoch Epoch of the consent under which it joined
    /// @param survived How many rounds it survived
    /// @param contributionPpm What it contributed, in millionths; set when the study finishes
    /// @param claimed Whether it has been paid
    struct Member {
        address account;
        uint64 dataset;
        uint32 consentEpoch;
        uint32 survived;
        uint32 contributionPpm;
        bool claimed;
    }

    event StudyOpened(uint64 indexed study, address indexed sponsor, bytes32 termsDigest, uint128 budget, address token);
    event MemberJoined(
        uint64 indexed study, uint8 indexed member, address indexed account, uint64 dataset, uint32 consentEpoch
    );
    event StudyStarted(uint64 indexed study, uint8 members);
    event RoundOpened(uint64 indexed study, uint32 indexed round, bytes32 base, uint64 commitBy, uint64 closeBy);
    event UpdateCommitted(uint64 indexed study, uint32 indexed round, uint8 indexed member, bytes32 update);
    event RoundClosed(uint64 indexed study, uint32 indexed round, uint64 survivors, bytes32 result);
    event RoundExpired(uint64 indexed study, uint32 indexed round);
    event StudyFinished(uint64 indexed study, bytes32 result, bytes32 evidence);
    event ContributionRecorded(uint64 indexed study, uint8 indexed member, uint32 contributionPpm, uint128 reward);
    event StudyCancelled(uint64 indexed study);
    event StudyAbandoned(uint64 indexed study, uint32 closedRounds);
    event Claimed(uint64 indexed study, uint8 indexed member, address indexed account, uint128 reward, uint128 bond);
    event BudgetReturned(uint64 indexed study, address indexed sponsor, uint128 amount);
    event CollectionPublished(uint64 indexed study, uint8 indexed group, uint64 asset);
    event ModelPublished(uint64 indexed study, uint64 indexed model);

    error UnknownStudy(uint64 study);
    error WrongPhase(uint64 study, Phase phase);
    error InvalidTerms(string field);
    error NotInvited(uint64 study, address account);
    error NotDatasetOwner(uint64 dataset, address account);
    error DatasetAlreadyMember(uint64 study, uint64 dataset);
    error StudyFull(uint64 study, uint8 limit);
    error TooFewMembers(uint256 count, uint256 needed);
    error NotCoordinator(uint64 study, address caller);
    error NotSponsor(uint64 study, address caller);
    error NotMember(uint64 study, uint8 member, address caller);
    error WrongRound(uint64 study, uint32 round, uint32 current);
    error RoundNotOpen(uint64 study);
    error RoundStillOpen(uint64 study, uint32 round);
    error AllRoundsClosed(uint64 study, uint32 rounds);
    error RoundsRemain(uint64 study, uint32 closed, uint32 rounds);
    error TooLate(uint64 nowSeconds, uint64 deadline);
    error TooEarly(uint64 nowSeconds, uint64 notBefore);
    error AlreadyCommitted(uint64 study, uint32 round, uint8 member);
    error DigestMissing();
    error SurvivorsNotCommitted(uint64 survivors, uint64 committed);
    error ContributionsMismatch(uint256 count, uint256 members);
    error ContributionsExceedWhole(uint256 sumPpm);
    error AlreadyClaimed(uint64 study, uint8 member);
    error NothingToClaim(uint64 study);
    error AlreadyPublished(uint64 study, uint64 asset);

    /// @notice Opens a study and takes the budget from the caller
    function open(Terms calldata terms) external returns (uint64 study);
    /// @notice Joins with a dataset the caller owns and that allows the study's purpose; takes the bond
    function join(uint64 study, uint64 dataset) external returns (uint8 member);
    /// @notice Ends enrolment: the coordinator at any time with enough members, anyone after `enrolUntil`
    function start(uint64 study) external;
    /// @notice Opens the next round (coordinator)
    /// @param base Digest of the parameters it starts from; from round 2 on it must be the last result
    function openRound(uint64 study, bytes32 base) external returns (uint32 round);
    /// @notice Commits a member's update to the open round, before its deadline and while its consent holds
    function commitUpdate(uint64 study, uint32 round, uint8 member, bytes32 update) external;
    /// @notice Closes the open round (coordinator): who was aggregated, and what came out
    function closeRound(uint64 study, uint32 round, uint64 survivors, bytes32 result) external;
    /// @notice Ends a round that was not closed in time (anyone); the round may then be opened again
    function expireRound(uint64 study) external;
    /// @notice Records what each member contributed and ends the study (coordinator, all rounds closed)
    /// @param contributionsPpm One for each member, summing to at most 1,000,000
    /// @param evidence BLAKE3 digest of the report from which anyone recomputes them
    function finish(uint64 study, uint32[] calldata contributionsPpm, bytes32 evidence) external;
    /// @notice Gives everything back: the sponsor while enrolling, anyone once `enrolUntil` passed with too few members
    function cancel(uint64 study) external;
    /// @notice Ends an unfinished study after `finishBy` (anyone): members are paid for the rounds they survived
    function abandon(uint64 study) external;
    /// @notice Pays a member its reward and bond (anyone may call; the member's account is paid)
    function claim(uint64 study, uint8 member) external returns (uint128 paid);
    /// @notice Pays the sponsor what no member earned (anyone may call)
    function returnBudget(uint64 study) external returns (uint128 paid);
    /// @notice Registers members `8 * group` to `8 * group + 7` as one Collection, for studies of more than 8 members
    function publishCollection(uint64 study, uint8 group, bytes32 manifestDigest, string calldata uri)
        external
        returns (uint64 asset);
    /// @notice Registers the trained model, owned by the sponsor, with the contributors' datasets as its parents
    function publishModel(
        uint64 study,
        bytes32 contentDigest,
        bytes32 manifestDigest,
        uint64 previous,
        uint16 resaleRoyaltyBps,
        string calldata uri
    ) external returns (uint64 model);

    function study(uint64 id) external view returns (Study memory);
    function member(uint64 study, uint8 index) external view returns (Member memory);
    function rewardOf(uint64 study, uint8 member) external view returns (uint128);
    function studyCount() external view returns (uint64);
}

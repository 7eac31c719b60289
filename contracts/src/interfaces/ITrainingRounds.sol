// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Studies: rounds of federated training, and the rewards for them
/// @notice A sponsor opens a study with a reward budget; owners of consented datasets join with a bond; the
/// coordinator opens rounds; each member commits the digest of its update; the coordinator closes the round with the
/// survivors and the digest of the result; at the end it posts what each member contributed, and everyone pulls what
/// is theirs. Silence at any step can be ended by anyone once its time has passed. `docs/spec/training-rounds.md`
/// holds the state machine and the money table.
///
/// All amounts are in the smallest unit of the study's token. Every division rounds down, in the sponsor's favour:
/// what members do not earn goes back through `returnBudget`, so a study leaves nothing behind.
interface ITrainingRounds {
    /// @notice Where a study is in its life. `Finished`, `Cancelled` and `Abandoned` are final.
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
    /// @param budget Reward for the whole study, may be 0
    /// @param bond What each member deposits and gets back, may be 0
    /// @param purpose Index of the purpose bit that every dataset must allow, at most 159
    /// @param baseModel Model the study starts from, 0 for none
    /// @param termsDigest BLAKE3 digest of the canonical study terms (model, training, hold-out digest), not zero
    /// @param minMembers Fewest members to start, and fewest survivors of a round; at least 1
    /// @param maxMembers At most 64; at most 56 with a base model, whose arrow takes one of the model's eight parents
    /// @param rounds How many rounds are planned, 1 to 65,535
    /// @param roundSeconds Time members have to commit, from the opening of a round; at least 1
    /// @param closeSeconds Time the coordinator has to close, after that; at least 1
    /// @param enrolUntil Second (Unix time) from which nobody joins and anyone may start or cancel
    /// @param finishBy Second (Unix time) from which anyone may abandon an unfinished study, later than `enrolUntil`
    /// and at most ten years away
    /// @param memberCapPpm Largest part of the budget one member may earn, in millionths, 1 to 1,000,000
    /// @param lineageSharePpm Part of the model's income that flows to the datasets, in millionths, at most 1,000,000
    /// @param epsilonBudget Most privacy that all rounds together may spend: millionths of epsilon at the delta of the
    /// canonical terms; 0 where none is promised
    /// @param invited Addresses that may join, at most 64; empty means anyone
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
        uint64 epsilonBudget;
        address[] invited;
    }

    /// @notice Where a study stands; what is not explained here is as in `Terms`
    /// @param phase Where it is in its life
    /// @param sponsor Who opened and funded it
    /// @param memberCount How many joined
    /// @param round The open round, or the last closed one; counted from 1, 0 before the first
    /// @param closedRounds How many rounds were closed with a result
    /// @param roundOpen Whether `round` is open
    /// @param committed Bit i set: member i committed to the open round; 0 when none is open
    /// @param commitBy Last second (Unix time) in which members may commit to the open round; 0 when none is open
    /// @param closeBy Last second (Unix time) in which the coordinator may close it; 0 when none is open
    /// @param inviteOnly Whether only invited addresses may join
    /// @param spentEpsilon What the closed rounds spent of it, as the coordinator says, in millionths of epsilon
    /// @param model The published model, 0 if none
    /// @param result Digest of the newest model parameters, 0 before the first round was closed
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
        uint8 maxMembers;
        uint32 rounds;
        uint32 round;
        uint32 closedRounds;
        bool roundOpen;
        uint64 committed;
        uint64 commitBy;
        uint64 closeBy;
        uint32 roundSeconds;
        uint32 closeSeconds;
        uint64 enrolUntil;
        uint64 finishBy;
        uint32 memberCapPpm;
        uint32 lineageSharePpm;
        bool inviteOnly;
        uint64 baseModel;
        uint64 model;
        uint64 epsilonBudget;
        uint64 spentEpsilon;
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

    /// @notice Emitted when a study opens and its budget is taken
    /// @param study The new study, counted from 1
    /// @param sponsor Who opened and funded it
    /// @param termsDigest BLAKE3 digest of the canonical study terms
    /// @param budget Reward for the whole study
    /// @param token ERC-20 of budget and bonds
    event StudyOpened(uint64 indexed study, address indexed sponsor, bytes32 termsDigest, uint128 budget, address token);

    /// @notice Emitted when a member joins and its bond is taken
    /// @param study The study
    /// @param member Its index, counted from 0 in the order of joining
    /// @param account Who joined, commits and is paid
    /// @param dataset Its dataset
    /// @param consentEpoch Epoch of the consent that allows the study's purpose
    event MemberJoined(
        uint64 indexed study, uint8 indexed member, address indexed account, uint64 dataset, uint32 consentEpoch
    );

    /// @notice Emitted when enrolment ends and rounds may be opened
    /// @param study The study
    /// @param members How many joined
    event StudyStarted(uint64 indexed study, uint8 members);

    /// @notice Emitted when a round opens. A round that expired is opened again under the same number, and what was
    /// committed to it before no longer counts.
    /// @param study The study
    /// @param round The round, counted from 1
    /// @param base Digest of the parameters it starts from
    /// @param commitBy Last second (Unix time) in which members may commit
    /// @param closeBy Last second (Unix time) in which the coordinator may close it
    event RoundOpened(uint64 indexed study, uint32 indexed round, bytes32 base, uint64 commitBy, uint64 closeBy);

    /// @notice Emitted when a member commits its update
    /// @param study The study
    /// @param round The open round
    /// @param member The member
    /// @param update BLAKE3 digest of the update
    /// @param consentEpoch Epoch of the consent that allowed it
    event UpdateCommitted(
        uint64 indexed study, uint32 indexed round, uint8 indexed member, bytes32 update, uint32 consentEpoch
    );

    /// @notice Emitted when the coordinator closes a round
    /// @param study The study
    /// @param round The round
    /// @param survivors Bit i set: the update of member i was aggregated
    /// @param result BLAKE3 digest of the parameters after the round
    /// @param spentEpsilon Privacy spent by the closed rounds, in millionths of epsilon at the terms' delta
    event RoundClosed(
        uint64 indexed study, uint32 indexed round, uint64 survivors, bytes32 result, uint64 spentEpsilon
    );

    /// @notice Emitted when a round ends without a result
    /// @param study The study
    /// @param round The round, which may be opened again
    event RoundExpired(uint64 indexed study, uint32 indexed round);

    /// @notice Emitted when a study finishes
    /// @param study The study
    /// @param result Digest of the last parameters
    /// @param evidence BLAKE3 digest of the report from which anyone recomputes the contributions
    event StudyFinished(uint64 indexed study, bytes32 result, bytes32 evidence);

    /// @notice Emitted for each member when a study finishes
    /// @param study The study
    /// @param member The member
    /// @param contributionPpm What it contributed, in millionths
    /// @param reward `budget * min(contributionPpm, memberCapPpm) / 1,000,000`, rounded down
    event ContributionRecorded(uint64 indexed study, uint8 indexed member, uint32 contributionPpm, uint128 reward);

    /// @notice Emitted when a study ends before it started
    /// @param study The study
    event StudyCancelled(uint64 indexed study);

    /// @notice Emitted when an overdue study is ended
    /// @param study The study
    /// @param closedRounds Rounds closed until then
    event StudyAbandoned(uint64 indexed study, uint32 closedRounds);

    /// @notice Emitted when a member is paid
    /// @param study The study
    /// @param member The member
    /// @param account Who was paid
    /// @param reward What it earned
    /// @param bond What it had deposited
    event Claimed(uint64 indexed study, uint8 indexed member, address indexed account, uint128 reward, uint128 bond);

    /// @notice Emitted when the sponsor is paid what no member earned
    /// @param study The study
    /// @param sponsor Who was paid
    /// @param amount What no member earned
    event BudgetReturned(uint64 indexed study, address indexed sponsor, uint128 amount);

    /// @notice Emitted when a group of members is registered as one Collection
    /// @param study The study
    /// @param group Members `8 * group` to `8 * group + 7`
    /// @param asset The Collection
    event CollectionPublished(uint64 indexed study, uint8 indexed group, uint64 asset);

    /// @notice Emitted when the trained model is registered
    /// @param study The study
    /// @param model The model
    event ModelPublished(uint64 indexed study, uint64 indexed model);

    /// @notice No study has this id
    /// @param study The id given
    error UnknownStudy(uint64 study);

    /// @notice The study has no such member
    /// @param study The study
    /// @param member The index given
    error UnknownMember(uint64 study, uint8 member);

    /// @notice Not possible at this point of the study's life
    /// @param study The study
    /// @param phase Where it is
    error WrongPhase(uint64 study, Phase phase);

    /// @notice A field of the terms is outside its bounds
    /// @param field Its name in `Terms`
    error InvalidTerms(string field);

    /// @notice The study is for invited addresses, and this is none of them
    /// @param study The study
    /// @param account Who asked
    error NotInvited(uint64 study, address account);

    /// @notice Only the owner of a dataset joins with it
    /// @param dataset The dataset
    /// @param account Who asked
    error NotDatasetOwner(uint64 dataset, address account);

    /// @notice A dataset joins a study once
    /// @param study The study
    /// @param dataset The dataset
    error DatasetAlreadyMember(uint64 study, uint64 dataset);

    /// @notice The study has as many members as it takes
    /// @param study The study
    /// @param limit How many it takes
    error StudyFull(uint64 study, uint8 limit);

    /// @notice Too few members to start, or too few survivors to close
    /// @param count How many there are
    /// @param needed How many it takes
    error TooFewMembers(uint256 count, uint256 needed);

    /// @notice Enough members joined: the study is started, not cancelled by others than its sponsor
    /// @param count How many there are
    /// @param needed How many it takes
    error EnoughMembers(uint256 count, uint256 needed);

    /// @notice Only the coordinator may do this
    /// @param study The study
    /// @param caller Who asked
    error NotCoordinator(uint64 study, address caller);

    /// @notice Only the sponsor may do this
    /// @param study The study
    /// @param caller Who asked
    error NotSponsor(uint64 study, address caller);

    /// @notice Only the sponsor and the coordinator publish
    /// @param study The study
    /// @param caller Who asked
    error NotPublisher(uint64 study, address caller);

    /// @notice The member is another account
    /// @param study The study
    /// @param member The member
    /// @param caller Who asked
    error NotMember(uint64 study, uint8 member, address caller);

    /// @notice Another round is open
    /// @param study The study
    /// @param round The round given
    /// @param current The open round
    error WrongRound(uint64 study, uint32 round, uint32 current);

    /// @notice No round is open
    /// @param study The study
    error RoundNotOpen(uint64 study);

    /// @notice A round is open, and has to be closed or to expire first
    /// @param study The study
    /// @param round The open round
    error RoundStillOpen(uint64 study, uint32 round);

    /// @notice Every planned round was closed
    /// @param study The study
    /// @param rounds How many were planned
    error AllRoundsClosed(uint64 study, uint32 rounds);

    /// @notice Planned rounds were not closed yet, and no budget of privacy ends the study before them
    /// @param study The study
    /// @param closed How many were closed
    /// @param rounds How many were planned
    error RoundsRemain(uint64 study, uint32 closed, uint32 rounds);

    /// @notice A round must start from the last result, the first one from the base model
    /// @param expected Digest it has to start from
    /// @param base Digest given
    error BaseMismatch(bytes32 expected, bytes32 base);

    /// @notice The deadline has passed
    /// @param nowSeconds Time of the block
    /// @param deadline The deadline (Unix time)
    error TooLate(uint64 nowSeconds, uint64 deadline);

    /// @notice The time has not come
    /// @param nowSeconds Time of the block
    /// @param notBefore First second (Unix time) in which it may be done
    error TooEarly(uint64 nowSeconds, uint64 notBefore);

    /// @notice A member commits once to a round
    /// @param study The study
    /// @param round The round
    /// @param member The member
    error AlreadyCommitted(uint64 study, uint32 round, uint8 member);

    /// @notice A digest is zero
    error DigestMissing();

    /// @notice Only who committed can survive
    /// @param survivors Bit set given
    /// @param committed Bit set of members that committed
    error SurvivorsNotCommitted(uint64 survivors, uint64 committed);

    /// @notice Privacy that was spent does not come back
    /// @param before Recorded before, in millionths of epsilon
    /// @param given Given now
    error SpentEpsilonFell(uint64 before, uint64 given);

    /// @notice The round spent more privacy than the study may
    /// @param budget What it may spend, in millionths of epsilon
    /// @param spent What it would have spent
    error EpsilonBudgetExceeded(uint64 budget, uint64 spent);

    /// @notice There must be one contribution for each member
    /// @param count Contributions given
    /// @param members Members of the study
    error ContributionsMismatch(uint256 count, uint256 members);

    /// @notice The contributions are more than the whole
    /// @param sumPpm Their sum, in millionths
    error ContributionsExceedWhole(uint256 sumPpm);

    /// @notice The member was paid
    /// @param study The study
    /// @param member The member
    error AlreadyClaimed(uint64 study, uint8 member);

    /// @notice The sponsor was paid, or members earned the whole budget
    /// @param study The study
    error NothingToClaim(uint64 study);

    /// @notice The model or the Collection was registered before
    /// @param study The study
    /// @param asset What it was registered as
    error AlreadyPublished(uint64 study, uint64 asset);

    /// @notice Nobody in this group contributed, or there is no such group
    /// @param study The study
    /// @param group The group
    error EmptyGroup(uint64 study, uint8 group);

    /// @notice The contributors fit under the model as they are: they need no Collections
    /// @param study The study
    /// @param contributors Members with a contribution
    /// @param limit Parents a model can have for them
    error CollectionsNotNeeded(uint64 study, uint256 contributors, uint256 limit);

    /// @notice A group of contributors has to be published first
    /// @param study The study
    /// @param group The group
    error CollectionMissing(uint64 study, uint8 group);

    /// @notice The model's content is not the result of the study
    /// @param result Digest of the last parameters
    /// @param contentDigest Digest given
    error ContentIsNotResult(bytes32 result, bytes32 contentDigest);

    /// @notice The token moved another amount than was asked for (a fee on transfer): refused
    /// @param expected Smallest units asked for
    /// @param received Smallest units that arrived
    error UnexpectedTransferAmount(uint256 expected, uint256 received);

    /// @notice Opens a study and takes the budget from the caller, who approved this contract and becomes its sponsor
    /// @param terms What the sponsor offers
    /// @return studyId The new study
    function open(Terms calldata terms) external returns (uint64 studyId);

    /// @notice Joins with a dataset the caller owns and that allows the study's purpose; takes the bond. Before
    /// `enrolUntil` only. An account may join with several datasets.
    /// @param studyId The study
    /// @param dataset The dataset
    /// @return memberIndex The new member, counted from 0
    function join(uint64 studyId, uint64 dataset) external returns (uint8 memberIndex);

    /// @notice Ends enrolment: the coordinator at any time with enough members, anyone from `enrolUntil` on
    /// @param studyId The study
    function start(uint64 studyId) external;

    /// @notice Opens the next round (coordinator, before `finishBy`)
    /// @param studyId The study
    /// @param base Digest of the parameters it starts from, not zero: from round 2 on the last result, in round 1 the
    /// content digest of the base model if there is one
    /// @return round Its number, counted from 1
    function openRound(uint64 studyId, bytes32 base) external returns (uint32 round);

    /// @notice Commits a member's update to the open round (the member's account), until its deadline and while the
    /// dataset allows the study's purpose
    /// @param studyId The study
    /// @param round The open round
    /// @param memberIndex The member
    /// @param update BLAKE3 digest of the update, not zero
    function commitUpdate(uint64 studyId, uint32 round, uint8 memberIndex, bytes32 update) external;

    /// @notice Closes the open round (coordinator, until its second deadline): who was aggregated, and what came out.
    /// It need not wait for the first deadline.
    /// @param studyId The study
    /// @param round The open round
    /// @param survivors Bit i set: the update of member i was aggregated; at least `minMembers` bits
    /// @param result BLAKE3 digest of the parameters after the round, not zero
    /// @param spentEpsilon Privacy spent by all closed rounds and this one, in millionths of epsilon, rounded up: at least
    /// what was recorded before and, where a budget is promised, at most that. Anyone recomputes it from the survivors.
    function closeRound(uint64 studyId, uint32 round, uint64 survivors, bytes32 result, uint64 spentEpsilon) external;

    /// @notice Ends a round that was not closed in time (anyone); the round may then be opened again
    /// @param studyId The study
    function expireRound(uint64 studyId) external;

    /// @notice Records what each member contributed and ends the study (coordinator, all rounds closed). A study that
    /// promised a budget of privacy and has spent some ends after any closed round: whether another one would have fit
    /// depends on the mechanism, which anyone recomputes from the terms. It pays as after the last round: the whole
    /// budget by contribution, so that ending early saves nobody a reward.
    /// @param studyId The study
    /// @param contributionsPpm One for each member, in millionths, summing to at most 1,000,000
    /// @param evidence BLAKE3 digest of the report from which anyone recomputes them, not zero
    function finish(uint64 studyId, uint32[] calldata contributionsPpm, bytes32 evidence) external;

    /// @notice Gives everything back: the sponsor while enrolling, anyone from `enrolUntil` on with too few members
    /// @param studyId The study
    function cancel(uint64 studyId) external;

    /// @notice Ends an unfinished study from `finishBy` on (anyone). Each member is paid
    /// `budget * survived / (rounds * memberCount)`, rounded down and at most its cap: an equal part of an equal part
    /// for each round it survived.
    /// @param studyId The study
    function abandon(uint64 studyId) external;

    /// @notice Pays a member its reward and bond once the study ended (anyone may call; the member's account is paid)
    /// @param studyId The study
    /// @param memberIndex The member
    /// @return paid Reward and bond
    function claim(uint64 studyId, uint8 memberIndex) external returns (uint128 paid);

    /// @notice Pays the sponsor what no member earned once the study ended (anyone may call)
    /// @param studyId The study
    /// @return paid What no member earned
    function returnBudget(uint64 studyId) external returns (uint128 paid);

    /// @notice Registers the contributors among members `8 * group` to `8 * group + 7` as one Collection owned by the
    /// sponsor, for studies with more contributors than a model has parents (sponsor or coordinator, once finished).
    /// A member's share of the Collection is its part of what the group contributed, rounded down; the group's first
    /// contributor gets the rest, so that the shares sum to the whole.
    /// @param studyId The study
    /// @param group The group, counted from 0
    /// @param manifestDigest BLAKE3 digest of the Collection's canonical manifest, which is its content too
    /// @param uri Where the manifest may be found
    /// @return asset The Collection
    function publishCollection(uint64 studyId, uint8 group, bytes32 manifestDigest, string calldata uri)
        external
        returns (uint64 asset);

    /// @notice Registers the trained model, owned by the sponsor (sponsor or coordinator, once finished). Its parents
    /// are the base model, with no share, and the contributors' datasets or, if those are more than fit, their
    /// Collections, each with `contribution * lineageSharePpm / 1,000,000`, rounded down.
    /// @param studyId The study
    /// @param contentDigest BLAKE3 digest of the model's bytes: the study's last result
    /// @param manifestDigest BLAKE3 digest of the model's canonical manifest
    /// @param previous Version of the sponsor's that it replaces, or 0; only the sponsor itself may name one
    /// @param resaleRoyaltyBps ERC-2981 royalty on resale of the token, in ten-thousandths
    /// @param uri Where the manifest may be found
    /// @return model The model
    function publishModel(
        uint64 studyId,
        bytes32 contentDigest,
        bytes32 manifestDigest,
        uint64 previous,
        uint16 resaleRoyaltyBps,
        string calldata uri
    ) external returns (uint64 model);

    /// @notice Where a study stands; reverts with `UnknownStudy`
    function study(uint64 studyId) external view returns (Study memory);

    /// @notice A member of a study; reverts with `UnknownMember`
    function member(uint64 studyId, uint8 memberIndex) external view returns (Member memory);

    /// @notice Digest of the update a member committed to the open round, 0 if it did not or none is open
    function updateOf(uint64 studyId, uint8 memberIndex) external view returns (bytes32);

    /// @notice What a member earned, 0 until the study finished or was abandoned; stays after it was claimed
    function rewardOf(uint64 studyId, uint8 memberIndex) external view returns (uint128);

    /// @notice What the sponsor can still have back, 0 until the study ended
    function returnable(uint64 studyId) external view returns (uint128);

    /// @notice Whether an account may join (by invitation; its dataset has to be consented too)
    function isInvited(uint64 studyId, address account) external view returns (bool);

    /// @notice The Collection of a group, 0 if it was not published
    function collectionOf(uint64 studyId, uint8 group) external view returns (uint64);

    /// @notice Studies opened so far, which is also the newest id
    function studyCount() external view returns (uint64);
}

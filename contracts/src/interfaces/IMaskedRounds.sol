// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Masked rounds: sums of members' updates that nobody sees one by one, and disputes of wrong sums
/// @notice Beside a study's rounds in `TrainingRounds`, members announce keys, are drawn into groups, deal their secrets and
/// record the roots of their masked vectors; the coordinator fixes the survivors and posts the root of each group's sum. From
/// what survivors publish, anyone recomputes every sum, and shows a wrong one in `SumDisputes`.
/// `docs/spec/masked-rounds.md` holds the rules, `docs/spec/masking.md` the protocol of a group.
///
/// Times below are parts of the round's own: members' time runs from its opening to `commitBy`, the coordinator's from there to
/// `closeBy`. Roots are of RFC 6962 trees with SHA-256.
interface IMaskedRounds {
    /// @notice How a study masks
    /// @param bondToken ERC-20 of the bond; may be zero without one
    /// @param groupSize Members of a group, 3 to 16; what is left over joins the first groups
    /// @param thresholdPercent 51 to 100. In a group of n, min(n - 1, floor((n - 1) * percent / 100) + 1) shares open a secret
    /// @param fewestSurvivors Fewest survivors of a group whose sum is opened, 3 to `groupSize`
    /// @param coordinates Words of a masked vector, at least 1
    /// @param disputeSeconds How long after the last sums the bond stays, and how long a demanded block may take; at least 1
    /// @param bond Lost for the first sum that is refuted, may be 0
    struct Setting {
        address bondToken;
        uint8 groupSize;
        uint8 thresholdPercent;
        uint8 fewestSurvivors;
        uint32 coordinates;
        uint32 disputeSeconds;
        uint128 bond;
    }

    /// @notice Where the newest opening of a study's round stands. Bit i of a set is member i.
    /// @param commitBy Last second for commitments; with `round` it names the opening
    /// @param announced Who announced a key
    /// @param dealt Who dealt
    /// @param uploaded Who recorded the root of its masked vector
    /// @param survivors Whose vectors are summed, once fixed
    /// @param unmasked Who published shares
    /// @param closedAt Block in which announcements closed, 0 before
    /// @param round The round, 0 before the first announcement
    /// @param fixedSurvivors Whether the survivors are fixed
    /// @param posted Whether the sums are posted
    /// @param beacon What groups were drawn from, 0 before
    struct Opening {
        uint64 commitBy;
        uint64 announced;
        uint64 dealt;
        uint64 uploaded;
        uint64 survivors;
        uint64 unmasked;
        uint64 closedAt;
        uint32 round;
        bool fixedSurvivors;
        bool posted;
        bytes32 beacon;
    }

    /// @notice A round whose sums are posted
    /// @param hash keccak256 of the hashes of its groups (`ISumDisputes.hashOf`), 0 before they are posted
    /// @param refuted Bit i: the sum of group i was refuted
    /// @param thresholdPercent As in the study's setting
    /// @param coordinates As in the study's setting
    struct Posted {
        bytes32 hash;
        uint32 refuted;
        uint8 thresholdPercent;
        uint32 coordinates;
    }

    /// @notice Emitted when a study is set to mask and the bond is taken
    /// @param study The study
    /// @param depositor Who posted the bond, and gets it back
    /// @param setting How it masks
    event MaskingConfigured(uint64 indexed study, address indexed depositor, Setting setting);

    /// @notice Emitted when a member announces its key
    /// @param study The study
    /// @param round The round
    /// @param member The member
    /// @param commitBy Names the opening
    /// @param key X25519 key of this opening
    event KeyAnnounced(
        uint64 indexed study, uint32 indexed round, uint8 indexed member, uint64 commitBy, bytes32 key
    );

    /// @notice Emitted when no more keys are taken
    /// @param study The study
    /// @param round The round
    /// @param number The block, whose hash groups are drawn from
    event AnnouncementsClosed(uint64 indexed study, uint32 indexed round, uint64 number);

    /// @notice Emitted when groups are drawn
    /// @param study The study
    /// @param round The round
    /// @param announced Who is in a group
    /// @param beacon What they were drawn from
    event GroupsDrawn(uint64 indexed study, uint32 indexed round, uint64 announced, bytes32 beacon);

    /// @notice Emitted when a member deals its secrets
    /// @param study The study
    /// @param round The round
    /// @param member The member
    /// @param dealing BLAKE3 digest of the dealing's record
    /// @param digestsRoot Root over the digests of its shares
    event SecretsDealt(
        uint64 indexed study, uint32 indexed round, uint8 indexed member, bytes32 dealing, bytes32 digestsRoot
    );

    /// @notice Emitted when a member records its masked vector
    /// @param study The study
    /// @param round The round
    /// @param member The member
    /// @param root Root of its blocks
    event VectorUploaded(uint64 indexed study, uint32 indexed round, uint8 indexed member, bytes32 root);

    /// @notice Emitted when it is fixed whose vectors are summed
    /// @param study The study
    /// @param round The round
    /// @param survivors Bit i: member i
    event SurvivorsFixed(uint64 indexed study, uint32 indexed round, uint64 survivors);

    /// @notice Emitted when a survivor publishes shares
    /// @param study The study
    /// @param round The round
    /// @param member The member
    /// @param unmasking BLAKE3 digest of the record of its shares
    event SharesPublished(uint64 indexed study, uint32 indexed round, uint8 indexed member, bytes32 unmasking);

    /// @notice Emitted when the sums of a round are posted
    /// @param study The study
    /// @param round The round
    /// @param sums Root of each group's sum, 0 for a group that is left out
    event SumsPosted(uint64 indexed study, uint32 indexed round, bytes32[] sums);

    /// @notice Emitted when a posted sum is shown to be wrong
    /// @param study The study
    /// @param round The round
    /// @param group The group
    /// @param number The block that is wrong, counted from 0
    /// @param challenger Who showed it
    /// @param reward What the challenger was paid: half the bond, rounded down
    /// @param burnt The rest, sent to 0xdEaD: a coordinator that refutes itself loses as well
    event SumRefuted(
        uint64 indexed study,
        uint32 indexed round,
        uint8 indexed group,
        uint32 number,
        address challenger,
        uint128 reward,
        uint128 burnt
    );

    /// @notice Emitted when the bond goes back
    /// @param study The study
    /// @param depositor Who posted it
    /// @param amount The bond
    event BondReleased(uint64 indexed study, address indexed depositor, uint128 amount);

    /// @notice A field of the setting is outside its bounds
    /// @param field Its name in `Setting`
    error InvalidSetting(string field);

    /// @notice The study does not mask
    /// @param study The study
    error NotConfigured(uint64 study);

    /// @notice A study is set once
    /// @param study The study
    error AlreadyConfigured(uint64 study);

    /// @notice Only while members enrol, by the coordinator or the sponsor
    /// @param study The study
    /// @param account Who asked
    error NotConfigurable(uint64 study, address account);

    /// @notice A sum of the study was refuted: it masks no more rounds
    /// @param study The study
    error CoordinatorRefuted(uint64 study);

    /// @notice The round is not the open one, or nobody announced a key in it yet
    /// @param study The study
    /// @param round The round given
    /// @param current The newest round with a key
    error WrongRound(uint64 study, uint32 round, uint32 current);

    /// @notice Only the coordinator may do this now
    /// @param study The study
    /// @param caller Who asked
    error NotCoordinator(uint64 study, address caller);

    /// @notice Only the member's account may do this
    /// @param study The study
    /// @param member The member
    /// @param caller Who asked
    error NotMember(uint64 study, uint8 member, address caller);

    /// @notice The time for this has passed
    /// @param nowSeconds The block's time
    /// @param deadline Last second for it
    error TooLate(uint64 nowSeconds, uint64 deadline);

    /// @notice The time for this has not come
    /// @param nowSeconds The block's time
    /// @param notBefore First second for it
    error TooEarly(uint64 nowSeconds, uint64 notBefore);

    /// @notice The step before is not done, or this one or a later one is
    /// @param study The study
    /// @param round The round
    error OutOfTurn(uint64 study, uint32 round);

    /// @notice The member did the step already, or not the one before
    /// @param study The study
    /// @param round The round
    /// @param member The member
    error MemberOutOfTurn(uint64 study, uint32 round, uint8 member);

    /// @notice A key of small order, or not in the form of RFC 7748 below the prime
    /// @param key The key
    error WeakKey(bytes32 key);

    /// @notice Fewer keys than a group has members
    /// @param announced How many there are
    /// @param needed How many it takes
    error TooFewAnnounced(uint256 announced, uint256 needed);

    /// @notice Groups are drawn from the hash of a block that has ended, so not in the block in which announcements closed
    /// @param number That block
    error SameBlock(uint64 number);

    /// @notice A digest or a root is zero
    error DigestMissing();

    /// @notice Survivors that did not deal, upload and commit
    /// @param survivors Given
    /// @param possible Who did
    error NotSurvivors(uint64 survivors, uint64 possible);

    /// @notice Too few survivors, or too few published shares, in a group that is not left out
    /// @param group The group
    /// @param count How many there are
    /// @param needed How many it takes
    error TooFewInGroup(uint8 group, uint256 count, uint256 needed);

    /// @notice A root for a group without survivors, none for one with survivors, or more or fewer roots than groups
    /// @param group The group
    error WrongSums(uint256 group);

    /// @notice Only the disputes contract may do this
    /// @param account Who asked
    error NotDisputes(address account);

    /// @notice The bond stays until the study has ended and its sums could be disputed
    /// @param study The study
    error BondHeld(uint64 study);

    /// @notice Says how a study masks, as its coordinator or sponsor while members enrol; takes the bond
    /// @param study The study
    /// @param setting How
    function configure(uint64 study, Setting calldata setting) external;

    /// @notice Announces a member's key of this opening, in the first quarter of the members' time
    /// @dev The first key of an opening makes this contract look at `TrainingRounds`; what the opening before held is dropped.
    /// @param study The study
    /// @param round The open round
    /// @param member The member
    /// @param key X25519 key, of this opening and no other
    function announce(uint64 study, uint32 round, uint8 member, bytes32 key) external;

    /// @notice Closes announcements, and in a later block draws the groups. The coordinator closes at any time, anyone after the
    /// first quarter of the members' time; the last member's key closes by itself. Anyone draws.
    /// @dev If 256 blocks went by since announcements closed, their hash is gone and they close anew.
    /// @param study The study
    /// @param round The open round
    /// @return drawn Whether groups are drawn now
    function draw(uint64 study, uint32 round) external returns (bool drawn);

    /// @notice Records a member's dealing, in the first half of the members' time
    /// @param study The study
    /// @param round The open round
    /// @param member The member
    /// @param dealing BLAKE3 digest of the dealing's record
    /// @param digestsRoot Root over the digests of its shares
    function deal(uint64 study, uint32 round, uint8 member, bytes32 dealing, bytes32 digestsRoot) external;

    /// @notice Records a member's masked vector, once everyone in its group dealt or half the members' time is over
    /// @param study The study
    /// @param round The open round
    /// @param member The member
    /// @param root Root over its blocks of 16 words
    function upload(uint64 study, uint32 round, uint8 member, bytes32 root) external;

    /// @notice Fixes whose vectors are summed, once everyone who dealt uploaded or the members' time is over, in the first quarter
    /// of the coordinator's time at the latest
    /// @param study The study
    /// @param round The open round
    /// @param survivors Bit i: member i. Of each group none, or enough
    function fixSurvivors(uint64 study, uint32 round, uint64 survivors) external;

    /// @notice Records what a survivor published, in the first three quarters of the coordinator's time at the latest
    /// @param study The study
    /// @param round The open round
    /// @param member The member
    /// @param unmasking BLAKE3 digest of the record of its shares
    function unmask(uint64 study, uint32 round, uint8 member, bytes32 unmasking) external;

    /// @notice Posts the sums, once every survivor published its shares or the time for that is over
    /// @param study The study
    /// @param round The open round
    /// @param sums Root of each group's sum, 0 for a group without survivors
    function postSums(uint64 study, uint32 round, bytes32[] calldata sums) external;

    /// @notice Records a refuted sum and pays for it; only the disputes contract, which checked it
    /// @param study The study
    /// @param round The round
    /// @param group The group
    /// @param number The block that is wrong
    /// @param challenger Who showed it
    function refute(uint64 study, uint32 round, uint8 group, uint32 number, address challenger) external;

    /// @notice Gives the bond back, once the study ended, `disputeSeconds` passed since the last sums and no demand waits; anyone may
    /// call
    /// @param study The study
    function release(uint64 study) external;

    /// @notice How a study masks; all zeros if it does not
    function settingOf(uint64 study) external view returns (Setting memory);

    /// @notice Who posted the study's bond, and what is left of it
    function bondOf(uint64 study) external view returns (address depositor, uint128 amount);

    /// @notice Where the newest opening stands
    function opening(uint64 study) external view returns (Opening memory);

    /// @notice What a dispute of a round's sums needs to know
    function postedOf(uint64 study, uint32 round) external view returns (Posted memory);

    /// @notice What messages of a group are bound to
    function contextOf(uint64 study, uint32 round, uint64 commitBy, uint8 group, bytes32 beacon)
        external
        view
        returns (bytes32);

    /// @notice Members of each group, in order of places, as a beacon draws them
    function groupsOf(bytes32 beacon, uint64 announced, uint8 groupSize) external pure returns (uint8[][] memory);
}

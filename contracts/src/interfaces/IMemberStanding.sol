// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Exclusion of members from running studies: proposed, appealed against, decided
/// @notice The coordinator of a study proposes to exclude a member whose values lie far below the others'; the member may
/// appeal, and then an arbiter decides. Without an appeal the exclusion holds once the time for one is over; with one it holds only
/// if the arbiter rejects the appeal in time, so silence favours the member. An excluded member is asked for nothing more, and
/// whoever checks the study finds it counted if it is. Its bond is untouched: an outlier may be an honest member whose data differ.
///
/// This contract holds no money and knows no values: whether the rule of the study's terms gives a proposal, anyone recomputes.
/// `docs/spec/member-standing.md` holds the rules.
interface IMemberStanding {
    /// @notice How exclusions of a study are decided
    /// @param arbiter Who decides appeals; zero, when it is set, for the study's sponsor. Not the coordinator
    /// @param appealSeconds Time for an appeal after a proposal, and for the decision after an appeal; at least 1
    struct Setting {
        address arbiter;
        uint32 appealSeconds;
    }

    /// @notice The newest proposal to exclude a member; all zeros without one
    /// @param round The closed round after which the rule gave it
    /// @param proposedAt When it was proposed
    /// @param appealedAt When the member appealed, 0 before
    /// @param decidedAt When the arbiter decided, 0 before
    /// @param upheld Whether the arbiter upheld the appeal: the member stays
    struct Proposal {
        uint32 round;
        uint64 proposedAt;
        uint64 appealedAt;
        uint64 decidedAt;
        bool upheld;
    }

    /// @notice Emitted when it is set how exclusions of a study are decided
    /// @param study The study
    /// @param arbiter Who decides appeals
    /// @param appealSeconds Time for an appeal, and for its decision
    event StandingConfigured(uint64 indexed study, address indexed arbiter, uint32 appealSeconds);

    /// @notice Emitted when the coordinator proposes to exclude a member
    /// @param study The study
    /// @param member The member
    /// @param round The closed round after which the rule gave it
    /// @param evidence BLAKE3 digest of the values it was given by
    /// @param appealBy Last second for an appeal
    event ExclusionProposed(
        uint64 indexed study, uint8 indexed member, uint32 round, bytes32 evidence, uint64 appealBy
    );

    /// @notice Emitted when the member appeals
    /// @param study The study
    /// @param member The member
    /// @param reason BLAKE3 digest of its reason
    /// @param decideBy Last second for the arbiter; from then on the member stays
    event ExclusionAppealed(uint64 indexed study, uint8 indexed member, bytes32 reason, uint64 decideBy);

    /// @notice Emitted when the arbiter decides an appeal
    /// @param study The study
    /// @param member The member
    /// @param upheld Whether the member stays; otherwise it is excluded from now on
    event AppealDecided(uint64 indexed study, uint8 indexed member, bool upheld);

    /// @notice The arbiter is the coordinator, which proposes
    /// @param account It
    error ArbiterIsCoordinator(address account);

    /// @notice A field of the setting is outside its bounds
    /// @param field Its name in `Setting`
    error InvalidSetting(string field);

    /// @notice It is not set how exclusions of the study are decided
    /// @param study The study
    error NotConfigured(uint64 study);

    /// @notice A study is set once
    /// @param study The study
    error AlreadyConfigured(uint64 study);

    /// @notice Only while members enrol, by the coordinator or the sponsor
    /// @param study The study
    /// @param account Who asked
    error NotConfigurable(uint64 study, address account);

    /// @notice Members are excluded from running studies only
    /// @param study The study
    error NotRunning(uint64 study);

    /// @notice Only the coordinator proposes
    /// @param study The study
    /// @param caller Who asked
    error NotCoordinator(uint64 study, address caller);

    /// @notice Only the member's account appeals
    /// @param study The study
    /// @param member The member
    /// @param caller Who asked
    error NotMember(uint64 study, uint8 member, address caller);

    /// @notice Only the arbiter decides
    /// @param study The study
    /// @param caller Who asked
    error NotArbiter(uint64 study, address caller);

    /// @notice A proposal names a closed round, later than that of the proposal before
    /// @param round Given
    /// @param after_ The round of the proposal before, 0 without one
    /// @param closed Rounds closed
    error WrongRound(uint32 round, uint32 after_, uint32 closed);

    /// @notice The member's exclusion is proposed already and not settled, or holds
    /// @param study The study
    /// @param member The member
    error AlreadyProposed(uint64 study, uint8 member);

    /// @notice Nothing is proposed against the member, or it appealed already
    /// @param study The study
    /// @param member The member
    error NothingToAppeal(uint64 study, uint8 member);

    /// @notice The member did not appeal, or its appeal is decided
    /// @param study The study
    /// @param member The member
    error NothingToDecide(uint64 study, uint8 member);

    /// @notice The time for this has passed
    /// @param nowSeconds The block's time
    /// @param deadline Last second for it
    error TooLate(uint64 nowSeconds, uint64 deadline);

    /// @notice A digest is zero
    error DigestMissing();

    /// @notice Says how exclusions of a study are decided, as its coordinator or sponsor while members enrol
    /// @param study The study
    /// @param setting How
    function configure(uint64 study, Setting calldata setting) external;

    /// @notice Proposes to exclude a member, as the coordinator
    /// @param study The study, running
    /// @param member The member
    /// @param round The closed round after which the rule gives it
    /// @param evidence BLAKE3 digest of the values it was given by
    function propose(uint64 study, uint8 member, uint32 round, bytes32 evidence) external;

    /// @notice Appeals against a proposal, as the member and within `appealSeconds` of it
    /// @param study The study
    /// @param member The member
    /// @param reason BLAKE3 digest of its reason
    function appeal(uint64 study, uint8 member, bytes32 reason) external;

    /// @notice Decides an appeal, as the arbiter and within `appealSeconds` of it
    /// @param study The study
    /// @param member The member
    /// @param uphold Whether the member stays
    function decide(uint64 study, uint8 member, bool uphold) external;

    /// @notice How exclusions of a study are decided; all zeros if that is not set
    function settingOf(uint64 study) external view returns (Setting memory);

    /// @notice The newest proposal to exclude a member
    function proposalOf(uint64 study, uint8 member) external view returns (Proposal memory);

    /// @notice From which second on the member is excluded, if nothing more happens; 0 for never
    function excludedFrom(uint64 study, uint8 member) external view returns (uint64);

    /// @notice Members that are excluded now; bit i: member i
    function excluded(uint64 study) external view returns (uint64);
}

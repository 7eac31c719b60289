// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IMemberStanding} from "./interfaces/IMemberStanding.sol";
import {ITrainingRounds} from "./interfaces/ITrainingRounds.sol";

/// @title MemberStanding
/// @notice See {IMemberStanding}. Not upgradeable, without an owner, holds nothing. `TrainingRounds` says who is who and which rounds
/// are closed.
contract MemberStanding is IMemberStanding {
    uint256 private constant MEMBER_LIMIT = 64;

    /// @notice Studies, their members and their rounds
    ITrainingRounds public immutable rounds;

    mapping(uint64 study => Setting) private _settings;
    // One slot for each member, however often it is proposed: what was before is in the events.
    mapping(uint64 study => mapping(uint256 member => Proposal)) private _proposals;

    constructor(ITrainingRounds trainingRounds) {
        rounds = trainingRounds;
    }

    /// @inheritdoc IMemberStanding
    function configure(uint64 study, Setting calldata setting) external {
        if (_settings[study].appealSeconds != 0) revert AlreadyConfigured(study);
        ITrainingRounds.Study memory state = rounds.study(study);
        bool entitled = msg.sender == state.coordinator || msg.sender == state.sponsor;
        if (!entitled || state.phase != ITrainingRounds.Phase.Enrolling) revert NotConfigurable(study, msg.sender);
        if (setting.appealSeconds == 0) revert InvalidSetting("appealSeconds");
        address arbiter = setting.arbiter == address(0) ? state.sponsor : setting.arbiter;
        // Whoever proposes must not be the one to decide.
        if (arbiter == state.coordinator) revert ArbiterIsCoordinator(arbiter);
        _settings[study] = Setting(arbiter, setting.appealSeconds);
        emit StandingConfigured(study, arbiter, setting.appealSeconds);
    }

    /// @inheritdoc IMemberStanding
    function propose(uint64 study, uint8 member, uint32 round, bytes32 evidence) external {
        uint64 window = _window(study);
        ITrainingRounds.Study memory state = rounds.study(study);
        if (msg.sender != state.coordinator) revert NotCoordinator(study, msg.sender);
        if (state.phase != ITrainingRounds.Phase.Running) revert NotRunning(study);
        // Reverts for an index without a member.
        rounds.member(study, member);
        if (evidence == 0) revert DigestMissing();
        Proposal storage proposal = _proposals[study][member];
        if (!_settledInFavour(proposal, window)) revert AlreadyProposed(study, member);
        if (round <= proposal.round || round > state.closedRounds) {
            revert WrongRound(round, proposal.round, state.closedRounds);
        }
        uint64 nowSeconds = uint64(block.timestamp);
        _proposals[study][member] = Proposal(round, nowSeconds, 0, 0, false);
        emit ExclusionProposed(study, member, round, evidence, nowSeconds + window);
    }

    /// @inheritdoc IMemberStanding
    function appeal(uint64 study, uint8 member, bytes32 reason) external {
        uint64 window = _window(study);
        if (rounds.member(study, member).account != msg.sender) revert NotMember(study, member, msg.sender);
        if (reason == 0) revert DigestMissing();
        Proposal storage proposal = _proposals[study][member];
        if (proposal.proposedAt == 0 || proposal.appealedAt != 0) revert NothingToAppeal(study, member);
        _notAfter(proposal.proposedAt + window);
        proposal.appealedAt = uint64(block.timestamp);
        emit ExclusionAppealed(study, member, reason, uint64(block.timestamp) + window);
    }

    /// @inheritdoc IMemberStanding
    function decide(uint64 study, uint8 member, bool uphold) external {
        uint64 window = _window(study);
        if (msg.sender != _settings[study].arbiter) revert NotArbiter(study, msg.sender);
        Proposal storage proposal = _proposals[study][member];
        if (proposal.appealedAt == 0 || proposal.decidedAt != 0) revert NothingToDecide(study, member);
        _notAfter(proposal.appealedAt + window);
        proposal.decidedAt = uint64(block.timestamp);
        proposal.upheld = uphold;
        emit AppealDecided(study, member, uphold);
    }

    /// @inheritdoc IMemberStanding
    function settingOf(uint64 study) external view returns (Setting memory) {
        return _settings[study];
    }

    /// @inheritdoc IMemberStanding
    function proposalOf(uint64 study, uint8 member) external view returns (Proposal memory) {
        return _proposals[study][member];
    }

    /// @inheritdoc IMemberStanding
    function excludedFrom(uint64 study, uint8 member) external view returns (uint64) {
        return _excludedFrom(_proposals[study][member], _settings[study].appealSeconds);
    }

    /// @inheritdoc IMemberStanding
    function excluded(uint64 study) external view returns (uint64 members) {
        uint64 window = _settings[study].appealSeconds;
        for (uint256 i = 0; i < MEMBER_LIMIT; ++i) {
            uint64 from = _excludedFrom(_proposals[study][i], window);
            if (from != 0 && block.timestamp >= from) members |= uint64(1) << uint64(i);
        }
    }

    function _excludedFrom(Proposal storage proposal, uint64 window) private view returns (uint64) {
        if (proposal.proposedAt == 0) return 0;
        if (proposal.appealedAt == 0) return proposal.proposedAt + window + 1;
        return proposal.upheld ? 0 : proposal.decidedAt;
    }

    /// @dev Whether nothing is proposed, or what was is over and the member stays.
    function _settledInFavour(Proposal storage proposal, uint64 window) private view returns (bool) {
        if (proposal.proposedAt == 0) return true;
        if (proposal.appealedAt == 0) return false;
        if (proposal.decidedAt != 0) return proposal.upheld;
        return block.timestamp > proposal.appealedAt + window;
    }

    function _window(uint64 study) private view returns (uint64 window) {
        window = _settings[study].appealSeconds;
        if (window == 0) revert NotConfigured(study);
    }

    function _notAfter(uint64 deadline) private view {
        if (block.timestamp > deadline) revert TooLate(uint64(block.timestamp), deadline);
    }
}

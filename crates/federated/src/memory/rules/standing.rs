//! The rules of exclusions: who may propose, appeal and decide, and when.

use counterweight_primitives::{Address, ContentDigest, MemberIndex, Round, StudyId, UnixSeconds};

use super::{Rules, Study, check, refused, too_late};
use crate::ledger::{
    LedgerError, Phase,
    standing::{Appeal, Decision, Proposal, ProposalState, StandingSetting},
};

impl Rules {
    pub(in crate::memory) fn configure_standing(
        &mut self,
        account: Address,
        study: StudyId,
        setting: &StandingSetting,
    ) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        check(found.standing_setting.is_none(), || {
            refused("AlreadyConfigured", format_args!("study: {study}"))
        })?;
        let (coordinator, sponsor) = (found.state.coordinator, found.state.sponsor);
        let entitled = account == coordinator || account == sponsor;
        check(entitled && found.state.phase == Phase::Enrolling, || {
            refused(
                "NotConfigurable",
                format_args!("study: {study}, account: {account}"),
            )
        })?;
        check(setting.appeal_seconds > 0, || {
            refused("InvalidSetting", "field: appealSeconds")
        })?;
        let arbiter = match setting.arbiter {
            Address::ZERO => sponsor,
            named => named,
        };
        check(arbiter != coordinator, || {
            refused("ArbiterIsCoordinator", format_args!("account: {arbiter}"))
        })?;
        found.standing_setting = Some(StandingSetting { arbiter, ..*setting });
        Ok(())
    }

    pub(in crate::memory) fn propose_exclusion(
        &mut self,
        account: Address,
        study: StudyId,
        (member, round, evidence): (MemberIndex, Round, ContentDigest),
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        let setting = found.standing(study)?;
        found.coordinator(study, account)?;
        check(found.state.phase == Phase::Running, || {
            refused("NotRunning", format_args!("study: {study}"))
        })?;
        check(usize::from(member.0) < found.state.members.len(), || {
            refused("UnknownMember", format_args!("study: {study}, member: {member}"))
        })?;
        check(evidence != ContentDigest([0; 32]), || {
            refused("DigestMissing", "")
        })?;
        let before = found.proposal_mut(member).map(|proposal| *proposal);
        let settled = before.is_none_or(
            |before| matches!(before.state(&setting, now), ProposalState::Kept { since } if since <= now),
        );
        check(settled, || {
            refused(
                "AlreadyProposed",
                format_args!("study: {study}, member: {member}"),
            )
        })?;
        let (last, closed) = (
            before.map_or(0, |before| before.round.0),
            found.state.closed_rounds,
        );
        check(round.0 > last && round.0 <= closed, || {
            refused(
                "WrongRound",
                format_args!("round: {round}, after_: {last}, closed: {closed}"),
            )
        })?;
        found.proposals.push(Proposal {
            member,
            round,
            evidence,
            proposed_at: now,
            appeal: None,
        });
        Ok(())
    }

    pub(in crate::memory) fn appeal_exclusion(
        &mut self,
        account: Address,
        study: StudyId,
        member: MemberIndex,
        reason: ContentDigest,
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        let setting = found.standing(study)?;
        found.by_member(study, member, account)?;
        check(reason != ContentDigest([0; 32]), || refused("DigestMissing", ""))?;
        let nothing = || {
            refused(
                "NothingToAppeal",
                format_args!("study: {study}, member: {member}"),
            )
        };
        let proposal = found.proposal_mut(member).ok_or_else(nothing)?;
        check(proposal.appeal.is_none(), nothing)?;
        let until = UnixSeconds(proposal.proposed_at.0 + u64::from(setting.appeal_seconds));
        check(now <= until, || too_late(now, until))?;
        proposal.appeal = Some(Appeal {
            reason,
            at: now,
            decision: None,
        });
        Ok(())
    }

    pub(in crate::memory) fn decide_appeal(
        &mut self,
        account: Address,
        study: StudyId,
        member: MemberIndex,
        uphold: bool,
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        let setting = found.standing(study)?;
        check(account == setting.arbiter, || {
            refused("NotArbiter", format_args!("study: {study}, caller: {account}"))
        })?;
        let nothing = || {
            refused(
                "NothingToDecide",
                format_args!("study: {study}, member: {member}"),
            )
        };
        let proposal = found.proposal_mut(member).ok_or_else(nothing)?;
        let appeal = proposal.appeal.as_mut().ok_or_else(nothing)?;
        check(appeal.decision.is_none(), nothing)?;
        let until = UnixSeconds(appeal.at.0 + u64::from(setting.appeal_seconds));
        check(now <= until, || too_late(now, until))?;
        appeal.decision = Some(Decision {
            upheld: uphold,
            at: now,
        });
        Ok(())
    }
}

impl Study {
    fn standing(&self, study: StudyId) -> Result<StandingSetting, LedgerError> {
        let setting = self.standing_setting;
        setting.ok_or_else(|| refused("NotConfigured", format_args!("study: {study}")))
    }

    /// The newest proposal to exclude a member.
    fn proposal_mut(&mut self, member: MemberIndex) -> Option<&mut Proposal> {
        self.proposals
            .iter_mut()
            .rfind(|proposal| proposal.member == member)
    }
}

//! The rules of masked rounds: who may take which step, and when.

use counterweight_primitives::{
    Address, ContentDigest, MemberIndex, Round, Sha256Digest, StudyId, UnixSeconds,
};
use sha3::{Digest as _, Keccak256};

use super::{Rules, Study, check, refused, too_early, too_late};
use crate::{
    ledger::{
        LedgerError, Phase,
        masking::{MaskDeadlines, MaskDealing, MaskDomain, MaskDraw, MaskRound, MaskSetting},
    },
    masking::{
        PublicKey,
        draw::{context, draw},
    },
    member_set::MemberSet,
};

impl Rules {
    pub(in crate::memory) fn configure_masking(
        &mut self,
        account: Address,
        study: StudyId,
        setting: &MaskSetting,
    ) -> Result<(), LedgerError> {
        let found = self.study_mut(study)?;
        found.phase(study, Phase::Enrolling)?;
        check(
            account == found.state.coordinator || account == found.state.sponsor,
            || {
                refused(
                    "NotCoordinator",
                    format_args!("study: {study}, caller: {account}"),
                )
            },
        )?;
        check(found.mask_setting.is_none(), || {
            refused("AlreadyConfigured", format_args!("study: {study}"))
        })?;
        let fields = [
            ("groupSize", (3..=16).contains(&setting.group_size)),
            (
                "thresholdPercent",
                (51..=100).contains(&setting.threshold_percent),
            ),
            (
                "fewestSurvivors",
                (3..=setting.group_size).contains(&setting.fewest_survivors),
            ),
            ("coordinates", setting.coordinates > 0),
            ("disputeSeconds", setting.dispute_seconds > 0),
            (
                "bondToken",
                setting.bond.0 == 0 || setting.bond_token != Address::ZERO,
            ),
        ];
        for (field, holds) in fields {
            check(holds, || {
                refused("InvalidSetting", format_args!("field: {field}"))
            })?;
        }
        found.mask_setting = Some(*setting);
        Ok(())
    }

    pub(in crate::memory) fn announce_key(
        &mut self,
        account: Address,
        study: StudyId,
        round: Round,
        (member, key): (MemberIndex, PublicKey),
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.masked(study, round)?;
        found.by_member(study, member, account)?;
        let times = found.deadlines();
        check(now <= times.announce_by, || too_late(now, times.announce_by))?;
        let record = found.open_mask_round()?;
        check(record.drawn.is_none(), || {
            refused("OutOfTurn", format_args!("study: {study}, round: {round}"))
        })?;
        once(study, member, record.announced_set())?;
        check(key.is_strong(), || refused("WeakKey", ""))?;
        record.announced.push((member, key));
        Ok(())
    }

    pub(in crate::memory) fn draw_groups(
        &mut self,
        account: Address,
        study: StudyId,
        round: Round,
        domain: &MaskDomain,
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.masked(study, round)?;
        let times = found.deadlines();
        let coordinator = found.state.coordinator;
        check(now <= times.deal_by, || too_late(now, times.deal_by))?;
        let size = found.mask_setting.map_or(0, |setting| setting.group_size);
        let record = found.open_mask_round()?;
        check(record.drawn.is_none(), || {
            refused("OutOfTurn", format_args!("study: {study}, round: {round}"))
        })?;
        let announced = record.announced_set();
        check(announced.len() >= usize::from(size), || {
            refused(
                "TooFewAnnounced",
                format_args!("announced: {}, needed: {size}", announced.len()),
            )
        })?;
        check(account == coordinator || now > times.announce_by, || {
            refused(
                "NotCoordinator",
                format_args!("study: {study}, caller: {account}"),
            )
        })?;
        // No blocks here: the beacon is as hard to foresee as the last key announced.
        let mut beacon = Keccak256::new();
        beacon.update(study.0.to_be_bytes());
        beacon.update(round.0.to_be_bytes());
        beacon.update(record.commit_by.0.to_be_bytes());
        record.announced.iter().for_each(|(_, key)| beacon.update(key.0));
        let beacon: [u8; 32] = beacon.finalize().into();
        let groups = draw(&beacon, announced, size);
        let contexts = (0..groups.len())
            .map(|group| context(domain, study, round, record.commit_by, group as u8, &beacon))
            .collect();
        record.drawn = Some(MaskDraw {
            beacon,
            groups,
            contexts,
        });
        Ok(())
    }

    pub(in crate::memory) fn commit_dealing(
        &mut self,
        account: Address,
        study: StudyId,
        round: Round,
        dealing: MaskDealing,
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.masked(study, round)?;
        let member = dealing.member;
        found.by_member(study, member, account)?;
        let times = found.deadlines();
        check(now <= times.deal_by, || too_late(now, times.deal_by))?;
        let record = found.open_mask_round()?;
        check(record.drawn.is_some(), || out_of_turn(study, round))?;
        took_step(study, member, record.announced_set())?;
        once(study, member, record.dealt_set())?;
        let named = dealing.record != ContentDigest([0; 32]) && dealing.shares_root != Sha256Digest([0; 32]);
        check(named, || refused("DigestMissing", ""))?;
        record.dealings.push(dealing);
        Ok(())
    }

    pub(in crate::memory) fn commit_upload(
        &mut self,
        account: Address,
        study: StudyId,
        round: Round,
        (member, root): (MemberIndex, Sha256Digest),
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.masked(study, round)?;
        found.by_member(study, member, account)?;
        let times = found.deadlines();
        check(now <= times.commit_by, || too_late(now, times.commit_by))?;
        let record = found.open_mask_round()?;
        check(record.survivors.is_none(), || out_of_turn(study, round))?;
        took_step(study, member, record.dealt_set())?;
        once(study, member, record.uploaded_set())?;
        // Whoever masks must know who takes part; that is settled early where everyone does.
        let (dealt, groups) = (
            record.dealt_set(),
            record.drawn.iter().flat_map(|drawn| &drawn.groups),
        );
        let group = groups.into_iter().find(|group| group.contains(&member));
        let settled = group.is_some_and(|group| group.iter().all(|other| dealt.contains(*other)));
        check(settled || now > times.deal_by, || {
            too_early(now, UnixSeconds(times.deal_by.0 + 1))
        })?;
        check(root != Sha256Digest([0; 32]), || refused("DigestMissing", ""))?;
        record.uploads.push((member, root));
        Ok(())
    }

    pub(in crate::memory) fn fix_survivors(
        &mut self,
        account: Address,
        study: StudyId,
        round: Round,
        survivors: MemberSet,
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.masked(study, round)?;
        found.coordinator(study, account)?;
        let times = found.deadlines();
        check(now <= times.fix_by, || too_late(now, times.fix_by))?;
        let committed = MemberSet(found.state.committed);
        let setting = found.setting()?;
        let record = found.open_mask_round()?;
        check(record.survivors.is_none(), || {
            refused("OutOfTurn", format_args!("study: {study}, round: {round}"))
        })?;
        let Some(drawn) = &record.drawn else {
            return Err(out_of_turn(study, round));
        };
        let (dealt, uploaded) = (record.dealt_set(), record.uploaded_set());
        let settled = (dealt == record.announced_set() || now > times.deal_by) && uploaded == dealt;
        check(settled || now > times.commit_by, || {
            too_early(now, UnixSeconds(times.commit_by.0 + 1))
        })?;
        let possible = MemberSet(committed.0 & record.uploaded_set().0);
        check(!survivors.is_empty() && survivors.is_subset(possible), || {
            refused(
                "NotSurvivors",
                format_args!("survivors: {}, possible: {}", survivors.0, possible.0),
            )
        })?;
        for (index, group) in drawn.groups.iter().enumerate() {
            let count = group.iter().filter(|member| survivors.contains(**member)).count();
            let needed = setting.survivors_needed(group.len());
            check(count == 0 || count >= needed, || {
                refused(
                    "TooFewInGroup",
                    format_args!("group: {index}, count: {count}, needed: {needed}"),
                )
            })?;
        }
        record.survivors = Some(survivors);
        Ok(())
    }

    pub(in crate::memory) fn commit_unmasking(
        &mut self,
        account: Address,
        study: StudyId,
        round: Round,
        (member, unmasking): (MemberIndex, ContentDigest),
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.masked(study, round)?;
        found.by_member(study, member, account)?;
        let times = found.deadlines();
        check(now <= times.unmask_by, || too_late(now, times.unmask_by))?;
        let record = found.open_mask_round()?;
        let Some(survivors) = record.survivors else {
            return Err(out_of_turn(study, round));
        };
        took_step(study, member, survivors)?;
        once(study, member, record.unmasked_set())?;
        check(unmasking != ContentDigest([0; 32]), || {
            refused("DigestMissing", "")
        })?;
        record.unmaskings.push((member, unmasking));
        Ok(())
    }

    pub(in crate::memory) fn post_sums(
        &mut self,
        account: Address,
        study: StudyId,
        round: Round,
        roots: &[Sha256Digest],
        now: UnixSeconds,
    ) -> Result<(), LedgerError> {
        let found = self.masked(study, round)?;
        found.coordinator(study, account)?;
        let times = found.deadlines();
        check(now <= times.close_by, || too_late(now, times.close_by))?;
        let setting = found.setting()?;
        let record = found.open_mask_round()?;
        let (Some(survivors), Some(drawn)) = (record.survivors, &record.drawn) else {
            return Err(out_of_turn(study, round));
        };
        check(record.sums.is_none(), || {
            refused("OutOfTurn", format_args!("study: {study}, round: {round}"))
        })?;
        check(
            record.unmasked_set() == survivors || now > times.unmask_by,
            || too_early(now, UnixSeconds(times.unmask_by.0 + 1)),
        )?;
        check(roots.len() == drawn.groups.len(), || {
            refused(
                "WrongSums",
                format_args!("count: {}, groups: {}", roots.len(), drawn.groups.len()),
            )
        })?;
        let unmasked = record.unmasked_set();
        for (index, (group, root)) in drawn.groups.iter().zip(roots).enumerate() {
            let summed = group.iter().any(|member| survivors.contains(*member));
            // Each who answered needs the threshold without itself.
            let answers = group.iter().filter(|member| unmasked.contains(**member)).count();
            let needed = setting.threshold(group.len()) + 1;
            check(!summed || answers >= needed, || {
                refused(
                    "TooFewInGroup",
                    format_args!("group: {index}, count: {answers}, needed: {needed}"),
                )
            })?;
            check(summed == (*root != Sha256Digest([0; 32])), || {
                refused("WrongSums", format_args!("group: {index}"))
            })?;
        }
        record.sums = Some(roots.to_vec());
        Ok(())
    }

    /// A study that masks and whose open round is this one.
    fn masked(&mut self, study: StudyId, round: Round) -> Result<&mut Study, LedgerError> {
        let found = self.study_mut(study)?;
        found.setting()?;
        found.phase(study, Phase::Running)?;
        found.open_round_is(study, round)?;
        Ok(found)
    }
}

impl Study {
    /// Starts the record of an opening; another one of the same round makes way.
    pub(super) fn open_masking(&mut self, round: Round, commit_by: UnixSeconds) {
        if self.mask_setting.is_some() {
            let record = match self.mask_rounds.pop_if(|last| last.round == round) {
                Some(expired) => expired.opened_again(commit_by),
                None => MaskRound::opened(round, commit_by),
            };
            self.mask_rounds.push(record);
        }
    }

    fn setting(&self) -> Result<MaskSetting, LedgerError> {
        self.mask_setting.ok_or_else(|| refused("NotConfigured", ""))
    }

    fn open_mask_round(&mut self) -> Result<&mut MaskRound, LedgerError> {
        self.mask_rounds
            .last_mut()
            .ok_or_else(|| refused("RoundNotOpen", ""))
    }

    fn deadlines(&self) -> MaskDeadlines {
        let opened_at = UnixSeconds(
            self.state
                .commit_by
                .0
                .saturating_sub(u64::from(self.terms.round_seconds)),
        );
        MaskDeadlines::of(opened_at, self.state.commit_by, self.state.close_by)
    }

    pub(super) fn by_member(
        &self,
        study: StudyId,
        member: MemberIndex,
        account: Address,
    ) -> Result<(), LedgerError> {
        let joined = self.state.members.get(usize::from(member.0));
        check(joined.is_some_and(|joined| joined.account == account), || {
            let values = format!("study: {study}, member: {member}, caller: {account}");
            refused("NotMember", values)
        })
    }
}

fn once(study: StudyId, member: MemberIndex, done: MemberSet) -> Result<(), LedgerError> {
    check(!done.contains(member), || {
        refused(
            "MemberOutOfTurn",
            format_args!("study: {study}, member: {member}"),
        )
    })
}

/// Members who did not take the step before take this one neither.
fn took_step(study: StudyId, member: MemberIndex, before: MemberSet) -> Result<(), LedgerError> {
    check(before.contains(member), || {
        refused(
            "MemberOutOfTurn",
            format_args!("study: {study}, member: {member}"),
        )
    })
}

fn out_of_turn(study: StudyId, round: Round) -> LedgerError {
    refused("OutOfTurn", format_args!("study: {study}, round: {round}"))
}

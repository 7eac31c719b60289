//! Whose turn it is in a masked round, from what the ledger says and the time: plain functions, so that whoever was
//! killed at any moment takes the same step again.

use counterweight_primitives::{ContentDigest, MemberIndex, Round, StudyId, UnixSeconds};

use crate::{
    ledger::{
        LedgerError, StudyReader, StudyState,
        masking::{MaskDeadlines, MaskDomain, MaskReader, MaskRound, MaskSetting},
    },
    masking::{
        Group, Place,
        draw::{context, draw},
    },
    member_set::MemberSet,
};

/// An open masked round, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskView {
    /// What was recorded of its masking.
    pub record: MaskRound,
    /// How the study masks.
    pub setting: MaskSetting,
    /// The last second of each step.
    pub times: MaskDeadlines,
    /// What was committed: digests of masked vectors.
    pub commitments: Vec<(MemberIndex, ContentDigest)>,
}

/// A group that was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrawnGroup {
    /// Its place in the draw, counted from 0.
    pub index: u8,
    /// What every message of it is bound to.
    pub group: Group,
    /// Its members, in order of their places.
    pub members: Vec<MemberIndex>,
}

/// The draw on the ledger is not the one of its beacon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the groups of the round are not those that its beacon draws from who announced a key")]
pub struct OtherDraw;

impl DrawnGroup {
    /// The groups of a round, once they are drawn; recomputed from the beacon, since a wrong draw could put a member
    /// among strangers who work together, or use one mask twice.
    ///
    /// # Errors
    /// [`OtherDraw`].
    pub fn of_round(
        study: StudyId,
        record: &MaskRound,
        setting: &MaskSetting,
        domain: &MaskDomain,
    ) -> Result<Vec<Self>, OtherDraw> {
        let Some(drawn) = &record.drawn else {
            return Ok(Vec::new());
        };
        let groups = draw(&drawn.beacon, record.announced_set(), setting.group_size);
        let context = |group: usize| {
            let group = u8::try_from(group).map_err(|_| OtherDraw)?;
            Ok(context(
                domain,
                study,
                record.round,
                record.commit_by,
                group,
                &drawn.beacon,
            ))
        };
        let contexts = (0..groups.len()).map(context).collect::<Result<Vec<_>, _>>()?;
        if groups != drawn.groups || contexts != drawn.contexts {
            return Err(OtherDraw);
        }
        let made = groups.into_iter().zip(contexts).enumerate();
        Ok(made
            .map(|(index, (members, context))| {
                // At most 64 members.
                let size = members.len() as u16;
                let group = Group {
                    context,
                    size,
                    degree: size.saturating_sub(1),
                    threshold: setting.threshold(members.len()) as u16,
                    fewest_survivors: setting.fewest_survivors.into(),
                    coordinates: setting.coordinates as usize,
                };
                Self {
                    index: index as u8,
                    group,
                    members,
                }
            })
            .collect())
    }

    /// A member's place in it.
    #[must_use]
    pub fn place_of(&self, member: MemberIndex) -> Option<Place> {
        let place = self.members.iter().position(|other| *other == member)?;
        u16::try_from(place).ok().map(Place)
    }

    /// Its members as a set.
    #[must_use]
    pub fn member_set(&self) -> MemberSet {
        self.members.iter().copied().collect()
    }
}

/// What a member does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberTurn {
    /// Announce a key.
    Announce,
    /// Deal its secrets.
    Deal,
    /// Mask its vector, commit to it and to its root.
    Upload,
    /// Open shares for the survivors.
    Unmask,
    /// Others have their turn.
    Wait,
    /// It has done everything.
    Done,
    /// The round goes on without it.
    Out(&'static str),
}

/// What a coordinator does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoordinatorTurn {
    /// Draw the groups.
    Draw,
    /// Fix these survivors.
    Fix(MemberSet),
    /// Recover the sums, if the shares that came suffice, and post their roots.
    Sum,
    /// Close the round with the fixed survivors.
    Close,
    /// Members have their turn.
    Wait,
    /// Too late for anything else: end the round, and open it again.
    Expire,
}

/// The least a round must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// Survivors.
    pub members: usize,
    /// Groups with survivors.
    pub groups: usize,
}

/// Records that a coordinator holds, whose digests are on the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrived {
    /// Dealings.
    pub dealings: MemberSet,
    /// Masked vectors.
    pub uploads: MemberSet,
    /// Opened shares.
    pub unmaskings: MemberSet,
    /// Who said that it goes no further, or sent what breaks the rules.
    pub out: MemberSet,
}

impl MaskView {
    /// Reads the open round of a study; nothing where that round is not open, or the study does not mask.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn read<L: StudyReader + ?Sized>(
        ledger: &L,
        masks: &dyn MaskReader,
        study: StudyId,
        round: Round,
    ) -> Result<Option<(StudyState, Self)>, LedgerError> {
        let state = ledger.study(study)?;
        let records = ledger.rounds(study)?;
        let record = records.into_iter().rev().find(|record| record.round == round);
        let (Some(record), Some(setting)) = (record, masks.mask_setting(study)?) else {
            return Ok(None);
        };
        if !state.round_open || state.round != round {
            return Ok(None);
        }
        // What is read in several calls may be of two openings: the later one shows on the next look.
        let masked = masks.mask_round(study, round)?;
        let masked = masked.filter(|masked| masked.commit_by == state.commit_by);
        let times = MaskDeadlines::of(record.opened_at, state.commit_by, state.close_by);
        let view = Self {
            record: masked.unwrap_or_else(|| MaskRound::opened(round, state.commit_by)),
            setting,
            times,
            commitments: record.commitments,
        };
        Ok(Some((state, view)))
    }

    /// Who committed.
    #[must_use]
    pub fn committed(&self) -> MemberSet {
        self.commitments.iter().map(|(member, _)| *member).collect()
    }

    /// The group of a member, by its place in the draw.
    #[must_use]
    pub fn group_of(&self, member: MemberIndex) -> Option<&[MemberIndex]> {
        let groups = &self.record.drawn.as_ref()?.groups;
        groups
            .iter()
            .find(|group| group.contains(&member))
            .map(Vec::as_slice)
    }

    /// Whether who takes part in a group is settled: all dealt, or nobody may any more.
    #[must_use]
    pub fn is_settled(&self, group: &[MemberIndex], now: UnixSeconds) -> bool {
        let dealt = self.record.dealt_set();
        now > self.times.deal_by || group.iter().all(|member| dealt.contains(*member))
    }

    /// What a member does now.
    #[must_use]
    pub fn member_turn(&self, member: MemberIndex, now: UnixSeconds) -> MemberTurn {
        let Self { record, times, .. } = self;
        let in_time = |by: UnixSeconds, turn: MemberTurn, late: &'static str| match now <= by {
            true => turn,
            false => MemberTurn::Out(late),
        };
        if !record.announced_set().contains(member) {
            return match record.drawn {
                Some(_) => MemberTurn::Out("the groups were drawn without it"),
                None => in_time(
                    times.announce_by,
                    MemberTurn::Announce,
                    "the time for announcements is over",
                ),
            };
        }
        let Some(group) = self.group_of(member) else {
            return in_time(times.deal_by, MemberTurn::Wait, "no groups were drawn");
        };
        if !record.dealt_set().contains(member) {
            return in_time(times.deal_by, MemberTurn::Deal, "the time for dealings is over");
        }
        if let Some(survivors) = record.survivors {
            return if !survivors.contains(member) {
                MemberTurn::Out("it is not among the survivors")
            } else if record.unmasked_set().contains(member) {
                MemberTurn::Done
            } else {
                in_time(times.unmask_by, MemberTurn::Unmask, "the time for shares is over")
            };
        }
        if !self.is_settled(group, now) {
            return MemberTurn::Wait;
        }
        if !self.committed().contains(member) || !record.uploaded_set().contains(member) {
            return in_time(
                times.commit_by,
                MemberTurn::Upload,
                "the time for uploads is over",
            );
        }
        in_time(times.fix_by, MemberTurn::Wait, "no survivors were fixed")
    }

    /// What a coordinator that asked these members does now.
    #[must_use]
    pub fn coordinator_turn(
        &self,
        asked: MemberSet,
        needed: Needed,
        arrived: &Arrived,
        now: UnixSeconds,
    ) -> CoordinatorTurn {
        let Self { record, times, .. } = self;
        if now > times.close_by {
            return CoordinatorTurn::Expire;
        }
        let Some(drawn) = &record.drawn else {
            let announced = record.announced_set();
            let enough = announced.len() >= usize::from(self.setting.group_size);
            let all = asked
                .iter()
                .all(|member| announced.contains(member) || arrived.out.contains(member));
            let draws = enough && (all || now > times.announce_by) && now <= times.deal_by;
            return if draws {
                CoordinatorTurn::Draw
            } else {
                CoordinatorTurn::Wait
            };
        };
        let Some(survivors) = record.survivors else {
            return self.fixing(&drawn.groups, needed, arrived, now);
        };
        if record.sums.is_some() {
            return CoordinatorTurn::Close;
        }
        // Shares that are under way are waited for, so that whoever checks the sum later finds all of them.
        let unmasked = record.unmasked_set();
        if now <= times.unmask_by && (unmasked != survivors || !unmasked.is_subset(arrived.unmaskings)) {
            return CoordinatorTurn::Wait;
        }
        // Each survivor's seed takes as many shares as the threshold, none of them its own.
        let opened = |group: &Vec<MemberIndex>| {
            let group: MemberSet = group.iter().copied().collect();
            let staying = MemberSet(group.0 & survivors.0);
            let came = MemberSet(staying.0 & arrived.unmaskings.0).len();
            staying.is_empty() || came > self.setting.threshold(group.len())
        };
        match drawn.groups.iter().all(opened) {
            true => CoordinatorTurn::Sum,
            false => CoordinatorTurn::Wait,
        }
    }

    /// Whose vectors count: once everybody is settled, or it is time. Half of the time to fix is left for uploads that
    /// are under way.
    fn fixing(
        &self,
        groups: &[Vec<MemberIndex>],
        least: Needed,
        arrived: &Arrived,
        now: UnixSeconds,
    ) -> CoordinatorTurn {
        let Self { record, times, .. } = self;
        let (dealt, uploaded) = (record.dealt_set(), record.uploaded_set());
        let there = MemberSet(self.committed().0 & uploaded.0 & dealt.0 & arrived.uploads.0);
        // Before the members' time is over the ledger takes survivors only once nobody can be left out by haste.
        let settled = dealt == record.announced_set() || now > times.deal_by;
        if now <= times.commit_by && !(settled && uploaded == dealt) {
            return CoordinatorTurn::Wait;
        }
        let until = UnixSeconds((times.commit_by.0 + times.fix_by.0) / 2);
        let may_come = |member: MemberIndex| {
            if there.contains(member) || arrived.out.contains(member) {
                false
            } else if !dealt.contains(member) {
                now <= times.deal_by
            } else if !self.committed().contains(member) || !uploaded.contains(member) {
                now <= times.commit_by
            } else {
                now <= until
            }
        };
        // A group that cannot reach its number any more is not waited for.
        let needed = |group: &[MemberIndex]| self.setting.survivors_needed(group.len());
        let awaited = |group: &&Vec<MemberIndex>| {
            let possible = group
                .iter()
                .filter(|member| there.contains(**member) || may_come(**member));
            possible.count() >= needed(group) && group.iter().any(|member| may_come(*member))
        };
        if groups.iter().any(|group| awaited(&group)) || now > times.fix_by {
            return CoordinatorTurn::Wait;
        }
        let staying = |group: &Vec<MemberIndex>| -> Vec<MemberIndex> {
            let there = group.iter().copied().filter(|member| there.contains(*member));
            there.collect()
        };
        let whole = groups.iter().map(|group| (group, staying(group)));
        let whole: Vec<_> = whole
            .filter(|(group, staying)| staying.len() >= needed(group))
            .map(|(_, staying)| staying)
            .collect();
        let survivors: MemberSet = whole.iter().flatten().copied().collect();
        // Nothing is opened for too few: the round ends without a sum.
        match survivors.len() >= least.members.max(1) && whole.len() >= least.groups {
            true => CoordinatorTurn::Fix(survivors),
            false => CoordinatorTurn::Wait,
        }
    }
}

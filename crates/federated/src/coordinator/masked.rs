//! A masked round: groups drawn, records taken, survivors fixed, sums recovered and posted, the round closed.
//!
//! Everything that decides is on the ledger or among the blobs, so a coordinator that was killed looks at both and goes
//! on.

use std::collections::{BTreeMap, BTreeSet};

use counterweight_primitives::{ContentDigest, MemberIndex, Round, Sha256Digest};

use super::{
    Answer, Content, Coordinator, CoordinatorError, Delivery, Members, Replay, ReplayError, RoundSummary,
    StudyEvent,
    round::{Aggregated, Ending},
};
use crate::{
    ledger::{
        LedgerError, Phase, RoundRecord, StudyLedger, StudyState,
        masking::{MaskLedger, MaskRound, MaskSetting},
    },
    masked::{
        groups::MaskedGroups,
        recompute::{
            Fault, groups_of, read_dealing, read_unmasking, read_upload, recompute, recorded_digest,
        },
        record::MaskRecord,
        turn::{Arrived, CoordinatorTurn, DrawnGroup, MaskView, Needed},
        vector::WordFormat,
    },
    masking::roots::vector_root,
    member_set::MemberSet,
    round::{Absence, Refusal, RoundTerms},
    study::masking::Masking,
};

/// Refusals that time brings and takes away.
const PASSING: [&str; 4] = ["TooEarly", "TooLate", "SameBlock", "NotDrawn"];

/// What a coordinator learns of an open round beside the ledger.
#[derive(Default)]
struct Collecting {
    /// Who was asked. Others may announce keys too, and the ledger seats them: their dealings are taken, for their neighbours' sake,
    /// and no vector of theirs counts.
    asked: MemberSet,
    arrived: Arrived,
    declined: BTreeMap<MemberIndex, String>,
    refused: BTreeMap<MemberIndex, Refusal>,
    /// Opened shares there were when a sum could not be recovered: more are waited for.
    tried_with: Option<MemberSet>,
    /// The groups of the posted sums.
    groups: Option<MaskedGroups>,
    /// Members whose records were looked for among the blobs.
    looked_for: BTreeSet<(MemberIndex, MaskRecord)>,
}

impl Coordinator<'_> {
    fn masking(&self) -> Option<Masking> {
        self.plan.terms.masking
    }

    fn word_format(&self) -> Result<Option<WordFormat>, CoordinatorError> {
        let format = self.plan.terms.word_format();
        format.map_err(|error| CoordinatorError::Terms {
            problem: error.to_string(),
        })
    }

    /// Says on the ledger how the study masks, before it starts.
    pub(super) fn configure_masking(&mut self, state: &StudyState) -> Result<(), CoordinatorError> {
        let Some(masking) = self.masking() else {
            return Ok(());
        };
        let study = self.plan.study;
        let doing = "saying how the study masks";
        let parameters = self.plan.terms.architecture.parameters();
        let setting = MaskSetting {
            group_size: masking.group_size,
            threshold_percent: masking.threshold_percent,
            fewest_survivors: masking.fewest_survivors,
            // At most 2^24 parameters.
            coordinates: parameters as u32 + 1,
            bond_token: state.token,
            bond: state.bond,
            dispute_seconds: masking.dispute_seconds,
        };
        let recorded = self.ask(doing, |ledger| masks_of(ledger)?.mask_setting(study))?;
        if recorded.is_none() && state.phase == Phase::Enrolling {
            let done = self.ask(doing, |ledger| {
                let masks = masks_of(ledger)?;
                match masks.configure_masking(study, &setting) {
                    // A call without an answer may have taken effect, and so may one that is called a second one.
                    Err(error) if masks.mask_setting(study)?.is_none() => Err(error),
                    _ => Ok(()),
                }
            });
            done?;
        }
        let recorded = self.ask(doing, |ledger| masks_of(ledger)?.mask_setting(study))?;
        match recorded {
            Some(recorded) if masking.agrees_with(&recorded, parameters) => Ok(()),
            _ => Err(CoordinatorError::Terms {
                problem: "the ledger does not mask as they say".to_owned(),
            }),
        }
    }

    /// Brings an open masked round to its end.
    pub(super) fn masked_round(
        &mut self,
        replay: &mut Replay,
        state: &StudyState,
        record: &RoundRecord,
        terms: RoundTerms,
        members: &mut dyn Members,
        summaries: &mut Vec<RoundSummary>,
    ) -> Result<Ending, CoordinatorError> {
        let round = record.round;
        let needed = Needed {
            members: terms.quorum,
            groups: self.plan.terms.combination.map_or(1, |rule| rule.fewest_rows()),
        };
        let uninvited = MemberSet(MemberSet::first(state.members.len()).0 & !terms.asked.0);
        let mut collecting = Collecting {
            asked: terms.asked,
            ..Collecting::default()
        };
        collecting.arrived.out = uninvited;
        let notice = self.notice(state, Some(&terms));
        members.announce(&notice);
        let mut told = false;
        loop {
            let Some(view) = self.mask_view(round)? else {
                self.catch_up(replay, summaries)?;
                let closed = replay.rounds() >= round.0;
                return Ok(if closed {
                    Ending::Closed
                } else {
                    Ending::Expired(Vec::new())
                });
            };
            let groups = self.drawn(&view)?;
            if !told && !groups.is_empty() {
                let sizes = groups.iter().map(|drawn| drawn.members.len()).collect();
                self.tell(&StudyEvent::GroupsDrawn { round, sizes });
                told = true;
            }
            self.look_for_records(&view, &groups, &mut collecting, members);
            let now = self.now()?;
            let taken = match view.coordinator_turn(terms.asked, needed, &collecting.arrived, now) {
                CoordinatorTurn::Draw => self.act_masked(
                    round,
                    "drawing the groups",
                    |masks, study| masks.draw_groups(study, round),
                    |view| view.record.drawn.is_some(),
                )?,
                CoordinatorTurn::Fix(survivors) => self.act_masked(
                    round,
                    "fixing the survivors",
                    |masks, study| masks.fix_survivors(study, round, survivors),
                    |view| view.record.survivors.is_some(),
                )?,
                CoordinatorTurn::Sum => self.post_sums(&view, &groups, &mut collecting)?,
                CoordinatorTurn::Close => {
                    let survivors = view.record.survivors.unwrap_or_default();
                    let made = match collecting.groups.take() {
                        Some(made) => made,
                        None => self.masked_groups(&view.record, &view.commitments, survivors)?,
                    };
                    let absent = absences(&view, &terms, survivors, &collecting);
                    if replay
                        .preview_groups(round, &made, self.plan.holdout.as_ref())
                        .is_ok()
                    {
                        let aggregated = Aggregated::Groups(&made);
                        return self.close(replay, record, survivors, &aggregated, absent, summaries);
                    }
                    // Lies in so many groups that no rule can work: nothing comes of this opening.
                    collecting.groups = Some(made);
                    false
                }
                CoordinatorTurn::Expire => {
                    let survivors = MemberSet::EMPTY;
                    let absent = absences(&view, &terms, survivors, &collecting);
                    return self.expire(round, absent);
                }
                CoordinatorTurn::Wait => false,
            };
            if !taken {
                self.wait(&view, &groups, state, &mut collecting, members)?;
            }
        }
    }

    /// The groups of a round whose survivors are fixed, from the blobs; their sums must be the posted ones.
    pub(super) fn masked_groups(
        &mut self,
        masked: &MaskRound,
        commitments: &[(MemberIndex, ContentDigest)],
        survivors: MemberSet,
    ) -> Result<MaskedGroups, CoordinatorError> {
        let (study, round) = (self.plan.study, masked.round);
        let wrong = |problem: String| ReplayError::Masked { round, problem };
        let doing = "reading how the study masks";
        let domain = self.ask(doing, |ledger| masks_of(ledger)?.mask_domain())?;
        let setting = self.ask(doing, |ledger| masks_of(ledger)?.mask_setting(study))?;
        let (Some(setting), Some(format)) = (setting, self.word_format()?) else {
            return Err(wrong("the study does not mask".to_owned()).into());
        };
        let groups = DrawnGroup::of_round(study, masked, &setting, &domain)
            .map_err(|error| wrong(error.to_string()))?;
        let outcomes = recompute(&groups, masked, commitments, survivors, self.environment.blobs);
        for outcome in &outcomes {
            let place = usize::from(outcome.index);
            let posted = masked.sums.as_ref().and_then(|roots| roots.get(place));
            match &outcome.sum {
                Err(error) => return Err(wrong(format!("group {place}: {error}")).into()),
                Ok(sum) if posted != Some(&sum_root(sum)) => {
                    let problem = format!("group {place} has another sum than the one posted");
                    return Err(wrong(problem).into());
                }
                Ok(_) => {}
            }
        }
        let coordinates = self.plan.terms.architecture.parameters();
        let made = groups_of(&outcomes, &format, coordinates);
        let (made, _) = made.ok_or_else(|| wrong("a sum is missing".to_owned()))?;
        Ok(made)
    }

    /// Recovers the sums and posts their roots, unless too few right shares came.
    fn post_sums(
        &mut self,
        view: &MaskView,
        groups: &[DrawnGroup],
        collecting: &mut Collecting,
    ) -> Result<bool, CoordinatorError> {
        let Some(format) = self.word_format()? else {
            return Ok(false);
        };
        if collecting.tried_with == Some(collecting.arrived.unmaskings) {
            return Ok(false);
        }
        collecting.tried_with = Some(collecting.arrived.unmaskings);
        let survivors = view.record.survivors.unwrap_or_default();
        let outcomes = recompute(
            groups,
            &view.record,
            &view.commitments,
            survivors,
            self.environment.blobs,
        );
        let coordinates = self.plan.terms.architecture.parameters();
        let Some((made, _)) = groups_of(&outcomes, &format, coordinates) else {
            return Ok(false);
        };
        let mut roots = vec![Sha256Digest([0; 32]); groups.len()];
        for outcome in &outcomes {
            if let (Some(root), Ok(sum)) = (roots.get_mut(usize::from(outcome.index)), &outcome.sum) {
                *root = sum_root(sum);
            }
        }
        let round = view.record.round;
        let posted = self.act_masked(
            round,
            "posting the sums",
            |masks, study| masks.post_sums(study, round, &roots),
            |view| view.record.sums.is_some(),
        )?;
        if posted {
            collecting.groups = Some(made);
        } else {
            collecting.tried_with = None;
        }
        Ok(posted)
    }

    fn mask_view(&mut self, round: Round) -> Result<Option<MaskView>, CoordinatorError> {
        let study = self.plan.study;
        let read = self.ask("reading the masked round", |ledger| {
            MaskView::read(ledger, masks_of(ledger)?, study, round)
        })?;
        Ok(read.map(|(_, view)| view))
    }

    fn drawn(&mut self, view: &MaskView) -> Result<Vec<DrawnGroup>, CoordinatorError> {
        let domain = self.ask("reading how the study masks", |ledger| {
            masks_of(ledger)?.mask_domain()
        })?;
        let round = view.record.round;
        DrawnGroup::of_round(self.plan.study, &view.record, &view.setting, &domain).map_err(|error| {
            let problem = error.to_string();
            ReplayError::Masked { round, problem }.into()
        })
    }

    /// What was handed over before a restart is among the blobs. Each record is looked for once, when it is first seen
    /// on the ledger; later it comes from its member.
    fn look_for_records(
        &mut self,
        view: &MaskView,
        groups: &[DrawnGroup],
        collecting: &mut Collecting,
        members: &mut dyn Members,
    ) {
        for drawn in groups {
            for member in drawn.members.iter().copied() {
                for kind in MaskRecord::ALL {
                    let Some(digest) = recorded_digest(&view.record, &view.commitments, member, kind) else {
                        continue;
                    };
                    // The root of a vector is recorded after its digest.
                    let rooted = kind != MaskRecord::Upload || view.record.uploaded_set().contains(member);
                    if !rooted
                        || !collecting.takes(member, kind)
                        || !collecting.looked_for.insert((member, kind))
                    {
                        continue;
                    }
                    let limit = kind.bytes_max(&drawn.group);
                    let Ok(bytes) = self.environment.blobs.get(&digest, limit) else {
                        continue;
                    };
                    if check(kind, drawn, view, member, &bytes).is_ok() {
                        collecting.arrived.set(kind).insert(member);
                        members.offer(&digest);
                    }
                }
            }
        }
    }

    fn wait(
        &mut self,
        view: &MaskView,
        groups: &[DrawnGroup],
        state: &StudyState,
        collecting: &mut Collecting,
        members: &mut dyn Members,
    ) -> Result<(), CoordinatorError> {
        let Some(delivery) = members.next(self.options.poll) else {
            return Ok(());
        };
        // What a member recorded just before it sent this may be newer than the view.
        let fresh = match self.mask_view(view.record.round)? {
            Some(fresh) => fresh,
            None => return self.answer_late(delivery, view.record.round),
        };
        let fresh_groups = match groups.is_empty() {
            true => self.drawn(&fresh)?,
            false => groups.to_vec(),
        };
        self.take_record(&fresh, &fresh_groups, state, collecting, members, delivery)
    }

    fn answer_late(&mut self, delivery: Delivery, round: Round) -> Result<(), CoordinatorError> {
        let deadline = self.now()?.0;
        (delivery.answer)(Answer::Refused(Refusal::Late {
            round: round.0,
            deadline,
        }));
        Ok(())
    }

    fn take_record(
        &mut self,
        view: &MaskView,
        groups: &[DrawnGroup],
        state: &StudyState,
        collecting: &mut Collecting,
        members: &mut dyn Members,
        delivery: Delivery,
    ) -> Result<(), CoordinatorError> {
        let open_round = view.record.round;
        let delivery = match self.check_sender(state, open_round, delivery) {
            Some(delivery) => delivery,
            None => return Ok(()),
        };
        let Delivery {
            member,
            content,
            answer,
            ..
        } = delivery;
        let (kind, bytes) = match content {
            Content::Masked(kind, bytes) => (kind, bytes),
            Content::Decline(reason) => {
                // Whoever committed is bound by it.
                if !view.committed().contains(member) {
                    collecting.arrived.out.insert(member);
                    collecting.declined.insert(member, reason);
                }
                answer(Answer::Stored);
                return Ok(());
            }
            Content::Update(_) => {
                let reason = "this study masks its updates".to_owned();
                self.refuse(open_round, member, Refusal::Unreadable { reason }, answer);
                return Ok(());
            }
        };
        if !collecting.takes(member, kind) {
            self.refuse(open_round, member, Refusal::NotAsked { member: member.0 }, answer);
            return Ok(());
        }
        let digest = ContentDigest::of(&bytes);
        let recorded = recorded_digest(&view.record, &view.commitments, member, kind);
        let drawn = groups.iter().find(|drawn| drawn.members.contains(&member));
        let rooted = kind != MaskRecord::Upload || view.record.uploaded_set().contains(member);
        let (Some(expected), Some(drawn), true) = (recorded, drawn, rooted) else {
            self.refuse(
                open_round,
                member,
                Refusal::NotCommitted { member: member.0 },
                answer,
            );
            return Ok(());
        };
        if digest != expected {
            let refusal = Refusal::NotTheCommitted {
                member: member.0,
                expected,
                got: digest,
            };
            self.refuse(open_round, member, refusal, answer);
            return Ok(());
        }
        if collecting.arrived.set(kind).contains(member) {
            answer(Answer::AlreadyStored);
            return Ok(());
        }
        match check(kind, drawn, view, member, &bytes) {
            Ok(()) => {
                // Kept before anybody is told so, and before the round counts it.
                if let Err(error) = self.environment.blobs.put(&bytes) {
                    answer(Answer::Unavailable);
                    return Err(error.into());
                }
                collecting.arrived.set(kind).insert(member);
                members.offer(&digest);
                answer(Answer::Stored);
                self.tell(&StudyEvent::RecordStored {
                    round: open_round,
                    member,
                    record: kind,
                });
            }
            Err(fault) => {
                // Recorded on the ledger and wrong: it cannot be replaced.
                let refusal = Refusal::Unreadable {
                    reason: fault.to_string(),
                };
                collecting.arrived.out.insert(member);
                collecting.refused.insert(member, refusal.clone());
                self.refuse(open_round, member, refusal, answer);
            }
        }
        Ok(())
    }

    /// Does something on the ledger once, as `act` does, and says whether it is done: what came too early is tried again,
    /// what came too late is left to the round's expiry.
    fn act_masked(
        &mut self,
        round: Round,
        doing: &'static str,
        action: impl Fn(&dyn MaskLedger, counterweight_primitives::StudyId) -> Result<(), LedgerError>,
        done: impl Fn(&MaskView) -> bool,
    ) -> Result<bool, CoordinatorError> {
        let study = self.plan.study;
        self.ask(doing, |ledger| {
            let masks = masks_of(ledger)?;
            let is_done = || -> Result<bool, LedgerError> {
                let read = MaskView::read(ledger, masks, study, round)?;
                Ok(read.is_none_or(|(_, view)| done(&view)))
            };
            if is_done()? {
                return Ok(true);
            }
            match action(masks, study) {
                Ok(()) => Ok(true),
                Err(error) => match (is_done()?, &error) {
                    (true, _) => Ok(true),
                    (false, LedgerError::Refused { name, .. }) if PASSING.contains(&name.as_str()) => {
                        Ok(false)
                    }
                    (false, _) => Err(error),
                },
            }
        })
    }
}

impl Collecting {
    fn takes(&self, member: MemberIndex, kind: MaskRecord) -> bool {
        self.asked.contains(member) || kind == MaskRecord::Dealing
    }
}

impl Arrived {
    fn set(&mut self, kind: MaskRecord) -> &mut MemberSet {
        match kind {
            MaskRecord::Dealing => &mut self.dealings,
            MaskRecord::Upload => &mut self.uploads,
            MaskRecord::Unmasking => &mut self.unmaskings,
        }
    }
}

fn masks_of(ledger: &dyn StudyLedger) -> Result<&dyn MaskLedger, LedgerError> {
    ledger.masking().ok_or_else(|| LedgerError::Malformed {
        what: "it keeps no masked rounds".to_owned(),
    })
}

/// The root of a group's sum, as it is posted.
pub(crate) fn sum_root(sum: &[i32]) -> Sha256Digest {
    let words: Vec<u32> = sum.iter().map(|word| *word as u32).collect();
    vector_root(&words)
}

fn check(
    kind: MaskRecord,
    drawn: &DrawnGroup,
    view: &MaskView,
    member: MemberIndex,
    bytes: &[u8],
) -> Result<(), Fault> {
    match kind {
        MaskRecord::Dealing => read_dealing(drawn, &view.record, member, bytes).map(|_| ()),
        MaskRecord::Upload => read_upload(drawn, &view.record, member, bytes).map(|_| ()),
        MaskRecord::Unmasking => read_unmasking(drawn, &view.record, member, bytes).map(|_| ()),
    }
}

fn absences(
    view: &MaskView,
    terms: &RoundTerms,
    survivors: MemberSet,
    collecting: &Collecting,
) -> Vec<(MemberIndex, Absence)> {
    let (dealt, committed) = (view.record.dealt_set(), view.committed());
    let why = |member: MemberIndex| {
        if let Some(reason) = collecting.refused.get(&member).cloned() {
            Absence::Refused { reason }
        } else if let Some(reason) = collecting.declined.get(&member).cloned() {
            Absence::Declined { reason }
        } else if !dealt.contains(member) {
            Absence::NeverDealt
        } else if !committed.contains(member) {
            Absence::NeverCommitted
        } else if !collecting.arrived.uploads.contains(member) {
            Absence::NeverUploaded
        } else {
            Absence::GroupLeftOut
        }
    };
    let absent = terms.asked.iter().filter(|member| !survivors.contains(*member));
    absent.map(|member| (member, why(member))).collect()
}

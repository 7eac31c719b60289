//! The steps of a study, each looked up on the ledger before it is done.

use std::collections::BTreeMap;

use counterweight_primitives::{ContentDigest, Round};

use super::{
    Answer, Coordinator, CoordinatorError, Members, Notice, Replay, ReplayError, RoundNotice, RoundSummary,
    StudyEvent, StudyOutcome, round::Ending,
};
use crate::{
    journal::Entry,
    ledger::{Phase, RoundRecord, StudyState, masking::MaskRound},
    masked::groups::MaskedGroups,
    member_set::MemberSet,
    privacy::MicroEpsilon,
    round::{Absence, RoundTerms},
    study::privacy::{PromiseError, Spending},
    update::CheckedUpdate,
};

impl Coordinator<'_> {
    /// Runs the study to its end, from wherever the ledger says it stands.
    ///
    /// # Errors
    /// [`CoordinatorError`]. What was recorded stays; the same call later takes the study up again.
    pub fn run(mut self, members: &mut dyn Members) -> Result<StudyOutcome, CoordinatorError> {
        self.publish_terms()?;
        let state = self.enrol(members)?;
        let mut replay = Replay::new(
            self.plan.study,
            &self.plan.terms,
            self.environment.blobs,
            state.members.len(),
        )?;
        self.environment
            .blobs
            .put(&replay.parameters().to_safetensors())?;
        let mut rounds = Vec::new();
        self.catch_up(&mut replay, &mut rounds)?;
        self.tell(&StudyEvent::Resumed {
            closed_rounds: replay.rounds(),
        });
        let mut expiries = 0;
        while replay.rounds() < state.rounds {
            if !self.budget_pays(&replay)? {
                break;
            }
            match self.round(&mut replay, &mut rounds, members)? {
                Ending::Closed => expiries = 0,
                Ending::Expired(absent) => {
                    expiries += 1;
                    let round = Round(replay.rounds() + 1);
                    self.tell(&StudyEvent::RoundExpired {
                        round,
                        absent: absent.clone(),
                    });
                    if expiries > self.options.expiries_allowed {
                        let quorum = self.quorum(&state);
                        return Err(CoordinatorError::NoQuorum {
                            round,
                            times: expiries,
                            quorum,
                            absent,
                        });
                    }
                }
            }
        }
        self.finish(replay, rounds, members)
    }

    /// Whether the budget of privacy pays for the next round. One that is open already was paid for when it was opened.
    fn budget_pays(&mut self, replay: &Replay) -> Result<bool, CoordinatorError> {
        let state = self.state("reading the study")?;
        if state.phase != Phase::Running || state.round_open || state.closed_rounds > replay.rounds() {
            return Ok(true);
        }
        let closed = replay.rounds();
        let masked = self.masked_records()?;
        let spending = Spending::before(&self.plan.terms, Round(closed + 1), &masked).map_err(of_promise)?;
        let Some(spending) = spending.filter(|spending| !spending.pays_for_another()) else {
            return Ok(true);
        };
        let after = MicroEpsilon::at_least(spending.after_another());
        let budget = MicroEpsilon::at_least(spending.budget().epsilon);
        if closed == 0 {
            return Err(CoordinatorError::BudgetSpent { after, budget });
        }
        self.tell(&StudyEvent::BudgetSpent {
            closed,
            rounds: state.rounds,
            spent: state.spent_epsilon,
            after,
            budget,
        });
        Ok(false)
    }

    /// The record of all masked rounds, where what they spend depends on it.
    pub(super) fn masked_records(&mut self) -> Result<Vec<MaskRound>, CoordinatorError> {
        let terms = &self.plan.terms;
        if terms.masking.is_none() || terms.privacy.is_none() {
            return Ok(Vec::new());
        }
        let study = self.plan.study;
        self.ask("reading the masked rounds", |ledger| match ledger.masking() {
            None => Ok(Vec::new()),
            Some(masks) => masks.mask_rounds(study),
        })
    }

    fn publish_terms(&mut self) -> Result<(), CoordinatorError> {
        let bytes = self
            .plan
            .terms
            .to_bytes()
            .map_err(|error| CoordinatorError::Terms {
                problem: error.to_string(),
            })?;
        let state = self.state("reading the study")?;
        let got = ContentDigest::of(&bytes);
        if got != state.terms {
            return Err(CoordinatorError::OtherTerms {
                expected: state.terms,
                got,
            });
        }
        if self.plan.terms.rounds != state.rounds {
            let problem = format!(
                "they plan {} rounds, the ledger {}",
                self.plan.terms.rounds, state.rounds
            );
            return Err(CoordinatorError::Terms { problem });
        }
        if self.plan.terms.epsilon_budget() != state.epsilon_budget {
            let said = |budget: Option<MicroEpsilon>| budget.unwrap_or_default();
            let problem = format!(
                "they promise that an epsilon of {} is not exceeded, the ledger one of {}",
                said(self.plan.terms.epsilon_budget()),
                said(state.epsilon_budget)
            );
            return Err(CoordinatorError::Terms { problem });
        }
        let account = self.environment.ledger.account();
        if account != state.coordinator {
            return Err(CoordinatorError::OtherCoordinator {
                expected: state.coordinator,
                got: account,
            });
        }
        self.environment.blobs.put(&bytes)?;
        let at = self.now()?;
        self.note(Entry::Resumed {
            study: self.plan.study,
            terms: got,
            at,
        })
    }

    /// Waits for members and ends enrolment, unless that is done.
    fn enrol(&mut self, members: &mut dyn Members) -> Result<StudyState, CoordinatorError> {
        loop {
            let state = self.state("reading the study")?;
            if matches!(state.phase, Phase::Enrolling | Phase::Running) {
                self.configure_masking(&state)?;
                self.configure_standing(&state)?;
            }
            match state.phase {
                Phase::Enrolling => {}
                Phase::Running | Phase::Finished => return Ok(state),
                Phase::Cancelled | Phase::Abandoned => {
                    members.announce(&self.notice(&state, None));
                    return Err(CoordinatorError::Ended { phase: state.phase });
                }
            }
            members.announce(&self.notice(&state, None));
            let joined = self.state("reading the study")?.members.len();
            let fewest = usize::from(state.min_members);
            let needed = self.options.members_expected.unwrap_or(fewest).max(fewest);
            self.tell(&StudyEvent::Enrolling { joined, needed });
            let overdue = match self.options.enrol_until {
                Some(until) => self.now()? >= until,
                None => false,
            };
            let complete = joined >= needed || overdue || !members.may_grow();
            if complete && joined < fewest {
                return Err(CoordinatorError::TooFewMembers {
                    joined,
                    needed: fewest,
                });
            }
            if complete {
                let study = self.plan.study;
                self.act(
                    "starting the study",
                    |ledger| ledger.start(study),
                    |now| now.phase != Phase::Enrolling,
                )?;
                let state = self.state("reading the study")?;
                self.tell(&StudyEvent::Started {
                    members: state.members.len(),
                });
            } else if let Some(early) = members.next(self.options.poll) {
                (early.answer)(Answer::Unavailable);
            }
        }
    }

    /// Computes the rounds that are closed on the ledger and not here.
    pub(super) fn catch_up(
        &mut self,
        replay: &mut Replay,
        summaries: &mut Vec<RoundSummary>,
    ) -> Result<(), CoordinatorError> {
        let study = self.plan.study;
        let records = self.ask("reading the rounds", |ledger| ledger.rounds(study))?;
        for record in records.into_iter().skip(replay.rounds() as usize) {
            let Some(closing) = record.closed.clone() else {
                break;
            };
            let round = record.round;
            check_base(replay, &record)?;
            let survivors = MemberSet(closing.survivors);
            let masked = self.plan.terms.masking.is_some();
            let (updates, groups) = match masked {
                false => (self.committed_updates(replay, &record, survivors)?, None),
                true => (Vec::new(), Some(self.closed_groups(&record, survivors)?)),
            };
            let holdout = self.plan.holdout.as_ref();
            let got = match &groups {
                None => replay.preview(round, &updates, holdout)?,
                Some(groups) => replay.preview_groups(round, groups, holdout)?,
            };
            if got.digest() != closing.result {
                let (expected, got) = (closing.result, got.digest());
                return Err(ReplayError::OtherResult { round, expected, got }.into());
            }
            self.environment.blobs.put(&got.to_safetensors())?;
            let holdout = self.plan.holdout.as_ref();
            let (value, examples) = match &groups {
                None => (replay.advance(round, &updates, holdout)?, examples(&updates)),
                Some(groups) => (replay.advance_groups(round, groups, holdout)?, groups.examples()),
            };
            let state = self.state("reading the study")?;
            self.judge(replay, &record)?;
            let absent = self
                .asked(&state, &record)?
                .iter()
                .filter(|member| !survivors.contains(*member))
                .map(|member| {
                    let committed = record.commitments.iter().any(|(by, _)| *by == member);
                    let absence = if committed {
                        Absence::NeverUploaded
                    } else {
                        Absence::NeverCommitted
                    };
                    (member, absence)
                })
                .collect();
            summaries.push(RoundSummary {
                round,
                rounds: state.rounds,
                survivors: survivors.iter().collect(),
                absent,
                examples,
                result: closing.result,
                value,
                spent: self.plan.terms.privacy.map(|_| closing.spent),
            });
        }
        Ok(())
    }

    /// The groups of a closed round, from what was recorded of its masking.
    fn closed_groups(
        &mut self,
        record: &RoundRecord,
        survivors: MemberSet,
    ) -> Result<MaskedGroups, CoordinatorError> {
        let (study, round) = (self.plan.study, record.round);
        let masked = self.ask("reading the masked round", |ledger| match ledger.masking() {
            None => Ok(None),
            Some(masks) => masks.mask_round(study, round),
        })?;
        let missing = || ReplayError::Masked {
            round,
            problem: "nothing of its masking is on record".to_owned(),
        };
        let masked = masked.ok_or_else(missing)?;
        self.masked_groups(&masked, &record.commitments, survivors)
    }

    /// The updates of survivors, in the order of members, as far as their commitments are on record.
    pub(super) fn committed_updates(
        &self,
        replay: &Replay,
        record: &RoundRecord,
        survivors: MemberSet,
    ) -> Result<Vec<CheckedUpdate>, ReplayError> {
        let round = record.round;
        let commitments: BTreeMap<_, _> = record.commitments.iter().copied().collect();
        survivors
            .iter()
            .map(|member| {
                let update = commitments
                    .get(&member)
                    .ok_or(ReplayError::NotCommitted { round, member })?;
                replay.fetch(round, member, update, self.environment.blobs)
            })
            .collect()
    }

    fn finish(
        mut self,
        replay: Replay,
        rounds: Vec<RoundSummary>,
        members: &mut dyn Members,
    ) -> Result<StudyOutcome, CoordinatorError> {
        let study = self.plan.study;
        let state = self.state("reading the study")?;
        let report = replay.report(state.member_cap);
        let evidence = self.environment.blobs.put(&report.to_bytes()?)?;
        let contributions = report.contributions.clone();
        self.act(
            "recording the contributions",
            |ledger| ledger.finish(study, &contributions, evidence),
            |now| now.phase != Phase::Running,
        )?;
        let state = self.state("reading the study")?;
        members.announce(&self.notice(&state, None));
        let record = self.ask("reading the contributions", |ledger| ledger.finish_record(study))?;
        let Some(record) = record else {
            return Err(CoordinatorError::Ended { phase: state.phase });
        };
        if record.evidence != evidence {
            return Err(ReplayError::OtherEvidence {
                expected: record.evidence,
                got: evidence,
            }
            .into());
        }
        let result = replay.digest();
        if record.result != result {
            let round = Round(replay.rounds());
            return Err(ReplayError::OtherResult {
                round,
                expected: record.result,
                got: result,
            }
            .into());
        }
        self.note(Entry::Finished { result, evidence })?;
        self.tell(&StudyEvent::Finished { result, evidence });
        Ok(StudyOutcome {
            model: replay.parameters().clone(),
            result,
            evidence,
            report,
            contributions: record.contributions,
            rounds,
            state,
        })
    }

    pub(super) fn notice(&self, state: &StudyState, round: Option<&RoundTerms>) -> Notice {
        Notice {
            study: self.plan.study,
            terms: state.terms,
            phase: state.phase,
            round: round.map(|terms| RoundNotice {
                round: terms.round,
                base: terms.base,
                commit_by: terms.commit_by,
                upload_by: terms.upload_by,
            }),
            members: state.members.iter().map(|member| member.account).collect(),
        }
    }
}

pub(super) fn of_promise(error: PromiseError) -> CoordinatorError {
    CoordinatorError::Terms {
        problem: error.to_string(),
    }
}

pub(super) fn check_base(replay: &Replay, record: &RoundRecord) -> Result<(), ReplayError> {
    let (round, expected, got) = (record.round, replay.digest(), record.base);
    if got == expected {
        Ok(())
    } else {
        Err(ReplayError::OtherBase { round, expected, got })
    }
}

pub(super) fn examples(updates: &[CheckedUpdate]) -> u64 {
    updates
        .iter()
        .map(|update| u64::from(update.get().examples))
        .sum()
}

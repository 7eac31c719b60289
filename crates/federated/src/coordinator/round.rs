//! One round: opened or taken up, collected, closed or expired.

use std::collections::BTreeMap;

use counterweight_primitives::{ContentDigest, MemberIndex, Round, UnixSeconds};

use super::{
    Answer, Content, Coordinator, CoordinatorError, Delivery, Members, Notice, Replay, ReplayError,
    RoundSummary, StudyEvent,
    run::{check_base, examples, of_promise},
};
use crate::{
    journal::Entry,
    ledger::{LedgerError, Phase, RoundRecord, StudyState},
    masked::groups::MaskedGroups,
    member_set::MemberSet,
    privacy::MicroEpsilon,
    round::{Absence, ClosedRound, Effect, Event, OpenRound, Progress, Refusal, RoundTerms, Step},
    study::privacy::Spending,
    update::CheckedUpdate,
};

/// What became of everybody in a round, and the updates to aggregate; none where it expires.
type Ended = (ClosedRound, Option<Vec<CheckedUpdate>>);

/// What a round is closed with.
pub(super) enum Aggregated<'a> {
    /// Updates of its survivors.
    Updates(&'a [CheckedUpdate]),
    /// Groups, where updates are masked.
    Groups(&'a MaskedGroups),
}

/// How an open round ended.
pub(super) enum Ending {
    Closed,
    Expired(Vec<(MemberIndex, Absence)>),
}

impl Coordinator<'_> {
    /// Opens the next round, or takes up the open one, and brings it to its end.
    pub(super) fn round(
        &mut self,
        replay: &mut Replay,
        summaries: &mut Vec<RoundSummary>,
        members: &mut dyn Members,
    ) -> Result<Ending, CoordinatorError> {
        let study = self.plan.study;
        let round = Round(replay.rounds() + 1);
        let mut state = self.state("reading the study")?;
        let resumed = state.round_open;
        if !state.round_open && state.closed_rounds < round.0 {
            let base = replay.digest();
            self.act(
                "opening the round",
                |ledger| ledger.open_round(study, base).map(|_| ()),
                |now| now.phase != Phase::Running || now.round_open || now.closed_rounds >= round.0,
            )?;
            state = self.state("reading the study")?;
        }
        if !matches!(state.phase, Phase::Running) {
            members.announce(&self.notice(&state, None));
            return Err(CoordinatorError::Ended { phase: state.phase });
        }
        if state.closed_rounds >= round.0 {
            self.catch_up(replay, summaries)?;
            return Ok(Ending::Closed);
        }
        let record = self.open_record(round)?;
        check_base(replay, &record)?;
        let terms = self.round_terms(&state, &record)?;
        self.note(Entry::RoundOpened {
            round,
            base: record.base,
            opened_at: record.opened_at,
        })?;
        self.tell(&StudyEvent::RoundOpened {
            round,
            rounds: state.rounds,
            asked: terms.asked.len(),
            resumed,
        });
        if self.plan.terms.masking.is_some() {
            return self.masked_round(replay, &state, &record, terms, members, summaries);
        }
        let (survivors, updates, absent) = match self.decided(replay, &record)? {
            Some((survivors, updates)) => {
                let absent = terms.asked.iter().filter(|member| !survivors.contains(*member));
                (
                    survivors,
                    updates,
                    absent.map(|member| (member, Absence::NeverUploaded)).collect(),
                )
            }
            None => {
                let notice = self.notice(&state, Some(&terms));
                let (ended, updates) = self.collect(replay, &state, terms, &notice, members)?;
                let survivors = ended.survivor_set();
                let absent = ended.absent.into_iter().collect();
                match updates {
                    Some(updates) => (survivors, updates, absent),
                    None => return self.expire(round, absent),
                }
            }
        };
        let aggregated = Aggregated::Updates(&updates);
        self.close(replay, &record, survivors, &aggregated, absent, summaries)
    }

    fn round_terms(
        &mut self,
        state: &StudyState,
        record: &RoundRecord,
    ) -> Result<RoundTerms, CoordinatorError> {
        let slack = state.close_by.0.saturating_sub(state.commit_by.0);
        Ok(RoundTerms {
            study: self.plan.study,
            round: record.round,
            base: record.base,
            asked: self.asked(state, record)?,
            quorum: self.quorum(state),
            commit_by: state.commit_by,
            // The other half is for aggregating and for getting the result into a block.
            upload_by: UnixSeconds(state.commit_by.0 + slack / 2),
            close_by: state.close_by,
        })
    }

    pub(super) fn quorum(&self, state: &StudyState) -> usize {
        usize::from(state.min_members.max(self.plan.terms.quorum).max(1))
    }

    /// The choice of survivors that was noted before a crash, if its updates are all there.
    fn decided(
        &self,
        replay: &Replay,
        record: &RoundRecord,
    ) -> Result<Option<(MemberSet, Vec<CheckedUpdate>)>, CoordinatorError> {
        let noted = self
            .environment
            .journal
            .entries()
            .iter()
            .rev()
            .find_map(|entry| match entry {
                Entry::RoundDecided {
                    round,
                    opened_at,
                    survivors,
                    result,
                } if *round == record.round && *opened_at == record.opened_at => {
                    Some((u64::from_str_radix(survivors, 16).ok()?, *result))
                }
                _ => None,
            });
        let Some((survivors, result)) = noted else {
            return Ok(None);
        };
        let survivors = MemberSet(survivors);
        // A blob that was lost since makes the decision void: it had not reached the ledger, so nobody relied on it.
        match self.committed_updates(replay, record, survivors) {
            Ok(updates)
                if replay
                    .preview(record.round, &updates, self.plan.holdout.as_ref())?
                    .digest()
                    == result =>
            {
                Ok(Some((survivors, updates)))
            }
            Ok(_) | Err(ReplayError::Blob { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes updates until the round can close, or nothing more can come of it.
    fn collect(
        &mut self,
        replay: &Replay,
        state: &StudyState,
        terms: RoundTerms,
        notice: &Notice,
        members: &mut dyn Members,
    ) -> Result<Ended, CoordinatorError> {
        let round = terms.round;
        let mut collecting = Collecting {
            open: OpenRound::new(terms),
            updates: BTreeMap::new(),
        };
        // What was uploaded before a restart is among the blobs.
        for (member, update) in self.see_commitments(&mut collecting)? {
            if let Ok(checked) = replay.fetch(round, member, &update, self.environment.blobs) {
                let event = Event::Arrived {
                    from: member,
                    digest: update,
                    verdict: Ok(()),
                };
                // They came in time, however long the restart took.
                let now = self.now()?.min(collecting.open.terms().upload_by);
                let Step { progress, effect } = collecting.open.clone().step(event, now);
                if matches!(effect, Some(Effect::Store { .. })) {
                    self.stored(&mut collecting, member, checked);
                }
                if let Some(ended) = collecting.ended(progress) {
                    return Ok(ended);
                }
            }
        }
        members.announce(notice);
        loop {
            self.see_commitments(&mut collecting)?;
            let now = self.now()?;
            let Step { progress, .. } = collecting.open.clone().step(Event::Tick, now);
            if let Some(ended) = collecting.ended(progress) {
                return Ok(ended);
            }
            let Some(delivery) = members.next(self.options.poll) else {
                continue;
            };
            if let Some(ended) = self.take(replay, state, &mut collecting, delivery)? {
                return Ok(ended);
            }
        }
    }

    /// Feeds the round what is new on the ledger; all commitments so far.
    fn see_commitments(
        &mut self,
        collecting: &mut Collecting,
    ) -> Result<Vec<(MemberIndex, ContentDigest)>, CoordinatorError> {
        let committed = MemberSet(self.state("reading the study")?.committed);
        let known = |member| collecting.open.commitment(member).is_some();
        if committed.iter().all(known) {
            return Ok(Vec::new());
        }
        let record = self.open_record(collecting.open.terms().round)?;
        for &(member, update) in &record.commitments {
            collecting.open.see_commitment(member, update);
        }
        Ok(record.commitments)
    }

    fn take(
        &mut self,
        replay: &Replay,
        state: &StudyState,
        collecting: &mut Collecting,
        delivery: Delivery,
    ) -> Result<Option<Ended>, CoordinatorError> {
        let open_round = collecting.open.terms().round;
        let Some(delivery) = self.check_sender(state, open_round, delivery) else {
            return Ok(None);
        };
        let Delivery {
            member,
            content,
            answer,
            ..
        } = delivery;
        if collecting.open.commitment(member).is_none() {
            self.see_commitments(collecting)?;
        }
        let now = self.now()?;
        let bytes = match content {
            Content::Update(bytes) => bytes,
            Content::Masked(..) => {
                let reason = "this study does not mask".to_owned();
                self.refuse(open_round, member, Refusal::Unreadable { reason }, answer);
                return Ok(None);
            }
            Content::Decline(reason) => {
                let step = collecting
                    .open
                    .clone()
                    .step(Event::Declined { member, reason }, now);
                answer(Answer::Stored);
                return Ok(collecting.ended(step.progress));
            }
        };
        let digest = ContentDigest::of(&bytes);
        let checked = replay.check(open_round, member, &bytes);
        let verdict = checked.as_ref().map(|_| ()).map_err(Clone::clone);
        let step = collecting.open.clone().step(
            Event::Arrived {
                from: member,
                digest,
                verdict,
            },
            now,
        );
        match step.effect {
            Some(Effect::Store { update }) => {
                // Kept before anybody is told so, and before the round counts it.
                if let Err(error) = self.environment.blobs.put(&bytes) {
                    answer(Answer::Unavailable);
                    return Err(error.into());
                }
                self.note(Entry::UpdateStored {
                    round: open_round,
                    update,
                })?;
                if let Ok(checked) = checked {
                    self.stored(collecting, member, checked);
                }
                answer(Answer::Stored);
            }
            Some(Effect::AlreadyStored { .. }) => answer(Answer::AlreadyStored),
            Some(Effect::Refuse(refusal)) => {
                self.refuse(open_round, member, refusal, answer);
            }
            None => answer(Answer::Unavailable),
        }
        Ok(collecting.ended(step.progress))
    }

    /// A delivery from the member it names, for the open round; others are refused here.
    pub(super) fn check_sender(
        &mut self,
        state: &StudyState,
        open_round: Round,
        delivery: Delivery,
    ) -> Option<Delivery> {
        let Delivery {
            from, member, round, ..
        } = delivery;
        let refusal = match state.members.get(usize::from(member.0)) {
            Some(joined) if joined.account == from => (round != open_round).then_some(Refusal::WrongRound {
                expected: open_round.0,
                got: round.0,
            }),
            _ => Some(Refusal::NotAMember {
                sender: format!("{from} as member {member}"),
            }),
        };
        let Some(refusal) = refusal else {
            return Some(delivery);
        };
        self.refuse(open_round, member, refusal, delivery.answer);
        None
    }

    pub(super) fn refuse(
        &mut self,
        round: Round,
        member: MemberIndex,
        refusal: Refusal,
        answer: Box<dyn FnOnce(Answer) + Send>,
    ) {
        answer(Answer::Refused(refusal.clone()));
        self.tell(&StudyEvent::UpdateRefused {
            round,
            member,
            refusal,
        });
    }

    fn stored(&mut self, collecting: &mut Collecting, member: MemberIndex, update: CheckedUpdate) {
        let (round, examples) = (update.get().round, update.get().examples);
        collecting.updates.insert(member, update);
        self.tell(&StudyEvent::UpdateStored {
            round,
            member,
            examples,
        });
    }

    /// Aggregates, notes the decision, closes on the ledger and moves on.
    pub(super) fn close(
        &mut self,
        replay: &mut Replay,
        record: &RoundRecord,
        survivors: MemberSet,
        aggregated: &Aggregated<'_>,
        absent: Vec<(MemberIndex, Absence)>,
        summaries: &mut Vec<RoundSummary>,
    ) -> Result<Ending, CoordinatorError> {
        let (study, round) = (self.plan.study, record.round);
        let holdout = self.plan.holdout.as_ref();
        let parameters = match aggregated {
            Aggregated::Updates(updates) => replay.preview(round, updates, holdout)?,
            Aggregated::Groups(groups) => replay.preview_groups(round, groups, holdout)?,
        };
        let result = self.environment.blobs.put(&parameters.to_safetensors())?;
        self.note(Entry::RoundDecided {
            round,
            opened_at: record.opened_at,
            survivors: format!("{:x}", survivors.0),
            result,
        })?;
        let spent = self.spent(round)?;
        let closed = self.act(
            "closing the round",
            |ledger| ledger.close_round(study, round, survivors.0, result, spent.unwrap_or_default()),
            |now| now.closed_rounds >= round.0,
        );
        match closed {
            Err(CoordinatorError::Ledger {
                source: LedgerError::Refused { name, .. },
                ..
            }) if name == "TooLate" => {
                return self.expire(round, absent);
            }
            closed => closed?,
        }
        let state = self.state("reading the study")?;
        if state.closed_rounds == round.0 && state.result.is_some_and(|recorded| recorded != result) {
            let expected = state.result.unwrap_or(result);
            return Err(ReplayError::OtherResult {
                round,
                expected,
                got: result,
            }
            .into());
        }
        self.note(Entry::RoundClosed { round, result })?;
        let holdout = self.plan.holdout.as_ref();
        let (value, examples) = match aggregated {
            Aggregated::Updates(updates) => (replay.advance(round, updates, holdout)?, examples(updates)),
            Aggregated::Groups(groups) => (replay.advance_groups(round, groups, holdout)?, groups.examples()),
        };
        if replay.watch().is_some() {
            let closed = self.open_record(round)?;
            self.judge(replay, &closed)?;
        }
        let summary = RoundSummary {
            round,
            rounds: state.rounds,
            survivors: survivors.iter().collect(),
            absent,
            examples,
            result,
            value,
            spent,
        };
        self.tell(&StudyEvent::RoundClosed(summary.clone()));
        summaries.push(summary);
        Ok(Ending::Closed)
    }

    /// Privacy spent by all rounds up to this one, where any is promised.
    fn spent(&mut self, round: Round) -> Result<Option<MicroEpsilon>, CoordinatorError> {
        let masked = self.masked_records()?;
        let spending = Spending::after(&self.plan.terms, round.0, &masked).map_err(of_promise)?;
        Ok(spending.map(|spending| spending.recorded()))
    }

    pub(super) fn expire(
        &mut self,
        round: Round,
        absent: Vec<(MemberIndex, Absence)>,
    ) -> Result<Ending, CoordinatorError> {
        let study = self.plan.study;
        let since = self.environment.clock.now().0;
        loop {
            let expired = self.act(
                "ending the overdue round",
                |ledger| ledger.expire_round(study),
                |now| !now.round_open || now.closed_rounds >= round.0,
            );
            match expired {
                // The chain's clock may be a block behind the one the deadline was judged by.
                Err(CoordinatorError::Ledger {
                    source: LedgerError::Refused { name, .. },
                    ..
                }) if name == "TooEarly" && self.waited(since) < self.options.patience => {
                    self.environment.clock.pause(self.options.poll);
                }
                expired => {
                    expired?;
                    return Ok(Ending::Expired(absent));
                }
            }
        }
    }

    fn open_record(&mut self, round: Round) -> Result<RoundRecord, CoordinatorError> {
        let study = self.plan.study;
        let records = self.ask("reading the rounds", |ledger| ledger.rounds(study))?;
        records
            .into_iter()
            .rev()
            .find(|record| record.round == round)
            .ok_or_else(|| CoordinatorError::Ledger {
                doing: "reading the rounds",
                source: LedgerError::Malformed {
                    what: format!("round {round} is open and has no record"),
                },
            })
    }
}

/// A round being collected: the state machine and the updates it counts.
struct Collecting {
    open: OpenRound,
    updates: BTreeMap<MemberIndex, CheckedUpdate>,
}

impl Collecting {
    /// Keeps an open round, or gives what an ended one came to: with updates if it closes, without if it expires.
    fn ended(&mut self, progress: Progress) -> Option<Ended> {
        match progress {
            Progress::Open(open) => {
                self.open = open;
                None
            }
            Progress::Close(closed) => {
                let updates = std::mem::take(&mut self.updates);
                Some((closed, Some(updates.into_values().collect())))
            }
            Progress::Expire(closed) => Some((closed, None)),
        }
    }
}

//! The steps of a study, each looked up on the ledger before it is done.

use std::{collections::BTreeMap, time::Duration};

use counterweight_primitives::{ContentDigest, MemberIndex, Round, UnixSeconds};

use super::{
    Answer, Content, Coordinator, CoordinatorError, Delivery, Members, Notice, Replay, ReplayError,
    RoundNotice, RoundSummary, StudyEvent, StudyOutcome, asked_members,
};
use crate::{
    journal::Entry,
    ledger::{LedgerError, Phase, RoundRecord, StudyLedger, StudyState},
    member_set::MemberSet,
    round::{Absence, ClosedRound, Effect, Event, OpenRound, Progress, Refusal, RoundTerms, Step},
    update::CheckedUpdate,
};

/// Longest pause between two attempts at the ledger.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What became of everybody in a round, and the updates to aggregate; none where it expires.
type Ended = (ClosedRound, Option<Vec<CheckedUpdate>>);

/// How an open round ended.
enum Ending {
    Closed,
    Expired(Vec<(MemberIndex, Absence)>),
}

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
            self.plan.start.as_ref(),
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
    fn catch_up(
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
            let updates = self.committed_updates(replay, &record, survivors)?;
            let got = replay.preview(round, &updates)?;
            if got.digest() != closing.result {
                let (expected, got) = (closing.result, got.digest());
                return Err(ReplayError::OtherResult { round, expected, got }.into());
            }
            self.environment.blobs.put(&got.to_safetensors())?;
            let value = replay.advance(round, &updates, self.plan.holdout.as_ref())?;
            let state = self.state("reading the study")?;
            let absent = asked_members(&self.plan.terms, &state, round)
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
                examples: examples(&updates),
                result: closing.result,
                value,
            });
        }
        Ok(())
    }

    /// The updates of survivors, in the order of members, as far as their commitments are on record.
    fn committed_updates(
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

    /// Opens the next round, or takes up the open one, and brings it to its end.
    fn round(
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
        let terms = self.round_terms(&state, &record);
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
        self.close(replay, &record, survivors, &updates, absent, summaries)
    }

    fn round_terms(&self, state: &StudyState, record: &RoundRecord) -> RoundTerms {
        let slack = state.close_by.0.saturating_sub(state.commit_by.0);
        RoundTerms {
            study: self.plan.study,
            round: record.round,
            base: record.base,
            asked: asked_members(&self.plan.terms, state, record.round),
            quorum: self.quorum(state),
            commit_by: state.commit_by,
            // The other half is for aggregating and for getting the result into a block.
            upload_by: UnixSeconds(state.commit_by.0 + slack / 2),
            close_by: state.close_by,
        }
    }

    fn quorum(&self, state: &StudyState) -> usize {
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
            Ok(updates) if replay.preview(record.round, &updates)?.digest() == result => {
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
        let Delivery {
            from,
            member,
            round,
            content,
            answer,
        } = delivery;
        let open_round = collecting.open.terms().round;
        let refusal = match state.members.get(usize::from(member.0)) {
            Some(joined) if joined.account == from => (round != open_round).then_some(Refusal::WrongRound {
                expected: open_round.0,
                got: round.0,
            }),
            _ => Some(Refusal::NotAMember {
                sender: format!("{from} as member {member}"),
            }),
        };
        if let Some(refusal) = refusal {
            self.refuse(open_round, member, refusal, answer);
            return Ok(None);
        }
        if collecting.open.commitment(member).is_none() {
            self.see_commitments(collecting)?;
        }
        let now = self.now()?;
        let bytes = match content {
            Content::Update(bytes) => bytes,
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

    fn refuse(
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
    fn close(
        &mut self,
        replay: &mut Replay,
        record: &RoundRecord,
        survivors: MemberSet,
        updates: &[CheckedUpdate],
        absent: Vec<(MemberIndex, Absence)>,
        summaries: &mut Vec<RoundSummary>,
    ) -> Result<Ending, CoordinatorError> {
        let (study, round) = (self.plan.study, record.round);
        let parameters = replay.preview(round, updates)?;
        let result = self.environment.blobs.put(&parameters.to_safetensors())?;
        self.note(Entry::RoundDecided {
            round,
            opened_at: record.opened_at,
            survivors: format!("{:x}", survivors.0),
            result,
        })?;
        let closed = self.act(
            "closing the round",
            |ledger| ledger.close_round(study, round, survivors.0, result),
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
        let value = replay.advance(round, updates, self.plan.holdout.as_ref())?;
        let summary = RoundSummary {
            round,
            rounds: state.rounds,
            survivors: survivors.iter().collect(),
            absent,
            examples: examples(updates),
            result,
            value,
        };
        self.tell(&StudyEvent::RoundClosed(summary.clone()));
        summaries.push(summary);
        Ok(Ending::Closed)
    }

    fn expire(
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

    fn notice(&self, state: &StudyState, round: Option<&RoundTerms>) -> Notice {
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

    fn tell(&mut self, event: &StudyEvent) {
        (self.environment.observer)(event);
    }

    fn note(&mut self, entry: Entry) -> Result<(), CoordinatorError> {
        Ok(self.environment.journal.append(entry)?)
    }

    fn state(&mut self, doing: &'static str) -> Result<StudyState, CoordinatorError> {
        let study = self.plan.study;
        self.ask(doing, |ledger| ledger.study(study))
    }

    /// The later of the chain's clock and ours: a chain without new blocks stands still, and its next block will not.
    fn now(&mut self) -> Result<UnixSeconds, CoordinatorError> {
        let chain = self.ask("reading the time", |ledger| ledger.now())?;
        Ok(chain.max(self.environment.clock.now().seconds()))
    }

    fn waited(&self, since: u64) -> Duration {
        Duration::from_millis(self.environment.clock.now().0.saturating_sub(since))
    }

    /// Reads from the ledger, waiting out its silence.
    fn ask<T>(
        &mut self,
        doing: &'static str,
        question: impl Fn(&dyn StudyLedger) -> Result<T, LedgerError>,
    ) -> Result<T, CoordinatorError> {
        let since = self.environment.clock.now().0;
        let mut pause = self.options.poll;
        loop {
            match question(self.environment.ledger) {
                Ok(answer) => return Ok(answer),
                Err(source) if source.is_retryable() && self.waited(since) < self.options.patience => {
                    let silent_ms = self.waited(since).as_millis() as u64;
                    self.tell(&StudyEvent::LedgerSilent { doing, silent_ms });
                    self.environment.clock.pause(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(source) => return Err(CoordinatorError::Ledger { doing, source }),
            }
        }
    }

    /// Does something on the ledger once. A call that got no answer, or was refused, may have taken effect all the
    /// same, or an earlier one may have: so the ledger is looked at before it is tried again.
    fn act(
        &mut self,
        doing: &'static str,
        action: impl Fn(&dyn StudyLedger) -> Result<(), LedgerError>,
        done: impl Fn(&StudyState) -> bool,
    ) -> Result<(), CoordinatorError> {
        let since = self.environment.clock.now().0;
        let mut pause = self.options.poll;
        loop {
            if done(&self.state(doing)?) {
                return Ok(());
            }
            let Err(source) = action(self.environment.ledger) else {
                return Ok(());
            };
            if done(&self.state(doing)?) {
                return Ok(());
            }
            if !source.is_retryable() || self.waited(since) >= self.options.patience {
                return Err(CoordinatorError::Ledger { doing, source });
            }
            let silent_ms = self.waited(since).as_millis() as u64;
            self.tell(&StudyEvent::LedgerSilent { doing, silent_ms });
            self.environment.clock.pause(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
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

fn check_base(replay: &Replay, record: &RoundRecord) -> Result<(), ReplayError> {
    let (round, expected, got) = (record.round, replay.digest(), record.base);
    if got == expected {
        Ok(())
    } else {
        Err(ReplayError::OtherBase { round, expected, got })
    }
}

fn examples(updates: &[CheckedUpdate]) -> u64 {
    updates
        .iter()
        .map(|update| u64::from(update.get().examples))
        .sum()
}

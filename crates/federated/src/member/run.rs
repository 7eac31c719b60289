//! A member from joining to the end of the study.

mod masked;

use std::time::Duration;

use counterweight_primitives::{MemberIndex, Round};
use counterweight_provenance::blobs::BlobError;

use super::{
    Answer, ClientError, CoordinatorClient, Member, MemberError, MemberEvent, MemberOutcome, PreparedUpdate,
    patience::{PAUSES, Patience},
};
use crate::{
    clock::Clock,
    ledger::{Phase, standing::ProposalState},
    round::Refusal,
};

/// How patient a member is.
#[derive(Debug, Clone, Copy)]
pub struct MemberOptions {
    /// Longest wait for news in one request.
    pub poll: Duration,
    /// How long it keeps trying a coordinator or ledger that does not answer.
    pub patience: Duration,
    /// Whether it judges the model of each round on its own rows, after its update is handed over.
    pub judge: bool,
}

impl Default for MemberOptions {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(10),
            patience: Duration::from_secs(600),
            judge: false,
        }
    }
}

/// What a member works with while it runs.
struct Run<'a> {
    member: &'a Member,
    client: &'a mut dyn CoordinatorClient,
    options: &'a MemberOptions,
    clock: &'a dyn Clock,
    observer: &'a mut dyn FnMut(&MemberEvent),
}

impl Member {
    /// Takes part until the study ends. Outages of coordinator and ledger are waited out.
    ///
    /// # Errors
    /// [`MemberError`] where waiting does not help or took too long.
    pub fn run(
        &self,
        client: &mut dyn CoordinatorClient,
        options: &MemberOptions,
        clock: &dyn Clock,
        observer: &mut dyn FnMut(&MemberEvent),
    ) -> Result<MemberOutcome, MemberError> {
        Run {
            member: self,
            client,
            options,
            clock,
            observer,
        }
        .run()
    }
}

impl Run<'_> {
    fn run(mut self) -> Result<MemberOutcome, MemberError> {
        let index = self.patiently("joining the study", |run| run.member.join())?;
        (self.observer)(&MemberEvent::Joined { member: index });
        let mut done = None;
        let mut told = None;
        loop {
            let state = self.patiently("reading the study", |run| run.member.state("reading the study"))?;
            if !matches!(state.phase, Phase::Enrolling | Phase::Running) {
                let own = state.members.get(usize::from(index.0));
                return Ok(MemberOutcome {
                    member: index,
                    phase: state.phase,
                    survived: own.map_or(0, |own| own.survived),
                    result: (state.phase == Phase::Finished).then_some(state.result).flatten(),
                });
            }
            self.tell_standing(index, &mut told)?;
            // A round that expired and was opened again is another opening of the same number.
            let opening = state.round_open.then_some((state.round, state.commit_by));
            if opening.is_some() && opening != done {
                self.round(index, state.round)?;
                done = opening;
                continue;
            }
            self.wait_for_news();
        }
    }

    /// Says once of each state of a proposal against this member that it is there.
    fn tell_standing(
        &mut self,
        index: MemberIndex,
        told: &mut Option<(Round, ProposalState)>,
    ) -> Result<(), MemberError> {
        let doing = "reading who is proposed for exclusion";
        let proposed = self.patiently(doing, |run| run.member.proposed_exclusion(index))?;
        let Some((proposal, state)) = proposed else {
            return Ok(());
        };
        if told.replace((proposal.round, state)) != Some((proposal.round, state)) {
            (self.observer)(&MemberEvent::Proposed {
                member: index,
                round: proposal.round,
                evidence: proposal.evidence,
                state,
            });
        }
        Ok(())
    }

    /// The coordinator's notice only says when it is worth looking at the ledger, so a failure costs no more than a
    /// pause: the ledger may well have gone on.
    fn wait_for_news(&mut self) {
        if let Err(error) = self.client.notice(self.options.poll) {
            let wait = PAUSES.0 * 5;
            let reason = chain_of(&error);
            (self.observer)(&MemberEvent::Retrying {
                doing: "waiting for the coordinator",
                reason,
                wait,
            });
            self.clock.pause(wait);
        }
    }

    /// One round. What only this round suffers from is told to the coordinator, and the next one is awaited.
    fn round(&mut self, index: MemberIndex, round: Round) -> Result<(), MemberError> {
        let done = match self.member.masks() {
            None => self.update(round),
            Some(_) => self.masked(round),
        };
        match done {
            Ok(()) => Ok(()),
            // Over before the update was ready: there is nobody to tell.
            Err(error @ MemberError::RoundNotOpen { .. }) => {
                self.sat_out(round, &error);
                Ok(())
            }
            Err(error) if ends_membership(&error) || error.is_retryable() => Err(error),
            Err(error) => {
                self.sat_out(round, &error);
                // Its absence speaks for itself if this is not heard.
                let _ = self.client.decline(index, round, &error.with_causes());
                Ok(())
            }
        }
    }

    fn sat_out(&mut self, round: Round, error: &MemberError) {
        (self.observer)(&MemberEvent::SatOut {
            round,
            reason: error.with_causes(),
        });
    }

    fn update(&mut self, round: Round) -> Result<(), MemberError> {
        let Some(assignment) = self.patiently("reading the round", |run| run.member.assignment(round))?
        else {
            return Ok(());
        };
        let limit = self.member.model_bytes_max();
        let base = self.patiently("fetching the base parameters", |run| {
            run.client
                .blob(&assignment.base, limit)
                .or_else(|error| run.missing(round, error))
        })?;
        (self.observer)(&MemberEvent::Training { round });
        let prepared = self.patiently("training", |run| run.member.prepare(&assignment, &base))?;
        (self.observer)(&MemberEvent::Trained {
            round,
            examples: prepared.examples,
            metrics: prepared.metrics.clone(),
        });
        self.patiently("committing the update", |run| run.member.commit(&prepared))?;
        (self.observer)(&MemberEvent::Committed {
            round,
            update: prepared.digest,
        });
        self.upload(&prepared)?;
        if self.options.judge {
            // What it says is for this member alone, so a failure spoils no round.
            match self.member.judge(&assignment, &base) {
                Ok(Some(evaluated)) => (self.observer)(&MemberEvent::Judged { round, evaluated }),
                Ok(None) => {}
                Err(error) => (self.observer)(&MemberEvent::NotJudged {
                    round,
                    reason: error.with_causes(),
                }),
            }
        }
        Ok(())
    }

    /// A coordinator that was restarted offers a round's base only once it has taken the round up, and one that went
    /// on to the next round may not offer it any more: the ledger tells which.
    fn missing(&self, round: Round, error: ClientError) -> Result<Vec<u8>, MemberError> {
        if !matches!(error, ClientError::Blob(BlobError::Missing { .. })) {
            return Err(error.into());
        }
        let state = self.member.state("reading the study")?;
        if !state.round_open || state.round != round {
            return Err(MemberError::RoundNotOpen { round });
        }
        let endpoint = "the coordinator".to_owned();
        Err(ClientError::Unreachable {
            endpoint,
            source: error.into(),
        }
        .into())
    }

    fn upload(&mut self, prepared: &PreparedUpdate) -> Result<(), MemberError> {
        let PreparedUpdate { round, member, .. } = *prepared;
        let doing = "handing over the update";
        self.retry_while_open(
            doing,
            round,
            |run| match run.client.upload(member, round, &prepared.bytes)? {
                // The coordinator's view of the ledger may be a block behind this one; or the round expired and was
                // opened again, and wants its commitment anew.
                Answer::Refused(Refusal::NotCommitted { .. }) => {
                    run.patiently("committing the update", |run| run.member.commit(prepared))?;
                    Err(unseen())
                }
                answer => Ok(answer),
            },
            // The answer to an earlier attempt may have been lost, and the round closed with the update in it.
            |run| run.patiently(doing, |run| run.member.survived(round, member)),
        )?;
        (self.observer)(&MemberEvent::Uploaded { round });
        Ok(())
    }

    /// Hands something of a round over, again while that may help, the round is open and `is_settled` does not say that there
    /// is no need.
    fn retry_while_open(
        &mut self,
        doing: &'static str,
        round: Round,
        mut hand_over: impl FnMut(&mut Self) -> Result<Answer, MemberError>,
        mut is_settled: impl FnMut(&mut Self) -> Result<bool, MemberError>,
    ) -> Result<(), MemberError> {
        let mut patience = self.patience();
        loop {
            let error = match hand_over(self) {
                Ok(Answer::Stored | Answer::AlreadyStored) => return Ok(()),
                Ok(Answer::Refused(refusal)) => MemberError::Refused { round, refusal },
                Ok(Answer::Unavailable) => busy("it cannot answer at present"),
                Err(error) => error,
            };
            if is_settled(self)? {
                return Ok(());
            }
            let state = self.patiently(doing, |run| run.member.state(doing))?;
            if !state.round_open || state.round != round {
                return Err(MemberError::RoundNotOpen { round });
            }
            self.pause_after(&mut patience, doing, error)?;
        }
    }

    /// Tries again while that may help, with growing pauses.
    fn patiently<T>(
        &mut self,
        doing: &'static str,
        mut attempt: impl FnMut(&mut Self) -> Result<T, MemberError>,
    ) -> Result<T, MemberError> {
        let mut patience = self.patience();
        loop {
            match attempt(self) {
                Ok(value) => return Ok(value),
                Err(error) => self.pause_after(&mut patience, doing, error)?,
            }
        }
    }

    fn patience(&self) -> Patience {
        let setup = &self.member.setup;
        let who = [setup.study.0.to_le_bytes(), setup.dataset.0.to_le_bytes()].concat();
        Patience::begin(self.clock.now(), self.options.patience, &who)
    }

    /// Waits before another attempt; gives the error back where none would help, or it took too long.
    fn pause_after(
        &mut self,
        patience: &mut Patience,
        doing: &'static str,
        error: MemberError,
    ) -> Result<(), MemberError> {
        if !error.is_retryable() {
            return Err(error);
        }
        let Some(wait) = patience.pause(self.clock.now(), error.retry_after()) else {
            return Err(error);
        };
        (self.observer)(&MemberEvent::Retrying {
            doing,
            reason: error.with_causes(),
            wait,
        });
        self.clock.pause(wait);
        Ok(())
    }
}

/// The coordinator is there and takes nothing now.
fn busy(reason: &str) -> MemberError {
    MemberError::Client(ClientError::Busy {
        endpoint: "its address".to_owned(),
        reason: reason.to_owned(),
        retry_after: None,
    })
}

/// Its view of the ledger may be a block behind this one.
fn unseen() -> MemberError {
    busy("it has not seen the ledger yet")
}

/// Whether later rounds cannot go better either.
fn ends_membership(error: &MemberError) -> bool {
    matches!(
        error,
        MemberError::OtherTerms { .. }
            | MemberError::OtherPurpose { .. }
            | MemberError::NotAMember { .. }
            | MemberError::Client(ClientError::Rejected { .. } | ClientError::Signature(_))
    )
}

/// An error and its causes in one line.
pub(super) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

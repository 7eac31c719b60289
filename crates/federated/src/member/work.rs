//! What a member looks up and computes in a round.

use std::time::Duration;

use counterweight_primitives::{ContentDigest, MemberIndex, Round};
use counterweight_provenance::purpose::Purpose;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use zeroize::Zeroizing;

use super::{
    Member, MemberError, MemberSetup,
    trainer::{Evaluated, Metrics, Trained, TrainerError, TrainingTask},
};
use crate::{
    asking::Asking,
    journal::Entry,
    ledger::{Phase, RoundRecord, StudyState, masking::MaskRound},
    member_set::MemberSet,
    parameters::{MOST_HEADER_BYTES, Parameters},
    privacy::{MicroEpsilon, noise::Release},
    study::privacy::{PromiseError, Spending},
    training::ShuffleSeed,
    update::{CheckedUpdate, FRACTION_BITS, MOST_EXAMPLES, Update, UpdateRules, rescale},
};

/// Bytes of a model file besides its numbers, rounded up.
const MODEL_OVERHEAD: u64 = (MOST_HEADER_BYTES + 8) as u64;

/// An open round in which a member is asked for an update, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The round.
    pub round: Round,
    /// Whose turn it is.
    pub member: MemberIndex,
    /// Digest of the parameters to start from.
    pub base: ContentDigest,
    /// What this member committed to the round, if it did already.
    pub committed: Option<ContentDigest>,
}

/// An update ready to be committed and handed over.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedUpdate {
    /// The round it is for.
    pub round: Round,
    /// Whose it is.
    pub member: MemberIndex,
    /// Digest of its bytes.
    pub digest: ContentDigest,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Rows it stands for.
    pub examples: u32,
    /// What the trainer says of it; part of no message.
    pub metrics: Metrics,
}

impl Member {
    /// A member of a study on the ledger.
    ///
    /// # Errors
    /// [`MemberError::OtherTerms`], [`MemberError::OtherPurpose`], [`MemberError::Trainer`] or
    /// [`MemberError::Ledger`].
    pub fn new(setup: MemberSetup) -> Result<Self, MemberError> {
        let member = Self { setup };
        member.check_terms(&member.state("reading the study")?)?;
        let architecture = &member.setup.terms.architecture;
        architecture.check().map_err(|error| MemberError::Terms {
            problem: error.to_string(),
        })?;
        if let Some(privacy) = &member.setup.terms.privacy {
            let terms = &member.setup.terms;
            // What later rounds may still spend is counted before each.
            privacy.check(&terms.privacy_setting(), 1).map_err(of_promise)?;
        }
        member.setup.trainer.check(&member.setup.terms)?;
        Ok(member)
    }

    /// The account it acts for.
    #[must_use]
    pub fn account(&self) -> counterweight_primitives::Address {
        self.setup.ledger.account()
    }

    /// Largest model file of the study, in bytes.
    #[must_use]
    pub fn model_bytes_max(&self) -> u64 {
        self.setup.terms.architecture.parameters() as u64 * 4 + MODEL_OVERHEAD
    }

    /// Joins, unless it has joined already; its index.
    ///
    /// # Errors
    /// [`MemberError::ConsentMissing`], [`MemberError::NotAMember`] or [`MemberError::Ledger`].
    pub fn join(&self) -> Result<MemberIndex, MemberError> {
        let state = self.state("reading the study")?;
        if let Some(index) = self.index_in(&state) {
            return Ok(index);
        }
        if state.phase != Phase::Enrolling {
            return Err(self.not_a_member());
        }
        self.check_terms(&state)?;
        self.check_consent(&state)?;
        let joined = self.setup.ledger.join(self.setup.study, self.setup.dataset);
        // A call without an answer may have taken effect.
        match (joined, self.index()) {
            (_, Ok(index)) => Ok(index),
            (Err(source), _) => Err(MemberError::Ledger {
                doing: "joining the study",
                source,
            }),
            (Ok(_), Err(error)) => Err(error),
        }
    }

    /// Its index.
    ///
    /// # Errors
    /// [`MemberError::NotAMember`] or [`MemberError::Ledger`].
    pub fn index(&self) -> Result<MemberIndex, MemberError> {
        self.index_in(&self.state("reading the study")?)
            .ok_or_else(|| self.not_a_member())
    }

    /// What the ledger asks of this member in a round, which must be the open one; nothing if it was not drawn.
    ///
    /// # Errors
    /// [`MemberError::RoundNotOpen`], [`MemberError::OtherTerms`], [`MemberError::NotAMember`] or
    /// [`MemberError::Ledger`].
    pub fn assignment(&self, round: Round) -> Result<Option<Assignment>, MemberError> {
        let state = self.state("reading the study")?;
        if !state.round_open || state.round != round {
            return Err(MemberError::RoundNotOpen { round });
        }
        self.check_terms(&state)?;
        let member = self.index_in(&state).ok_or_else(|| self.not_a_member())?;
        self.check_exclusion(&state)?;
        let records = self.rounds()?;
        let asking = Asking::read(&*self.setup.ledger, &self.setup.terms, self.setup.study, &records);
        let asking = asking.map_err(|source| MemberError::Ledger {
            doing: "reading who is asked",
            source,
        })?;
        let record = records.into_iter().rev().find(|record| record.round == round);
        let record = record.ok_or(MemberError::RoundNotOpen { round })?;
        if !asking.asked(&self.setup.terms, &state, round).contains(member) {
            return Ok(None);
        }
        let committed = record
            .commitments
            .iter()
            .find(|(by, _)| *by == member)
            .map(|(_, update)| *update);
        Ok(Some(Assignment {
            round,
            member,
            base: record.base,
            committed,
        }))
    }

    /// Trains from the base parameters: clipped, rounded to fixed point, and with the built-in trainer the same every
    /// time. Where the terms promise privacy, with noise of this member's own; a study that masks adds that of members to
    /// the words it masks, and takes nothing from here.
    ///
    /// # Errors
    /// [`MemberError::ConsentMissing`] where the steward no longer allows it, [`MemberError::OtherBase`] or
    /// [`MemberError::Base`] where the parameters are not the ledger's, or what training gives.
    pub fn prepare(&self, assignment: &Assignment, base: &[u8]) -> Result<PreparedUpdate, MemberError> {
        let Assignment { round, member, .. } = *assignment;
        self.check_budget(round, &[])?;
        let (update, metrics) = self.trained_update(assignment, base)?;
        let examples = update.get().examples;
        let update = match self.setup.terms.release().map_err(of_promise)? {
            None => update,
            Some(release) => self.with_noise(update, &release)?,
        };
        let bytes = update.get().encode();
        Ok(PreparedUpdate {
            round,
            member,
            digest: ContentDigest::of(&bytes),
            bytes,
            examples,
            metrics,
        })
    }

    /// What was trained, as it is before noise: clipped and rounded to fixed point.
    pub(super) fn trained_update(
        &self,
        assignment: &Assignment,
        base: &[u8],
    ) -> Result<(CheckedUpdate, Metrics), MemberError> {
        let Assignment { round, member, .. } = *assignment;
        let trained = |task: &TrainingTask<'_>| Ok(self.setup.trainer.train(task)?);
        let (base, trained) = self.with_task(assignment, base, trained)?;
        let Trained {
            parameters,
            examples,
            metrics,
        } = trained;
        if parameters.architecture() != base.architecture() {
            let problem = "gave a model of another architecture than the base's".to_owned();
            let trainer = "the trainer".to_owned();
            return Err(TrainerError::Outside { trainer, problem }.into());
        }
        let rules = UpdateRules {
            study: self.setup.study,
            round,
            base: assignment.base,
            coordinates: base.values().len(),
            clip: self.setup.terms.clip.get(),
            most_examples: MOST_EXAMPLES,
        };
        let update = Update::of_training(&rules, member, &base, &parameters, examples)?;
        Ok((update, metrics))
    }

    /// That the budget of privacy pays for a round whose survivors are not fixed yet, by what is public of those before.
    pub(super) fn check_budget(&self, round: Round, masked: &[MaskRound]) -> Result<(), MemberError> {
        let spending = Spending::before(&self.setup.terms, round, masked).map_err(of_promise)?;
        match spending {
            Some(spending) if !spending.pays_for_another() => Err(MemberError::BudgetSpent {
                round,
                spent: spending.epsilon(),
                after: spending.after_another(),
                promised: spending.budget().epsilon,
            }),
            _ => Ok(()),
        }
    }

    /// An update that anybody may see: with noise of its own, and of the weight that all have.
    fn with_noise(&self, update: CheckedUpdate, release: &Release) -> Result<CheckedUpdate, MemberError> {
        let update = update.into_inner();
        let mut random = noise_of(&self.noise(update.round, &update.base), &update);
        let moved: Vec<f64> = update
            .coordinates
            .iter()
            .map(|coordinate| f64::from(*coordinate) / f64::from(1_u32 << FRACTION_BITS))
            .collect();
        let released = release
            .make(&moved, &mut random)
            .map_err(|error| of_promise(error.into()))?;
        let (clip, most_examples) = self.setup.terms.update_limits().map_err(of_promise)?;
        let rules = UpdateRules {
            study: update.study,
            round: update.round,
            base: update.base,
            coordinates: released.len(),
            clip,
            most_examples,
        };
        let member = update.member;
        let noisy = Update {
            // What no honest draw comes to, and scaling tells nothing more of.
            coordinates: rescale(released.into_iter(), clip),
            examples: 1,
            ..update
        };
        Ok(noisy.check(&rules, member)?)
    }

    /// Notes an update with noise before it is known to anybody; another one of the same round would tell of both.
    fn note_release(&self, prepared: &PreparedUpdate) -> Result<(), MemberError> {
        let terms = &self.setup.terms;
        let noisy = terms
            .privacy
            .as_ref()
            .is_some_and(|privacy| privacy.of_member().is_some());
        if !noisy || terms.masking.is_some() {
            return Ok(());
        }
        let Some(notes) = &self.setup.notes else {
            return Err(MemberError::Terms {
                problem:
                    "they promise privacy of members, and no notes are kept here that would tell a second \
                          update of a round from the first"
                        .to_owned(),
            });
        };
        let mut notes = notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (study, terms, round) = (self.setup.study, self.terms_digest(), prepared.round);
        let noted = notes.entries().iter().find_map(|entry| match entry {
            Entry::UpdateReleased {
                study: of,
                terms: under,
                round: at,
                update,
            } if (*of, *under, *at) == (study, terms, round) => Some(*update),
            _ => None,
        });
        match noted {
            Some(update) if update == prepared.digest => Ok(()),
            Some(committed) => Err(MemberError::CommittedOther {
                round,
                committed,
                made: prepared.digest,
            }),
            None => Ok(notes.append(Entry::UpdateReleased {
                study,
                terms,
                round,
                update: prepared.digest,
            })?),
        }
    }

    /// Judges the base parameters on the member's own rows, where its trainer can.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn judge(&self, assignment: &Assignment, base: &[u8]) -> Result<Option<Evaluated>, MemberError> {
        let judged = |task: &TrainingTask<'_>| Ok(self.setup.trainer.evaluate(task)?);
        self.with_task(assignment, base, judged).map(|(_, judged)| judged)
    }

    /// Checks consent and base, and hands both to what trains or judges.
    fn with_task<T>(
        &self,
        assignment: &Assignment,
        base: &[u8],
        act: impl FnOnce(&TrainingTask<'_>) -> Result<T, MemberError>,
    ) -> Result<(Parameters, T), MemberError> {
        let MemberSetup {
            study, terms, data, ..
        } = &self.setup;
        let Assignment { round, member, .. } = *assignment;
        let state = self.state("reading the study")?;
        self.check_consent(&state)?;
        let got = ContentDigest::of(base);
        if got != assignment.base {
            return Err(MemberError::OtherBase {
                expected: assignment.base,
                got,
            });
        }
        let base =
            Parameters::from_safetensors(base).map_err(|source| MemberError::Base { round, source })?;
        base.check_architecture(&terms.architecture)
            .map_err(|source| MemberError::Base { round, source })?;
        if round == Round(1) {
            let expected = terms.first_digest();
            if got != expected {
                return Err(MemberError::OtherStart { expected, got });
            }
        }
        let doing = "reading the time";
        let now = self
            .setup
            .ledger
            .now()
            .map_err(|source| MemberError::Ledger { doing, source })?;
        let acted = act(&TrainingTask {
            study: *study,
            round,
            member,
            terms,
            base: &base,
            seed: ShuffleSeed::derive(terms.seed, round.0, &data.0),
            time_left: Duration::from_secs(state.commit_by.0.saturating_sub(now.0)),
            noise: &self.noise(round, &got),
        })?;
        Ok((base, acted))
    }

    /// Seed of a round's randomness that nobody else can know: the same for the same rows and base, and for no others.
    fn noise(&self, round: Round, base: &ContentDigest) -> Zeroizing<[u8; 32]> {
        let MemberSetup {
            study, data, secret, ..
        } = &self.setup;
        let mut text = Zeroizing::new(b"counterweight/row-noise/v1".to_vec());
        text.extend_from_slice(&**secret);
        text.extend_from_slice(&study.0.to_le_bytes());
        text.extend_from_slice(&round.0.to_le_bytes());
        text.extend_from_slice(&base.0);
        text.extend_from_slice(&data.0);
        Zeroizing::new(ContentDigest::of(&text).0)
    }

    /// Commits to an update on the ledger, unless that is done.
    ///
    /// # Errors
    /// [`MemberError::CommittedOther`] where another one is committed, or [`MemberError::Ledger`], with the
    /// contract's reason where it refuses.
    pub fn commit(&self, prepared: &PreparedUpdate) -> Result<(), MemberError> {
        self.note_release(prepared)?;
        if self.is_committed(prepared)? {
            return Ok(());
        }
        let PreparedUpdate {
            round,
            member,
            digest,
            ..
        } = *prepared;
        let answer = self
            .setup
            .ledger
            .commit_update(self.setup.study, round, member, digest);
        match answer {
            Ok(()) => Ok(()),
            // A call without an answer may have taken effect, and so may one that the ledger calls a second one.
            Err(source) => match self.is_committed(prepared) {
                Ok(true) => Ok(()),
                Err(other @ MemberError::CommittedOther { .. }) => Err(other),
                Ok(false) | Err(_) => Err(MemberError::Ledger {
                    doing: "committing the update",
                    source,
                }),
            },
        }
    }

    /// Whether a round is closed with this member's update in it.
    pub(super) fn survived(&self, round: Round, member: MemberIndex) -> Result<bool, MemberError> {
        let closing = self
            .rounds()?
            .into_iter()
            .find(|record| record.round == round)
            .and_then(|record| record.closed);
        Ok(closing.is_some_and(|closing| MemberSet(closing.survivors).contains(member)))
    }

    fn rounds(&self) -> Result<Vec<RoundRecord>, MemberError> {
        let doing = "reading the rounds";
        self.setup
            .ledger
            .rounds(self.setup.study)
            .map_err(|source| MemberError::Ledger { doing, source })
    }

    fn is_committed(&self, prepared: &PreparedUpdate) -> Result<bool, MemberError> {
        let (round, made) = (prepared.round, prepared.digest);
        match self
            .assignment(round)?
            .and_then(|assignment| assignment.committed)
        {
            None => Ok(false),
            Some(committed) if committed == made => Ok(true),
            Some(committed) => Err(MemberError::CommittedOther {
                round,
                committed,
                made,
            }),
        }
    }

    pub(super) fn state(&self, doing: &'static str) -> Result<StudyState, MemberError> {
        self.setup
            .ledger
            .study(self.setup.study)
            .map_err(|source| MemberError::Ledger { doing, source })
    }

    pub(super) fn index_in(&self, state: &StudyState) -> Option<MemberIndex> {
        let account = self.account();
        let dataset = self.setup.dataset;
        let place = state
            .members
            .iter()
            .position(|m| m.account == account && m.dataset == dataset)?;
        u8::try_from(place).ok().map(MemberIndex)
    }

    fn not_a_member(&self) -> MemberError {
        MemberError::NotAMember {
            account: self.account(),
            dataset: self.setup.dataset,
        }
    }

    fn check_terms(&self, state: &StudyState) -> Result<(), MemberError> {
        let terms = &self.setup.terms;
        let bytes = terms.to_bytes().map_err(|error| MemberError::Terms {
            problem: error.to_string(),
        })?;
        let got = ContentDigest::of(&bytes);
        if got != state.terms {
            return Err(MemberError::OtherTerms {
                expected: state.terms,
                got,
            });
        }
        if terms.epsilon_budget() != state.epsilon_budget {
            let said = |budget: Option<MicroEpsilon>| {
                budget.map_or_else(|| "none".to_owned(), |budget| format!("an epsilon of {budget}"))
            };
            return Err(MemberError::Terms {
                problem: format!(
                    "they promise a budget of privacy of {}, the ledger keeps to {}",
                    said(terms.epsilon_budget()),
                    said(state.epsilon_budget)
                ),
            });
        }
        // The digest covers the name; the contract checks consent for the number. They must mean the same.
        if Purpose::by_name(&terms.purpose).ok().map(|purpose| purpose.index) != Some(state.purpose) {
            return Err(MemberError::OtherPurpose {
                terms: terms.purpose.clone(),
                ledger: state.purpose.0,
            });
        }
        Ok(())
    }

    fn check_consent(&self, state: &StudyState) -> Result<(), MemberError> {
        let MemberSetup {
            dataset,
            consent,
            terms,
            ..
        } = &self.setup;
        match consent.is_allowed(*dataset, state.purpose) {
            Ok(true) => Ok(()),
            Ok(false) => Err(MemberError::ConsentMissing {
                dataset: *dataset,
                purpose: terms.purpose.clone(),
            }),
            Err(source) => Err(MemberError::Consent {
                dataset: *dataset,
                source,
            }),
        }
    }
}

pub(super) fn of_promise(error: PromiseError) -> MemberError {
    MemberError::Terms {
        problem: error.to_string(),
    }
}

/// Randomness of the noise in one release. It comes from the update too: whatever makes another update of the same rows,
/// it gets other noise, and the difference of the two tells nothing that either does not.
pub(super) fn noise_of(secret: &[u8; 32], update: &Update) -> ChaCha20Rng {
    let mut text = Zeroizing::new(b"counterweight/member-noise/v1".to_vec());
    text.extend_from_slice(secret);
    text.extend_from_slice(&update.digest().0);
    ChaCha20Rng::from_seed(ContentDigest::of(&text).0)
}

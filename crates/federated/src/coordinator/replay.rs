//! The computation of a study from its updates: the part that coordinator and auditor share, and which anyone can
//! repeat.

use counterweight_primitives::{AssetId, ContentDigest, MemberIndex, Ppm, Round, StudyId};
use counterweight_provenance::blobs::BlobError;

use crate::{
    aggregate::{AggregateError, WeightedSum},
    architecture::ArchitectureError,
    blobs::Blobs,
    contribution::{ContributionError, ContributionReport, RoundValue, Valuation},
    ledger::StudyState,
    member_set::MemberSet,
    parameters::Parameters,
    server_optimiser::{ServerError, ServerOptimiser},
    study::terms::PublicTerms,
    table::Dataset,
    update::{CheckedUpdate, MOST_EXAMPLES, Update, UpdateError, UpdateRules},
};

/// Bytes of an update record besides its coordinates, rounded up.
const UPDATE_OVERHEAD: u64 = 1 << 10;

/// A study's computation between two rounds.
#[derive(Debug, Clone)]
pub struct Replay {
    study: StudyId,
    terms: PublicTerms,
    parameters: Parameters,
    digest: ContentDigest,
    optimiser: ServerOptimiser,
    valuation: Valuation,
    rounds: u32,
}

/// Why a study cannot be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The terms describe no model.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// A setting of the server optimiser is out of range.
    #[error("the aggregation's {setting} must be {expected}")]
    Aggregation {
        /// Its key.
        setting: &'static str,
        /// Its range.
        expected: &'static str,
    },
    /// The parameters to start from have another shape than the terms say.
    #[error("the model to start from has another architecture than the study")]
    OtherStart,
    /// A round on the ledger starts from other parameters.
    #[error("round {round} starts from {got}, the parameters before it are {expected}")]
    OtherBase {
        /// The round.
        round: Round,
        /// Computed.
        expected: ContentDigest,
        /// On the ledger.
        got: ContentDigest,
    },
    /// The contributions give another report than was recorded.
    #[error("the contribution report has digest {got}, recorded is {expected}")]
    OtherEvidence {
        /// On the ledger.
        expected: ContentDigest,
        /// Computed.
        got: ContentDigest,
    },
    /// A blob is missing or damaged.
    #[error("round {round}: the update of member {member} cannot be read")]
    Blob {
        /// The round.
        round: Round,
        /// Whose update.
        member: MemberIndex,
        /// Why not.
        #[source]
        source: BlobError,
    },
    /// An update that was counted breaks the rules.
    #[error("round {round}: the update of member {member} does not count: {source}")]
    Update {
        /// The round.
        round: Round,
        /// Whose update.
        member: MemberIndex,
        /// Why not.
        source: UpdateError,
    },
    /// A survivor committed nothing.
    #[error("round {round}: member {member} is counted and committed no update")]
    NotCommitted {
        /// The round.
        round: Round,
        /// Whom.
        member: MemberIndex,
    },
    /// Updates could not be summed.
    #[error("round {round}: {source}")]
    Aggregate {
        /// The round.
        round: Round,
        /// Why not.
        source: AggregateError,
    },
    /// The server optimiser could not make its step.
    #[error("round {round}: {source}")]
    Server {
        /// The round.
        round: Round,
        /// Why not.
        source: ServerError,
    },
    /// The updates give another result than was recorded.
    #[error("round {round}: the updates give {got}, recorded is {expected}")]
    OtherResult {
        /// The round.
        round: Round,
        /// On the ledger.
        expected: ContentDigest,
        /// Computed.
        got: ContentDigest,
    },
    /// Contributions could not be computed.
    #[error(transparent)]
    Contribution(#[from] ContributionError),
}

impl Replay {
    /// Before the first round of a study with so many members.
    ///
    /// # Errors
    /// [`ReplayError::OtherStart`], [`ReplayError::Architecture`] or [`ReplayError::Aggregation`].
    pub fn new(
        study: StudyId,
        terms: &PublicTerms,
        start: Option<&Parameters>,
        members: usize,
    ) -> Result<Self, ReplayError> {
        // Terms may come from a stranger: nothing is built before their sizes are known to be sane.
        terms.architecture.check()?;
        terms
            .aggregation
            .check()
            .map_err(|(setting, expected)| ReplayError::Aggregation { setting, expected })?;
        let parameters = match start {
            Some(start) if *start.architecture() == terms.architecture => start.clone(),
            Some(_) => return Err(ReplayError::OtherStart),
            None => Parameters::initial(&terms.architecture, terms.seed),
        };
        Ok(Self {
            study,
            terms: terms.clone(),
            digest: parameters.digest(),
            optimiser: ServerOptimiser::new(terms.aggregation, parameters.values().len()),
            parameters,
            valuation: Valuation::new(members),
            rounds: 0,
        })
    }

    /// The newest parameters.
    #[must_use]
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Their digest.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        self.digest
    }

    /// Rounds computed.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// What an update of a round must fit.
    #[must_use]
    pub fn rules(&self, round: Round) -> UpdateRules {
        UpdateRules {
            study: self.study,
            round,
            base: self.digest,
            coordinates: self.parameters.values().len(),
            clip: self.terms.clip.get(),
            most_examples: MOST_EXAMPLES,
        }
    }

    /// Largest update of this study, in bytes.
    #[must_use]
    pub fn update_bytes_max(&self) -> u64 {
        self.parameters.values().len() as u64 * 4 + UPDATE_OVERHEAD
    }

    /// Reads and checks the bytes of a member's update for the round after the newest parameters.
    ///
    /// # Errors
    /// [`UpdateError`].
    pub fn check(
        &self,
        round: Round,
        member: MemberIndex,
        bytes: &[u8],
    ) -> Result<CheckedUpdate, UpdateError> {
        let rules = self.rules(round);
        Update::decode(bytes, rules.coordinates)?.check(&rules, member)
    }

    /// Fetches and checks a member's update.
    ///
    /// # Errors
    /// [`ReplayError::Blob`] or [`ReplayError::Update`].
    pub fn fetch(
        &self,
        round: Round,
        member: MemberIndex,
        update: &ContentDigest,
        blobs: &dyn Blobs,
    ) -> Result<CheckedUpdate, ReplayError> {
        let bytes = blobs
            .get(update, self.update_bytes_max())
            .map_err(|source| ReplayError::Blob {
                round,
                member,
                source,
            })?;
        self.check(round, member, &bytes)
            .map_err(|source| ReplayError::Update {
                round,
                member,
                source,
            })
    }

    /// The parameters after a round with these updates; nothing changes here.
    ///
    /// # Errors
    /// [`ReplayError::Aggregate`] or [`ReplayError::Server`].
    pub fn preview(&self, round: Round, updates: &[CheckedUpdate]) -> Result<Parameters, ReplayError> {
        self.stepped(round, updates).map(|(parameters, _)| parameters)
    }

    /// The contribution report over the rounds so far.
    #[must_use]
    pub fn report(&self, member_cap: Ppm) -> ContributionReport {
        self.valuation.report(
            self.terms.holdout.unwrap_or_else(|| ContentDigest::of(b"")),
            member_cap,
        )
    }

    /// Moves on by a round: aggregates the updates, lets the server optimiser step, and values the survivors on the
    /// hold-out if there is one.
    ///
    /// # Errors
    /// [`ReplayError`]; nothing changes then.
    pub fn advance(
        &mut self,
        round: Round,
        updates: &[CheckedUpdate],
        holdout: Option<&Dataset>,
    ) -> Result<Option<RoundValue>, ReplayError> {
        let (parameters, optimiser) = self.stepped(round, updates)?;
        let value = match holdout {
            None => {
                // An auditor without the hold-out of a study that has one cannot value its rounds.
                if self.terms.holdout.is_none() {
                    self.valuation.count(round, updates);
                }
                None
            }
            Some(rows) => {
                let base = &self.parameters;
                Some(
                    self.valuation
                        .observe(round, base, &self.optimiser, updates, rows)?
                        .clone(),
                )
            }
        };
        self.digest = parameters.digest();
        self.parameters = parameters;
        self.optimiser = optimiser;
        self.rounds += 1;
        Ok(value)
    }

    fn stepped(
        &self,
        round: Round,
        updates: &[CheckedUpdate],
    ) -> Result<(Parameters, ServerOptimiser), ReplayError> {
        let sum = WeightedSum::of(self.parameters.values().len(), updates)
            .map_err(|source| ReplayError::Aggregate { round, source })?;
        let mut optimiser = self.optimiser.clone();
        let parameters = optimiser
            .step(&self.parameters, &sum)
            .map_err(|source| ReplayError::Server { round, source })?;
        Ok((parameters, optimiser))
    }
}

/// Members asked for an update in a round: all, or as many as the terms say, drawn by the study's seed.
///
/// The draw goes by dataset and not by index, so that the order of joining changes nothing: members are sorted by the
/// BLAKE3 digest of seed, round and dataset, and the first ones are asked.
#[must_use]
pub fn asked_members(terms: &PublicTerms, state: &StudyState, round: Round) -> MemberSet {
    let count = state.members.len();
    let wanted = terms.members_per_round.map_or(count, usize::from);
    if wanted >= count {
        return MemberSet::first(count);
    }
    let lot = |dataset: AssetId| {
        let mut text = b"counterweight/asked-members/v1".to_vec();
        text.extend_from_slice(&terms.seed.to_le_bytes());
        text.extend_from_slice(&round.0.to_le_bytes());
        text.extend_from_slice(&dataset.0.to_le_bytes());
        ContentDigest::of(&text)
    };
    let mut lots: Vec<_> = state
        .members
        .iter()
        .zip(0..)
        .map(|(member, index)| (lot(member.dataset), MemberIndex(index)))
        .collect();
    lots.sort_unstable();
    lots.into_iter().take(wanted).map(|(_, member)| member).collect()
}

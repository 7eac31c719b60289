//! The computation of a study from its updates: the part that coordinator and auditor share, and which anyone can
//! repeat.

mod masked;

use counterweight_primitives::{ContentDigest, MemberIndex, Ppm, Round, StudyId, UnixSeconds};
use counterweight_provenance::blobs::BlobError;

use crate::{
    aggregate::WeightedSum,
    architecture::ArchitectureError,
    blobs::Blobs,
    contribution::{ContributionError, ContributionReport, RoundValue, Valuation},
    member_set::MemberSet,
    parameters::{MODEL_BYTES_MAX, Parameters, ParametersError},
    rules::{Inputs, RoundRule, RuleError},
    server_optimiser::{ServerError, ServerOptimiser},
    standing::{Due, Judged, StandingRecord, Watch},
    study::{privacy::PromiseError, terms::PublicTerms},
    table::Dataset,
    training::{ShuffleSeed, TrainingError, train},
    update::{CheckedUpdate, Update, UpdateError, UpdateRules},
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
    /// Where members can be excluded.
    watch: Option<Watch>,
    rounds: u32,
    /// Aggregate of the round before, where the rule starts from it.
    centre: Option<Vec<i32>>,
    /// Largest norm of an update that is sent, and the most examples it may claim.
    limits: (f64, u32),
}

/// The state after a round.
struct Next {
    parameters: Parameters,
    optimiser: ServerOptimiser,
    centre: Option<Vec<i32>>,
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
    /// The model to start from is not among the blobs.
    #[error("the model that the study starts from, {digest}, is not at hand")]
    NoStart {
        /// By the terms.
        digest: ContentDigest,
        /// Why not.
        #[source]
        source: BlobError,
    },
    /// What is to be started from is not a model of the terms' shape.
    #[error("what the study starts from, {digest}, is not a model of the study's architecture")]
    OtherStart {
        /// By the terms.
        digest: ContentDigest,
        /// What is wrong with it.
        #[source]
        source: ParametersError,
    },
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
    /// Updates could not be combined.
    #[error("round {round}: {source}")]
    Rule {
        /// The round.
        round: Round,
        /// Why not.
        source: RuleError,
    },
    /// The trusted update could not be trained on the hold-out.
    #[error("round {round}: the hold-out gives no trusted update")]
    Root {
        /// The round.
        round: Round,
        /// Why not.
        #[source]
        source: TrainingError,
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
    /// The sums of a masked round cannot be computed from its records.
    #[error("round {round}: {problem}")]
    Masked {
        /// The round.
        round: Round,
        /// Why not.
        problem: String,
    },
    /// The terms mask in a way that does not add up.
    #[error("masking.{setting}: {problem}")]
    Masking {
        /// Its key.
        setting: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The terms promise a privacy that cannot be kept.
    #[error(transparent)]
    Privacy(#[from] PromiseError),
    /// The terms pay or exclude members in a way that makes no sense.
    #[error("standing.{setting}: {problem}")]
    Standing {
        /// Its key.
        setting: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Contributions could not be computed.
    #[error(transparent)]
    Contribution(#[from] ContributionError),
}

/// The parameters before the first round: those that the terms commit to, or seeded ones. The architecture must have been checked.
///
/// # Errors
/// [`ReplayError::NoStart`], [`ReplayError::OtherStart`].
pub fn first_parameters(terms: &PublicTerms, blobs: &dyn Blobs) -> Result<Parameters, ReplayError> {
    let Some(digest) = terms.start else {
        return Ok(Parameters::initial(&terms.architecture, terms.seed));
    };
    let bytes = blobs
        .get(&digest, MODEL_BYTES_MAX)
        .map_err(|source| ReplayError::NoStart { digest, source })?;
    let unfit = |source| ReplayError::OtherStart { digest, source };
    let start = Parameters::from_safetensors(&bytes).map_err(unfit)?;
    start.check_architecture(&terms.architecture).map_err(unfit)?;
    Ok(start)
}

impl Replay {
    /// Before the first round of a study with so many members. What it starts from, if that is not seeded, is among the blobs.
    ///
    /// # Errors
    /// [`ReplayError::NoStart`], [`ReplayError::OtherStart`], [`ReplayError::Architecture`], [`ReplayError::Aggregation`], [`ReplayError::Masking`] or
    /// [`ReplayError::Privacy`].
    pub fn new(
        study: StudyId,
        terms: &PublicTerms,
        blobs: &dyn Blobs,
        members: usize,
    ) -> Result<Self, ReplayError> {
        // Terms may come from a stranger: nothing is built before their sizes are known to be sane.
        terms.architecture.check()?;
        terms
            .aggregation
            .check()
            .and_then(|()| terms.combination.map_or(Ok(()), |rule| rule.check()))
            .map_err(|(setting, expected)| ReplayError::Aggregation { setting, expected })?;
        if let Some(masking) = &terms.masking {
            let fits = masking.check(terms.clip.get());
            fits.map_err(|(setting, problem)| ReplayError::Masking { setting, problem })?;
        }
        if let Some(standing) = &terms.standing {
            let fits = standing.check(terms.rounds);
            fits.map_err(|(setting, problem)| ReplayError::Standing { setting, problem })?;
        }
        let parameters = first_parameters(terms, blobs)?;
        Ok(Self {
            study,
            terms: terms.clone(),
            digest: parameters.digest(),
            optimiser: ServerOptimiser::new(terms.aggregation, parameters.values().len()),
            parameters,
            valuation: Valuation::by(terms.scoring, members),
            watch: terms.exclusion().map(|rule| Watch::new(study, *rule, members)),
            rounds: 0,
            centre: None,
            limits: terms.update_limits()?,
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
            clip: self.limits.0,
            most_examples: self.limits.1,
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
    /// [`ReplayError::Rule`], [`ReplayError::Root`] or [`ReplayError::Server`].
    pub fn preview(
        &self,
        round: Round,
        updates: &[CheckedUpdate],
        holdout: Option<&Dataset>,
    ) -> Result<Parameters, ReplayError> {
        let root = self.root(round, holdout)?;
        let rule = self.rule(self.centre.as_deref(), root.as_deref());
        let combined = rule
            .combine(updates)
            .map_err(|source| ReplayError::Rule { round, source })?;
        self.stepped(round, combined.sum())
            .map(|(parameters, _)| parameters)
    }

    /// The contribution report over the rounds so far.
    #[must_use]
    pub fn report(&self, member_cap: Ppm) -> ContributionReport {
        self.valuation.report(
            self.terms.holdout.unwrap_or_else(|| ContentDigest::of(b"")),
            member_cap,
            self.terms.vesting_rounds(),
        )
    }

    /// What the rounds so far say of each member.
    #[must_use]
    pub fn valuation(&self) -> &Valuation {
        &self.valuation
    }

    /// Who is watched for exclusion, where members can be excluded.
    #[must_use]
    pub fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// Judges the members after the newest round, where they can be excluded: who is to be proposed. Once a round, in order.
    ///
    /// # Errors
    /// [`ReplayError::Contribution`].
    pub fn judge(
        &mut self,
        round: Round,
        excluded: MemberSet,
        closed_at: UnixSeconds,
        record: &StandingRecord,
    ) -> Result<Vec<Due>, ReplayError> {
        let Some(watch) = &mut self.watch else {
            return Ok(Vec::new());
        };
        let values = self.valuation.compared_nano(watch.window());
        let judged = Judged {
            round,
            excluded,
            closed_at,
            values: &values,
        };
        let due = watch.observe(&judged, record);
        due.map_err(|error| ContributionError::from(error).into())
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
        let root = self.root(round, holdout)?;
        let before = self.centre.clone();
        let combined = self
            .rule(before.as_deref(), root.as_deref())
            .combine(updates)
            .map_err(|source| ReplayError::Rule { round, source })?;
        let next = self.next(round, combined.sum())?;
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
                        .observe(round, base, &self.optimiser, &combined, rows)?
                        .clone(),
                )
            }
        };
        self.take(next);
        Ok(value)
    }

    /// What a round's sum makes of the state.
    fn next(&self, round: Round, sum: &WeightedSum) -> Result<Next, ReplayError> {
        let (parameters, optimiser) = self.stepped(round, sum)?;
        let centre = match self.terms.combination {
            Some(rule) if rule.needs_centre() => {
                let rounded = sum.rounded().map_err(RuleError::from);
                Some(rounded.map_err(|source| ReplayError::Rule { round, source })?)
            }
            _ => None,
        };
        Ok(Next {
            parameters,
            optimiser,
            centre,
        })
    }

    fn take(&mut self, next: Next) {
        self.centre = next.centre;
        self.digest = next.parameters.digest();
        self.parameters = next.parameters;
        self.optimiser = next.optimiser;
        self.rounds += 1;
    }

    /// The trusted update of a round, where the rule needs one: what a member with the hold-out's rows would send.
    fn root(&self, round: Round, holdout: Option<&Dataset>) -> Result<Option<Vec<i32>>, ReplayError> {
        let needed = self.terms.combination.is_some_and(|rule| rule.needs_root());
        let (true, Some(rows)) = (needed, holdout) else {
            return Ok(None);
        };
        let seed = ShuffleSeed::derive(self.terms.seed, round.0, b"hold-out");
        let trained = train(&self.parameters, rows, &self.terms.local, seed)
            .map_err(|source| ReplayError::Root { round, source })?;
        let member = MemberIndex(0);
        // The hold-out is public, and what comes of it has no noise.
        let rules = UpdateRules {
            clip: self.terms.clip.get(),
            ..self.rules(round)
        };
        Update::of_training(&rules, member, &self.parameters, &trained, 1)
            .map(|update| Some(update.into_inner().coordinates))
            .map_err(|source| ReplayError::Update {
                round,
                member,
                source,
            })
    }

    /// The rule of a round.
    fn rule<'a>(&self, centre: Option<&'a [i32]>, root: Option<&'a [i32]>) -> RoundRule<'a> {
        let inputs = Inputs {
            centre,
            root,
            seed: self.digest.0,
        };
        RoundRule::new(self.terms.combination, self.parameters.values().len(), inputs)
    }

    fn stepped(&self, round: Round, sum: &WeightedSum) -> Result<(Parameters, ServerOptimiser), ReplayError> {
        let mut optimiser = self.optimiser.clone();
        let parameters = optimiser
            .step(&self.parameters, sum)
            .map_err(|source| ReplayError::Server { round, source })?;
        Ok((parameters, optimiser))
    }
}

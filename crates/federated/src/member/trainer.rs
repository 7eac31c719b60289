//! What trains a member's model: the training that is built in, or anything else that keeps this contract.

use std::{collections::BTreeMap, time::Duration};

use counterweight_primitives::{MemberIndex, Round, StudyId};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};
use zeroize::Zeroizing;

use crate::{
    architecture::ArchitectureError,
    parameters::Parameters,
    study::{privacy::Privacy, terms::PublicTerms},
    table::Dataset,
    training::{PrivateTrainingError, ShuffleSeed, TrainingError, evaluate, train, train_privately},
};

/// What a trainer says of its work, by name: shown to who runs the member, and sent to nobody.
pub type Metrics = BTreeMap<String, f64>;

/// What is trained in a round.
#[derive(Debug, Clone, Copy)]
pub struct TrainingTask<'a> {
    /// The study.
    pub study: StudyId,
    /// The round.
    pub round: Round,
    /// Whose turn it is.
    pub member: MemberIndex,
    /// What the parties agreed on.
    pub terms: &'a PublicTerms,
    /// The model to start from.
    pub base: &'a Parameters,
    /// Of everything random: the same for the same study, round and data, and public.
    pub seed: ShuffleSeed,
    /// Time until the round ends for members, by the ledger's clock.
    pub time_left: Duration,
    /// Seed of noise that nobody else can know: for training that is built in, which promises privacy of rows.
    pub(super) noise: &'a Zeroizing<[u8; 32]>,
}

/// What training gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The model, of the base's architecture.
    pub parameters: Parameters,
    /// Rows it was trained on: the weight of the update.
    pub examples: u32,
    /// How it went.
    pub metrics: Metrics,
}

/// How a model does on a member's own rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// Mean loss.
    pub loss: f64,
    /// Rows it was judged on.
    pub examples: u32,
    /// Anything else.
    pub metrics: Metrics,
}

/// Why nothing was trained or judged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainerError {
    /// The built-in training failed.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// The built-in private training failed.
    #[error(transparent)]
    Private(#[from] PrivateTrainingError),
    /// The trainer cannot serve this study.
    #[error("{problem}")]
    Unfit {
        /// Why not.
        problem: String,
    },
    /// The rows do not fit the model.
    #[error("rows have {got} values, the model reads {expected}")]
    WrongShape {
        /// Inputs of the model.
        expected: usize,
        /// Values in a row.
        got: usize,
    },
    /// A program of the member's own could not do it.
    #[error("{trainer} {problem}")]
    Outside {
        /// The program or address.
        trainer: String,
        /// What happened.
        problem: String,
    },
}

/// Trains and judges a model for one member. Implementations block; the caller brings the thread.
pub trait Trainer: Send + Sync {
    /// That this trainer can serve a study: asked once, before the member joins.
    ///
    /// # Errors
    /// [`TrainerError`].
    fn check(&self, terms: &PublicTerms) -> Result<(), TrainerError>;

    /// Trains from the base.
    ///
    /// # Errors
    /// [`TrainerError`]; the member then sits the round out.
    fn train(&self, task: &TrainingTask<'_>) -> Result<Trained, TrainerError>;

    /// Judges the base on the member's own rows; nothing where this trainer keeps none for that.
    ///
    /// # Errors
    /// [`TrainerError`].
    fn evaluate(&self, task: &TrainingTask<'_>) -> Result<Option<Evaluated>, TrainerError>;
}

/// The training that is built in: bit for bit the same on every machine.
#[derive(Debug, Clone)]
pub struct BuiltIn {
    rows: Dataset,
    test: Option<Dataset>,
}

impl BuiltIn {
    /// Trains on `rows`.
    #[must_use]
    pub fn new(rows: Dataset) -> Self {
        Self { rows, test: None }
    }

    /// Judges on `rows`, unless there are none.
    #[must_use]
    pub fn judging_on(self, rows: Dataset) -> Self {
        let test = (!rows.is_empty()).then_some(rows);
        Self { test, ..self }
    }
}

impl Trainer for BuiltIn {
    fn check(&self, terms: &PublicTerms) -> Result<(), TrainerError> {
        let layered = terms.architecture.built_in().map_err(|error| unfit(&error))?;
        let (expected, got) = (layered.inputs as usize, self.rows.inputs());
        if expected == got {
            Ok(())
        } else {
            Err(TrainerError::WrongShape { expected, got })
        }
    }

    fn train(&self, task: &TrainingTask<'_>) -> Result<Trained, TrainerError> {
        let TrainingTask {
            terms, base, seed, ..
        } = *task;
        let parameters = match &terms.privacy {
            None | Some(Privacy::Member(_)) => train(base, &self.rows, &terms.local, seed)?,
            Some(Privacy::Row(privacy)) => {
                let training = privacy
                    .training(&terms.local)
                    .map_err(|error| TrainerError::Unfit {
                        problem: error.to_string(),
                    })?;
                let mut noise = ChaCha20Rng::from_seed(**task.noise);
                train_privately(base, &self.rows, &training, &mut noise)?
            }
        };
        Ok(Trained {
            parameters,
            // A count beyond 32 bits is beyond what an update may say, and refused as such.
            examples: u32::try_from(self.rows.len()).unwrap_or(u32::MAX),
            metrics: Metrics::new(),
        })
    }

    fn evaluate(&self, task: &TrainingTask<'_>) -> Result<Option<Evaluated>, TrainerError> {
        let Some(test) = &self.test else { return Ok(None) };
        let judged = evaluate(task.base, test)?;
        let mut metrics = Metrics::from([("accuracy".to_owned(), judged.accuracy)]);
        metrics.extend(judged.auc.map(|auc| ("auc".to_owned(), auc)));
        Ok(Some(Evaluated {
            loss: judged.loss,
            examples: u32::try_from(judged.rows).unwrap_or(u32::MAX),
            metrics,
        }))
    }
}

fn unfit(error: &ArchitectureError) -> TrainerError {
    TrainerError::Unfit {
        problem: error.to_string(),
    }
}

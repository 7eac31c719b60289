//! How the mean update changes the model.

use serde::{Deserialize, Serialize};

use crate::{aggregate::WeightedSum, decimal::Decimal, parameters::Parameters};

/// A server optimiser with its settings. FedProx is FedAvg here: its term acts on the member's side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "rule", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the symbols of the module's source")]
pub enum Aggregation {
    /// Add the mean, times `lr`, with momentum (FedAvgM) if above zero.
    Fedavg {
        #[serde(default = "settings::one")]
        lr: Decimal,
        #[serde(default)]
        momentum: Decimal,
    },
    /// Adam on the server.
    Fedadam {
        #[serde(default = "settings::hundredth")]
        lr: Decimal,
        #[serde(default = "settings::beta1")]
        beta1: Decimal,
        #[serde(default = "settings::beta2")]
        beta2: Decimal,
        #[serde(default = "settings::tau")]
        tau: Decimal,
    },
    /// Yogi on the server.
    Fedyogi {
        #[serde(default = "settings::hundredth")]
        lr: Decimal,
        #[serde(default = "settings::beta1")]
        beta1: Decimal,
        #[serde(default = "settings::beta2")]
        beta2: Decimal,
        #[serde(default = "settings::tau")]
        tau: Decimal,
    },
    /// Adagrad on the server.
    Fedadagrad {
        #[serde(default = "settings::hundredth")]
        lr: Decimal,
        #[serde(default)]
        beta1: Decimal,
        #[serde(default = "settings::tau")]
        tau: Decimal,
    },
}

impl Default for Aggregation {
    fn default() -> Self {
        Self::Fedavg {
            lr: settings::one(),
            momentum: Decimal::default(),
        }
    }
}

mod settings {
    use crate::decimal::Decimal;

    fn literal(text: &str) -> Decimal {
        text.parse().expect("a decimal literal")
    }
    pub(super) fn one() -> Decimal {
        literal("1")
    }
    pub(super) fn hundredth() -> Decimal {
        literal("0.01")
    }
    pub(super) fn beta1() -> Decimal {
        literal("0.9")
    }
    pub(super) fn beta2() -> Decimal {
        literal("0.99")
    }
    pub(super) fn tau() -> Decimal {
        literal("0.001")
    }
}

/// An optimiser between two rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerOptimiser {
    pub(crate) aggregation: Aggregation,
    pub(crate) momentum: Vec<f64>,
    pub(crate) variance: Vec<f64>,
}

/// Why the server could not make a step.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No mean.
    #[error(transparent)]
    Aggregate(#[from] crate::aggregate::AggregateError),
    /// The sum has another shape than the model.
    #[error("the sum has {got} coordinates, the model has {expected}")]
    ShapeMismatch {
        /// Parameters of the model.
        expected: usize,
        /// Coordinates of the sum.
        got: usize,
    },
    /// The step left the range of the numbers.
    #[error("parameter {index} is not a finite number after the step")]
    NotFinite {
        /// Counted from 0.
        index: usize,
    },
    /// Stored state cannot be read.
    #[error("not the state of this optimiser: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
}

impl ServerOptimiser {
    /// Before the first round.
    #[must_use]
    pub fn new(aggregation: Aggregation, coordinates: usize) -> Self {
        let _ = coordinates;
        Self {
            aggregation,
            momentum: Vec::new(),
            variance: Vec::new(),
        }
    }

    /// The parameters after a round.
    ///
    /// # Errors
    /// [`ServerError`]; the optimiser is then unchanged.
    pub fn step(&mut self, base: &Parameters, sum: &WeightedSum) -> Result<Parameters, ServerError> {
        let _ = (base, sum.mean()?);
        Err(ServerError::NotFinite { index: 0 })
    }

    /// Its state, for a coordinator that resumes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Reads that state.
    ///
    /// # Errors
    /// [`ServerError::Malformed`].
    pub fn from_bytes(
        aggregation: Aggregation,
        coordinates: usize,
        bytes: &[u8],
    ) -> Result<Self, ServerError> {
        let _ = (aggregation, coordinates, bytes);
        Err(ServerError::Malformed { what: String::new() })
    }
}

//! Shapes of the models that are built in.

use serde::{Deserialize, Serialize};

/// Most numbers a model may hold: 64 MiB of `f32`.
pub const MOST_PARAMETERS: usize = 1 << 24;

/// What a hidden layer does to its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(0, x).
    #[default]
    Relu,
    /// Hyperbolic tangent.
    Tanh,
}

/// A model's shape: layers of sums, with an activation between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Architecture {
    /// Number of inputs.
    pub inputs: u32,
    /// Width of each hidden layer; empty for a linear model.
    pub hidden: Vec<u32>,
    /// After each hidden layer.
    pub activation: Activation,
    /// 1: one logit for yes against no. More: one logit for each class.
    pub outputs: u32,
}

/// Why an architecture cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArchitectureError {
    /// A layer of no width.
    #[error("layer {layer} has no width")]
    EmptyLayer {
        /// Counted from 0, the inputs.
        layer: usize,
    },
    /// Above [`MOST_PARAMETERS`].
    #[error("the model has {got} parameters, at most {limit} are allowed")]
    TooLarge {
        /// Parameters it would have.
        got: u64,
        /// The limit.
        limit: usize,
    },
    /// More than 8 hidden layers.
    #[error("{got} hidden layers, at most {limit} are allowed")]
    TooDeep {
        /// Hidden layers asked for.
        got: usize,
        /// The limit.
        limit: usize,
    },
}

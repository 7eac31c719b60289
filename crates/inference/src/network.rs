//! An architecture with its weights.

use counterweight_primitives::architecture::{Architecture, Step};

/// An integer network, ready to run.
#[derive(Clone, PartialEq, Eq)]
pub struct Network {
    architecture: Architecture,
    weights: Vec<i8>,
    biases: Vec<i32>,
}

/// Why weights do not fit an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Another number of weights than the layers have.
    #[error("the architecture has {expected} weights, there are {got}")]
    Weights {
        /// Weights of the architecture.
        expected: usize,
        /// Weights given.
        got: usize,
    },
    /// Another number of biases than the layers have.
    #[error("the architecture has {expected} biases, there are {got}")]
    Biases {
        /// Biases of the architecture.
        expected: usize,
        /// Biases given.
        got: usize,
    },
    /// A bias without digits of its layer's form.
    #[error("layer {layer}: bias {channel} is {got}, which is not {digits} int8 digits from 2^{shift} on")]
    Bias {
        /// The layer, counted from 0.
        layer: usize,
        /// The output channel, counted from 0.
        channel: usize,
        /// The bias.
        got: i32,
        /// Digits of the layer's biases.
        digits: u8,
        /// Power of two of the lowest digit.
        shift: u8,
    },
}

impl Network {
    /// Puts weights and biases, in the order of docs/spec/arithmetic.md, into an architecture.
    ///
    /// # Errors
    /// [`NetworkError`] if their number is another, or a bias has not the form that the architecture gives it.
    pub fn new(architecture: Architecture, weights: Vec<i8>, biases: Vec<i32>) -> Result<Self, NetworkError> {
        if weights.len() != architecture.weights() {
            return Err(NetworkError::Weights {
                expected: architecture.weights(),
                got: weights.len(),
            });
        }
        if biases.len() != architecture.biases() {
            return Err(NetworkError::Biases {
                expected: architecture.biases(),
                got: biases.len(),
            });
        }
        for step in architecture.steps() {
            let Some(form) = step.layer().bias() else { continue };
            let own = &biases[step.biases()];
            if let Some(channel) = own.iter().position(|bias| form.digits_of(*bias).is_none()) {
                return Err(NetworkError::Bias {
                    layer: step.index(),
                    channel,
                    got: own[channel],
                    digits: form.digits,
                    shift: form.shift,
                });
            }
        }
        Ok(Self {
            architecture,
            weights,
            biases,
        })
    }

    /// Its architecture.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// All weights, in the architecture's order.
    #[must_use]
    pub fn weights(&self) -> &[i8] {
        &self.weights
    }

    /// All biases, in the architecture's order.
    #[must_use]
    pub fn biases(&self) -> &[i32] {
        &self.biases
    }

    /// Weights of one of its layers: rows of [`Step::terms`], one for each output channel. Empty for a layer without.
    #[must_use]
    pub fn layer_weights(&self, step: &Step) -> &[i8] {
        self.weights.get(step.weights()).unwrap_or_default()
    }

    /// Biases of one of its layers, one for each output channel. Empty for a layer without.
    #[must_use]
    pub fn layer_biases(&self, step: &Step) -> &[i32] {
        self.biases.get(step.biases()).unwrap_or_default()
    }
}

/// Without the weights: they may be a secret, and they are long.
impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("architecture", &self.architecture)
            .finish_non_exhaustive()
    }
}

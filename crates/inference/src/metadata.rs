//! What a model's numbers mean: public, hashed, and outside what is proven.

use counterweight_primitives::architecture::Architecture;
use serde::{Deserialize, Serialize};

use crate::{Answer, Decimal};

/// Value of [`Metadata::format`].
pub const FORMAT: &str = "counterweight/network/v1";
/// Longest name of a model, feature or label, in bytes.
pub const LONGEST_NAME: usize = 256;

/// What goes into a network and what comes out of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Always [`FORMAT`].
    pub format: String,
    /// The model's name.
    pub name: String,
    /// How a real input becomes int8.
    pub input: Scaling,
    /// Names of the input's elements, or none.
    pub features: Vec<String>,
    /// What an output means.
    pub task: Task,
    /// Real value of one unit of the output.
    pub output_unit: Decimal,
    /// Names of the classes, or none.
    pub labels: Vec<String>,
}

/// How a real input becomes int8: `q = (x - offset) * factor`, rounded half to even and clamped. One offset and factor for
/// all elements, or one each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Real value that becomes 0.
    pub offset: Vec<Decimal>,
    /// Units in a real 1.
    pub factor: Vec<Decimal>,
}

/// What an output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One logit for each class.
    Classes,
    /// A logit of class 1 against class 0.
    Binary,
    /// Numbers.
    Values,
}

/// A row as a network reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantisedRow {
    /// Its elements.
    pub values: Vec<i8>,
    /// How many lay outside the range that int8 holds and were clamped.
    pub clamped: usize,
}

/// Why a row is no input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// Another number of values than the network reads.
    #[error("the network reads {expected} values, the row has {got}")]
    Length {
        /// Values the network reads.
        expected: usize,
        /// Values of the row.
        got: usize,
    },
    /// An infinity or NaN.
    #[error("value {index} of the row is not finite")]
    NotFinite {
        /// Counted from 0.
        index: usize,
    },
}

/// Why metadata does not describe an architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// Another format.
    #[error("the format is \"{got}\", expected \"{FORMAT}\"")]
    Format {
        /// Format found.
        got: String,
    },
    /// A list with another length than the network's.
    #[error("there are {got} {what}, the network has {expected}")]
    Count {
        /// Which list.
        what: &'static str,
        /// Elements of the network.
        expected: usize,
        /// Elements of the list.
        got: usize,
    },
    /// A name that is too long.
    #[error("a name has {got} bytes, at most {LONGEST_NAME} are allowed")]
    Name {
        /// Its length.
        got: usize,
    },
    /// A factor or unit that is not above 0.
    #[error("factors and units are above 0")]
    NotPositive,
}

impl Metadata {
    /// Holds it to an architecture.
    ///
    /// # Errors
    /// [`MetadataError`].
    pub fn check(&self, architecture: &Architecture) -> Result<(), MetadataError> {
        if self.format != FORMAT {
            return Err(MetadataError::Format {
                got: self.format.clone(),
            });
        }
        let (inputs, outputs) = (architecture.input().elements(), architecture.output().elements());
        let classes = match self.task {
            Task::Classes => outputs,
            Task::Binary => 2,
            Task::Values => 0,
        };
        let count = |what, got, expected, least| {
            if got == expected || got == least {
                Ok(())
            } else {
                Err(MetadataError::Count { what, expected, got })
            }
        };
        count("offsets", self.input.offset.len(), inputs, 1)?;
        let offsets = self.input.offset.len();
        count("factors", self.input.factor.len(), offsets, offsets)?;
        count("features", self.features.len(), inputs, 0)?;
        count("labels", self.labels.len(), classes, 0)?;
        if self.task == Task::Binary {
            count("outputs", outputs, 1, 1)?;
        }
        let names = std::iter::once(&self.name)
            .chain(&self.features)
            .chain(&self.labels);
        if let Some(got) = names.map(String::len).find(|length| *length > LONGEST_NAME) {
            return Err(MetadataError::Name { got });
        }
        let is_positive = |value: &Decimal| value.get() > 0.0;
        if !self.input.factor.iter().all(is_positive) || !is_positive(&self.output_unit) {
            return Err(MetadataError::NotPositive);
        }
        Ok(())
    }

    /// Real values that an answer stands for: logits, or the numbers asked for.
    #[must_use]
    pub fn values(&self, answer: &Answer) -> Vec<f64> {
        let unit = self.output_unit.get();
        answer
            .values()
            .into_iter()
            .map(|value| f64::from(value) * unit)
            .collect()
    }

    /// Probabilities of the classes; nothing if the model gives values.
    #[must_use]
    pub fn probabilities(&self, answer: &Answer) -> Option<Vec<f64>> {
        let logits = self.values(answer);
        match self.task {
            Task::Values => None,
            Task::Binary => {
                let yes = 1.0 / (1.0 + libm::exp(-*logits.first()?));
                Some(vec![1.0 - yes, yes])
            }
            Task::Classes => {
                let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = logits.iter().map(|logit| libm::exp(logit - largest)).collect();
                let sum: f64 = powers.iter().sum();
                Some(powers.into_iter().map(|power| power / sum).collect())
            }
        }
    }

    /// Name of the class that an answer names; its number if classes have no names. Nothing if the model gives values.
    #[must_use]
    pub fn label(&self, answer: &Answer) -> Option<String> {
        let class = answer.class();
        let name = || {
            self.labels
                .get(class)
                .cloned()
                .unwrap_or_else(|| class.to_string())
        };
        (self.task != Task::Values).then(name)
    }
}

impl Scaling {
    /// One offset and factor for all elements. Nothing unless both are finite.
    #[must_use]
    pub fn uniform(offset: f64, factor: f64) -> Option<Self> {
        Some(Self {
            offset: vec![Decimal::new(offset)?],
            factor: vec![Decimal::new(factor)?],
        })
    }

    /// Offset and factor of an element.
    #[must_use]
    pub fn of(&self, index: usize) -> (f64, f64) {
        let pick = |list: &[Decimal]| list.get(index).or(list.first()).map_or(0.0, |value| value.get());
        (pick(&self.offset), pick(&self.factor))
    }

    /// The int8 row that a row of `elements` real values becomes.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn quantise(&self, row: &[f64], elements: usize) -> Result<QuantisedRow, RowError> {
        if row.len() != elements {
            return Err(RowError::Length {
                expected: elements,
                got: row.len(),
            });
        }
        let mut clamped = 0;
        let mut values = Vec::with_capacity(elements);
        for (index, value) in row.iter().enumerate() {
            if !value.is_finite() {
                return Err(RowError::NotFinite { index });
            }
            let (offset, factor) = self.of(index);
            // Three operations of IEEE 754, so the same on every machine.
            let scaled = ((value - offset) * factor).round_ties_even();
            clamped += usize::from(!(-128.0..=127.0).contains(&scaled));
            values.push(scaled.clamp(-128.0, 127.0) as i8);
        }
        Ok(QuantisedRow { values, clamped })
    }
}

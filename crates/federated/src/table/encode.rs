//! From cells to numbers and classes.

use super::{Dataset, MOST_VALUES, Scaling, TableError};
use crate::study::schema::{Comparison, DataSection, LabelTest, MissingRule, Role};

/// How a column's cells are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
}

/// The columns to read: features in order, the label last.
pub(super) struct Wanted {
    pub(super) columns: Vec<(String, Kind)>,
}

/// What was read of a column; `None` for a missing value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cells {
    Numbers(Vec<Option<f64>>),
    Texts(Vec<Option<String>>),
}

/// The columns asked for, and the place of each row for messages.
pub(super) struct Table {
    pub(super) columns: Vec<Cells>,
    pub(super) places: Vec<Place>,
}

/// Where a row is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Of a text file, counted from 1.
    Line(u64),
    /// Of another file, counted from 1.
    #[cfg_attr(
        not(feature = "parquet"),
        expect(dead_code, reason = "Parquet alone has rows without lines")
    )]
    Row(u64),
}

/// Numbers before filling and scaling.
pub(super) struct Encoded {
    pub(super) inputs: usize,
    /// NaN where a mean is to be put.
    pub(super) features: Vec<f64>,
    pub(super) labels: Vec<u32>,
    pub(super) dropped: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

impl Wanted {
    pub(super) fn of(data: &DataSection) -> Self {
        let features = data.columns.iter().filter(|column| column.role == Role::Feature);
        let kind = |text: bool| if text { Kind::Text } else { Kind::Number };
        let mut columns: Vec<_> = features
            .map(|column| (column.name.clone(), kind(column.levels.is_some())))
            .collect();
        let number = data.classes.is_empty() && !matches!(data.label.test, Some(LabelTest::Text(..)));
        columns.push((data.label.column.clone(), kind(!number)));
        Self { columns }
    }
}

pub(super) fn encode(
    file: &str,
    data: &DataSection,
    wanted: &Wanted,
    table: Table,
) -> Result<Encoded, TableError> {
    let Table { mut columns, places } = table;
    if places.is_empty() {
        return Err(TableError::Empty {
            file: file.to_owned(),
        });
    }
    let label_cells = columns.pop().expect("the label is always asked for");
    let features: Vec<_> = data
        .columns
        .iter()
        .filter(|column| column.role == Role::Feature)
        .collect();
    let inputs: usize = features.iter().map(|column| column.inputs()).sum();
    if inputs.saturating_mul(places.len()) > MOST_VALUES {
        return Err(TableError::TooLarge {
            file: file.to_owned(),
            what: "numbers in all",
            limit: MOST_VALUES,
        });
    }
    let label_rule = data
        .columns
        .iter()
        .find(|column| column.role == Role::Label)
        .map_or(MissingRule::DropRow, |column| column.missing);
    let rules = features.iter().map(|column| column.missing).chain([label_rule]);
    let mut encoded = Encoded {
        inputs,
        features: Vec::with_capacity(inputs * places.len()),
        labels: Vec::with_capacity(places.len()),
        dropped: 0,
    };
    let rules: Vec<MissingRule> = rules.collect();
    'rows: for (row, place) in places.iter().enumerate() {
        for ((cells, rule), (name, _)) in columns
            .iter()
            .chain([&label_cells])
            .zip(&rules)
            .zip(&wanted.columns)
        {
            match (cells.is_missing(row), rule) {
                (true, MissingRule::DropRow) => {
                    encoded.dropped += 1;
                    continue 'rows;
                }
                (true, MissingRule::Refuse) => {
                    return Err(TableError::Missing {
                        file: file.to_owned(),
                        place: place.to_string(),
                        column: name.clone(),
                    });
                }
                _ => {}
            }
        }
        for (cells, column) in columns.iter().zip(&features) {
            match (cells, &column.levels) {
                (Cells::Numbers(numbers), None) => {
                    encoded.features.push(match (numbers[row], column.missing) {
                        (Some(number), _) => number,
                        (None, MissingRule::Constant(number)) => number.get(),
                        (None, _) => f64::NAN,
                    })
                }
                (Cells::Texts(texts), Some(levels)) => {
                    let level = match &texts[row] {
                        None => None,
                        Some(text) => {
                            Some(position(levels, text).ok_or_else(|| TableError::UnknownLevel {
                                file: file.to_owned(),
                                place: place.to_string(),
                                column: column.name.clone(),
                                found: text.clone(),
                                expected: levels.join(", "),
                            })?)
                        }
                    };
                    let first = usize::from(column.drop_first);
                    encoded.features.extend(
                        (first..levels.len()).map(|index| if level == Some(index) { 1.0 } else { 0.0 }),
                    );
                }
                _ => unreachable!("a column was read as its kind asks"),
            }
        }
        encoded.labels.push(label(file, data, &label_cells, row, *place)?);
    }
    if encoded.labels.is_empty() {
        return Err(TableError::NothingLeft {
            file: file.to_owned(),
            dropped: encoded.dropped,
        });
    }
    for (cells, column) in columns.iter().zip(&features) {
        if column.missing == MissingRule::Mean && (0..places.len()).all(|row| cells.is_missing(row)) {
            return Err(TableError::AllMissing {
                file: file.to_owned(),
                column: column.name.clone(),
            });
        }
    }
    Ok(encoded)
}

/// A level or class by its text; where both are numbers, by their value, so that `1` finds `1.0`.
fn position(names: &[String], text: &str) -> Option<usize> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    names.iter().position(|name| name == text).or_else(|| {
        let wanted = number(text)?;
        names.iter().position(|name| number(name) == Some(wanted))
    })
}

fn label(file: &str, data: &DataSection, cells: &Cells, row: usize, place: Place) -> Result<u32, TableError> {
    let unknown = |found: String, expected: String| TableError::UnknownLabel {
        file: file.to_owned(),
        place: place.to_string(),
        column: data.label.column.clone(),
        found,
        expected,
    };
    match (cells, &data.label.test) {
        (Cells::Numbers(numbers), Some(LabelTest::Number(comparison, than))) => {
            let (number, than) = (numbers[row].unwrap_or(f64::NAN), than.get());
            Ok(u32::from(match comparison {
                Comparison::Above => number > than,
                Comparison::AtLeast => number >= than,
                Comparison::Below => number < than,
                Comparison::AtMost => number <= than,
                Comparison::Equal => number == than,
                Comparison::NotEqual => number != than,
            }))
        }
        (Cells::Texts(texts), Some(LabelTest::Text(equal, text))) => {
            Ok(u32::from((texts[row].as_deref() == Some(text)) == *equal))
        }
        (Cells::Numbers(numbers), _) => match numbers[row] {
            Some(0.0) => Ok(0),
            Some(1.0) => Ok(1),
            other => Err(unknown(
                other.unwrap_or(f64::NAN).to_string(),
                "0 or 1".to_owned(),
            )),
        },
        (Cells::Texts(texts), _) => {
            let text = texts[row].as_deref().unwrap_or("");
            let class = position(&data.classes, text).and_then(|class| u32::try_from(class).ok());
            class.ok_or_else(|| unknown(text.to_owned(), format!("one of {}", data.classes.join(", "))))
        }
    }
}

impl Cells {
    fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(numbers) => numbers[row].is_none(),
            Self::Texts(texts) => texts[row].is_none(),
        }
    }
}

impl Encoded {
    /// Puts the mean of the given rows where a number is missing; 0 where none of them has one.
    pub(super) fn fill_missing(&mut self, rows: &[u32]) {
        for input in 0..self.inputs {
            if !self
                .features
                .iter()
                .skip(input)
                .step_by(self.inputs)
                .any(|value| value.is_nan())
            {
                continue;
            }
            let (mut sum, mut count) = (0.0, 0.0);
            for row in rows {
                let value = self.features[*row as usize * self.inputs + input];
                if !value.is_nan() {
                    sum += value;
                    count += 1.0;
                }
            }
            let mean = if count > 0.0 { sum / count } else { 0.0 };
            for value in self.features.iter_mut().skip(input).step_by(self.inputs) {
                if value.is_nan() {
                    *value = mean;
                }
            }
        }
    }

    /// The given rows, scaled, as a matrix.
    pub(super) fn dataset(&self, rows: &[u32], scaling: Option<&Scaling>) -> Result<Dataset, TableError> {
        let mut features = Vec::with_capacity(rows.len() * self.inputs);
        let mut labels = Vec::with_capacity(rows.len());
        for row in rows {
            let row = *row as usize;
            let values = &self.features[row * self.inputs..][..self.inputs];
            match scaling {
                Some(scaling) => features.extend(scaling.apply(values)),
                None => features.extend(values.iter().map(|value| *value as f32)),
            }
            labels.push(self.labels[row]);
        }
        Dataset::new(self.inputs, features, labels)
    }
}

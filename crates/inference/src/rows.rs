//! Rows of real inputs, from CSV.

use std::io::Read;

/// Most rows read from one file.
pub const MOST_ROWS: usize = 1 << 20;
/// Most numbers read from one file, labels not counted.
pub const MOST_VALUES: usize = 1 << 27;

/// Rows of real inputs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// Names of the columns, label not counted; empty without a header.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<f64>>,
    /// The label of each row, if there is such a column.
    pub labels: Option<Vec<String>>,
}

/// Why rows could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Not CSV, or lines of different lengths.
    #[error("the rows cannot be read")]
    Csv(#[source] csv::Error),
    /// No column of this name.
    #[error("there is no column \"{column}\"; a label needs a header line")]
    Column {
        /// The name.
        column: String,
    },
    /// Something that is not a finite number.
    #[error("line {line}: \"{text}\" in column {column} is not a finite number")]
    Number {
        /// Counted from 1.
        line: u64,
        /// Counted from 1.
        column: usize,
        /// What is there.
        text: String,
    },
    /// Too many rows or numbers.
    #[error("there are more than {MOST_ROWS} rows or {MOST_VALUES} numbers")]
    TooMany,
}

impl Table {
    /// Reads CSV. A first line that is not all numbers is a header. The label is in the column named; without a name, in one
    /// that is called `label`, if there is one.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn read(csv: impl Read, label: Option<&str>) -> Result<Self, TableError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(csv);
        let mut table = Self::default();
        let mut label_at = None;
        let mut values = 0;
        for (index, record) in reader.records().enumerate() {
            let record = record.map_err(TableError::Csv)?;
            if index == 0 {
                if record.iter().any(|text| text.parse::<f64>().is_err()) {
                    let name = label.unwrap_or("label");
                    label_at = record.iter().position(|column| column == name);
                    let columns = record.iter().enumerate().filter(|(at, _)| Some(*at) != label_at);
                    table.columns = columns.map(|(_, column)| column.to_owned()).collect();
                }
                if let (Some(label), None) = (label, label_at) {
                    return Err(TableError::Column {
                        column: label.to_owned(),
                    });
                }
                table.labels = label_at.map(|_| Vec::new());
                if !table.columns.is_empty() {
                    continue;
                }
            }
            values += record.len();
            if table.rows.len() >= MOST_ROWS || values > MOST_VALUES {
                return Err(TableError::TooMany);
            }
            let mut row = Vec::with_capacity(record.len());
            for (at, text) in record.iter().enumerate() {
                if Some(at) == label_at {
                    table.labels.get_or_insert_default().push(text.to_owned());
                    continue;
                }
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                row.push(number.ok_or_else(|| TableError::Number {
                    line: record.position().map_or(0, csv::Position::line),
                    column: at + 1,
                    text: text.to_owned(),
                })?);
            }
            table.rows.push(row);
        }
        Ok(table)
    }

    /// The rows with the columns in the order of `names`, whatever else there is.
    ///
    /// # Errors
    /// [`TableError::Column`] for the first name that is no column.
    pub fn select(&self, names: &[String]) -> Result<Vec<Vec<f64>>, TableError> {
        let at = |name: &String| {
            self.columns
                .iter()
                .position(|column| column == name)
                .ok_or_else(|| TableError::Column { column: name.clone() })
        };
        let places = names.iter().map(at).collect::<Result<Vec<_>, _>>()?;
        Ok(self
            .rows
            .iter()
            .map(|row| places.iter().map(|at| row[*at]).collect())
            .collect())
    }

    /// Labels as classes: positions in `names`, or the numbers that they are. Nothing if there are none, or one is neither.
    #[must_use]
    pub fn classes(&self, names: &[String]) -> Option<Vec<usize>> {
        let class = |label: &String| {
            names
                .iter()
                .position(|name| name == label)
                .or_else(|| label.parse().ok())
        };
        self.labels.as_ref()?.iter().map(class).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_header_and_label() {
        let table = Table::read("a, label, b\n1, yes, 2.5\n-3, no, 1e2\n".as_bytes(), None).unwrap();
        assert_eq!(table.columns, ["a", "b"]);
        assert_eq!(table.rows, [[1.0, 2.5], [-3.0, 100.0]]);
        let names = ["no".to_owned(), "yes".to_owned()];
        assert_eq!(table.classes(&names).unwrap(), [1, 0]);
        assert_eq!(table.select(&["b".to_owned()]).unwrap(), [[2.5], [100.0]]);
        let bare = Table::read("1,2\n3,4\n".as_bytes(), None).unwrap();
        assert_eq!((bare.rows.len(), bare.labels), (2, None));
    }

    #[test]
    fn names_what_is_wrong() {
        let message = |text: &str, label| Table::read(text.as_bytes(), label).unwrap_err().to_string();
        assert_eq!(
            message("a,b\n1,x\n", None),
            "line 2: \"x\" in column 2 is not a finite number"
        );
        assert_eq!(
            message("1,inf\n", None),
            "line 1: \"inf\" in column 2 is not a finite number"
        );
        assert!(message("1,2\n", Some("y")).contains("no column \"y\""));
        assert_eq!(message("1,2\n3\n", None), "the rows cannot be read");
    }
}

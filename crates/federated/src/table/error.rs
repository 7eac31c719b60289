//! What can be wrong with a file.

/// Why a file is not the table that the study asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are what the messages print")]
pub enum TableError {
    /// No row after the header.
    #[error("{file} has no rows")]
    Empty { file: String },
    /// Every row was left out.
    #[error("{file} has no row without a missing value: all {dropped} were left out")]
    NothingLeft { file: String, dropped: usize },
    /// A column that the study reads is not there.
    #[error("{file} has no column \"{column}\"; it has {found}")]
    MissingColumn {
        file: String,
        column: String,
        found: String,
    },
    /// Two columns of the same name, one of which the study reads.
    #[error("{file} has two columns \"{column}\"")]
    DuplicateColumn { file: String, column: String },
    /// A row with fewer or more values than the others.
    #[error("{file}, {place}: {got} values, expected {expected}")]
    Ragged {
        file: String,
        place: String,
        expected: u64,
        got: u64,
    },
    /// Something else than a finite number.
    #[error("{file}, {place}, column \"{column}\": found \"{found}\", expected a finite number")]
    NotANumber {
        file: String,
        place: String,
        column: String,
        found: String,
    },
    /// A value that the study does not list.
    #[error("{file}, {place}, column \"{column}\": found \"{found}\", expected one of {expected}")]
    UnknownLevel {
        file: String,
        place: String,
        column: String,
        found: String,
        expected: String,
    },
    /// A value is missing where the study refuses that.
    #[error("{file}, {place}, column \"{column}\": the value is missing")]
    Missing {
        file: String,
        place: String,
        column: String,
    },
    /// No row has a value from which a mean could be taken.
    #[error("{file}, column \"{column}\": every value is missing")]
    AllMissing { file: String, column: String },
    /// A label that is none of the classes.
    #[error("{file}, {place}, column \"{column}\": found \"{found}\", expected {expected}")]
    UnknownLabel {
        file: String,
        place: String,
        column: String,
        found: String,
        expected: String,
    },
    /// A column of another type than numbers or text.
    #[error("{file}, column \"{column}\": found {found}, expected numbers or text")]
    ColumnType {
        file: String,
        column: String,
        found: String,
    },
    /// Not a file of its format.
    #[error("{file}, {place}: {problem}")]
    Unreadable {
        file: String,
        place: String,
        problem: String,
    },
    /// Beyond what is read.
    #[error("{file} has more than {limit} {what}")]
    TooLarge {
        file: String,
        what: &'static str,
        limit: usize,
    },
    /// Parquet was left out when this program was built.
    #[error("{file} is a Parquet file, and this build reads only CSV: build with the feature \"parquet\"")]
    ParquetNotBuilt { file: String },
    /// A hold-out in another format than CSV.
    #[error("the hold-out {file} must be a CSV file")]
    HoldoutFormat { file: String },
    /// The study scales by a hold-out that was not given.
    #[error("the study scales numbers by the hold-out, and there is none")]
    HoldoutNeeded,
    /// Values that do not fill whole rows.
    #[error("{values} values are not {rows} rows of {inputs}")]
    Shape {
        inputs: usize,
        values: usize,
        rows: usize,
    },
    /// A number too large for `f32`.
    #[error("input {input} of row {row}, counted from 0, is not a finite number once scaled")]
    NotFinite { row: usize, input: usize },
}

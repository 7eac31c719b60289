//! Reading CSV.

use std::collections::BTreeMap;

use super::{
    MOST_ROWS, TableError,
    encode::{Cells, Kind, Place, Table, Wanted},
};
use crate::study::schema::DataSection;

pub(super) fn read(
    file: &str,
    bytes: &[u8],
    data: &DataSection,
    wanted: &Wanted,
) -> Result<Table, TableError> {
    let unreadable = |error: &csv::Error| unreadable(file, error);
    let mut delimiter = [0; 4];
    let [delimiter] = *data.delimiter.encode_utf8(&mut delimiter).as_bytes() else {
        return Err(TableError::Unreadable {
            file: file.to_owned(),
            place: "delimiter".to_owned(),
            problem: format!("'{}' is not an ASCII character", data.delimiter),
        });
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(data.header)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let names: Vec<String> = if data.header {
        let header = reader.headers().map_err(|error| unreadable(&error))?;
        header.iter().map(str::to_owned).collect()
    } else {
        data.columns.iter().map(|column| column.name.clone()).collect()
    };
    let columns = find(file, &names, wanted)?;
    let mut cells: Vec<Cells> = wanted
        .columns
        .iter()
        .map(|(_, kind)| match kind {
            Kind::Number => Cells::Numbers(Vec::new()),
            Kind::Text => Cells::Texts(Vec::new()),
        })
        .collect();
    let mut places = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| unreadable(&error))?
    {
        let place = Place::Line(record.position().map_or(0, csv::Position::line));
        if record.len() != names.len() {
            return Err(TableError::Ragged {
                file: file.to_owned(),
                place: place.to_string(),
                expected: names.len() as u64,
                got: record.len() as u64,
            });
        }
        if places.len() == MOST_ROWS {
            return Err(TableError::TooLarge {
                file: file.to_owned(),
                what: "rows",
                limit: MOST_ROWS,
            });
        }
        places.push(place);
        for ((at, cells), (name, _)) in columns.iter().zip(&mut cells).zip(&wanted.columns) {
            let text = &record[*at];
            let text = (!data.missing.iter().any(|missing| missing == text)).then_some(text);
            match cells {
                Cells::Texts(texts) => texts.push(text.map(str::to_owned)),
                Cells::Numbers(numbers) => numbers.push(match text {
                    None => None,
                    // `f64` reads "NaN" and "inf" too.
                    Some(text) => match text.parse::<f64>() {
                        Ok(number) if number.is_finite() => Some(number),
                        _ => {
                            return Err(TableError::NotANumber {
                                file: file.to_owned(),
                                place: place.to_string(),
                                column: name.clone(),
                                found: text.to_owned(),
                            });
                        }
                    },
                }),
            }
        }
    }
    Ok(Table {
        columns: cells,
        places,
    })
}

/// Where each column asked for is.
pub(super) fn find(file: &str, names: &[String], wanted: &Wanted) -> Result<Vec<usize>, TableError> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, name) in names.iter().enumerate() {
        places.entry(name).or_default().push(at);
    }
    if names.iter().all(String::is_empty) {
        return Err(TableError::Empty {
            file: file.to_owned(),
        });
    }
    wanted
        .columns
        .iter()
        .map(|(name, _)| match places.get(name.as_str()).map(Vec::as_slice) {
            Some([at]) => Ok(*at),
            Some(_) => Err(TableError::DuplicateColumn {
                file: file.to_owned(),
                column: name.clone(),
            }),
            None => Err(TableError::MissingColumn {
                file: file.to_owned(),
                column: name.clone(),
                found: names.join(", "),
            }),
        })
        .collect()
}

fn unreadable(file: &str, error: &csv::Error) -> TableError {
    let file = file.to_owned();
    let place = |position: Option<&csv::Position>| {
        position.map_or("start".to_owned(), |position| format!("line {}", position.line()))
    };
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => TableError::Ragged {
            file,
            place: place(pos.as_ref()),
            expected: *expected_len,
            got: *len,
        },
        csv::ErrorKind::Utf8 { pos, .. } => TableError::Unreadable {
            file,
            place: place(pos.as_ref()),
            problem: "not UTF-8 text".to_owned(),
        },
        _ => TableError::Unreadable {
            file,
            place: place(error.position()),
            problem: error.to_string(),
        },
    }
}

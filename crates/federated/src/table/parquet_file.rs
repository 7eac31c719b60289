//! Reading Apache Parquet: flat columns, plain or compressed with Snappy.

use bytes::Bytes;
use parquet::{
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};

use super::{
    MOST_ROWS, TableError, csv_file,
    encode::{Cells, Kind, Place, Table, Wanted},
};
use crate::study::schema::DataSection;

pub(super) fn read(
    file: &str,
    bytes: &[u8],
    data: &DataSection,
    wanted: &Wanted,
) -> Result<Table, TableError> {
    let unreadable = |place: String| {
        move |error: ParquetError| TableError::Unreadable {
            file: file.to_owned(),
            place,
            problem: error.to_string(),
        }
    };
    let start = || unreadable("start".to_owned());
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(bytes)).map_err(start())?;
    let metadata = reader.metadata().file_metadata();
    if usize::try_from(metadata.num_rows()).map_or(true, |rows| rows > MOST_ROWS) {
        return Err(TableError::TooLarge {
            file: file.to_owned(),
            what: "rows",
            limit: MOST_ROWS,
        });
    }
    let names: Vec<String> = metadata
        .schema_descr()
        .root_schema()
        .get_fields()
        .iter()
        .map(|field| field.name().to_owned())
        .collect();
    let columns = csv_file::find(file, &names, wanted)?;
    let mut cells: Vec<Cells> = wanted
        .columns
        .iter()
        .map(|(_, kind)| match kind {
            Kind::Number => Cells::Numbers(Vec::new()),
            Kind::Text => Cells::Texts(Vec::new()),
        })
        .collect();
    let mut places = Vec::new();
    for (row, number) in reader.get_row_iter(None).map_err(start())?.zip(1..) {
        let place = Place::Row(number);
        let row = row.map_err(unreadable(place.to_string()))?;
        if places.len() == MOST_ROWS {
            return Err(TableError::TooLarge {
                file: file.to_owned(),
                what: "rows",
                limit: MOST_ROWS,
            });
        }
        places.push(place);
        let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        for ((at, cells), (name, _)) in columns.iter().zip(&mut cells).zip(&wanted.columns) {
            let field = fields.get(*at).copied().unwrap_or(&Field::Null);
            push(cells, field, data).map_err(|problem| match problem {
                Problem::NotANumber(found) => TableError::NotANumber {
                    file: file.to_owned(),
                    place: place.to_string(),
                    column: name.clone(),
                    found,
                },
                Problem::Type(found) => TableError::ColumnType {
                    file: file.to_owned(),
                    column: name.clone(),
                    found,
                },
            })?;
        }
    }
    Ok(Table {
        columns: cells,
        places,
    })
}

enum Problem {
    NotANumber(String),
    Type(String),
}

fn push(cells: &mut Cells, field: &Field, data: &DataSection) -> Result<(), Problem> {
    let is_missing = |text: &str| data.missing.iter().any(|missing| missing == text);
    match cells {
        Cells::Texts(texts) => texts.push(match field {
            Field::Null => None,
            Field::Str(text) if is_missing(text) => None,
            Field::Str(text) => Some(text.clone()),
            Field::Bool(yes) => Some(yes.to_string()),
            other => Some(number(other)?.to_string()),
        }),
        Cells::Numbers(numbers) => numbers.push(match field {
            Field::Null => None,
            Field::Str(text) if is_missing(text) => None,
            Field::Str(text) => Some(text.parse().map_err(|_| Problem::NotANumber(text.clone()))?),
            other => Some(number(other)?),
        }),
    }
    match cells {
        Cells::Numbers(numbers) => match numbers.last() {
            Some(Some(number)) if !number.is_finite() => Err(Problem::NotANumber(number.to_string())),
            _ => Ok(()),
        },
        Cells::Texts(_) => Ok(()),
    }
}

fn number(field: &Field) -> Result<f64, Problem> {
    Ok(match field {
        Field::Bool(yes) => f64::from(u8::from(*yes)),
        Field::Byte(number) => (*number).into(),
        Field::Short(number) => (*number).into(),
        Field::Int(number) => (*number).into(),
        Field::Long(number) => *number as f64,
        Field::UByte(number) => (*number).into(),
        Field::UShort(number) => (*number).into(),
        Field::UInt(number) => (*number).into(),
        Field::ULong(number) => *number as f64,
        Field::Float(number) => (*number).into(),
        Field::Double(number) => *number,
        Field::Null | Field::Bytes(_) => return Err(Problem::Type("bytes".to_owned())),
        Field::Date(_) | Field::TimestampMillis(_) | Field::TimestampMicros(_) => {
            return Err(Problem::Type("a time".to_owned()));
        }
        _ => return Err(Problem::Type("a nested or exotic type".to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::{
        data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };

    use super::super::{Source, member_rows};
    use super::*;
    use crate::study::FileFormat;

    /// Three rows; the second has no age.
    fn file(ages: [f64; 2]) -> Vec<u8> {
        let schema =
            "message table { optional double age; required int32 num; required binary kind (UTF8); }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY);
        let mut bytes = Vec::new();
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties.build())).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<DoubleType>()
            .write_batch(&ages, Some(&[1, 0, 1]), None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column
            .typed::<Int32Type>()
            .write_batch(&[0, 1, 2], None, None)
            .unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let kinds = ["a", "b", "a"].map(ByteArray::from);
        column
            .typed::<ByteArrayType>()
            .write_batch(&kinds, None, None)
            .unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        bytes
    }

    fn read_file(bytes: &[u8], columns: &str) -> Result<super::super::MemberRows, TableError> {
        let data: DataSection = toml::from_str(&format!(
            "columns = [{columns}]\nlabel = \"num > 0\"\nstandardise = \"none\"\n"
        ))
        .unwrap();
        let source = Source {
            name: "clinic.parquet",
            bytes,
            format: FileFormat::Parquet,
        };
        member_rows(source, &data, None, 1)
    }

    #[test]
    fn reads_numbers_texts_and_what_is_missing() {
        let columns = "{ name = \"kind\", levels = [\"a\", \"b\"] }, { name = \"age\", missing = \"mean\" }";
        let rows = read_file(&file([40.0, 60.0]), columns).unwrap().train;
        assert_eq!(rows.features(), [1.0, 0.0, 40.0, 0.0, 1.0, 50.0, 1.0, 0.0, 60.0]);
        assert_eq!(rows.labels(), [0, 1, 1]);
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let message = |bytes: &[u8], columns| read_file(bytes, columns).unwrap_err().to_string();
        assert_eq!(
            message(&file([40.0, f64::NAN]), "\"age\""),
            "clinic.parquet, row 3, column \"age\": found \"NaN\", expected a finite number"
        );
        assert_eq!(
            message(&file([40.0, 60.0]), "\"kind\""),
            "clinic.parquet, row 1, column \"kind\": found \"a\", expected a finite number"
        );
        assert_eq!(
            message(&file([40.0, 60.0]), "\"weight\""),
            "clinic.parquet has no column \"weight\"; it has age, num, kind"
        );
        assert!(message(b"age,num\n1,1\n", "\"age\"").starts_with("clinic.parquet, start: "));
    }
}

//! A row to ask a network about: a JSON list of numbers, or an object with one number for each feature.

use std::path::Path;

use counterweight_inference::{Card, QuantisedRow};
use serde_json::Value;

use super::read_file;
use crate::{
    error::{CliError, Code},
    nearest::nearest,
};

/// Largest row file: 2^20 numbers of 32 characters.
const MOST_ROW_BYTES: u64 = 1 << 25;

/// Reads a row from a file, `-` for standard input, and quantises it.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::InputUnfit`].
pub(crate) fn read_row(file: &Path, card: &Card) -> Result<QuantisedRow, CliError> {
    let bytes = read_file(file, MOST_ROW_BYTES)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        CliError::new(Code::InputUnfit, format!("{} is not JSON", file.display()))
            .fact("place", error.to_string())
            .fix("write a list of numbers, or an object with one number for each feature")
    })?;
    let numbers = numbers(&value, &card.metadata().features)?;
    card.quantise(&numbers).map_err(|error| {
        CliError::new(Code::InputUnfit, "the row does not fit the network")
            .why(error.to_string())
            .fix("give as many numbers as the network reads; cw model show says which")
    })
}

fn numbers(value: &Value, features: &[String]) -> Result<Vec<f64>, CliError> {
    let number = |name: &str, value: &Value| {
        value.as_f64().ok_or_else(|| {
            CliError::new(Code::InputUnfit, format!("{name} is not a number"))
                .fact("found", value.to_string())
                .fix("encode names and categories as the model was trained with")
        })
    };
    match value {
        Value::Array(values) => values
            .iter()
            .enumerate()
            .map(|(index, value)| number(&format!("value {index}"), value))
            .collect(),
        Value::Object(members) if !features.is_empty() => {
            if let Some(unknown) = members.keys().find(|name| !features.contains(name)) {
                let error = CliError::new(
                    Code::InputUnfit,
                    format!("the network has no feature \"{unknown}\""),
                );
                let error = match nearest(unknown, features.iter().map(String::as_str)) {
                    Some(near) => error.fact("nearest", near),
                    None => error,
                };
                return Err(error.fix("leave it out, or correct its name"));
            }
            let one = |feature: &String| match members.get(feature) {
                Some(value) => number(feature, value),
                None => Err(
                    CliError::new(Code::InputUnfit, format!("the row has no \"{feature}\""))
                        .why("a network reads every one of its features")
                        .fix(format!("add \"{feature}\" to the row")),
                ),
            };
            features.iter().map(one).collect()
        }
        Value::Object(_) => Err(
            CliError::new(Code::InputUnfit, "this network's inputs have no names")
                .fix("write the row as a list of numbers"),
        ),
        _ => Err(
            CliError::new(Code::InputUnfit, "the row is neither a list nor an object")
                .fix("write a list of numbers, or an object with one number for each feature"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_come_as_lists_or_by_name() {
        let features = ["age".to_owned(), "size".to_owned()];
        assert_eq!(numbers(&json!([1, 2.5]), &[]).unwrap(), [1.0, 2.5]);
        assert_eq!(
            numbers(&json!({"size": 2.5, "age": 1}), &features).unwrap(),
            [1.0, 2.5]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let features = ["age".to_owned(), "size".to_owned()];
        let told =
            |value: Value, features: &[String]| numbers(&value, features).unwrap_err().message().to_owned();
        assert_eq!(told(json!({"age": 1}), &features), "the row has no \"size\"");
        assert_eq!(
            told(json!({"age": 1, "sise": 2}), &features),
            "the network has no feature \"sise\""
        );
        assert_eq!(told(json!([1, "x"]), &features), "value 1 is not a number");
        assert_eq!(
            told(json!({"age": 1}), &[]),
            "this network's inputs have no names"
        );
        assert_eq!(
            told(json!(3), &features),
            "the row is neither a list nor an object"
        );
    }
}

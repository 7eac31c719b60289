//! How a file becomes numbers: columns, labels, missing values, scaling.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::decimal::Decimal;

/// `[data]`: the same for every member, so that all models have one shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DataSection {
    /// Whether the first line of a CSV file names its columns. Without it, `columns` lists all of them in order.
    #[serde(default = "yes")]
    pub header: bool,
    /// Between values of a CSV file.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// Texts that stand for a missing value.
    #[serde(default = "missing_texts")]
    pub missing: Vec<String>,
    /// The columns that are read. A bare name is a number.
    pub columns: Vec<Column>,
    /// What is predicted: `num > 0`, `diagnosis = M`, or a column alone.
    pub label: LabelRule,
    /// The classes, where there are more than two: the label column's values in the order of the model's outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Whose mean and deviation scale the numbers.
    #[serde(default)]
    pub standardise: Standardise,
    /// Part of each member's rows that it keeps for its own test, 0 to 0.9.
    #[serde(default)]
    pub test_fraction: Decimal,
}

impl Default for DataSection {
    /// Files that are not read here.
    fn default() -> Self {
        Self {
            header: yes(),
            delimiter: comma(),
            missing: missing_texts(),
            columns: Vec::new(),
            label: LabelRule {
                column: "none".to_owned(),
                test: None,
            },
            classes: Vec::new(),
            standardise: Standardise::None,
            test_fraction: Decimal::default(),
        }
    }
}

/// Whose mean and deviation scale number columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standardise {
    /// Each member's own training rows; nothing about them leaves the member. The hold-out goes by its own.
    #[default]
    Member,
    /// The hold-out's, the same for everyone.
    Holdout,
    /// None: numbers are taken as they are.
    None,
}

/// A column that is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its values, in order, where they are names rather than numbers.
    pub levels: Option<Vec<String>>,
    /// Leaves out the first level's input, which the others imply.
    pub drop_first: bool,
    /// What to do where a value is missing.
    pub missing: MissingRule,
}

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An input of the model.
    #[default]
    Feature,
    /// What the label is made from.
    Label,
    /// Not read; listed where there is no header.
    Ignore,
}

/// What to do where a value is missing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum MissingRule {
    /// Leave the row out.
    #[default]
    DropRow,
    /// The mean of the rows that have it: training rows of the same member.
    Mean,
    /// This number. For levels: none of them.
    Constant(Decimal),
    /// Refuse the file.
    Refuse,
}

/// `column`, `column > 0`, `column = text`.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelRule {
    /// The column.
    pub column: String,
    /// When the label is yes; none for a column that holds 0 and 1, or classes.
    pub test: Option<LabelTest>,
}

/// When a label is yes.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelTest {
    /// Compared as numbers.
    Number(Comparison, Decimal),
    /// Compared as text; `true` for equal.
    Text(bool, String),
}

/// How numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
    NotEqual,
}

fn yes() -> bool {
    true
}
fn comma() -> char {
    ','
}
fn missing_texts() -> Vec<String> {
    vec![String::new(), "?".to_owned()]
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ColumnTable {
    name: String,
    #[serde(default)]
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    levels: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    drop_first: bool,
    #[serde(default)]
    missing: MissingRule,
}

impl Column {
    /// A number that is read as it is.
    #[must_use]
    pub fn number(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            role: Role::Feature,
            levels: None,
            drop_first: false,
            missing: MissingRule::DropRow,
        }
    }

    /// How many inputs of the model it becomes.
    #[must_use]
    pub fn inputs(&self) -> usize {
        match (self.role, &self.levels) {
            (Role::Feature, None) => 1,
            (Role::Feature, Some(levels)) => levels.len().saturating_sub(usize::from(self.drop_first)),
            _ => 0,
        }
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ColumnTable {
            name: self.name.clone(),
            role: self.role,
            levels: self.levels.clone(),
            drop_first: self.drop_first,
            missing: self.missing,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Column;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a column's name, or a table that describes it")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Column, E> {
                Ok(Column::number(name))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Column, A::Error> {
                let table = ColumnTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Column {
                    name: table.name,
                    role: table.role,
                    levels: table.levels,
                    drop_first: table.drop_first,
                    missing: table.missing,
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for MissingRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::DropRow => serializer.serialize_str("drop-row"),
            Self::Mean => serializer.serialize_str("mean"),
            Self::Refuse => serializer.serialize_str("refuse"),
            Self::Constant(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for MissingRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = MissingRule;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"drop-row\", \"mean\", \"refuse\" or a number to use instead")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<MissingRule, E> {
                match text {
                    "drop-row" => Ok(MissingRule::DropRow),
                    "mean" => Ok(MissingRule::Mean),
                    "refuse" => Ok(MissingRule::Refuse),
                    other => other
                        .parse()
                        .map(MissingRule::Constant)
                        .map_err(|_| E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<MissingRule, E> {
                Decimal::new(value).map(MissingRule::Constant).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<MissingRule, E> {
                self.visit_f64(value as f64)
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<MissingRule, E> {
                self.visit_f64(value as f64)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

const COMPARISONS: [(&str, Comparison); 6] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    ("!=", Comparison::NotEqual),
    (">", Comparison::Above),
    ("<", Comparison::Below),
    ("=", Comparison::Equal),
];

impl std::str::FromStr for LabelRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse =
            || format!("\"{text}\" is not a label rule: write `column`, `column > 0` or `column = text`");
        let found = COMPARISONS
            .iter()
            .filter_map(|(sign, comparison)| text.find(sign).map(|at| (at, *sign, *comparison)))
            // The longer sign at the same place comes first in the list and so wins.
            .min_by_key(|(at, ..)| *at);
        let Some((at, sign, comparison)) = found else {
            let column = text.trim().to_owned();
            return if column.is_empty() {
                Err(refuse())
            } else {
                Ok(Self { column, test: None })
            };
        };
        let (column, value) = (text[..at].trim(), text[at + sign.len()..].trim());
        if column.is_empty() || value.is_empty() {
            return Err(refuse());
        }
        let test = match (comparison, value.parse()) {
            (_, Ok(number)) => LabelTest::Number(comparison, number),
            (Comparison::Equal, Err(_)) => LabelTest::Text(true, value.to_owned()),
            (Comparison::NotEqual, Err(_)) => LabelTest::Text(false, value.to_owned()),
            _ => return Err(refuse()),
        };
        Ok(Self {
            column: column.to_owned(),
            test: Some(test),
        })
    }
}

impl fmt::Display for LabelRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = |wanted: Comparison| {
            COMPARISONS
                .iter()
                .find(|(_, c)| *c == wanted)
                .map_or("", |(sign, _)| *sign)
        };
        match &self.test {
            None => f.write_str(&self.column),
            Some(LabelTest::Number(comparison, number)) => {
                write!(f, "{} {} {number}", self.column, sign(*comparison))
            }
            Some(LabelTest::Text(equal, text)) => {
                write!(f, "{} {} {text}", self.column, if *equal { "=" } else { "!=" })
            }
        }
    }
}

impl Serialize for LabelRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LabelRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

//! Values of fields, and the one sequence of bytes that each is committed to and sealed as.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest text of a field.
pub const MOST_TEXT: usize = 1 << 20;

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: the field is there and empty, so that the number of fields says nothing.
    Null,
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number. Finite.
    Number(f64),
    /// Text.
    Text(String),
}

/// What a field may hold, besides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// Yes or no.
    Boolean,
    /// A whole number.
    Integer,
    /// A finite number.
    Number,
    /// Text of at most 1 MiB.
    Text,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "text",
        })
    }
}

/// Bytes of a value, without a copy of a text.
pub(super) enum ValueBytes<'a> {
    Short([u8; 8], usize),
    Text(&'a [u8]),
}

impl ValueBytes<'_> {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short(bytes, length) => bytes.get(..*length).unwrap_or_default(),
            Self::Text(bytes) => bytes,
        }
    }
}

impl Value {
    /// Whether a field of a type may hold it.
    #[must_use]
    pub fn is_of(&self, kind: ValueType) -> bool {
        match self {
            Self::Null => true,
            Self::Boolean(_) => kind == ValueType::Boolean,
            Self::Integer(_) => kind == ValueType::Integer,
            Self::Number(number) => kind == ValueType::Number && number.is_finite(),
            Self::Text(text) => kind == ValueType::Text && text.len() <= MOST_TEXT,
        }
    }

    /// Byte that stands for what it is.
    pub(super) fn tag(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::Integer(_) => 2,
            Self::Number(_) => 3,
            Self::Text(_) => 4,
        }
    }

    pub(super) fn bytes(&self) -> ValueBytes<'_> {
        match self {
            Self::Null => ValueBytes::Short([0; 8], 0),
            Self::Boolean(value) => ValueBytes::Short([u8::from(*value), 0, 0, 0, 0, 0, 0, 0], 1),
            Self::Integer(value) => ValueBytes::Short(value.to_be_bytes(), 8),
            Self::Number(value) => ValueBytes::Short(value.to_bits().to_be_bytes(), 8),
            Self::Text(text) => ValueBytes::Text(text.as_bytes()),
        }
    }

    /// Appends the sealed form: tag, length of a text in four bytes, bytes.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        if let Self::Text(text) = self {
            // A checked text has at most 1 MiB.
            out.extend((text.len() as u32).to_be_bytes());
        }
        out.extend(self.bytes().as_slice());
    }

    /// Reads the sealed form; gives what follows.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (tag, rest) = bytes.split_first()?;
        Some(match tag {
            0 => (Self::Null, rest),
            1 => {
                let (value, rest) = rest.split_first()?;
                (
                    Self::Boolean(match value {
                        0 => false,
                        1 => true,
                        _ => return None,
                    }),
                    rest,
                )
            }
            2 => {
                let (value, rest) = rest.split_first_chunk()?;
                (Self::Integer(i64::from_be_bytes(*value)), rest)
            }
            3 => {
                let (value, rest) = rest.split_first_chunk()?;
                (Self::Number(f64::from_bits(u64::from_be_bytes(*value))), rest)
            }
            4 => {
                let (length, rest) = rest.split_first_chunk()?;
                let (text, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
                (Self::Text(String::from_utf8(text.to_vec()).ok()?), rest)
            }
            _ => return None,
        })
    }

    /// As JSON documents of ours hold it: numbers as text, since canonical JSON has no fractions.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Boolean(value) => (*value).into(),
            Self::Integer(value) => value.to_string().into(),
            Self::Number(value) => value.to_string().into(),
            Self::Text(text) => text.as_str().into(),
        }
    }

    /// Reads what [`Value::to_json`] wrote for a field of a type; none for any other form.
    #[must_use]
    pub fn from_json(json: &serde_json::Value, kind: ValueType) -> Option<Self> {
        use serde_json::Value as Json;
        let value = match (json, kind) {
            (Json::Null, _) => Self::Null,
            (Json::Bool(value), ValueType::Boolean) => Self::Boolean(*value),
            (Json::String(text), ValueType::Integer) => Self::Integer(text.parse().ok()?),
            (Json::String(text), ValueType::Number) => Self::Number(text.parse().ok()?),
            (Json::String(text), ValueType::Text) => Self::Text(text.clone()),
            _ => return None,
        };
        (value.is_of(kind) && value.to_json() == *json).then_some(value)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Boolean(value) => fmt::Display::fmt(value, f),
            Self::Integer(value) => fmt::Display::fmt(value, f),
            Self::Number(value) => fmt::Display::fmt(value, f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any value, with a type that may hold it.
    pub(in super::super) fn value() -> impl Strategy<Value = (Value, ValueType)> {
        prop_oneof![
            Just((Value::Null, ValueType::Text)),
            any::<bool>().prop_map(|v| (Value::Boolean(v), ValueType::Boolean)),
            any::<i64>().prop_map(|v| (Value::Integer(v), ValueType::Integer)),
            any::<f64>()
                .prop_filter("finite", |v| v.is_finite())
                .prop_map(|v| (Value::Number(v), ValueType::Number)),
            ".{0,50}".prop_map(|v| (Value::Text(v), ValueType::Text)),
        ]
    }

    proptest! {
        #[test]
        fn values_read_back((value, kind) in value(), after: Vec<u8>) {
            let mut bytes = Vec::new();
            value.write(&mut bytes);
            bytes.extend(&after);
            let (read, rest) = Value::read(&bytes).unwrap();
            // Bits, so that the sign of a zero counts.
            prop_assert_eq!(read.bytes().as_slice().to_vec(), value.bytes().as_slice().to_vec());
            prop_assert_eq!(read.tag(), value.tag());
            prop_assert_eq!(rest, after);
            let json = value.to_json();
            let read = Value::from_json(&json, kind).unwrap();
            prop_assert_eq!(read.bytes().as_slice().to_vec(), value.bytes().as_slice().to_vec());
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = Value::read(&bytes);
        }
    }

    #[test]
    fn what_a_field_may_not_hold_is_told() {
        assert!(!Value::Number(f64::NAN).is_of(ValueType::Number));
        assert!(!Value::Integer(1).is_of(ValueType::Number));
        assert!(!Value::Text("x".repeat(MOST_TEXT + 1)).is_of(ValueType::Text));
        assert!(Value::Null.is_of(ValueType::Boolean));
        for (json, kind) in [
            (serde_json::json!("1.0"), ValueType::Number),
            (serde_json::json!("NaN"), ValueType::Number),
            (serde_json::json!("+1"), ValueType::Integer),
            (serde_json::json!(1), ValueType::Integer),
        ] {
            assert_eq!(Value::from_json(&json, kind), None, "{json}");
        }
    }
}

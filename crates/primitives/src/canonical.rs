//! One sequence of bytes for each JSON value, so that it can be hashed and signed.
//!
//! The encoding is the JSON Canonicalization Scheme of RFC 8785, for documents without fractions: numbers
//! are integers of at most 2^53 - 1 in magnitude (RFC 7493), so that the scheme's hardest part, the printing
//! of floating-point numbers, never arises. Fractions and larger numbers travel as strings.
//! Stored form: `docs/spec/canonical-json.md`.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Largest integer that every JSON reader keeps exactly (RFC 7493, section 2.2).
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// Deepest nesting read.
const DEEPEST: usize = 32;

/// Why a value has no canonical form, or bytes are not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// Not JSON, or not of the type asked for.
    #[error("not a valid document")]
    Json(#[source] serde_json::Error),
    /// A number with a fraction, or beyond 2^53 - 1.
    #[error("{number} is not an integer of at most 2^53 - 1 in magnitude")]
    Number {
        /// The number as JSON prints it.
        number: String,
    },
    /// Nested deeper than 32 levels.
    #[error("nested deeper than 32 levels")]
    TooDeep,
    /// The bytes hold a valid document in another form than the canonical one.
    #[error("byte {offset} differs from the canonical form")]
    NotCanonical {
        /// First byte that differs, counted from 0.
        offset: usize,
    },
    /// Longer than the limit given.
    #[error("{got} bytes, at most {limit} are read")]
    TooLong {
        /// Bytes found.
        got: usize,
        /// Bytes allowed.
        limit: usize,
    },
}

/// The canonical bytes of a value.
///
/// # Errors
/// [`CanonicalError::Json`], [`CanonicalError::Number`] or [`CanonicalError::TooDeep`].
pub fn to_canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value).map_err(CanonicalError::Json)?;
    let mut bytes = Vec::new();
    write(&value, &mut bytes, DEEPEST)?;
    Ok(bytes)
}

/// Reads a value from canonical bytes. Any other form of the same document is refused, so that a digest of
/// the bytes is a digest of the value.
///
/// # Errors
/// Every variant of [`CanonicalError`].
pub fn from_canonical_json<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, CanonicalError> {
    if bytes.len() > limit {
        return Err(CanonicalError::TooLong {
            got: bytes.len(),
            limit,
        });
    }
    let value: Value = serde_json::from_slice(bytes).map_err(CanonicalError::Json)?;
    let mut canonical = Vec::with_capacity(bytes.len());
    write(&value, &mut canonical, DEEPEST)?;
    if canonical != bytes {
        let same = canonical.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        return Err(CanonicalError::NotCanonical { offset: same });
    }
    serde_json::from_value(value).map_err(CanonicalError::Json)
}

fn write(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<(), CanonicalError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(CanonicalError::TooDeep);
    };
    match value {
        Value::Null | Value::Bool(_) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Number(number) => {
            let exact = number.as_i64().is_some_and(|n| n.unsigned_abs() <= LARGEST_EXACT);
            if !exact {
                return Err(CanonicalError::Number {
                    number: number.to_string(),
                });
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::String(text) => write_string(text, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out, depth)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            // RFC 8785, section 3.2.3: names in the order of their UTF-16 code units.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push(b'{');
            for (index, (name, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(name, out)?;
                out.push(b':');
                write(member, out, depth)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// `serde_json` escapes exactly what RFC 8785, section 3.2.2.2, asks for.
fn write_string(text: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    serde_json::to_writer(out, text).map_err(CanonicalError::Json)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-(1_i64 << 53) + 1..1 << 53).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in values()) {
            let bytes = to_canonical_json(&value).unwrap();
            prop_assert_eq!(from_canonical_json::<Value>(&bytes, usize::MAX).unwrap(), value);
        }
    }

    /// The sorting example of RFC 8785, section 3.2.3.
    #[test]
    fn sorts_names_by_utf_16_code_units() {
        let value =
            json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        let text = String::from_utf8(to_canonical_json(&value).unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn refuses_another_form_of_the_same_document() {
        for text in [
            "{\"a\":1, \"b\":2}",
            "{\"b\":2,\"a\":1}",
            "{\"a\":1,\"a\":1}",
            "\"\\u0041\"",
            "1 ",
        ] {
            let read = from_canonical_json::<Value>(text.as_bytes(), 100);
            assert!(matches!(read, Err(CanonicalError::NotCanonical { .. })), "{text}");
        }
    }

    #[test]
    fn refuses_fractions_large_numbers_depth_and_length() {
        for text in ["1.5", "9007199254740992", "18446744073709551615"] {
            let read = from_canonical_json::<Value>(text.as_bytes(), 100);
            assert!(matches!(read, Err(CanonicalError::Number { .. })), "{text}");
        }
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        assert!(matches!(
            from_canonical_json::<Value>(deep.as_bytes(), 100),
            Err(CanonicalError::TooDeep)
        ));
        assert!(matches!(
            from_canonical_json::<Value>(b"123", 2),
            Err(CanonicalError::TooLong { got: 3, limit: 2 })
        ));
    }
}

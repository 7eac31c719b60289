//! Fractions that people write and digests cover.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A finite fraction of a configuration, such as a learning rate.
///
/// Read from a TOML number or a decimal string; written as a decimal string, since canonical documents hold
/// no fractions. The string is the shortest one without an exponent that reads back as the same IEEE 754 double,
/// so a value has one form only.
#[derive(Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Decimal(f64);

/// Why a text or number is not a [`Decimal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a finite decimal number")]
pub struct ParseDecimalError {
    /// What was given.
    pub text: String,
}

impl Decimal {
    /// A finite number; negative zero becomes zero.
    ///
    /// # Errors
    /// [`ParseDecimalError`] for an infinity or NaN.
    pub fn new(value: f64) -> Result<Self, ParseDecimalError> {
        if value.is_finite() {
            Ok(Self(value + 0.0))
        } else {
            Err(ParseDecimalError {
                text: value.to_string(),
            })
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<i32> for Decimal {
    fn from(value: i32) -> Self {
        Self(value.into())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseDecimalError {
            text: text.to_owned(),
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        // `f64` also reads "inf", "nan" and "+1", none of which a document may hold.
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(refuse());
        }
        let value: f64 = text.parse().map_err(|_| refuse())?;
        Self::new(value).map_err(|_| refuse())
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Decimal, E> {
                Decimal::new(value).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Decimal, E> {
                Decimal::new(value as f64).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Decimal, E> {
                Decimal::new(value as f64).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let decimal = Decimal::new(value).unwrap();
            prop_assert_eq!(decimal.to_string().parse::<Decimal>(), Ok(decimal));
        }
    }

    #[test]
    fn a_value_has_one_form() {
        let written: Vec<String> = ["0.10", "1e-3", "-0", "5"]
            .iter()
            .map(|text| text.parse::<Decimal>().unwrap().to_string())
            .collect();
        assert_eq!(written, ["0.1", "0.001", "0", "5"]);
    }

    #[test]
    fn refuses_what_is_not_finite() {
        for text in ["inf", "nan", "-inf", "1e999", "+1", "", "-", "0x1", "1,5"] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }
}

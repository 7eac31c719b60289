//! Fractions in manifests: canonical JSON has none, so they travel as text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest text: the smallest positive `f64` needs more, and no metric does.
const LONGEST: usize = 40;

/// A decimal number with one text for each value: no exponent, no sign on zero, no needless zeros.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal(String);

/// Why a text or number is no [`Decimal`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDecimalError {
    /// Not written the one way.
    #[error("\"{text}\" is not a decimal number in its shortest form of at most 40 characters")]
    Form {
        /// What was given.
        text: String,
    },
    /// Infinite, or no number.
    #[error("{value} is not a finite number")]
    NotFinite {
        /// What was given, as it prints.
        value: String,
    },
}

impl Decimal {
    /// A number rounded half to even at `digits` after the point, at most 15.
    ///
    /// # Errors
    /// [`ParseDecimalError::NotFinite`], or [`ParseDecimalError::Form`] where it has more than 40 characters.
    pub fn rounded(value: f64, digits: u8) -> Result<Self, ParseDecimalError> {
        if !value.is_finite() {
            return Err(ParseDecimalError::NotFinite {
                value: value.to_string(),
            });
        }
        let text = format!("{value:.digits$}", digits = usize::from(digits.min(15)));
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            &text
        };
        if text == "-0" { "0" } else { text }.parse()
    }

    /// Nearest `f64`.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        // Every text of this type is one that `f64` reads.
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, part) = unsigned
            .split_once('.')
            .map_or((unsigned, None), |(whole, part)| (whole, Some(part)));
        let ok = text.len() <= LONGEST
            && digits(whole)
            && (whole == "0" || !whole.starts_with('0'))
            && part.is_none_or(|p| digits(p) && !p.ends_with('0'))
            && text != "-0";
        if ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseDecimalError::Form {
                text: text.to_owned(),
            })
        }
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_value_has_one_text() {
        for text in ["0", "1", "-1", "0.5", "-0.25", "1000", "0.001"] {
            assert_eq!(text.parse::<Decimal>().unwrap().to_string(), text);
        }
        for text in [
            "", "-", "-0", "00", "01", "0.", ".5", "0.50", "1.0", "+1", "1e3", "NaN", "inf", "1,5",
        ] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }

    #[test]
    fn rounds_as_written() {
        let text = |value, digits| Decimal::rounded(value, digits).unwrap().to_string();
        assert_eq!(text(0.956_140_35, 4), "0.9561");
        assert_eq!(text(1.0, 4), "1");
        assert_eq!(text(-0.000_01, 4), "0");
        assert_eq!(text(100.0, 0), "100");
        assert!(Decimal::rounded(f64::NAN, 4).is_err());
        assert!(Decimal::rounded(f64::INFINITY, 4).is_err());
        assert!(Decimal::rounded(1e30, 10).is_ok());
        assert!(Decimal::rounded(1e41, 10).is_err());
    }

    proptest! {
        #[test]
        fn every_rounded_number_reads_back(value in -1e3..1e3, digits in 0_u8..10) {
            let decimal = Decimal::rounded(value, digits).unwrap();
            prop_assert_eq!(decimal.to_string().parse::<Decimal>().unwrap(), decimal.clone());
            prop_assert!((decimal.to_f64() - value).abs() <= 0.500_001 * 10_f64.powi(-i32::from(digits)));
        }
    }
}

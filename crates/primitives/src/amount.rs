//! Amounts of a token in its smallest unit.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount of a token in its smallest unit (wei for ether). The contracts hold amounts in `uint128` too.
/// Written in JSON as a decimal string, since JSON numbers lose digits above 2^53.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(pub u128);

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAmountError {
    /// Something else than digits and at most one point.
    #[error("\"{text}\" is not a decimal number")]
    NotDecimal {
        /// What was given.
        text: String,
    },
    /// More digits after the point than the token has.
    #[error("{got} digits after the point, the token has {decimals}")]
    TooPrecise {
        /// Digits after the point.
        got: usize,
        /// Decimals of the token.
        decimals: u8,
    },
    /// Above 2^128 - 1.
    #[error("the amount is above 2^128 - 1 of the smallest unit")]
    TooLarge,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Reads whole tokens with a decimal point, `1.5`, for a token of `decimals` digits.
    ///
    /// # Errors
    /// Every variant of [`ParseAmountError`].
    pub fn from_tokens(text: &str, decimals: u8) -> Result<Self, ParseAmountError> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || (part.is_empty() && text.contains('.')) {
            return Err(ParseAmountError::NotDecimal {
                text: text.to_owned(),
            });
        }
        if part.len() > usize::from(decimals) {
            return Err(ParseAmountError::TooPrecise {
                got: part.len(),
                decimals,
            });
        }
        let padded = format!("{whole}{part:0<width$}", width = usize::from(decimals));
        padded.parse().map(Self).map_err(|_| ParseAmountError::TooLarge)
    }

    /// Whole tokens with a decimal point and no trailing zeros, for a token of `decimals` digits.
    #[must_use]
    pub fn to_tokens(self, decimals: u8) -> String {
        let width = usize::from(decimals);
        let digits = format!("{:0>width$}", self.0, width = width + 1);
        let (whole, part) = digits.split_at(digits.len() - width);
        match part.trim_end_matches('0') {
            "" => whole.to_owned(),
            part => format!("{whole}.{part}"),
        }
    }

    /// The sum, unless it overflows.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, unless it is negative.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_tokens(text, 0)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_is_no_amount() {
        for text in ["", ".5", "1.", "-1", "1e3", "1,5", "1.2.3"] {
            assert!(
                matches!(
                    Amount::from_tokens(text, 18),
                    Err(ParseAmountError::NotDecimal { .. })
                ),
                "{text}"
            );
        }
        assert_eq!(
            Amount::from_tokens("0.001", 2),
            Err(ParseAmountError::TooPrecise { got: 3, decimals: 2 })
        );
        assert_eq!(
            Amount::from_tokens(&"9".repeat(40), 0),
            Err(ParseAmountError::TooLarge)
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(amount: u128, decimals in 0_u8..=30) {
            let amount = Amount(amount);
            prop_assert_eq!(Amount::from_tokens(&amount.to_tokens(decimals), decimals), Ok(amount));
        }
    }
}

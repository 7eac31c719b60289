//! Parts of a whole, in millionths.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Amount;

/// A part of a whole in millionths, at most the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Ppm(u32);

/// A part was larger than the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{got} millionths is more than the whole")]
pub struct ShareError {
    /// Millionths given.
    pub got: u32,
}

impl Ppm {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// All of it.
    pub const WHOLE: Self = Self(1_000_000);

    /// A number of millionths.
    ///
    /// # Errors
    /// [`ShareError`] above 1,000,000.
    pub fn new(millionths: u32) -> Result<Self, ShareError> {
        if millionths > Self::WHOLE.0 {
            Err(ShareError { got: millionths })
        } else {
            Ok(Self(millionths))
        }
    }

    /// Number of millionths.
    #[must_use]
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// This part of an amount, rounded down.
    #[must_use]
    pub fn of(self, amount: Amount) -> Amount {
        let (whole, rest) = (amount.0 / 1_000_000, amount.0 % 1_000_000);
        Amount(whole * u128::from(self.0) + rest * u128::from(self.0) / 1_000_000)
    }
}

impl TryFrom<u32> for Ppm {
    type Error = ShareError;

    fn try_from(millionths: u32) -> Result<Self, Self::Error> {
        Self::new(millionths)
    }
}

impl From<Ppm> for u32 {
    fn from(share: Ppm) -> Self {
        share.0
    }
}

impl fmt::Display for Ppm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} %", self.0 / 10_000, self.0 % 10_000 / 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_its_part_rounded_down_without_overflow() {
        assert_eq!(Ppm::new(333_333).unwrap().of(Amount(10)), Amount(3));
        assert_eq!(Ppm::WHOLE.of(Amount(u128::MAX)), Amount(u128::MAX));
        assert_eq!(Ppm::new(1_000_001), Err(ShareError { got: 1_000_001 }));
    }
}

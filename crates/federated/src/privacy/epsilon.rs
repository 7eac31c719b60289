//! ε as the ledger keeps it: an integer of millionths, so that two who compute it compare one number.

use serde::{Deserialize, Serialize};

/// Millionths of ε, at the δ of a study's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroEpsilon(pub u64);

/// Millionths in one.
const WHOLE: f64 = 1e6;

impl MicroEpsilon {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The fewest millionths that are at least ε; all there are where none are enough. Of two, the larger ε never gives
    /// the smaller number, so what is within a budget is so in millionths too.
    #[must_use]
    pub fn at_least(epsilon: f64) -> Self {
        // Saturates, and takes NaN for nothing known: everything.
        if epsilon.is_nan() {
            return Self(u64::MAX);
        }
        let above = libm::ceil(epsilon * WHOLE) as u64;
        // The product is rounded: 0.29 times a million is above 290,000.
        let below = above.saturating_sub(1);
        Self(if below as f64 / WHOLE >= epsilon {
            below
        } else {
            above
        })
    }

    /// As a number, for people.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0 as f64 / WHOLE
    }
}

impl std::fmt::Display for MicroEpsilon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:06}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What a decimal of six digits says is kept to the digit.
        #[test]
        fn millionths_are_themselves(millionths in 0_u64..1 << 40) {
            prop_assert_eq!(MicroEpsilon::at_least(millionths as f64 / 1e6), MicroEpsilon(millionths));
        }

        #[test]
        fn what_is_within_a_budget_is_so_in_millionths(budget in 0.0_f64..1000.0, part in 0.0_f64..=1.0) {
            let spent = budget * part;
            prop_assert!(MicroEpsilon::at_least(spent) <= MicroEpsilon::at_least(budget));
            prop_assert!(MicroEpsilon::at_least(spent).get() >= spent);
        }
    }

    #[test]
    fn what_cannot_be_counted_is_everything() {
        for epsilon in [f64::INFINITY, f64::NAN, 1e300] {
            assert_eq!(MicroEpsilon::at_least(epsilon), MicroEpsilon(u64::MAX));
        }
    }

    #[test]
    fn reads_as_a_decimal() {
        for (millionths, text) in [(0, "0"), (1, "0.000001"), (1_250_000, "1.25"), (2_000_000, "2")] {
            assert_eq!(MicroEpsilon(millionths).to_string(), text);
        }
    }
}

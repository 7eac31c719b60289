//! Finite doubles in canonical JSON: the shortest decimal that reads back as the same number.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A finite double.
#[derive(Clone, Copy, PartialEq)]
pub struct Decimal(f64);

// Never NaN.
impl Eq for Decimal {}

impl Decimal {
    /// A number; none where it is not finite.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = text.parse().ok().and_then(Self::new);
        // "1.0", "+1" and "1e0" are other texts for what prints as "1".
        read.filter(|number| number.to_string() == text)
            .ok_or_else(|| de::Error::custom("expected the shortest decimal of a finite number, as text"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_finite_number_reads_back_with_the_same_bits(bits: u64) {
            if let Some(number) = Decimal::new(f64::from_bits(bits)) {
                let text = serde_json::to_string(&number).unwrap();
                let read: Decimal = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(read.get().to_bits(), number.get().to_bits());
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["\"1.0\"", "\"+1\"", "\"1e0\"", "\"inf\"", "\"NaN\"", "1", "\"\""] {
            assert!(serde_json::from_str::<Decimal>(text).is_err(), "{text}");
        }
    }
}

//! Doubles in documents that are hashed, which hold no fractions: as decimal strings.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A finite double, written as the shortest decimal without an exponent that reads back as the same.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Decimal(f64);

impl Decimal {
    /// A finite number; negative zero becomes zero. Nothing for an infinity or NaN.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(value + 0.0))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Any other form of the same number would give the same value another digest.
        let value = text.parse::<f64>().ok().and_then(Self::new);
        value.filter(|value| value.0.to_string() == text).ok_or_else(|| {
            de::Error::custom(format!(
                "\"{text}\" is not the shortest form of a finite decimal number"
            ))
        })
    }
}

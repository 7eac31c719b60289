//! What a network answers.

use counterweight_primitives::architecture::Architecture;

/// The output of a network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Of a last layer that requantises.
    Int8(Vec<i8>),
    /// Accumulators of a last layer that is raw.
    Raw(Vec<i32>),
}

/// Bytes are not an answer of this architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer of this network has {expected} bytes, there are {got}")]
pub struct AnswerError {
    /// Bytes expected.
    pub expected: usize,
    /// Bytes found.
    pub got: usize,
}

impl Answer {
    /// Its bytes on the wire: one an element, or four, big endian, if it is raw; two's complement.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Int8(values) => values.iter().map(|value| *value as u8).collect(),
            Self::Raw(values) => values.iter().flat_map(|value| value.to_be_bytes()).collect(),
        }
    }

    /// Reads an answer that a network of this architecture could give.
    ///
    /// # Errors
    /// [`AnswerError`] unless it has the right length.
    pub fn from_bytes(architecture: &Architecture, bytes: &[u8]) -> Result<Self, AnswerError> {
        let elements = architecture.output().elements();
        let expected = if architecture.is_raw() {
            4 * elements
        } else {
            elements
        };
        if bytes.len() != expected {
            return Err(AnswerError {
                expected,
                got: bytes.len(),
            });
        }
        Ok(if architecture.is_raw() {
            let (words, _) = bytes.as_chunks::<4>();
            Self::Raw(words.iter().map(|word| i32::from_be_bytes(*word)).collect())
        } else {
            Self::Int8(bytes.iter().map(|byte| *byte as i8).collect())
        })
    }

    /// Its elements as numbers.
    #[must_use]
    pub fn values(&self) -> Vec<i32> {
        match self {
            Self::Int8(values) => values.iter().map(|value| i32::from(*value)).collect(),
            Self::Raw(values) => values.clone(),
        }
    }

    /// The class it names: the first of the largest elements, or, of a single element, whether it is above 0.
    #[must_use]
    pub fn class(&self) -> usize {
        let values = self.values();
        if let [logit] = values[..] {
            return usize::from(logit > 0);
        }
        // `max_by_key` keeps the last of equal elements, so they are visited from the end.
        let largest = values.iter().enumerate().rev().max_by_key(|(_, value)| **value);
        largest.map_or(0, |(class, _)| class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_of_the_largest() {
        assert_eq!(Answer::Int8(vec![-1, 5, 5, 2]).class(), 1);
        assert_eq!(Answer::Raw(vec![-300]).class(), 0);
        assert_eq!(Answer::Raw(vec![1]).class(), 1);
    }

    #[test]
    fn raw_elements_are_big_endian() {
        assert_eq!(
            Answer::Raw(vec![-2, 258]).to_bytes(),
            [255, 255, 255, 254, 0, 0, 1, 2]
        );
        assert_eq!(Answer::Int8(vec![-2, 7]).to_bytes(), [254, 7]);
    }
}

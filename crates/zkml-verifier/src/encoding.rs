//! Reading a proof word by word.

use crate::curve::{G1Affine, PointError, decode_g1};
use crate::field::{Fr, Word, from_word};

/// Why bytes are no proof. Offsets count from the start of the bytes that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// The bytes end before what must come.
    #[error("{expected} bytes must follow at offset {offset}, only {got} are left")]
    Truncated {
        /// Where reading stopped.
        offset: usize,
        /// How many bytes the field takes.
        expected: usize,
        /// How many are left.
        got: usize,
    },
    /// Bytes follow where none may.
    #[error("{extra} bytes follow the end at offset {offset}")]
    TrailingBytes {
        /// Where the end is.
        offset: usize,
        /// How many bytes follow.
        extra: usize,
    },
    /// A scalar is not less than the order of the group.
    #[error("the scalar at offset {offset} is not less than the group order")]
    ScalarNotCanonical {
        /// Where the scalar starts.
        offset: usize,
    },
    /// Bytes are no point of G1.
    #[error("the point at offset {offset} is refused")]
    Point {
        /// Where the point starts.
        offset: usize,
        /// What is wrong with it.
        #[source]
        source: PointError,
    },
}

/// Reads words, scalars and points off a slice, and remembers where it is.
#[derive(Debug, Clone)]
pub struct ProofReader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> ProofReader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            offset: 0,
        }
    }

    /// How many bytes were read.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The next `count` bytes, not copied.
    ///
    /// # Errors
    ///
    /// [`EncodingError::Truncated`].
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], EncodingError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(EncodingError::Truncated {
                offset: self.offset,
                expected: count,
                got: self.rest.len(),
            });
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(count);
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], EncodingError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(EncodingError::Truncated {
                offset: self.offset,
                expected: N,
                got: self.rest.len(),
            });
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(N);
        Ok(taken)
    }

    /// The next word.
    ///
    /// # Errors
    ///
    /// [`EncodingError::Truncated`].
    pub fn word(&mut self) -> Result<Word, EncodingError> {
        self.array().copied()
    }

    /// The next scalar.
    ///
    /// # Errors
    ///
    /// [`EncodingError::Truncated`] and [`EncodingError::ScalarNotCanonical`].
    pub fn scalar(&mut self) -> Result<Fr, EncodingError> {
        let offset = self.offset;
        from_word(self.array()?).ok_or(EncodingError::ScalarNotCanonical { offset })
    }

    /// The next `N` scalars.
    ///
    /// # Errors
    ///
    /// As [`ProofReader::scalar`].
    pub fn scalars<const N: usize>(&mut self) -> Result<[Fr; N], EncodingError> {
        let mut scalars = [Fr::default(); N];
        for scalar in &mut scalars {
            *scalar = self.scalar()?;
        }
        Ok(scalars)
    }

    /// The next point. Infinity is a point: polynomials that are zero are committed to by it.
    ///
    /// # Errors
    ///
    /// [`EncodingError::Truncated`] and [`EncodingError::Point`].
    pub fn point(&mut self) -> Result<G1Affine, EncodingError> {
        let offset = self.offset;
        decode_g1(self.array()?).map_err(|source| EncodingError::Point { offset, source })
    }

    /// Refuses bytes that nobody read.
    ///
    /// # Errors
    ///
    /// [`EncodingError::TrailingBytes`].
    pub fn finish(self) -> Result<(), EncodingError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(EncodingError::TrailingBytes {
                offset: self.offset,
                extra: self.rest.len(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::ORDER;

    #[test]
    fn a_reader_says_where_it_stopped() {
        let mut bytes = vec![0; 31];
        let expected = EncodingError::Truncated {
            offset: 0,
            expected: 32,
            got: 31,
        };
        assert_eq!(ProofReader::new(&bytes).scalar(), Err(expected));
        bytes.extend([0; 34]);
        let mut reader = ProofReader::new(&bytes);
        assert_eq!(reader.scalars::<2>(), Ok([Fr::from(0); 2]));
        assert_eq!(reader.offset(), 64);
        assert_eq!(
            reader.finish(),
            Err(EncodingError::TrailingBytes { offset: 64, extra: 1 })
        );
    }

    #[test]
    fn a_second_encoding_of_zero_is_refused() {
        let mut reader = ProofReader::new(&ORDER);
        assert_eq!(
            reader.scalar(),
            Err(EncodingError::ScalarNotCanonical { offset: 0 })
        );
    }

    #[test]
    fn a_point_off_the_curve_is_refused_with_its_offset() {
        let mut bytes = [0; 96];
        bytes[95] = 1;
        let mut reader = ProofReader::new(&bytes);
        assert!(reader.word().is_ok());
        let expected = EncodingError::Point {
            offset: 32,
            source: PointError::OffCurve,
        };
        assert_eq!(reader.point(), Err(expected));
    }
}

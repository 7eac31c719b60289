//! The two witness vectors, cut into rows: what is committed before and after the lookup challenges.

use super::slots::{COLUMN_BITS, enter, pack};
use crate::field::Fr;
use crate::table::TABLE_BITS;

/// Bits of an index into the mask segment.
pub const MASK_BITS: usize = 8;
/// Degree of the round polynomials of the first sum-check.
pub const ROUND_DEGREE: usize = 6;

/// Coefficients of the mask of the first sum-check, which come first in the mask segment: one constant, then
/// [`ROUND_DEGREE`] for each round.
#[must_use]
pub fn mask_coefficients(rounds: usize) -> usize {
    1 + ROUND_DEGREE * rounds
}

/// An aligned part of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Index of its first cell.
    pub offset: usize,
    /// Bits of an index within it.
    pub bits: usize,
}

impl Segment {
    /// `eq` of the segment's place at `point`, and the point within.
    #[must_use]
    pub fn enter<'a>(&self, point: &'a [Fr]) -> (Fr, &'a [Fr]) {
        enter(self.offset, self.bits, point)
    }
}

/// A vector of segments, cut into rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vector {
    /// The segments: columns, multiplicities, masks of the first vector; inverses of slots and of the table of the second.
    pub segments: Vec<Segment>,
    /// Rows it takes.
    pub rows: usize,
}

impl Vector {
    /// Segments of the given bits, packed and cut into rows of `2^row_bits`.
    pub(crate) fn new(bits: &[usize], row_bits: usize) -> Self {
        let (offsets, end) = pack(bits);
        let segments = offsets
            .into_iter()
            .zip(bits)
            .map(|(offset, bits)| Segment { offset, bits: *bits })
            .collect();
        Self {
            segments,
            rows: end.div_ceil(1 << row_bits),
        }
    }

    /// Columns, multiplicities, masks.
    pub(crate) fn first(slot_bits: usize, row_bits: usize) -> Self {
        Self::new(&[slot_bits + COLUMN_BITS, TABLE_BITS, MASK_BITS], row_bits)
    }

    /// Inverses of the slots, inverses of the table.
    pub(crate) fn second(slot_bits: usize, row_bits: usize) -> Self {
        Self::new(&[slot_bits, TABLE_BITS], row_bits)
    }
}

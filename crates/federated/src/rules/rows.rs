//! The vectors of a round, in an order that does not depend on how they came.

use counterweight_primitives::ContentDigest;

use super::{GroupMeans, RuleError};
use crate::update::{CheckedUpdate, squared_norm};

/// Square of the largest norm: below it, no inner product of two rows leaves an `i64` (Cauchy and Schwarz).
const LARGEST_SQUARE: u128 = 1 << 62;

/// One vector of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Whose: the member, or the group.
    pub owner: u32,
    /// Examples it was made from.
    pub weight: u32,
    /// In units of 2^-24.
    pub coordinates: &'a [i32],
}

/// Vectors of one length with norms below 128, sorted by their coordinates, then by weight and owner.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    rows: Vec<Row<'a>>,
}

impl<'a> Rows<'a> {
    /// At least one row, all of one length.
    ///
    /// # Errors
    /// [`RuleError::Empty`], [`RuleError::ShapeMismatch`] or [`RuleError::TooLong`].
    pub fn new(rows: Vec<Row<'a>>) -> Result<Self, RuleError> {
        for (index, row) in rows.iter().enumerate() {
            if squared_norm(row.coordinates) >= LARGEST_SQUARE {
                return Err(RuleError::TooLong { index });
            }
        }
        Self::sorted(rows)
    }

    /// The updates of members, whose norms were checked.
    ///
    /// # Errors
    /// [`RuleError::Empty`] or [`RuleError::ShapeMismatch`].
    pub fn of_updates(updates: impl IntoIterator<Item = &'a CheckedUpdate>) -> Result<Self, RuleError> {
        let row = |update: &'a CheckedUpdate| Row {
            owner: update.get().member.0.into(),
            weight: update.get().examples,
            coordinates: &update.get().coordinates,
        };
        Self::sorted(updates.into_iter().map(row).collect())
    }

    fn sorted(mut rows: Vec<Row<'a>>) -> Result<Self, RuleError> {
        let expected = rows.first().ok_or(RuleError::Empty)?.coordinates.len();
        for (index, row) in rows.iter().enumerate() {
            let got = row.coordinates.len();
            if got != expected {
                return Err(RuleError::ShapeMismatch { index, expected, got });
            }
        }
        rows.sort_unstable_by_key(|row| (row.coordinates, row.weight, row.owner));
        Ok(Self { rows })
    }

    /// Number of rows, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Length of each.
    #[must_use]
    pub fn coordinates(&self) -> usize {
        self.rows.first().map_or(0, |row| row.coordinates.len())
    }

    /// Them, in canonical order.
    #[must_use]
    pub fn as_slice(&self) -> &[Row<'a>] {
        &self.rows
    }

    /// Their vectors, in canonical order.
    pub(super) fn vectors(&self) -> Vec<&'a [i32]> {
        self.rows.iter().map(|row| row.coordinates).collect()
    }

    /// Means of buckets of `size` rows, the last one perhaps smaller. Rows are dealt by the BLAKE3 digests of seed and
    /// owner, so that nobody chooses its bucket.
    pub(super) fn bucket_means(&self, size: usize, seed: &[u8; 32]) -> GroupMeans {
        let lot = |row: &Row<'_>| {
            let mut text = b"counterweight/bucket/v1".to_vec();
            text.extend_from_slice(seed);
            text.extend_from_slice(&row.owner.to_le_bytes());
            ContentDigest::of(&text)
        };
        let mut dealt: Vec<_> = self.rows.iter().map(|row| (lot(row), row)).collect();
        // Stable, so that equal owners keep the canonical order.
        dealt.sort_by_key(|(lot, _)| *lot);
        let rows: Vec<&Row<'_>> = dealt.into_iter().map(|(_, row)| row).collect();
        GroupMeans::of_buckets(&rows, size)
    }
}

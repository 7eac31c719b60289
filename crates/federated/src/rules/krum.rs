//! Krum and multi-Krum.

use super::{Rows, distances::Distances};
use crate::aggregate::WeightedSum;

/// The sum of the `keep` rows with the lowest scores. A row's score is the sum of its squared distances to its
/// n − faulty − 2 nearest others, at least one; equal scores are told apart by the canonical order of rows.
pub(super) fn krum(rows: &Rows<'_>, faulty: usize, keep: usize) -> WeightedSum {
    let vectors = rows.vectors();
    let count = vectors.len();
    let chosen = if keep == count {
        (0..count).collect()
    } else {
        let distances = Distances::between(&vectors);
        let mut scores: Vec<(u128, usize)> = (0..count)
            .map(|row| (score(distances.from(row), row, faulty), row))
            .collect();
        scores.sort_unstable();
        scores
            .into_iter()
            .take(keep)
            .map(|(_, row)| row)
            .collect::<Vec<_>>()
    };
    let mut sums = vec![0_i64; rows.coordinates()];
    for row in &chosen {
        for (sum, coordinate) in sums.iter_mut().zip(vectors[*row]) {
            *sum += i64::from(*coordinate);
        }
    }
    WeightedSum {
        sums,
        examples: chosen.len() as u64,
    }
}

/// At most 2^64 a distance: the sum of any number of rows that fits memory stays below 2^128.
fn score(distances: &[u128], row: usize, faulty: usize) -> u128 {
    let others = distances.iter().enumerate().filter(|(other, _)| *other != row);
    let mut others: Vec<u128> = others.map(|(_, square)| *square).collect();
    others.sort_unstable();
    let neighbours = distances.len().saturating_sub(faulty + 2).max(1);
    others.iter().take(neighbours).sum()
}

//! The geometric median, by smoothed Weiszfeld steps.
//!
//! Every iterate is a weighted mean of the rows, and its distances to them follow from the distances between rows:
//! ‖Σ wⱼxⱼ − xᵢ‖² = Σ wⱼ Dᵢⱼ − ½ Σ wⱼ wₖ Dⱼₖ for weights that add up to one. So the steps move weights only, and the
//! vectors are read twice however many steps there are.

use super::{Rows, distances::Distances, linear::combination};
use crate::aggregate::WeightedSum;

/// Distances below 2^-20 count as that, in units of 2^-24: the smoothing ν of the paper, 10^-6.
const SMOOTHING: f64 = 16.0;

pub(super) fn geometric_median(rows: &Rows<'_>, iterations: u16) -> WeightedSum {
    let vectors = rows.vectors();
    let squares = Distances::between(&vectors).to_f64();
    let mut weights = vec![1.0 / vectors.len() as f64; vectors.len()];
    for _ in 0..iterations {
        let distances = distances_to(&squares, &weights);
        let inverse: Vec<f64> = distances
            .iter()
            .map(|distance| 1.0 / distance.max(SMOOTHING))
            .collect();
        let total: f64 = inverse.iter().sum();
        weights = inverse.iter().map(|part| part / total).collect();
    }
    let terms: Vec<_> = vectors.into_iter().zip(weights).collect();
    combination(&terms, rows.coordinates())
}

/// Distances of every row to the mean with these weights, which add up to one.
pub(super) fn distances_to(squares: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    let dot = |row: &[f64]| -> f64 {
        row.iter()
            .zip(weights)
            .map(|(square, weight)| square * weight)
            .sum()
    };
    let to_rows: Vec<f64> = squares.iter().map(|row| dot(row)).collect();
    let spread = dot(&to_rows) / 2.0;
    to_rows
        .iter()
        .map(|square| (square - spread).max(0.0).sqrt())
        .collect()
}

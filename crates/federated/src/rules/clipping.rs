//! Rules that bound how far one row can pull: the clipped mean and centred clipping.

use super::{Rows, RuleError, distances::Distances, geometric::distances_to, linear::combination};
use crate::{
    aggregate::WeightedSum,
    update::{FRACTION_BITS, squared_norm},
};

/// Units in one.
const UNITS: f64 = (1_u32 << FRACTION_BITS) as f64;

/// The mean by examples, each row scaled down to a norm.
pub(super) fn clipped_mean(rows: &Rows<'_>, norm: f64) -> WeightedSum {
    let total: u64 = rows.as_slice().iter().map(|row| u64::from(row.weight)).sum();
    let term = |row: &super::Row<'_>| {
        let length = (squared_norm(row.coordinates) as f64).sqrt();
        f64::from(row.weight) / total.max(1) as f64 * scale_to(norm * UNITS, length)
    };
    let terms: Vec<_> = rows
        .as_slice()
        .iter()
        .map(|row| (row.coordinates, term(row)))
        .collect();
    combination(&terms, rows.coordinates())
}

/// Passes from a centre, each by the mean of the steps to the rows, scaled down to a radius.
pub(super) fn centred(
    rows: &Rows<'_>,
    centre: Option<&[i32]>,
    radius: f64,
    passes: u16,
) -> Result<WeightedSum, RuleError> {
    let coordinates = rows.coordinates();
    let zero;
    let centre = match centre {
        Some(centre) => centre,
        None => {
            zero = vec![0; coordinates];
            &zero
        }
    };
    let count = rows.len();
    check_companion(centre, coordinates, count)?;
    let mut vectors = rows.vectors();
    vectors.push(centre);
    let squares = Distances::between(&vectors).to_f64();
    let mut weights = vec![0.0; count];
    weights.push(1.0);
    for _ in 0..passes {
        let distances = distances_to(&squares, &weights);
        let steps = distances.iter().take(count);
        let parts: Vec<f64> = steps
            .map(|length| scale_to(radius * UNITS, *length) / count as f64)
            .collect();
        let stays = 1.0 - parts.iter().sum::<f64>();
        for weight in &mut weights {
            *weight *= stays;
        }
        for (weight, part) in weights.iter_mut().zip(&parts) {
            *weight += part;
        }
    }
    let terms: Vec<_> = vectors.into_iter().zip(weights).collect();
    Ok(combination(&terms, coordinates))
}

/// What a length is multiplied with to be at most a limit.
fn scale_to(limit: f64, length: f64) -> f64 {
    if length <= limit { 1.0 } else { limit / length }
}

/// Whether a vector that is no row fits the rows; `index` names it in errors.
pub(super) fn check_companion(vector: &[i32], expected: usize, index: usize) -> Result<(), RuleError> {
    let got = vector.len();
    if got != expected {
        return Err(RuleError::ShapeMismatch { index, expected, got });
    }
    if squared_norm(vector) >= 1 << 62 {
        return Err(RuleError::TooLong { index });
    }
    Ok(())
}

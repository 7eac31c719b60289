//! Sums of rows with fractional coefficients, in integers.

use rayon::prelude::*;

use crate::aggregate::WeightedSum;

/// Coordinates of a task.
const SPAN: usize = 1 << 14;

/// The sum of vectors times finite coefficients, each rounded, half to even, to a multiple of 2^-s. Here s is the
/// largest of 31, 30, … 0 at which the rounded magnitudes add up to at most 2^31: then no sum of `i32` times them
/// leaves 63 bits. Coefficients that add up to one are so kept to 2^-31.
pub(super) fn combination(terms: &[(&[i32], f64)], coordinates: usize) -> WeightedSum {
    let scaled = |bits: u32| -> Vec<i64> {
        let unit = f64::from(1_u32 << bits);
        terms
            .iter()
            .map(|(_, factor)| (factor * unit).round_ties_even() as i64)
            .collect()
    };
    let fits = |factors: &[i64]| {
        let total = factors
            .iter()
            .try_fold(0_u64, |sum, factor| sum.checked_add(factor.unsigned_abs()));
        total.is_some_and(|total| total <= 1 << 31)
    };
    let (bits, factors) = (0..=31)
        .rev()
        .map(|bits| (bits, scaled(bits)))
        .find(|(_, factors)| fits(factors))
        .unwrap_or_else(|| (0, vec![0; terms.len()]));
    let mut sums = vec![0_i64; coordinates];
    sums.par_chunks_mut(SPAN).enumerate().for_each(|(span, sums)| {
        let start = span * SPAN;
        for ((vector, _), factor) in terms.iter().zip(&factors).filter(|(_, factor)| **factor != 0) {
            let values = &vector[start..start + sums.len()];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += factor * i64::from(*value);
            }
        }
    });
    WeightedSum {
        sums,
        examples: 1 << bits,
    }
}

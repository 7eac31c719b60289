//! FLTrust: rows count by their angle to a trusted update, and as long as it.

use super::{Rows, RuleError, clipping::check_companion, linear::combination};
use crate::{aggregate::WeightedSum, update::squared_norm};

/// Zero where no row points the trusted way.
pub(super) fn trusted(rows: &Rows<'_>, root: &[i32]) -> Result<WeightedSum, RuleError> {
    check_companion(root, rows.coordinates(), rows.len())?;
    let length = |vector: &[i32]| (squared_norm(vector) as f64).sqrt();
    let root_length = length(root);
    // Each row with its trust, the positive part of the cosine, and its length.
    let judged: Vec<(&[i32], f64, f64)> = rows
        .vectors()
        .into_iter()
        .map(|vector| {
            let own = length(vector);
            let product = inner_product(root, vector);
            let trust = if product > 0 {
                product as f64 / (root_length * own)
            } else {
                0.0
            };
            (vector, trust, own)
        })
        .collect();
    let total: f64 = judged.iter().map(|(_, trust, _)| trust).sum();
    let terms: Vec<_> = judged
        .into_iter()
        .filter(|(_, trust, _)| *trust > 0.0)
        .map(|(vector, trust, own)| (vector, trust / total * (root_length / own)))
        .collect();
    Ok(combination(&terms, rows.coordinates()))
}

/// Below 2^62, since both norms are below 2^31; partial sums may wrap around and come back.
fn inner_product(left: &[i32], right: &[i32]) -> i64 {
    let products = left.iter().zip(right).map(|(a, b)| i64::from(*a) * i64::from(*b));
    products.fold(0, i64::wrapping_add)
}

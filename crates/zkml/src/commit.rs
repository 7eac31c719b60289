//! Commitments to rows: `Σ f_i [τ^i]_1 + ρ H`, perfectly hiding for uniform `ρ`.

use counterweight_zkml_verifier::curve::{Curve, G1};
use counterweight_zkml_verifier::field::from_i64;
use counterweight_zkml_verifier::{Fr, G1Affine};
use halo2curves::msm::msm_best;

use crate::srs::Srs;

/// Commits to a row of field elements, entries beyond the end of `row` being zero.
///
/// # Panics
///
/// Where the row is longer than the set-up allows.
#[must_use]
pub fn row(srs: &Srs, row: &[Fr], blinding: &Fr) -> G1Affine {
    (unblinded(srs, row) + *srs.verifier().blinding_generator() * blinding).to_affine()
}

/// Commits to a row of small numbers (bytes, 16 or 32-bit integers), many times faster than to field elements.
///
/// # Panics
///
/// Where the row is longer than the set-up allows.
#[must_use]
pub fn small_row<T: Copy + Into<i64> + Sync>(srs: &Srs, row: &[T], blinding: &Fr) -> G1Affine {
    let row: Vec<Fr> = row.iter().map(|entry| from_i64((*entry).into())).collect();
    self::row(srs, &row, blinding)
}

/// The commitment without blinding: what the opening's own polynomials get.
#[must_use]
pub(crate) fn unblinded(srs: &Srs, row: &[Fr]) -> G1 {
    msm_best(row, &srs.powers()[..row.len()])
}

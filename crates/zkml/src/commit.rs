//! Commitments to rows: `Σ f_i [τ^i]_1 + ρ H`, perfectly hiding for uniform `ρ`.

use counterweight_zkml_verifier::curve::{Curve, G1};
use counterweight_zkml_verifier::{Fr, G1Affine};

use crate::msm;
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

/// Commits to a row of small numbers (bytes, 16 or 32-bit integers), many times faster than to field elements. Zeros
/// cost nothing.
///
/// # Panics
///
/// Where the row is longer than the set-up allows, or an entry is not below 2^32 in magnitude.
#[must_use]
pub fn small_row<T: Copy + Into<i64>>(srs: &Srs, row: &[T], blinding: &Fr) -> G1Affine {
    let numbers: Vec<i64> = row.iter().map(|entry| (*entry).into()).collect();
    (msm::small(srs.table(), &numbers) + *srs.verifier().blinding_generator() * blinding).to_affine()
}

/// The commitment without blinding: what the opening's own polynomials get.
#[must_use]
pub(crate) fn unblinded(srs: &Srs, row: &[Fr]) -> G1 {
    msm::large(srs.table(), row)
}

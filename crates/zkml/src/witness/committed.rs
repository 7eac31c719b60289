//! Commitments to rows, by what the rows hold.

use counterweight_zkml_verifier::curve::{Curve, G1};
use counterweight_zkml_verifier::field::Field;
use counterweight_zkml_verifier::{Fr, G1Affine};
use halo2curves::msm::msm_best;

use crate::commit;
use crate::srs::Srs;

/// Rows with their blindings and commitments.
#[derive(Clone, Default)]
pub(crate) struct Committed {
    /// One for each row.
    pub(crate) blindings: Vec<Fr>,
    /// One for each row.
    pub(crate) points: Vec<G1Affine>,
}

impl Committed {
    /// Adds a row.
    pub(crate) fn push(&mut self, blinding: Fr, point: G1Affine) {
        self.blindings.push(blinding);
        self.points.push(point);
    }
}

/// Commits to a row of field elements.
pub(crate) fn commit_dense(srs: &Srs, row: &[Fr], blinding: &Fr) -> G1Affine {
    commit::row(srs, row, blinding)
}

/// Commits to a row of small numbers.
pub(crate) fn commit_small<T: Copy + Into<i64> + Sync>(srs: &Srs, row: &[T], blinding: &Fr) -> G1Affine {
    commit::small_row(srs, row, blinding)
}

/// Commits to a row of small numbers with field elements added in some cells.
pub(crate) fn commit_mixed<T: Copy + Into<i64> + Sync>(
    srs: &Srs,
    row: &[T],
    large: &[(usize, Fr)],
    blinding: &Fr,
) -> G1Affine {
    (sparse(srs, large) + commit_small(srs, row, blinding)).to_affine()
}

/// Commits to a row that is zero but for some cells.
pub(crate) fn commit_sparse(srs: &Srs, cells: &[(usize, Fr)], blinding: &Fr) -> G1Affine {
    (sparse(srs, cells) + *srs.verifier().blinding_generator() * blinding).to_affine()
}

/// The table of the set-up pays from an eighth of a row on: its windows are for whole rows.
fn sparse(srs: &Srs, cells: &[(usize, Fr)]) -> G1 {
    let used = || cells.iter().filter(|(_, value)| !bool::from(value.is_zero()));
    let Some(last) = used().map(|(index, _)| *index).max() else {
        return G1::default();
    };
    if 8 * used().count() >= last {
        let mut row = vec![Fr::ZERO; last + 1];
        used().for_each(|(index, value)| row[*index] += value);
        return commit::unblinded(srs, &row);
    }
    let scalars: Vec<Fr> = used().map(|(_, value)| *value).collect();
    let bases: Vec<G1Affine> = used().map(|(index, _)| srs.powers()[*index]).collect();
    msm_best(&scalars, &bases)
}

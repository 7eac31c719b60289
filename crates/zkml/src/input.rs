//! A private input: committed to before it is asked about.

use std::fmt;

use counterweight_inference::InputError;
use counterweight_primitives::architecture::Architecture;
use counterweight_zkml_verifier::model::encode_rows;
use counterweight_zkml_verifier::plan::WeightPlan;
use counterweight_zkml_verifier::transcript::keccak256;
use counterweight_zkml_verifier::{Fr, G1Affine};
use rand_core::RngCore;
use zeroize::Zeroize as _;

use crate::error::ProveError;
use crate::random;
use crate::srs::Srs;
use crate::witness::{Committed, commit_small};

/// An input with the hiding commitment to it. Whoever holds this knows the input.
pub struct InputCommitment {
    values: Vec<i8>,
    committed: Committed,
}

impl InputCommitment {
    /// Commits to an input of an architecture, row-major, in the rows of a set-up.
    ///
    /// # Errors
    /// [`ProveError::Input`] and [`ProveError::Plan`].
    pub fn commit(
        srs: &Srs,
        architecture: &Architecture,
        values: &[i8],
        rng: &mut impl RngCore,
    ) -> Result<Self, ProveError> {
        let expected = architecture.input().elements();
        if values.len() != expected {
            return Err(InputError {
                expected,
                got: values.len(),
            }
            .into());
        }
        let plan = WeightPlan::new(architecture, srs.variables())?;
        let mut cells = Vec::new();
        if let Some(layout) = plan.layouts.first() {
            cells.resize(1_usize << layout.bits(), 0_i8);
            for (cell, value) in layout.cells().zip(values) {
                cells[cell] = *value;
            }
        }
        let mut committed = Committed::default();
        for row in cells.chunks(srs.row_length()) {
            let blinding = random::scalar(rng);
            committed.push(blinding, commit_small(srs, row, &blinding));
        }
        cells.zeroize();
        Ok(Self {
            values: values.to_vec(),
            committed,
        })
    }

    /// The committed values.
    #[must_use]
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// Commitments to the rows.
    #[must_use]
    pub fn rows(&self) -> &[G1Affine] {
        &self.committed.points
    }

    /// What a statement names the input by: keccak256 of the rows.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        keccak256(&encode_rows(&self.committed.points))
    }

    /// The same commitment with a claim of other values.
    #[cfg(test)]
    pub(crate) fn claiming(&self, values: &[i8]) -> Self {
        Self {
            values: values.to_vec(),
            committed: self.committed.clone(),
        }
    }

    pub(crate) fn blindings(&self) -> &[Fr] {
        &self.committed.blindings
    }
}

impl Drop for InputCommitment {
    fn drop(&mut self) {
        self.values.zeroize();
    }
}

impl fmt::Debug for InputCommitment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InputCommitment")
            .field("rows", &self.committed.points)
            .finish_non_exhaustive()
    }
}

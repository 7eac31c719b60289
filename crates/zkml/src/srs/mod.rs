//! Structured reference strings (SRS): the powers of a secret `τ` that nobody may know.
//!
//! A development set-up, whose `τ` follows from a published seed so that **anybody can forge proofs under it**, is made
//! on the spot. For anything else bring a powers-of-tau file of a public ceremony.

use counterweight_zkml_verifier::curve::{Curve, G1};
use counterweight_zkml_verifier::opening::{MAX_VARIABLES, MIN_VARIABLES};
use counterweight_zkml_verifier::srs::{SrsError, SrsId, SrsOrigin, VerifierSrs};
use counterweight_zkml_verifier::transcript::keccak256;
use counterweight_zkml_verifier::{Fr, G1Affine, G2Affine, field};

use crate::msm::Table;

/// The seed of the development set-up: its Keccak-256, modulo the group order, is `τ`.
pub const DEVELOPMENT_SEED: &str = "counterweight/zkml/srs/development/INSECURE/v1";

/// Why a set-up could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadSrsError {
    /// Rows may not have this length.
    #[error("a row has 2^{MIN_VARIABLES} to 2^{MAX_VARIABLES} entries, 2^{got} were asked for")]
    Variables {
        /// How many variables were asked for.
        got: usize,
    },
    /// The verifier's part is refused.
    #[error("the verifier's part of the set-up is refused")]
    Verifier(#[from] SrsError),
}

/// What a prover needs: `2^k` powers `[τ^i]_1` for rows of `2^k` entries, and what the verifier has.
#[derive(Debug, Clone)]
pub struct Srs {
    variables: usize,
    table: Table,
    verifier: VerifierSrs,
}

impl Srs {
    /// The INSECURE development set-up for rows of `2^variables` entries.
    ///
    /// # Errors
    ///
    /// [`LoadSrsError::Variables`].
    pub fn development(variables: usize) -> Result<Self, LoadSrsError> {
        if !(MIN_VARIABLES..=MAX_VARIABLES).contains(&variables) {
            return Err(LoadSrsError::Variables { got: variables });
        }
        let tau = field::from_word_reduced(&keccak256(DEVELOPMENT_SEED.as_bytes()));
        let powers = std::iter::successors(Some(Fr::one()), |power| Some(power * tau));
        let powers: Vec<G1> = powers
            .take(1 << variables)
            .map(|power| G1Affine::generator() * power)
            .collect();
        let mut affine = vec![G1Affine::default(); powers.len()];
        G1::batch_normalize(&powers, &mut affine);
        let verifier = VerifierSrs::new((G2Affine::generator() * tau).to_affine())?;
        Ok(Self {
            variables,
            table: Table::new(&affine),
            verifier,
        })
    }

    /// How many variables a row has.
    #[must_use]
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// How many entries a row has.
    #[must_use]
    pub fn row_length(&self) -> usize {
        1 << self.variables
    }

    /// `[τ^i]_1` for `i` from 0.
    #[must_use]
    pub fn powers(&self) -> &[G1Affine] {
        &self.table.points()[..self.row_length()]
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// What the verifier has of this set-up.
    #[must_use]
    pub fn verifier(&self) -> &VerifierSrs {
        &self.verifier
    }

    /// The name of the set-up.
    #[must_use]
    pub fn id(&self) -> SrsId {
        self.verifier.id()
    }

    /// Whether anybody can forge under it.
    #[must_use]
    pub fn origin(&self) -> SrsOrigin {
        self.verifier.origin()
    }
}

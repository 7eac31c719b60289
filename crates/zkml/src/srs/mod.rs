//! Structured reference strings (SRS): the powers of a secret `τ` that nobody may know.
//!
//! A development set-up, whose `τ` follows from a published seed so that **anybody can forge proofs under it**, is made
//! on the spot. For anything else bring a powers-of-tau file of a public ceremony. Either is kept in a file of the
//! prover's own, with the table that commitments use.

mod cache;
mod ptau;

use std::io::{self, Read, Seek};
use std::path::Path;

use counterweight_zkml_verifier::curve::{Curve, G1, pairing_is_one};
use counterweight_zkml_verifier::opening::{MAX_VARIABLES, MIN_VARIABLES};
use counterweight_zkml_verifier::srs::{SrsError, SrsId, SrsOrigin, VerifierSrs};
use counterweight_zkml_verifier::transcript::keccak256;
use counterweight_zkml_verifier::{Fr, G1Affine, G2Affine, field};
use halo2curves::msm::msm_best;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

use crate::msm::{Table, multiples};

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
    /// The file could not be read or written.
    #[error("the set-up's file could not be read or written")]
    File(#[from] io::Error),
    /// The file's content is refused.
    #[error("the set-up's file is refused")]
    Refused(#[from] Refusal),
}

/// What is wrong with a set-up's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The file does not start as a powers-of-tau file of version 1.
    #[error("not a powers-of-tau file of version 1")]
    NotPowersOfTau,
    /// The powers are on another curve.
    #[error("the powers are not on BN254")]
    OtherCurve,
    /// A section is missing, comes twice, or does not fit.
    #[error("section {id} is missing, comes twice, or does not fit")]
    Section {
        /// Number of the section.
        id: u32,
    },
    /// Too few powers.
    #[error("{needed} powers are needed, the file has {got}")]
    TooShort {
        /// How many are needed.
        needed: u64,
        /// How many the file has.
        got: u64,
    },
    /// A point is not in its group, or is infinity.
    #[error("power {index} in group {group} is no point of the group, or infinity")]
    Point {
        /// 1 or 2.
        group: u8,
        /// Which power, counted from 0.
        index: usize,
    },
    /// The first powers are not the standard generators.
    #[error("the powers do not start with the standard generators")]
    Generators,
    /// The points are not powers of one secret.
    #[error("the points are not the powers of one secret")]
    NotPowers,
    /// The cached file is damaged.
    #[error("the cached set-up is damaged: delete it and make it again")]
    Damaged,
}

/// BLAKE2b-512 of a powers-of-tau file: what ceremonies publish for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileDigest(pub [u8; 64]);

impl std::fmt::Display for FileDigest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// What a prover needs: `2^k` powers `[τ^i]_1` for rows of `2^k` entries, and what the verifier has.
#[derive(Debug, Clone)]
pub struct Srs {
    variables: usize,
    table: Table,
    verifier: VerifierSrs,
}

fn check_variables(variables: usize) -> Result<(), LoadSrsError> {
    if (MIN_VARIABLES..=MAX_VARIABLES).contains(&variables) {
        Ok(())
    } else {
        Err(LoadSrsError::Variables { got: variables })
    }
}

impl Srs {
    /// The INSECURE development set-up for rows of `2^variables` entries. Costs about a second for `2^13`.
    ///
    /// # Errors
    ///
    /// [`LoadSrsError::Variables`].
    pub fn development(variables: usize) -> Result<Self, LoadSrsError> {
        check_variables(variables)?;
        let tau = field::from_word_reduced(&keccak256(DEVELOPMENT_SEED.as_bytes()));
        let exponents: Vec<Fr> = std::iter::successors(Some(Fr::one()), |power| Some(power * tau))
            .take(1 << variables)
            .collect();
        let powers = multiples(&G1Affine::generator(), &exponents);
        let verifier = VerifierSrs::new((G2Affine::generator() * tau).to_affine())?;
        Ok(Self {
            variables,
            table: Table::new(&powers),
            verifier,
        })
    }

    /// The INSECURE development set-up from the file at `path`, which is made where it is not there, damaged or of another
    /// length.
    ///
    /// # Errors
    ///
    /// [`LoadSrsError::Variables`] and [`LoadSrsError::File`].
    pub fn development_cached(variables: usize, path: &Path) -> Result<Self, LoadSrsError> {
        if let Ok(srs) = Self::load(path)
            && srs.variables == variables
            && srs.origin() == SrsOrigin::Development
        {
            return Ok(srs);
        }
        let srs = Self::development(variables)?;
        srs.save(path)?;
        Ok(srs)
    }

    /// The set-up of a powers-of-tau file (`.ptau`), and the digest to compare with the published one.
    ///
    /// The structure is checked: points on the curve, generators first, every power `τ` times the one before it (a
    /// pairing over a random combination). Whether the ceremony can be trusted is what the digest is for.
    ///
    /// # Errors
    ///
    /// Each variant of [`LoadSrsError`].
    pub fn from_powers_of_tau(
        file: impl Read + Seek,
        variables: usize,
    ) -> Result<(Self, FileDigest), LoadSrsError> {
        check_variables(variables)?;
        let read = ptau::read(file, 1 << variables)?;
        let verifier = VerifierSrs::new(read.tau_g2)?;
        // Weights follow from the file, so that whoever wrote it could not choose points to suit them.
        check_powers(&read.powers, &read.tau_g2, &keccak256(&read.digest))?;
        Ok((
            Self {
                variables,
                table: Table::new(&read.powers),
                verifier,
            },
            FileDigest(read.digest),
        ))
    }

    /// The set-up that [`Srs::save`] kept in a file of this machine.
    ///
    /// Finds damage, not malice: what came from elsewhere belongs through [`Srs::from_powers_of_tau`].
    ///
    /// # Errors
    ///
    /// [`LoadSrsError::File`], [`LoadSrsError::Refused`] with [`Refusal::Damaged`], and the errors of a wrong verifier's part.
    pub fn load(path: &Path) -> Result<Self, LoadSrsError> {
        cache::decode(&std::fs::read(path)?)
    }

    /// Keeps the set-up in a file of this machine.
    ///
    /// # Errors
    ///
    /// [`LoadSrsError::File`].
    pub fn save(&self, path: &Path) -> Result<(), LoadSrsError> {
        cache::write(self, path)
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

/// Whether each point is `τ` times the one before it: `e(Σ w_i P_(i+1), [1]_2) = e(Σ w_i P_i, [τ]_2)` for weights of 128 bits.
fn check_powers(powers: &[G1Affine], tau_g2: &G2Affine, seed: &[u8; 32]) -> Result<(), Refusal> {
    let mut rng = ChaCha20Rng::from_seed(*seed);
    let (Some((_, later)), Some((_, earlier))) = (powers.split_first(), powers.split_last()) else {
        return Err(Refusal::NotPowers);
    };
    let weights: Vec<Fr> = earlier
        .iter()
        .map(|_| Fr::from_raw([rng.next_u64(), rng.next_u64(), 0, 0]))
        .collect();
    let sum = |points: &[G1Affine]| -> G1 { msm_best(&weights, points) };
    let pairs = [
        ((-sum(later)).to_affine(), G2Affine::generator()),
        (sum(earlier).to_affine(), *tau_g2),
    ];
    if pairing_is_one(&pairs) {
        Ok(())
    } else {
        Err(Refusal::NotPowers)
    }
}

#[cfg(test)]
mod tests;

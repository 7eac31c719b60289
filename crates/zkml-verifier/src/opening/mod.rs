//! What a committed row evaluates to at a point.
//!
//! A row is a multilinear polynomial given by its `2^k` values over the boolean hypercube; its commitment is
//! `Σ f_i [τ^i]_1`, the values taken as coefficients of a univariate polynomial. Index `i` counts with the point's first
//! coordinate as its most significant bit.
//!
//! **This layer hides nothing.** A proof tells the verifier the value and more about the row. Zero-knowledge comes from the
//! protocol above, which opens nothing but rows that a fresh uniformly random row was added to. Commitments arrive
//! here without their blinding: the caller reveals the combined blinding `ρ` and takes `ρ H` off with a term of
//! [`OpeningClaim::commitment`].
//!
//! Neither scheme is a proof of degree: Mercury ignores what a commitment holds beyond `2^k`, so everything opened together
//! must use one `k`.
//!
//! Specified in `docs/spec/opening.md`.

mod hyperkzg;
mod mercury;

use std::fmt;

use crate::curve::{Curve, G1, G1Affine, G2Affine, combine, pairing_is_one};
use crate::encoding::EncodingError;
use crate::field::Fr;
use crate::srs::VerifierSrs;
use crate::transcript::Transcript;

/// The least number of variables of a row.
pub const MIN_VARIABLES: usize = 4;
/// The largest number of variables of a row.
pub const MAX_VARIABLES: usize = 20;

/// Which argument opens a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Scheme {
    /// Mercury (ePrint 2025/385): 704 bytes whatever the length.
    Mercury = 1,
    /// HyperKZG (Gemini's folding over KZG): simpler and older, grows with the number of variables.
    HyperKzg = 2,
}

impl Scheme {
    /// The scheme of a number, as proofs store it.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Mercury),
            2 => Some(Self::HyperKzg),
            _ => None,
        }
    }

    /// The name absorbed into the transcript before anything else of the opening.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Mercury => "counterweight/zkml/opening/mercury/v1",
            Self::HyperKzg => "counterweight/zkml/opening/hyperkzg/v1",
        }
    }

    /// Exactly how many bytes an opening of a row of `2^variables` entries takes.
    #[must_use]
    pub fn proof_bytes(self, variables: usize) -> usize {
        match self {
            Self::Mercury => mercury::PROOF_BYTES,
            Self::HyperKzg => hyperkzg::proof_bytes(variables),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Mercury => "Mercury",
            Self::HyperKzg => "HyperKZG",
        })
    }
}

/// What an opening claims: the row committed to has this value at this point.
#[derive(Debug, Clone, Copy)]
pub struct OpeningClaim<'a> {
    /// The commitment, as the sum of `scalar · point`.
    pub commitment: &'a [(Fr, G1Affine)],
    /// The point, most significant coordinate first.
    pub point: &'a [Fr],
    /// The claimed value.
    pub value: Fr,
}

/// Why an opening was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The point has too few or too many coordinates.
    #[error("a row has {MIN_VARIABLES} to {MAX_VARIABLES} variables, the point has {got}")]
    Variables {
        /// How many coordinates came.
        got: usize,
    },
    /// The proof is not as long as the scheme says.
    #[error("{scheme} proofs of {variables} variables have {expected} bytes, this one has {got}")]
    Length {
        /// The scheme in use.
        scheme: Scheme,
        /// The number of variables.
        variables: usize,
        /// The length it must have.
        expected: usize,
        /// The length it has.
        got: usize,
    },
    /// The bytes do not decode.
    #[error("the opening proof does not decode")]
    Encoding(#[from] EncodingError),
    /// A challenge fell on one of the few values for which the argument says nothing (chance below 2^-248).
    #[error("a challenge is degenerate")]
    DegenerateChallenge,
    /// The folded polynomials do not agree with one another.
    #[error("fold {index} does not agree with the one before it")]
    Fold {
        /// Which fold, counted from 1; the last stands for the claimed value.
        index: usize,
    },
    /// The pairing check fails: the value is not that of the committed row.
    #[error("the pairing check fails")]
    Pairing,
}

/// Checks an opening against its claim.
///
/// `transcript` goes on from whatever the caller absorbed, and ends where the prover's does. The sum of the
/// commitment, the point and the value are absorbed here, so a caller need not.
///
/// # Errors
///
/// Each variant of [`OpeningError`].
pub fn verify(
    srs: &VerifierSrs,
    scheme: Scheme,
    transcript: &mut Transcript,
    claim: &OpeningClaim<'_>,
    proof: &[u8],
) -> Result<(), OpeningError> {
    let variables = claim.point.len();
    if !(MIN_VARIABLES..=MAX_VARIABLES).contains(&variables) {
        return Err(OpeningError::Variables { got: variables });
    }
    let expected = scheme.proof_bytes(variables);
    if proof.len() != expected {
        return Err(OpeningError::Length {
            scheme,
            variables,
            expected,
            got: proof.len(),
        });
    }
    let commitment = combine(claim.commitment).to_affine();
    absorb_claim(transcript, scheme, &commitment, claim.point, &claim.value);
    let pair = match scheme {
        Scheme::Mercury => mercury::reduce(transcript, &commitment, claim.point, &claim.value, proof)?,
        Scheme::HyperKzg => hyperkzg::reduce(transcript, &commitment, claim.point, &claim.value, proof)?,
    };
    if pairing_is_one(&[
        (pair.with_one.to_affine(), G2Affine::generator()),
        (pair.with_tau.to_affine(), *srs.tau_g2()),
    ]) {
        Ok(())
    } else {
        Err(OpeningError::Pairing)
    }
}

/// Absorbs what is claimed, as both sides of both schemes begin.
pub fn absorb_claim(
    transcript: &mut Transcript,
    scheme: Scheme,
    commitment: &G1Affine,
    point: &[Fr],
    value: &Fr,
) {
    transcript.absorb_label(scheme.label());
    transcript.absorb_u64(point.len() as u64);
    transcript.absorb_point(commitment);
    for coordinate in point {
        transcript.absorb_scalar(coordinate);
    }
    transcript.absorb_scalar(value);
}

/// `e(with_one, [1]_2) · e(with_tau, [τ]_2) = 1` is what remains to be checked.
struct PairingInput {
    with_one: G1,
    with_tau: G1,
}

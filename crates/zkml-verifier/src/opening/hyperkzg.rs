//! The verifier of HyperKZG: the folding of Bootle, Chiesa, Hu and Orrù, "Gemini" (ePrint 2022/420), section 2.4.2, over
//! KZG, for multilinear polynomials in evaluation form.
//!
//! Ported from `nova-snark` 0.76 (`src/provider/hyperkzg.rs`, MIT licence, copyright Microsoft Corporation).
//!
//! # Differences from `nova-snark`
//!
//! - The transcript is ours.
//! - The value of a folded polynomial at `r²` is not sent: it follows from the values at `r` and `-r` of the one before
//!   it. Only that of the row itself is.

use super::{OpeningError, PairingInput};
use crate::curve::{G1Affine, combine};
use crate::encoding::ProofReader;
use crate::field::{Field, Fr};
use crate::transcript::Transcript;

/// `k - 1` folds; `k` pairs of values and one more; three quotients.
pub(super) fn proof_bytes(variables: usize) -> usize {
    let points = variables.saturating_add(2);
    let scalars = variables.saturating_mul(2).saturating_add(1);
    points
        .saturating_mul(64)
        .saturating_add(scalars.saturating_mul(32))
}

pub(super) fn reduce(
    transcript: &mut Transcript,
    commitment: &G1Affine,
    point: &[Fr],
    value: &Fr,
    proof: &[u8],
) -> Result<PairingInput, OpeningError> {
    let folds = point.len().saturating_sub(1);
    let mut slices = ProofReader::new(proof);
    transcript.absorb_bytes(slices.bytes(folds.saturating_mul(64))?);
    let r = transcript.challenge();
    transcript.absorb_bytes(slices.bytes(point.len().saturating_mul(64).saturating_add(32))?);
    let q = transcript.challenge();
    transcript.absorb_bytes(slices.bytes(3 * 64)?);
    let delta = transcript.challenge();
    slices.finish()?;

    let mut reader = ProofReader::new(proof);
    let half_inverse_r = (r.double())
        .invert()
        .into_option()
        .ok_or(OpeningError::DegenerateChallenge)?;
    let r_squared = r.square();

    // P_0 is the row, P_i its i-th fold, and the weight of P_i in the batch is q^i.
    let delta_squared = delta.square();
    let mut weight = Fr::ONE + delta + delta_squared;
    let mut terms = Vec::with_capacity(point.len().saturating_add(4));
    terms.push((weight, *commitment));
    for _ in 0..folds {
        weight *= q;
        terms.push((weight, reader.point()?));
    }

    let mut at_square = reader.scalar()?;
    let mut batch = [Fr::ZERO; 3];
    let mut power = Fr::ONE;
    for coordinate in point.iter().rev() {
        let [plus, minus] = reader.scalars()?;
        for (sum, evaluation) in batch.iter_mut().zip([plus, minus, at_square]) {
            *sum += power * evaluation;
        }
        power *= q;
        // P_(i+1)(r²) = (1 - x) (P(r) + P(-r)) / 2 + x (P(r) - P(-r)) / 2r.
        at_square =
            (r * (Fr::ONE - coordinate) * (plus + minus) + *coordinate * (plus - minus)) * half_inverse_r;
    }
    // The last fold is constant: the value of the row at the point.
    if at_square != *value {
        return Err(OpeningError::Fold { index: point.len() });
    }
    let quotients = [reader.point()?, reader.point()?, reader.point()?];
    reader.finish()?;

    let [at_plus, at_minus, at_r_squared] = batch;
    let constant = at_plus + delta * at_minus + delta_squared * at_r_squared;
    terms.push((-constant, G1Affine::generator()));
    let [first, second, third] = quotients;
    terms.push((r, first));
    terms.push((-delta * r, second));
    terms.push((delta_squared * r_squared, third));
    let with_tau = -(combine(&[(delta, second), (delta_squared, third)]) + first);
    Ok(PairingInput {
        with_one: combine(&terms),
        with_tau,
    })
}

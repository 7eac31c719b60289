//! The verifier of Mercury: Eagen and Gabizon, "MERCURY: A multilinear Polynomial Commitment Scheme with constant proof
//! size and no prover FFTs" (ePrint 2025/385), section 6, with the batched KZG opening of Boneh, Drake, Fisch and
//! Gabizon (ePrint 2020/081), section 4.1.
//!
//! Ported from `nova-snark` 0.76 (`src/provider/mercury.rs`, MIT licence, copyright Microsoft Corporation).
//!
//! # Differences from `nova-snark`
//!
//! - The transcript is ours, and every challenge follows the bytes of the proof in their order, so that Solidity hashes
//!   slices of calldata.
//! - Degenerate challenges are refused where the original panics.
//! - Interpolation is written out instead of solved by elimination.

use super::{OpeningError, PairingInput};
use crate::curve::{G1Affine, combine};
use crate::encoding::ProofReader;
use crate::field::{Field, Fr, PrimeField};
use crate::transcript::Transcript;

/// Eight points and six scalars.
pub(super) const PROOF_BYTES: usize = 8 * 64 + 6 * 32;

/// Bytes of the proof that the transcript absorbs before each of its six challenges.
const SEGMENTS: [usize; 6] = [64, 128, 128, 256, 64, 64];

pub(super) fn reduce(
    transcript: &mut Transcript,
    commitment: &G1Affine,
    point: &[Fr],
    value: &Fr,
    proof: &[u8],
) -> Result<PairingInput, OpeningError> {
    let mut slices = ProofReader::new(proof);
    let mut challenges = [Fr::ZERO; 6];
    for (challenge, bytes) in challenges.iter_mut().zip(SEGMENTS) {
        transcript.absorb_bytes(slices.bytes(bytes)?);
        *challenge = transcript.challenge();
    }
    slices.finish()?;
    let [alpha, gamma, zeta, beta, z, delta] = challenges;

    let mut reader = ProofReader::new(proof);
    let h = reader.point()?;
    let [q, g] = [reader.point()?, reader.point()?];
    let [s, d] = [reader.point()?, reader.point()?];
    let [g_zeta, g_inverse, h_zeta, h_inverse, s_zeta, s_inverse] = reader.scalars()?;
    let t = reader.point()?;
    let w = reader.point()?;
    let w_prime = reader.point()?;
    reader.finish()?;

    // An odd number of variables is read as one more, with a leading zero: the upper half of the rows is not there.
    let column_variables = point.len().div_ceil(2);
    let (row_point, column_point) = point
        .split_at_checked(point.len().saturating_sub(column_variables))
        .unwrap_or_default();

    let zeta_inverse = zeta
        .invert()
        .into_option()
        .ok_or(OpeningError::DegenerateChallenge)?;
    let column_zeta = equality_polynomial(column_point, &zeta);
    let column_inverse = equality_polynomial(column_point, &zeta_inverse);
    // The padding coordinate is zero: its factor `0 · X^.. + 1 - 0` is one.
    let row_zeta = equality_polynomial(row_point, &zeta);
    let row_inverse = equality_polynomial(row_point, &zeta_inverse);

    // ζ^b with b = 2^column_variables.
    let zeta_b = (0..column_variables).fold(zeta, |power, _| power.square());
    // Degree check: d(X) = X^(b-1) g(1/X).
    let d_zeta = zeta_b * zeta_inverse * g_inverse;
    // Inner products: <g, eq_column> = h(α) and <h, eq_row> = value, folded by γ.
    let twice_h_alpha = g_zeta * column_inverse
        + g_inverse * column_zeta
        + gamma * (h_zeta * row_inverse + h_inverse * row_zeta - value.double())
        - zeta * s_zeta
        - zeta_inverse * s_inverse;
    let h_alpha = twice_h_alpha * Fr::TWO_INV;

    // Values at z of the interpolations g*, h*, s* through the claimed evaluations; d* is constant.
    let (at_zeta, at_inverse, at_alpha) = (z - zeta, z - zeta_inverse, z - alpha);
    let invert = |value: Fr| {
        value
            .invert()
            .into_option()
            .ok_or(OpeningError::DegenerateChallenge)
    };
    let span = invert(zeta - zeta_inverse)?;
    let zeta_to_alpha = invert(zeta - alpha)?;
    let inverse_to_alpha = invert(zeta_inverse - alpha)?;
    let line = |first: &Fr, second: &Fr| (at_inverse * first - at_zeta * second) * span;
    let g_star = line(&g_zeta, &g_inverse);
    let s_star = line(&s_zeta, &s_inverse);
    let h_star = h_zeta * at_inverse * at_alpha * span * zeta_to_alpha
        - h_inverse * at_zeta * at_alpha * span * inverse_to_alpha
        + h_alpha * at_zeta * at_inverse * zeta_to_alpha * inverse_to_alpha;

    let beta_2 = beta.square();
    let d_weight = beta_2 * beta * at_alpha * at_inverse;
    let constant = at_alpha * g_star + beta * h_star + beta_2 * at_alpha * s_star + d_weight * d_zeta;
    let with_one = combine(&[
        (Fr::ONE, *commitment),
        (alpha - zeta_b, q),
        (zeta, t),
        (-g_zeta - delta * constant, G1Affine::generator()),
        (delta * at_alpha, g),
        (delta * beta, h),
        (delta * beta_2 * at_alpha, s),
        (delta * d_weight, d),
        (-delta * at_zeta * at_inverse * at_alpha, w),
        (delta * z, w_prime),
    ]);
    let with_tau = -(combine(&[(delta, w_prime)]) + t);
    Ok(PairingInput { with_one, with_tau })
}

/// `Σ_i eq(i, point) X^i = Π_j (point_j X^(2^j) + 1 - point_j)`, with `j` counted from the last coordinate.
fn equality_polynomial(point: &[Fr], x: &Fr) -> Fr {
    let mut power = *x;
    let mut product = Fr::ONE;
    for coordinate in point.iter().rev() {
        product *= *coordinate * power + Fr::ONE - coordinate;
        power = power.square();
    }
    product
}

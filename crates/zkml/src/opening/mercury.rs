//! The prover of Mercury: Eagen and Gabizon (ePrint 2025/385), section 6, with the batched KZG opening of ePrint
//! 2020/081, section 4.1.
//!
//! Ported from `nova-snark` 0.76 (`src/provider/mercury.rs`, MIT licence, copyright Microsoft Corporation).
//!
//! # Differences from `nova-snark`
//!
//! - The transcript is ours; see `docs/spec/opening.md`.
//! - The division by `X^b - α` runs over whole rows at a time, without transposing.
//! - The interpolations of the batched opening are never computed: they have degree below that of the divisor, so
//!   they are part of the remainder that a quotient drops.

use counterweight_zkml_verifier::field::Field;
use counterweight_zkml_verifier::{Fr, Transcript};

use super::polynomial::{
    add_scaled, divide_by_linear, equality_row, evaluate, inner_product, multiply_by_linear,
    weighted_correlation,
};
use super::{OpenError, ProofWriter};
use crate::srs::Srs;

pub(super) fn open(
    srs: &Srs,
    transcript: &mut Transcript,
    row: &[Fr],
    point: &[Fr],
    value: &Fr,
) -> Result<Vec<u8>, OpenError> {
    let column_variables = point.len().div_ceil(2);
    let width = 1_usize << column_variables;
    let (row_point, column_point) = point.split_at(point.len() - column_variables);
    let column_weights = equality_row(column_point);
    let row_weights = equality_row(row_point);
    let mut proof = ProofWriter::new(srs, transcript);

    // h: the inner product of each line of the square with the column weights.
    let h: Vec<Fr> = row
        .chunks_exact(width)
        .map(|line| inner_product(line, &column_weights))
        .collect();
    if inner_product(&h, &row_weights) != *value {
        return Err(OpenError::Value);
    }
    proof.commitments(&[&h]);
    let alpha = proof.challenge();

    // f(X) = q(X) (X^b - α) + g(X).
    let mut q = row[width..].to_vec();
    for upper in (width..q.len()).rev() {
        let carried = q[upper] * alpha;
        q[upper - width] += carried;
    }
    let g: Vec<Fr> = row[..width]
        .iter()
        .zip(&q)
        .map(|(low, high)| *low + alpha * high)
        .collect();
    proof.commitments(&[&q, &g]);
    let gamma = proof.challenge();

    // s: the parts of both inner products that do not fall on X^0; d: g reversed, which bounds its degree.
    let correlation = weighted_correlation(
        &[(Fr::ONE, &g, &column_weights), (gamma, &h, &row_weights)],
        column_variables as u32,
    );
    let s: Vec<Fr> = (1..width)
        .map(|shift| correlation[width - 1 + shift] + correlation[width - 1 - shift])
        .collect();
    let d: Vec<Fr> = g.iter().rev().copied().collect();
    proof.commitments(&[&s, &d]);
    let zeta = proof.challenge();

    let zeta_inverse = zeta
        .invert()
        .into_option()
        .ok_or(OpenError::DegenerateChallenge)?;
    for polynomial in [&g, &h, &s] {
        proof.scalar(&evaluate(polynomial, &zeta));
        proof.scalar(&evaluate(polynomial, &zeta_inverse));
    }
    let zeta_b = (0..column_variables).fold(zeta, |power, _| power.square());
    let mut quotient = row.to_vec();
    add_scaled(&mut quotient, &q, &(alpha - zeta_b));
    proof.commitments(&[&divide_by_linear(quotient, &zeta)]);
    let beta = proof.challenge();

    let beta_2 = beta.square();
    let beta_3 = beta_2 * beta;
    // ((g + β² s) + β³ (X - 1/ζ) d) (X - α) + β h over (X - α) (X - ζ) (X - 1/ζ).
    let mut numerator = g.clone();
    add_scaled(&mut numerator, &s, &beta_2);
    add_scaled(&mut numerator, &multiply_by_linear(&d, &zeta_inverse), &beta_3);
    numerator = multiply_by_linear(&numerator, &alpha);
    add_scaled(&mut numerator, &h, &beta);
    let w = [alpha, zeta, zeta_inverse]
        .iter()
        .fold(numerator, divide_by_linear);
    proof.commitments(&[&w]);
    let z = proof.challenge();

    let to_alpha = z - alpha;
    let vanishing = to_alpha * (z - zeta) * (z - zeta_inverse);
    let mut combined = Vec::with_capacity(width);
    for (polynomial, weight) in [
        (&g, to_alpha),
        (&h, beta),
        (&s, beta_2 * to_alpha),
        (&d, beta_3 * to_alpha * (z - zeta_inverse)),
        (&w, -vanishing),
    ] {
        add_scaled(&mut combined, polynomial, &weight);
    }
    proof.commitments(&[&divide_by_linear(combined, &z)]);
    // Drawn by the verifier to fold its two checks; drawn here so that both transcripts go on alike.
    proof.challenge();
    Ok(proof.finish())
}

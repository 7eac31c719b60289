//! Opening a committed row at a point: the prover of Mercury and of HyperKZG.
//!
//! **This layer hides nothing**: open only rows that a fresh uniformly random row was added to.

mod hyperkzg;
mod mercury;
mod polynomial;

use counterweight_zkml_verifier::curve::{G1, encode_g1};
use counterweight_zkml_verifier::field::to_word;
use counterweight_zkml_verifier::opening::{Scheme, absorb_claim};
use counterweight_zkml_verifier::{Fr, G1Affine, Transcript};
use halo2curves::group::Curve as _;

use crate::commit::unblinded;
use crate::srs::Srs;

/// Why a row could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Row, point and set-up are not of one length.
    #[error(
        "the set-up is for rows of {expected} entries, the row has {row} and the point {variables} coordinates"
    )]
    Shape {
        /// Entries of the set-up's rows.
        expected: usize,
        /// Entries of the row.
        row: usize,
        /// Coordinates of the point.
        variables: usize,
    },
    /// The row does not have the value at the point.
    #[error("the row does not have the claimed value at the point")]
    Value,
    /// A challenge fell on one of the few values for which the argument says nothing (chance below 2^-248).
    #[error("a challenge is degenerate")]
    DegenerateChallenge,
}

/// Proves that `row`, committed to without blinding as `commitment`, has `value` at `point` (most significant
/// coordinate first).
///
/// `transcript` goes on from where the caller's protocol left it, on both sides; commitment, point and value are
/// absorbed here. The bytes are of the fixed length [`Scheme::proof_bytes`].
///
/// # Errors
///
/// Each variant of [`OpenError`].
pub fn open(
    srs: &Srs,
    scheme: Scheme,
    transcript: &mut Transcript,
    commitment: &G1Affine,
    row: &[Fr],
    point: &[Fr],
    value: &Fr,
) -> Result<Vec<u8>, OpenError> {
    if row.len() != srs.row_length() || point.len() != srs.variables() {
        return Err(OpenError::Shape {
            expected: srs.row_length(),
            row: row.len(),
            variables: point.len(),
        });
    }
    absorb_claim(transcript, scheme, commitment, point, value);
    match scheme {
        Scheme::Mercury => mercury::open(srs, transcript, row, point, value),
        Scheme::HyperKzg => hyperkzg::open(srs, transcript, row, point, value),
    }
}

/// The value at `point` of the multilinear polynomial with the entries `row`: `Σ_i row_i eq(i, point)`.
#[must_use]
pub fn evaluate_row(row: &[Fr], point: &[Fr]) -> Fr {
    let column_variables = point.len().div_ceil(2);
    let (row_point, column_point) = point.split_at(point.len() - column_variables);
    let column_weights = polynomial::equality_row(column_point);
    row.chunks(1 << column_variables)
        .zip(polynomial::equality_row(row_point))
        .map(|(line, weight)| polynomial::inner_product(line, &column_weights) * weight)
        .sum()
}

/// The bytes of a proof so far. Each challenge follows the bytes written since the one before.
struct ProofWriter<'a> {
    srs: &'a Srs,
    transcript: &'a mut Transcript,
    bytes: Vec<u8>,
    absorbed: usize,
}

impl<'a> ProofWriter<'a> {
    fn new(srs: &'a Srs, transcript: &'a mut Transcript) -> Self {
        Self {
            srs,
            transcript,
            bytes: Vec::new(),
            absorbed: 0,
        }
    }

    /// Writes the commitments to these polynomials.
    fn commitments(&mut self, polynomials: &[&[Fr]]) {
        let points: Vec<G1> = polynomials
            .iter()
            .map(|coefficients| unblinded(self.srs, coefficients))
            .collect();
        let mut affine = vec![G1Affine::default(); points.len()];
        G1::batch_normalize(&points, &mut affine);
        for point in &affine {
            self.bytes.extend(encode_g1(point));
        }
    }

    fn scalar(&mut self, scalar: &Fr) {
        self.bytes.extend(to_word(scalar));
    }

    fn challenge(&mut self) -> Fr {
        self.transcript.absorb_bytes(&self.bytes[self.absorbed..]);
        self.absorbed = self.bytes.len();
        self.transcript.challenge()
    }

    fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests;

//! The argument: `docs/spec/zkml.md`, sections 3 to 8.
//!
//! An inference and the registration of a model differ in what is claimed; how claims become one opened row is the same
//! and is here.

mod claims;
mod inference;
mod lookups;
mod registration;
mod windows;

use crate::curve::G1Affine;
use crate::encoding::EncodingError;
use crate::field::{Field, Fr, Word, eq_at};
use crate::model::CommitmentError;
use crate::opening::{self, OpeningClaim, OpeningError, Scheme};
use crate::plan::{PlanError, mask_coefficients};
use crate::proof::Proof;
use crate::srs::VerifierSrs;
use crate::sumcheck::follow;
use crate::transcript::Transcript;

#[cfg(feature = "simulation")]
pub use inference::reduce_inference;
pub use inference::{InputStatement, Statement, inference_shape, verify_inference};
pub use registration::{RegistrationPlan, registration_shape, registration_transcript, verify_registration};

/// Label of the transcript.
pub const PROTOCOL: &str = "counterweight/zkml/v1";

/// Why a proof was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The architecture cannot be proven.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The commitment to the weights is none.
    #[error(transparent)]
    Commitment(#[from] CommitmentError),
    /// The proof does not have the length that the model gives it.
    #[error("the proof has {got} bytes, a proof of this model has {expected}")]
    Length {
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        got: usize,
    },
    /// The proof does not decode.
    #[error("the proof does not decode")]
    Encoding(#[from] EncodingError),
    /// The proof is about other weights.
    #[error("the proof is about another model: its weight commitments are not this model's")]
    OtherWeights,
    /// The proof is about another committed input.
    #[error("the proof is about another input: its commitment is not the one claimed")]
    OtherInput,
    /// The input does not have the architecture's shape.
    #[error("the input has {got} values, the network takes {expected}")]
    InputLength {
        /// Values the network takes.
        expected: usize,
        /// Values given.
        got: usize,
    },
    /// The output does not have the architecture's shape.
    #[error("the output has {got} bytes, the network's has {expected}")]
    OutputLength {
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has.
        got: usize,
    },
    /// The claims do not hold: a wrong output, input, context, set-up or proof. What is wrong cannot be told apart.
    #[error("the proof does not hold for this input, output, context and set-up")]
    Opening(#[from] OpeningError),
}

/// The transcript's start: the kind of statement, the model's id, then context, input and output.
fn transcript(kind: u64, model_id: Word, words: [Word; 3]) -> Transcript {
    let mut transcript = Transcript::new(PROTOCOL);
    transcript.absorb_u64(kind);
    transcript.absorb_word(&model_id);
    words.iter().for_each(|word| transcript.absorb_word(word));
    transcript
}

/// Everything drawn up to the batching of claims.
struct Challenges {
    alpha: Fr,
    beta: Fr,
    tau: Vec<Fr>,
    lambda: Fr,
    eta: Fr,
    /// Where the first sum-check ended.
    point: Vec<Fr>,
    /// What it left to be shown.
    last: Fr,
    /// Powers of the batching challenge, from the first on.
    gamma: Fr,
}

impl Challenges {
    /// The last `bits` coordinates of the zero-check's point.
    fn tau(&self, bits: usize) -> &[Fr] {
        suffix(&self.tau, bits)
    }

    /// The last `bits` coordinates of the point of the first sum-check.
    fn point(&self, bits: usize) -> &[Fr] {
        suffix(&self.point, bits)
    }

    /// Weight of claim `index`, counted from 1.
    fn weight(&self, index: usize) -> Fr {
        self.gamma.pow([index as u64])
    }
}

fn suffix(point: &[Fr], bits: usize) -> &[Fr] {
    point
        .split_at_checked(point.len().saturating_sub(bits))
        .map_or(point, |(_, suffix)| suffix)
}

/// The coefficient of each committed row in the row that is opened.
struct RowCoefficients {
    weights: Vec<Fr>,
    input: Vec<Fr>,
    first: Vec<Fr>,
    second: Vec<Fr>,
}

/// What is claimed of committed vectors after the first sum-check.
trait Claims {
    /// The sum of all claimed values, each by its weight.
    fn value(&self) -> Fr;
    /// The claimed functionals, each by its weight, extended to a row point.
    fn coefficients(&self, row_point: &[Fr]) -> RowCoefficients;
}

/// The one opening that a proof comes down to.
#[derive(Debug, Clone)]
pub struct Reduced {
    /// The commitment to the row, as the sum of `scalar · point`; the proof's uniform row comes last but one, before the blinding.
    pub commitment: Vec<(Fr, G1Affine)>,
    /// Where it is opened.
    pub point: Vec<Fr>,
    /// Its value there.
    pub value: Fr,
    /// The conversation so far.
    pub transcript: Transcript,
}

impl Reduced {
    fn check(mut self, srs: &VerifierSrs, scheme: Scheme, opening: &[u8]) -> Result<(), VerifyError> {
        let claim = OpeningClaim {
            commitment: &self.commitment,
            point: &self.point,
            value: self.value,
        };
        opening::verify(srs, scheme, &mut self.transcript, &claim, opening)?;
        Ok(())
    }
}

/// Follows a proof to the one opening that everything comes down to.
fn reduce<C: Claims>(
    srs: &VerifierSrs,
    mut transcript: Transcript,
    weights: &[G1Affine],
    proof: &Proof<'_>,
    tau_bits: usize,
    settle: impl FnOnce(Challenges) -> C,
) -> Reduced {
    let absorb_points = |transcript: &mut Transcript, points: &[G1Affine]| {
        points.iter().for_each(|point| transcript.absorb_point(point));
    };
    absorb_points(&mut transcript, &proof.first);
    absorb_points(&mut transcript, &proof.round_masks);
    transcript.absorb_point(&proof.row_mask);
    let (alpha, beta) = (transcript.challenge(), transcript.challenge());
    absorb_points(&mut transcript, &proof.second);
    let tau = transcript.challenges(tau_bits);
    let (lambda, eta) = (transcript.challenge(), transcript.challenge());
    transcript.absorb_scalar(&proof.sum);
    let (last, point) = follow(&mut transcript, proof.sum, &proof.rounds);
    for evaluation in &proof.evaluations {
        transcript.absorb_scalar(evaluation);
    }
    let mask_point = transcript.challenges(proof.row_rounds.len());
    transcript.absorb_scalar(&proof.mask_sum);
    let gamma = transcript.challenge();
    let claims = settle(Challenges {
        alpha,
        beta,
        tau,
        lambda,
        eta,
        point,
        last,
        gamma,
    });

    let (row_last, row_point) = follow(
        &mut transcript,
        proof.mask_sum + claims.value(),
        &proof.row_rounds,
    );
    transcript.absorb_scalar(&proof.mask_value);
    let combine = transcript.challenge();
    transcript.absorb_scalar(&proof.blinding);

    let coefficients = claims.coefficients(&row_point);
    let [round_mask, plain_mask] = proof.round_masks;
    let rows = (coefficients.weights.into_iter().zip(weights.iter().copied()))
        .chain(coefficients.input.into_iter().zip(proof.input.iter().copied()))
        .chain(coefficients.first.into_iter().zip(proof.first.iter().copied()))
        .chain(coefficients.second.into_iter().zip(proof.second.iter().copied()))
        .chain([
            (eq_at(&mask_point, &row_point), round_mask),
            (Fr::ONE, plain_mask),
        ])
        .map(|(coefficient, row)| (combine * coefficient, row));
    let commitment: Vec<(Fr, G1Affine)> = rows
        .chain([
            (Fr::ONE, proof.row_mask),
            (-proof.blinding, *srs.blinding_generator()),
        ])
        .collect();
    Reduced {
        commitment,
        point: row_point,
        value: proof.mask_value + combine * row_last,
        transcript,
    }
}

/// The functional that the mask segment's coefficients are claimed by: `sums` weighs their sum over the hypercube of the
/// first sum-check (claim 1), `last` their value at its point (claim 2). In cell order.
fn mask_functional(point: &[Fr], sums: Fr, last: Fr) -> Vec<Fr> {
    let rounds = point.len();
    let half = Fr::from(2).pow([rounds.saturating_sub(1) as u64]);
    let mut cells = Vec::with_capacity(mask_coefficients(rounds));
    cells.push(sums * half.double() + last);
    for coordinate in point {
        let mut power = *coordinate;
        for _ in 0..crate::plan::ROUND_DEGREE {
            cells.push(sums * half + last * power);
            power *= coordinate;
        }
    }
    cells
}

/// The bits of a row's number, then the point within the row: a point over the whole vector.
fn point_in_vector(row: usize, rows: usize, row_point: &[Fr]) -> Vec<Fr> {
    let bits = crate::multilinear::bits_for(rows);
    let place = (0..bits).rev().map(|bit| Fr::from(((row >> bit) & 1) as u64));
    place.chain(row_point.iter().copied()).collect()
}

#[cfg(test)]
mod tests;

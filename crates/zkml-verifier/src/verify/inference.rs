//! Checking that an output came from a committed model on an input.

use crate::transcript::keccak256;

use super::claims::InferenceClaims;
use super::{Reduced, VerifyError, reduce};
use crate::field::Word;
use crate::model::{Model, encode_rows};
use crate::plan::{Plan, Visibility};
use crate::proof::{Proof, ProofShape, Revealed};
use crate::srs::VerifierSrs;
use crate::transcript::Transcript;

/// What is said of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputStatement<'a> {
    /// It is this: row-major.
    Public(&'a [i8]),
    /// Its commitment's rows have this keccak256.
    Committed(Word),
}

/// What a proof of inference says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'a> {
    /// What the proof is bound to, such as a hash of chain, contract and job.
    pub context: Word,
    /// The input.
    pub input: InputStatement<'a>,
    /// The output: one byte an element, two's complement, row-major; four bytes, big endian, where the last layer is raw.
    pub output: &'a [u8],
}

impl InputStatement<'_> {
    /// Whether the verifier sees the input.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        match self {
            Self::Public(_) => Visibility::Public,
            Self::Committed(_) => Visibility::Private,
        }
    }
}

impl Statement<'_> {
    /// Where both sides of a proof start.
    #[must_use]
    pub fn transcript(&self, model_id: Word) -> Transcript {
        let (kind, input) = match self.input {
            InputStatement::Public(values) => {
                let bytes: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
                (0, keccak256(&bytes))
            }
            InputStatement::Committed(commitment) => (1, commitment),
        };
        super::transcript(kind, model_id, [self.context, input, keccak256(self.output)])
    }
}

/// How many of each thing a proof of inference holds.
#[must_use]
pub fn inference_shape(plan: &Plan, model: &Model) -> ProofShape {
    ProofShape {
        weight_rows: plan.weight_rows,
        input_rows: plan.input_rows,
        first_rows: plan.first.rows,
        second_rows: plan.second.rows,
        rounds: plan.rounds,
        evaluations: plan.evaluations(),
        row_bits: plan.row_bits,
        opening: model.commitment.scheme.proof_bytes(plan.row_bits),
    }
}

/// Checks a proof of inference: `docs/spec/zkml.md`.
///
/// It says that weights behind the model's commitment give this output on this input. That they are int8, and so that the
/// arithmetic is exact, is what [`verify_registration`](super::verify_registration) says, once for a model.
///
/// # Errors
/// [`VerifyError`].
pub fn verify_inference(
    srs: &VerifierSrs,
    model: &Model,
    statement: &Statement<'_>,
    proof: &[u8],
) -> Result<(), VerifyError> {
    let (reduced, opening) = follow(srs, model, statement, proof, || {
        statement.transcript(model.id(srs.id()))
    })?;
    reduced.check(srs, model.commitment.scheme, opening)
}

/// What a proof of inference comes down to in a conversation that a simulator programmed.
///
/// # Errors
/// [`VerifyError`], but for the opening, which is not checked.
#[cfg(feature = "simulation")]
pub fn reduce_inference(
    srs: &VerifierSrs,
    model: &Model,
    statement: &Statement<'_>,
    proof: &[u8],
    transcript: Transcript,
) -> Result<Reduced, VerifyError> {
    follow(srs, model, statement, proof, || transcript).map(|(reduced, _)| reduced)
}

/// Everything but the opening, whose bytes come last.
fn follow<'a>(
    srs: &VerifierSrs,
    model: &Model,
    statement: &Statement<'_>,
    proof: &'a [u8],
    start: impl FnOnce() -> Transcript,
) -> Result<(Reduced, &'a [u8]), VerifyError> {
    let architecture = &model.architecture;
    let plan = Plan::new(
        architecture,
        model.commitment.row_bits,
        statement.input.visibility(),
    )?;
    let output = read_output(
        architecture.is_raw(),
        architecture.output().elements(),
        statement.output,
    )?;
    if let InputStatement::Public(values) = statement.input {
        let expected = architecture.input().elements();
        if values.len() != expected {
            return Err(VerifyError::InputLength {
                expected,
                got: values.len(),
            });
        }
    }
    let shape = inference_shape(&plan, model);
    if proof.len() != shape.bytes() {
        return Err(VerifyError::Length {
            expected: shape.bytes(),
            got: proof.len(),
        });
    }
    let proof = Proof::decode(&shape, proof)?;
    if proof.weights != model.commitment.rows {
        return Err(VerifyError::OtherWeights);
    }
    if let InputStatement::Committed(commitment) = statement.input
        && keccak256(&encode_rows(&proof.input)) != commitment
    {
        return Err(VerifyError::OtherInput);
    }
    let revealed = Revealed::new(&proof.evaluations);
    let public_input = match statement.input {
        InputStatement::Public(values) => values,
        InputStatement::Committed(_) => &[],
    };
    let reduced = reduce(
        srs,
        start(),
        &proof.weights,
        &proof,
        plan.tau_bits,
        |challenges| InferenceClaims::new(&plan, challenges, revealed, proof.sum, public_input, &output),
    );
    Ok((reduced, proof.opening))
}

/// The output's values: accumulators of a raw output, otherwise int8.
fn read_output(is_raw: bool, elements: usize, bytes: &[u8]) -> Result<Vec<i32>, VerifyError> {
    let expected = if is_raw { 4 * elements } else { elements };
    if bytes.len() != expected {
        return Err(VerifyError::OutputLength {
            expected,
            got: bytes.len(),
        });
    }
    Ok(if is_raw {
        bytes
            .as_chunks()
            .0
            .iter()
            .map(|value| i32::from_be_bytes(*value))
            .collect()
    } else {
        bytes.iter().map(|value| i32::from(value.cast_signed())).collect()
    })
}

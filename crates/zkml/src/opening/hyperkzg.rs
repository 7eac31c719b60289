//! The prover of HyperKZG.
//!
//! Ported from `nova-snark` 0.76 (`src/provider/hyperkzg.rs`, MIT licence, copyright Microsoft Corporation), with our
//! transcript and fewer evaluations sent; see the verifier's module and `docs/spec/opening.md`.

use counterweight_zkml_verifier::field::Field;
use counterweight_zkml_verifier::{Fr, Transcript};

use super::polynomial::{add_scaled, divide_by_linear, evaluate};
use super::{OpenError, ProofWriter};
use crate::srs::Srs;

pub(super) fn open(
    srs: &Srs,
    transcript: &mut Transcript,
    row: &[Fr],
    point: &[Fr],
    value: &Fr,
) -> Result<Vec<u8>, OpenError> {
    let mut folds = Vec::with_capacity(point.len());
    let mut current = row.to_vec();
    for coordinate in point.iter().rev() {
        let (pairs, _) = current.as_chunks::<2>();
        let next = pairs
            .iter()
            .map(|[even, odd]| *even + *coordinate * (*odd - even))
            .collect();
        folds.push(std::mem::replace(&mut current, next));
    }
    if current != [*value] {
        return Err(OpenError::Value);
    }
    let mut proof = ProofWriter::new(srs, transcript);
    proof.commitments(&folds[1..].iter().map(Vec::as_slice).collect::<Vec<_>>());
    let r = proof.challenge();

    proof.scalar(&evaluate(row, &r.square()));
    for fold in &folds {
        proof.scalar(&evaluate(fold, &r));
        proof.scalar(&evaluate(fold, &-r));
    }
    let q = proof.challenge();

    let mut batch = Vec::new();
    let mut weight = Fr::ONE;
    for fold in &folds {
        add_scaled(&mut batch, fold, &weight);
        weight *= q;
    }
    let quotients = [r, -r, r.square()].map(|root| divide_by_linear(batch.clone(), &root));
    proof.commitments(&quotients.each_ref().map(Vec::as_slice));
    proof.challenge();
    Ok(proof.finish())
}

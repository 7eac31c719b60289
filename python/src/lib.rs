//! The native part of the Python package: whole studies in one process.
//!
//! Everything that Python can do as well, such as reading arrays and serving requests, is written in Python. What is here
//! must be the engine itself, so that a simulated study and a real one are the same.

mod client;
mod study;

use counterweight_primitives::Address;
use counterweight_provenance::decision::receipt::UncheckedDecisionReceipt;
use pyo3::{exceptions::PyValueError, prelude::*, types::PyBytes};

use study::Outcome;

pyo3::create_exception!(
    _native,
    StudyError,
    pyo3::exceptions::PyException,
    "A study could not be run, or its settings are not allowed."
);

/// Runs a study whose members are functions of Python's.
///
/// `study` is what `counterweight.toml` would say, as JSON; `start` a safetensors file. Each of `clients` is called with the
/// task's name, the model as a safetensors file and the task's facts as JSON. For `train` it returns a file, the number of
/// examples and metrics as JSON; for `evaluate` nothing, or loss, examples and metrics.
#[pyfunction]
#[pyo3(signature = (study, start, clients, on_round=None))]
fn run_study(
    py: Python<'_>,
    study: &str,
    start: &[u8],
    clients: Vec<Py<PyAny>>,
    on_round: Option<Py<PyAny>>,
) -> PyResult<(Py<PyBytes>, String, Vec<u32>, String)> {
    let outcome = study::run(py, study, start, clients, on_round)?;
    let Outcome {
        model,
        digest,
        contributions,
        terms,
    } = outcome;
    Ok((PyBytes::new(py, &model).unbind(), digest, contributions, terms))
}

/// The BLAKE3 digest of a file, as everywhere in Counterweight.
#[pyfunction]
fn digest(bytes: &[u8]) -> String {
    counterweight_primitives::ContentDigest::of(bytes).to_string()
}

/// The only model file there is for the tensors of `bytes`, any safetensors file, in the order of `names`.
///
/// # Errors
/// `StudyError` for another file, other names or numbers that are not finite.
#[pyfunction]
fn canonical_model(bytes: &[u8], names: Vec<String>) -> PyResult<Vec<u8>> {
    study::canonical(bytes, &names).map_err(StudyError::new_err)
}

/// Whether a leaf is in a log of `size` leaves whose root is `root`, by RFC 6962.
#[pyfunction]
fn verify_inclusion(leaf: [u8; 32], index: u64, size: u64, path: Vec<[u8; 32]>, root: [u8; 32]) -> bool {
    study::is_included(leaf, index, size, path, root)
}

/// What an update says: study, round, member, digest of its base, examples and coordinates in units of 2^-24.
///
/// # Errors
/// `StudyError` for bytes that are no update.
#[pyfunction]
fn read_update(bytes: &[u8]) -> PyResult<study::UpdateFacts> {
    study::read_update(bytes).map_err(StudyError::new_err)
}

/// Origin, SHA-256 of the endpoint's name, counter, index, leaf hash, deadline in seconds since 1970.
type Promised = (String, [u8; 32], u64, u64, [u8; 32], u64);

/// What a receipt of a decision promises, if `owner` signed it.
///
/// # Errors
/// `ValueError` for bytes that are no receipt, and for one that somebody else signed.
#[pyfunction]
fn check_receipt(receipt: &[u8], owner: &str) -> PyResult<Promised> {
    let refused = |error: &dyn std::error::Error| match error.source() {
        Some(cause) => PyValueError::new_err(format!("{error}: {cause}")),
        None => PyValueError::new_err(error.to_string()),
    };
    let owner: Address = owner.parse().map_err(|error| refused(&error))?;
    let receipt = UncheckedDecisionReceipt::decode(receipt)
        .and_then(|receipt| receipt.verify(owner))
        .map_err(|error| refused(&error))?;
    let promise = receipt.promise();
    Ok((
        receipt.origin().to_owned(),
        promise.endpoint.0,
        promise.counter,
        promise.index,
        promise.leaf.0,
        promise.deadline.0,
    ))
}

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::{
        StudyError, canonical_model, check_receipt, digest, read_update, run_study, verify_inclusion,
    };
}

//! Prove that an answer came from the committed model.
//!
//! The prover's side of `counterweight-zkml-verifier`. It may panic on its own mistakes; it never decides what is
//! true.
//!
//! | Module | Holds |
//! |---|---|
//! | [`srs`] | structured reference strings: from a powers-of-tau file, or the insecure one for development |
//! | [`commit`] | commitments to rows of large and of small numbers |
//! | [`opening`] | Mercury and HyperKZG |
//! | [`model`] | a committed model: answer inputs and prove the answers |
//! | [`secret`] | the file its owner keeps |
//! | [`input`] | commitments to private inputs |
//!
//! The argument is specified in `docs/spec/zkml.md`.

#![forbid(unsafe_code)]

pub mod commit;
mod conversation;
mod error;
pub mod input;
pub mod model;
mod msm;
pub mod opening;
mod prover;
pub mod random;
pub mod secret;
pub mod srs;
mod witness;

pub use counterweight_zkml_verifier::file::ModelKey;
pub use error::ProveError;
pub use input::InputCommitment;
pub use model::{Input, ProvenAnswer, SecretModel, default_row_bits};
pub use prover::Phase;

#[cfg(test)]
mod tests;

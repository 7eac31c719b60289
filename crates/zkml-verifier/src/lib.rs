//! Check that an answer came from the committed model.
//!
//! This crate is the whole verifier and nothing else: field and curve from outside, everything that decides is
//! here. It treats a proof as hostile: no `unsafe`, no panic, no memory reserved on the proof's word, canonical
//! encodings only, and every rejection has a name.
//!
//! | Module | Holds |
//! |---|---|
//! | [`field`] | the scalar field of BN254 and its 32-byte words |
//! | [`curve`] | the groups of BN254, their EVM encodings, the pairing check |
//! | [`encoding`] | reading a proof word by word |
//! | [`transcript`] | Fiat-Shamir over Keccak-256, mirrored in Solidity |
//! | [`srs`] | the verifier's part of a structured reference string, its id, the blinding generator |
//! | [`multilinear`] | extensions the verifier evaluates itself |
//! | [`plan`] | where every value of a proof is, from the architecture alone |
//! | [`table`] | the lookup table of facts about bytes |
//! | [`model`] | a model as everybody knows it: architecture and commitment |
//! | [`proof`] | what a prover sends, read against the plan |
//! | [`file`] | files of public keys and proven answers |
//! | [`sumcheck`] | rounds of a sum-check |
//! | [`verify`] | the argument: inference and registration |
//! | [`opening`] | Mercury and HyperKZG: what a committed row evaluates to at a point |
//!
//! The argument is specified in `docs/spec/zkml.md`, the opening layer in `docs/spec/opening.md`.

#![forbid(unsafe_code)]

pub mod curve;
pub mod encoding;
pub mod field;
pub mod file;
pub mod model;
pub mod multilinear;
pub mod opening;
pub mod plan;
pub mod proof;
pub mod srs;
pub mod sumcheck;
pub mod table;
pub mod transcript;
pub mod verify;

pub use curve::{G1Affine, G2Affine};
pub use field::Fr;
pub use opening::{OpeningClaim, OpeningError, Scheme};
pub use srs::{SrsId, SrsOrigin, VerifierSrs};
pub use transcript::Transcript;
pub use verify::{InputStatement, Statement, VerifyError, verify_inference, verify_registration};

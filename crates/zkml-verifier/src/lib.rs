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
//! | [`opening`] | Mercury and HyperKZG: what a committed row evaluates to at a point |
//!
//! The opening layer is specified in `docs/spec/opening.md`.

#![forbid(unsafe_code)]

pub mod curve;
pub mod encoding;
pub mod field;
pub mod opening;
pub mod srs;
pub mod transcript;

pub use curve::{G1Affine, G2Affine};
pub use field::Fr;
pub use opening::{OpeningClaim, OpeningError, Scheme};
pub use srs::{SrsId, SrsOrigin, VerifierSrs};
pub use transcript::Transcript;

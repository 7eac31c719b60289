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

#![forbid(unsafe_code)]

pub mod commit;
pub mod opening;
pub mod random;
pub mod srs;

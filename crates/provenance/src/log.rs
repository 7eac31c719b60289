//! An append-only log: who recorded what, in which order, so that nobody can change it unseen.
//!
//! The tree is RFC 6962 with SHA-256 ([`tree`], [`proof`]); the files are those of C2SP tlog-tiles and the checkpoint
//! is a C2SP signed note, so that any reader of such logs can check this one. Page: `docs/spec/log.md`.

pub mod account_signature;
pub mod cosignature;
pub mod fsck;
#[cfg(feature = "http")]
pub mod http;
pub mod note;
pub mod policy;
pub mod proof;
mod reader;
pub mod receipt;
pub mod register;
pub mod tile;
pub mod tree;
pub mod witness;
mod writer;

pub use reader::{LogReader, ReadError};
pub use writer::{Log, LogError};

#[cfg(test)]
mod tests;

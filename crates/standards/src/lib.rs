//! Say what the ledger knows in formats that others read, and read theirs.
//!
//! | Format | Version | Module |
//! |---|---|---|
//! | OpenSSF Model Signing | 1.0 | [`oms`] |
//!
//! Nothing here adds to what the ledger proves: an export repeats it in another's words, and what is read from others is
//! a claim of theirs. Page: `docs/reference/standards.md`.

#![forbid(unsafe_code)]

pub mod oms;

//! Record where things came from and prove it.

#![forbid(unsafe_code)]

pub mod blobs;
pub mod ledger;
pub mod log;
pub mod purpose;
pub mod signature;

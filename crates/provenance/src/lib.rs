//! Record where things came from and prove it.

#![forbid(unsafe_code)]

pub mod blobs;
pub mod bundle;
mod canonical_form;
pub mod consent;
pub mod content;
pub mod decision;
pub mod durable;
pub mod ledger;
pub mod lineage;
pub mod log;
pub mod manifest;
pub mod purpose;
pub mod signature;
pub mod statement;

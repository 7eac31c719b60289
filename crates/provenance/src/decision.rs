//! Decisions of models: who may ask what was decided and why, and how anyone checks that nothing was changed or left out.
//!
//! The page `docs/spec/decision.md` defines every format here.

pub mod entry;
pub mod receipt;

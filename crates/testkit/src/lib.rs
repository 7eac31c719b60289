//! Test Counterweight from a seed: processes that are killed, a real node to compare with, counts that grow at night, numbers
//! that several implementations compute with.
//!
//! A dev-dependency only. Its functions panic where a test should fail.

#![forbid(unsafe_code)]

mod anvil;
mod depth;
#[cfg(feature = "studies")]
mod masked_study;
mod numbers;
mod victim;

pub use anvil::Anvil;
pub use depth::repetitions;
#[cfg(feature = "studies")]
pub use masked_study::{MASKED_MEMBERS, MaskedOpening, MaskedStudy, MaskedStudyOptions, register_dataset};
pub use numbers::{numbers, seeds};
pub use victim::Victim;

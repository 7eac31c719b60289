//! Run a network bit for bit the same everywhere.
//!
//! A [`Network`] is an [`Architecture`](counterweight_primitives::architecture::Architecture) with its weights: int8, exact
//! sums, requantised by shifts, as docs/spec/arithmetic.md says. [`Network::run`] gives the [`Answer`], [`Network::trace`]
//! every number on the way, which provers and disputes need. [`reference`] is the same written plainly.

#![deny(unsafe_code)]

mod answer;
mod execute;
mod network;
pub mod reference;

pub use answer::{Answer, AnswerError};
pub use execute::{InputError, Trace};
pub use network::{Network, NetworkError};

//! Train one model on data that stays where it is.

#![forbid(unsafe_code)]

pub mod ledger;

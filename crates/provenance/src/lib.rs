//! Record where things came from and prove it.

#![forbid(unsafe_code)]

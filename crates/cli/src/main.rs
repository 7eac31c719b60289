//! The `cw` command.
fn main() {}

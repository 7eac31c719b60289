//! `cw claim`: collect what was earned.
use super::Context;
use crate::{error::CliError, output::Answer};

/// Whose earnings.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Members to pay, by the name of their dataset; without one, every member whose key is here
    #[arg(value_name = "DATASET")]
    members: Vec<String>,
}
pub(crate) fn run(_arguments: &Arguments, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

//! `cw network`: the chain to work on.
use super::Context;
use crate::{arguments::NetworkName, error::CliError, output::Answer};

/// What to do with networks.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the networks known here
    List,
    /// Make a network the one that is used without --network
    Use {
        /// Its name
        name: NetworkName,
    },
}
pub(crate) fn run(_command: &Command, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

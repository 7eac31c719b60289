//! `cw member`: take part with data that stays here.
use super::Context;
use crate::{error::CliError, output::Answer};

/// What to do as a member.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Join a coordinator's study and answer its rounds until it ends
    Start {
        /// Address of the coordinator, http://host:port
        #[arg(long, value_name = "URL")]
        coordinator: String,
        /// The dataset of this project to train on
        #[arg(long, value_name = "NAME")]
        dataset: String,
    },
}
pub(crate) fn run(_command: &Command, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

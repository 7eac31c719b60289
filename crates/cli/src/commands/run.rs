//! `cw run`: training runs.
use super::Context;
use crate::{error::CliError, output::Answer};

/// What to do with runs.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List runs
    List,
    /// Show one run: its rounds, members, contributions and payments
    Show {
        /// The run's number [default: the newest]
        run: Option<u64>,
    },
    /// Follow a run until it ends
    Watch {
        /// The run's number [default: the newest]
        run: Option<u64>,
    },
}
pub(crate) fn run(_command: &Command, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

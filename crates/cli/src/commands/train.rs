//! `cw train`: the main job.
use super::Context;
use crate::{error::CliError, output::Answer};

/// How to train.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder of the project [default: the nearest one with a counterweight.toml]
    #[arg(value_name = "DIR")]
    folder: Option<std::path::PathBuf>,
    /// Rounds to train, instead of those configured
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Wait for members in processes of their own at this address, instead of simulating them here
    #[arg(long, value_name = "ADDR")]
    listen: Option<std::net::SocketAddr>,
    /// Leave an interrupted run as it is and open a new study
    #[arg(long)]
    fresh: bool,
}
pub(crate) fn run(_arguments: &Arguments, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

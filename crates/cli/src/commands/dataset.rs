//! `cw dataset`: the project's datasets.
use super::Context;
use crate::{arguments::ThingName, error::CliError, output::Answer};

/// What to do with datasets.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Add a file to the project's configuration
    Add {
        /// What to call it
        name: String,
        /// The file, CSV
        #[arg(value_name = "FILE")]
        path: std::path::PathBuf,
        /// Its licence, as an SPDX identifier
        #[arg(long, value_name = "SPDX")]
        licence: String,
        /// A purpose its steward allows; may be given several times [default: the project's purpose]
        #[arg(long, value_name = "NAME")]
        consent: Vec<String>,
    },
    /// List the project's datasets
    List,
    /// Show one dataset in full
    Show {
        /// The dataset
        name: ThingName,
    },
    /// Sign a dataset's manifest, put it on the chain and into the log, and grant its consent
    Publish {
        /// The datasets; without one, all that are not published
        names: Vec<String>,
    },
}
pub(crate) fn run(_command: &Command, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

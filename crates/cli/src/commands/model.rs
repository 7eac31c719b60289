//! `cw model`: the models trained here.
use super::Context;
use crate::{arguments::ThingName, error::CliError, output::Answer};

/// What to do with models.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List models, every version
    List,
    /// Show one model in full
    Show {
        /// The model, `name` or `name@2`
        name: ThingName,
    },
    /// Write a model's parameters as a safetensors file, checked against its published digest
    Export {
        /// The model, `name` or `name@2`
        name: ThingName,
        /// The file to write; `-` for standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<std::path::PathBuf>,
    },
}
pub(crate) fn run(_command: &Command, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

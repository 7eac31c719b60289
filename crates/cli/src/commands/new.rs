//! `cw new`: a project from a template.
use super::Context;
use crate::{error::CliError, output::Answer};

/// What to make.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Folder to make
    #[arg(value_name = "DIR")]
    folder: std::path::PathBuf,
    /// What to start from
    #[arg(long, value_name = "NAME", default_value = "breast-cancer")]
    template: String,
}
pub(crate) fn run(_arguments: &Arguments, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

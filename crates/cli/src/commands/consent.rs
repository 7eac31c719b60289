//! `cw consent`: what a dataset may be used for.
use super::Context;
use crate::{arguments::ThingName, error::CliError, output::Answer};

/// What to do about consent.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Allow purposes for a dataset; replaces what was allowed before
    Grant {
        /// The dataset
        dataset: ThingName,
        /// A purpose to allow; may be given several times [default: the project's purpose]
        #[arg(long, value_name = "NAME")]
        purpose: Vec<String>,
        /// Last day it is allowed, 2027-12-31 [default: no end]
        #[arg(long, value_name = "DATE")]
        until: Option<String>,
    },
    /// Withdraw purposes; stops the next run and never rewrites the past
    Revoke {
        /// The dataset
        dataset: ThingName,
        /// A purpose to withdraw; may be given several times [default: all]
        #[arg(long, value_name = "NAME")]
        purpose: Vec<String>,
    },
    /// Show what each dataset may be used for
    List,
}
pub(crate) fn run(_command: &Command, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

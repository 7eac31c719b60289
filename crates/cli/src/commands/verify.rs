//! `cw verify`: recompute a claim from public data.
use super::Context;
use crate::{arguments::ThingName, error::CliError, output::Answer};

/// What to verify.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// A model: its bytes, manifest, rounds, consent, lineage, payment and log entries
    Model {
        /// The model, `name` or `name@2`
        name: ThingName,
    },
    /// A run: every committed update, every aggregation, contributions and payments
    Run {
        /// The run's number [default: the newest]
        run: Option<u64>,
    },
    /// A dataset: its bytes, manifest and consent
    Dataset {
        /// The dataset
        name: ThingName,
    },
    /// The project's log: every tile, the checkpoint's signature and its anchor
    Log,
}
pub(crate) fn run(_command: &Command, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

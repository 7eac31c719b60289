//! `cw node`: a chain that other programs can talk to.
use super::Context;
use crate::{error::CliError, output::Answer};

/// What to do as a node.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Serve the embedded chain over JSON-RPC until Ctrl-C
    Start {
        /// Port to listen on; 0 for any free one
        #[arg(long, value_name = "N", default_value_t = 8545)]
        port: u16,
        /// Address to listen on
        #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
        host: std::net::IpAddr,
        /// Keep nothing on disk
        #[arg(long, conflicts_with = "data")]
        in_memory: bool,
        /// Folder of the chain [default: the project's]
        #[arg(long, value_name = "DIR")]
        data: Option<std::path::PathBuf>,
    },
}
pub(crate) fn run(_command: &Command, _context: &Context) -> Result<Answer, CliError> {
    Err(CliError::fault("not yet"))
}

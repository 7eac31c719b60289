//! `cw node`: a chain that other programs can talk to.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use counterweight_chain::{
    embedded::{Config, DEVELOPMENT_ACCOUNTS, DEVELOPMENT_CHAIN_ID, EmbeddedChain, Genesis},
    keys::development_key,
};

use super::Context;
use crate::{
    error::CliError,
    output::Answer,
    project::Project,
    session::{development_name, serve_chain},
};

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
        host: IpAddr,
        /// Keep nothing on disk
        #[arg(long, conflicts_with = "data")]
        in_memory: bool,
        /// Folder of the chain [default: the project's]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Allow what development tools ask for, such as moving time and signing with development keys
        #[arg(long)]
        development: bool,
    },
}

/// Serves until it is stopped.
///
/// # Errors
/// Where the port is taken or the chain cannot be opened.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    let Command::Start {
        port,
        host,
        in_memory,
        data,
        development,
    } = command;
    let console = &context.console;
    let chain = if *in_memory {
        EmbeddedChain::in_memory(Genesis::development(), Config::default())?
    } else {
        let folder = match data {
            Some(folder) => folder.clone(),
            None => {
                let project = Project::open(&context.global)?;
                project.folders().create()?;
                project.folders().chain()
            }
        };
        EmbeddedChain::open(&folder, Genesis::development(), Config::default())?
    };
    let head = chain.head().header.number;
    let server = serve_chain(chain, SocketAddr::new(*host, *port), *development)?;
    // The one result of this command; whoever started it waits for this line.
    context.emit(
        &Answer::new("node/1")
            .json("url", server.url())
            .json("chain_id", DEVELOPMENT_CHAIN_ID)
            .json("block", head)
            .line(server.url())
            .id(server.url()),
    )?;
    console.note(format!("chain     id {DEVELOPMENT_CHAIN_ID}, block {head}"));
    console.note("accounts  10,000 ether each, keys known to everyone: for this machine only");
    for index in 0..DEVELOPMENT_ACCOUNTS {
        let key = development_key(index, DEVELOPMENT_CHAIN_ID)?;
        console.note(format!("  {}  {}", development_name(index), key.account()));
    }
    console.note("Press Ctrl-C to stop.");
    loop {
        // The server works on threads of its own; the chain is safe against being killed at any moment.
        std::thread::park();
    }
}

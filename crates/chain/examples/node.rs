//! A node without the rest of Counterweight: the embedded chain behind JSON-RPC, until it is killed.
//!
//! `node [--port N] [--data DIR] [--development]` prints its URL. Without `--data` the chain is gone with the process.

use std::{error::Error, io::Write, net::SocketAddr, path::Path};

use counterweight_chain::{
    embedded::{Config, EmbeddedChain, Genesis},
    rpc::{self, Options},
};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut port, mut data, mut options) = (8545, None, Options::default());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => port = arguments.next().ok_or("--port needs a number")?.parse()?,
            "--data" => data = Some(arguments.next().ok_or("--data needs a folder")?),
            "--development" => options.development = true,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let (genesis, config) = (Genesis::development(), Config::default());
    let chain = match data {
        Some(folder) => EmbeddedChain::open(Path::new(&folder), genesis, config)?,
        None => EmbeddedChain::in_memory(genesis, config)?,
    };
    let server = rpc::serve(chain, SocketAddr::from(([127, 0, 0, 1], port)), options)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", server.url())?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}

//! Receiving decisions from elsewhere.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use counterweight_provenance::decision::{Access, RecorderOptions, http::DecisionServer};

use super::{Open, now};
use crate::{
    commands::{
        Context,
        log::{read, sign_for_chain},
    },
    error::{CliError, Code},
    output::Answer,
};

/// How decisions wait.
pub(super) struct Batching {
    pub(super) delay: Duration,
    pub(super) queue: usize,
    pub(super) merge_delay: u64,
}

/// Who may hand in decisions.
pub(super) fn access(tokens: Option<&Path>) -> Result<Access, CliError> {
    let Some(file) = tokens else {
        return Ok(Access::open());
    };
    Access::tokens(&String::from_utf8_lossy(&read(file)?)).map_err(|error| {
        CliError::new(Code::BadValue, format!("{} has no tokens", file.display()))
            .why(error.to_string())
            .fix("write one token a line, such as openssl rand -base64 24 prints")
    })
}

/// Receives until it is stopped, and records what was taken before it ends.
pub(super) fn run(
    open: Open,
    batching: Batching,
    access: Access,
    listen: SocketAddr,
    context: &Context,
) -> Result<Answer, CliError> {
    let Open {
        book,
        owner,
        origin,
        key,
        profiles,
    } = open;
    let options = RecorderOptions {
        delay: batching.delay,
        queue: batching.queue,
        signer: Some(owner.clone()),
        merge_delay: batching.merge_delay,
        clock: Arc::new(now),
    };
    let server = DecisionServer::start(book, &profiles, options, access, listen).map_err(|error| {
        if error.kind() == std::io::ErrorKind::InvalidInput {
            return CliError::new(Code::DecisionUnfit, error.to_string())
                .fix("give one profile for each endpoint");
        }
        CliError::new(Code::PortTaken, format!("cannot listen on {listen}"))
            .fact("system", error.to_string())
            .fix("choose another port with --port")
    })?;
    let url = format!("http://{}", server.address());
    context.emit(
        &Answer::new("decision-serve/1")
            .json("url", url.as_str())
            .json("origin", origin.as_str())
            .json("vkey", key.as_str())
            .json("owner", owner.account().to_string())
            .line(url.as_str())
            .id(url.as_str()),
    )?;
    context.console.note(format!("log       {key}"));
    context
        .console
        .note(format!("receipts  signed by {}", owner.account()));
    context.console.note("Press Ctrl-C to stop.");
    server.wait_for_interrupt();
    let mut book = server
        .stop()
        .map_err(|_| CliError::fault("the recorder ended before it was told to"))?;
    sign_for_chain(book.log_mut(), &owner)?;
    let size = book.log().checkpoint().checkpoint().size;
    context.console.note(format!("stopped; {size} entries are safe"));
    Ok(Answer::new("decision-serve/1"))
}

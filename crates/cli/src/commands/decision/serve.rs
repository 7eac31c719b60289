//! Receiving decisions from elsewhere.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use counterweight_provenance::decision::{
    Access, RecorderOptions,
    http::{DecisionServer, Listen, ServerTls},
};

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

/// With what to answer for the receiver's name.
pub(super) fn tls(certificates: &Path, key: &Path) -> Result<ServerTls, CliError> {
    ServerTls::from_pem(&read(certificates)?, &read(key)?).map_err(|error| {
        CliError::new(Code::BadValue, "there is nothing to serve TLS with")
            .fact("certificates", certificates.display().to_string())
            .fact("key", key.display().to_string())
            .why(crate::error::with_causes(&error))
            .fix("give a chain of certificates, the server's first, and its private key, both PEM")
    })
}

/// Receives until it is stopped, and records what was taken before it ends.
pub(super) fn run(
    open: Open,
    batching: Batching,
    access: Access,
    listen: Listen,
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
    let at: SocketAddr = listen.address;
    let scheme = if listen.tls.is_some() { "https" } else { "http" };
    if listen.tls.is_none() && !at.ip().is_loopback() {
        context
            .console
            .warn("whoever is on the way reads decisions and tokens: add --tls-cert and --tls-key");
    }
    let server = DecisionServer::start(book, &profiles, options, access, listen).map_err(|error| {
        if error.kind() == std::io::ErrorKind::InvalidInput {
            return CliError::new(Code::DecisionUnfit, error.to_string())
                .fix("give one profile for each endpoint");
        }
        CliError::new(Code::PortTaken, format!("cannot listen on {at}"))
            .fact("system", error.to_string())
            .fix("choose another port with --port")
    })?;
    let url = format!("{scheme}://{}", server.address());
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

//! Serving a log, and being a witness.

use std::{net::SocketAddr, path::Path};

use counterweight_primitives::ContentDigest;
use counterweight_provenance::{
    log::{cosignature::Cosigner, http::LogServer, note::VerifierKey, witness},
    signature,
};

use super::{Listen, Place, parse_key, write::owner};
use crate::{
    commands::Context,
    error::{CliError, Code, with_causes},
    metrics::{MetricsAddress, serve_log_metrics},
    output::Answer,
};

/// What is signed to make a witness's own key.
const KEY_DOMAIN: &str = "counterweight/witness-key/v1";

/// Serves a log until it is stopped.
pub(super) fn log(
    place: &Place,
    listen: Listen,
    metrics: MetricsAddress,
    context: &Context,
) -> Result<Answer, CliError> {
    let key = place.key()?;
    serve_log_metrics(metrics, place.folder.clone(), context)?;
    let server = start(listen, Some(place), None)?;
    let url = format!("http://{}", server.address());
    context.emit(
        &Answer::new("log-serve/1")
            .json("url", url.as_str())
            .json("vkey", key.to_string())
            .line(url.as_str())
            .id(url.as_str()),
    )?;
    context.console.note(format!("log       {key}"));
    context.console.note("Press Ctrl-C to stop.");
    forever()
}

/// Cosigns until it is stopped.
pub(super) fn witness(
    name: &str,
    data: &Path,
    watch: &[String],
    listen: Listen,
    context: &Context,
) -> Result<Answer, CliError> {
    let logs: Result<Vec<VerifierKey>, _> = watch.iter().map(|key| parse_key(key)).collect();
    // As a log's key: it follows from its owner's, whose signature is deterministic and never shown.
    let fault = |error: &dyn std::error::Error| CliError::new(Code::Fault, with_causes(error));
    let signed = signature::sign(&*owner(context)?, KEY_DOMAIN, &ContentDigest::of(name.as_bytes()));
    let secret = ContentDigest::of(&signed.map_err(|error| fault(&error))?.0);
    let cosigner = Cosigner::ed25519(name, &secret.0).map_err(|error| {
        CliError::new(Code::BadValue, format!("\"{name}\" is no name for a witness"))
            .why(error.to_string())
            .fix("choose a name without spaces and +")
    })?;
    let key = cosigner.key().to_string();
    let witness = witness::Witness::open(data, vec![cosigner], logs?).map_err(|error| {
        let code = if error.kind() == std::io::ErrorKind::WouldBlock {
            Code::ProjectBusy
        } else {
            Code::FileUnreadable
        };
        CliError::new(
            code,
            format!("the witness in {} cannot be opened", data.display()),
        )
        .fact("system", error.to_string())
        .fix("check the folder's permissions, and that no other witness uses it")
    })?;
    let server = start(listen, None, Some(witness))?;
    let url = format!("http://{}", server.address());
    context.emit(
        &Answer::new("log-witness/1")
            .json("url", url.as_str())
            .json("vkey", key.as_str())
            .line(url.as_str())
            .id(url.as_str()),
    )?;
    context.console.note(format!("witness   {key}"));
    context.console.note("Press Ctrl-C to stop.");
    forever()
}

fn start(
    listen: Listen,
    log: Option<&Place>,
    witness: Option<witness::Witness>,
) -> Result<LogServer, CliError> {
    let address = SocketAddr::new(listen.host, listen.port);
    LogServer::start(address, log.map(|place| place.folder.clone()), witness).map_err(|error| {
        CliError::new(Code::PortTaken, format!("cannot listen on {address}"))
            .fact("system", error.to_string())
            .fix("choose another port with --port")
    })
}

fn forever() -> Result<Answer, CliError> {
    loop {
        // The server works on threads of its own; log and witness are safe against being killed at any moment.
        std::thread::park();
    }
}

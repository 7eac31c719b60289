//! Appending to a log of one's own, and having it cosigned.

use std::{path::Path, path::PathBuf, time::Duration};

use counterweight_chain::{embedded::DEVELOPMENT_CHAIN_ID, keys::LocalKey};
use counterweight_provenance::log::{
    Log, account_signature::AccountCheckpoint, cosignature::CosignerKey, http::HttpPeer, note::Checkpoint,
    witness::request_cosignatures,
};

use super::{Place, parse_key, read};
use crate::{
    commands::Context,
    error::{CliError, Code, with_causes},
    output::Answer,
    session::{Keyring, development_name},
    training::log_signer,
};

/// How long a witness may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The key of whoever runs the command: `--key`, else the first development key.
pub(in crate::commands) fn owner(context: &Context) -> Result<std::sync::Arc<LocalKey>, CliError> {
    let name = context
        .global
        .key
        .as_ref()
        .map_or_else(|| development_name(0), |key| key.0.clone());
    Keyring::new(DEVELOPMENT_CHAIN_ID).open(&name)
}

/// Appends each file as an entry.
pub(super) fn append(
    files: &[PathBuf],
    folder: &Path,
    origin: Option<&str>,
    at: Option<u64>,
    context: &Context,
) -> Result<Answer, CliError> {
    let place = Place::at(folder);
    let begun = place.is_begun();
    let missing = format!("there is no log in {} yet", folder.display());
    let fix = "cw log append FILE --log DIR --origin example.com/log";
    let origin = place.origin(origin, &missing, fix)?;
    let entries: Result<Vec<_>, _> = files.iter().map(|file| read(file)).collect();
    let entries = entries?;
    if context.global.dry_run {
        context.console.note("Nothing was appended: --dry-run");
        return Ok(Answer::new("log-append/1").json("entries", entries.len()));
    }
    let owner = owner(context)?;
    let mut log = Log::open(folder, log_signer(&owner, &origin)?)?;
    if !begun {
        place.write_key(
            &log_signer(&owner, &origin)?.verifier().to_string(),
            owner.account(),
        )?;
    }
    let size = log.checkpoint().checkpoint().size;
    let first = log.append_at(at.unwrap_or(size), &entries)?;
    sign_for_chain(&mut log, &owner)?;
    let tree = log.checkpoint().checkpoint();
    let mut answer = Answer::new("log-append/1")
        .json("origin", origin)
        .json("first", first)
        .json("entries", entries.len())
        .json("size", tree.size)
        .json("root", tree.root.to_string());
    for (index, file) in (first..).zip(files) {
        answer = answer
            .line(format!("{index}  {}", file.display()))
            .id(index.to_string());
    }
    Ok(answer.next(format!("cw log prove {first} --log {}", folder.display())))
}

/// Puts the owner's signature for contracts below the checkpoint: what two of it cost the owner who signs two histories.
pub(in crate::commands) fn sign_for_chain(log: &mut Log, owner: &LocalKey) -> Result<(), CliError> {
    let checkpoint: Checkpoint = log.checkpoint().checkpoint().clone();
    let fault = |error: &dyn std::error::Error| CliError::new(Code::Fault, with_causes(error));
    let signed = AccountCheckpoint::sign(&checkpoint, owner).map_err(|error| fault(&error))?;
    let line = signed
        .to_line(&checkpoint.origin)
        .map_err(|error| fault(&error))?;
    Ok(log.add_signatures(&[line])?)
}

/// Has the newest checkpoint cosigned.
pub(super) fn ask(url: &str, witness: &str, folder: &Path, context: &Context) -> Result<Answer, CliError> {
    let key: CosignerKey = parse_key(witness)?;
    let place = Place::at(folder);
    let origin = place.key()?.name().to_owned();
    let mut log = Log::open(folder, log_signer(&*owner(context)?, &origin)?)?;
    let timeout = context.global.timeout.map_or(TIMEOUT, |seconds| seconds.0);
    let peer = HttpPeer::new(url, timeout).map_err(|error| {
        CliError::new(Code::Fault, "no HTTP client can be made").fact("system", error.to_string())
    })?;
    let lines = request_cosignatures(&peer, &key, &log.reader(), log.checkpoint(), 0).map_err(|error| {
        CliError::new(Code::Cosignature, with_causes(&error))
            .fact("witness", url.to_owned())
            .why("a witness cosigns only what extends the checkpoint it cosigned before")
            .fix("compare both with cw log fsck; ask again where the witness was not reached")
    })?;
    log.add_signatures(&lines)?;
    let size = log.checkpoint().checkpoint().size;
    Ok(Answer::new("log-cosigned/1")
        .json("origin", origin.as_str())
        .json("size", size)
        .json("witness", key.name())
        .line(format!("{} cosigned {size} entries of {origin}", key.name())))
}

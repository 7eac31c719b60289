//! What `cw model export` and `cw dataset export` have in common: what the ledger knows, and the file it goes to.

use std::{
    io::{IsTerminal as _, Write as _, stdout},
    path::Path,
};

use counterweight_provenance::{
    lineage::LineageGraph,
    manifest::{MANIFEST_BYTES, Manifest},
};
use counterweight_standards::export::{Dossier, ExportError, LogEntry, Run};

use super::Context;
use crate::{
    error::{CliError, Code, with_causes},
    inference::write_file,
    output::Answer,
    session::{Asset, Contracts, Session},
    training::{check_log, log_origin},
};

/// Gathers what is known about an asset. A run whose manifest is not at hand, and a log that is elsewhere, are left out
/// and said.
///
/// # Errors
/// Those of the chain and the log.
pub(super) fn dossier<'a>(
    session: &Session<'_>,
    contracts: &Contracts,
    graph: &'a LineageGraph,
    asset: &Asset,
    context: &Context,
) -> Result<Dossier<'a>, CliError> {
    let mut run = None;
    if let Some(Manifest::Model(model)) = &asset.manifest
        && let Some(digest) = model.run
    {
        let bytes = session.blobs.get(&digest, MANIFEST_BYTES as u64).ok();
        match bytes.map(|bytes| Manifest::decode_expected(&bytes, &digest)) {
            Some(Ok(Manifest::Run(manifest))) => run = Some(Run { digest, manifest }),
            _ => context
                .console
                .warn("the manifest of its run is not at hand: the run is left out"),
        }
    }
    let kind = format!("counterweight/{}-published/v1", asset.record.asset.kind.name());
    let record = &asset.record;
    let found = check_log(
        session,
        contracts,
        record.registered_to,
        &kind,
        record.asset.content,
    )?;
    if found.index.is_none() {
        context
            .console
            .note("its publication is in no log at hand: the log entry is left out");
    }
    let logged = found.index.map(|index| LogEntry {
        origin: log_origin(session),
        index,
    });
    let deployment = contracts.reader.deployment();
    let place = (deployment.chain_id, deployment.asset_registry);
    Ok(Dossier::gather(graph, record.id, place, run, logged)?)
}

/// Writes a result to a file, or to standard output where the name is `-`.
///
/// # Errors
/// [`Code::AlreadyThere`], [`Code::FileUnreadable`], [`Code::Usage`] for bytes that are not for a terminal.
pub(super) fn write(
    schema: &'static str,
    bytes: &[u8],
    path: &Path,
    is_text: bool,
    context: &Context,
) -> Result<Answer, CliError> {
    if path == Path::new("-") {
        if !is_text && stdout().is_terminal() {
            return Err(
                CliError::new(Code::Usage, "a model's bytes are not for a terminal")
                    .fix("name a file with --output, or pipe the output"),
            );
        }
        let written = stdout().lock().write_all(bytes);
        written.map_err(|error| {
            CliError::new(Code::FileUnreadable, "standard output cannot be written")
                .fact("system", error.to_string())
                .fix("keep the reader of this command's output running")
        })?;
        return Ok(Answer::new(schema));
    }
    if path.exists() && !context.global.yes {
        return Err(
            CliError::new(Code::AlreadyThere, format!("{} exists already", path.display()))
                .fix("choose another name with --output, or add --yes to replace it"),
        );
    }
    if !context.global.dry_run {
        write_file(path, bytes)?;
    }
    Ok(Answer::new(schema)
        .json("file", path.display().to_string())
        .json("bytes", bytes.len())
        .line(path.display().to_string())
        .id(path.display().to_string()))
}

impl From<ExportError> for CliError {
    fn from(error: ExportError) -> Self {
        let told = |code| Self::new(code, with_causes(&error));
        match &error {
            ExportError::Lineage(_) => told(Code::LineageDiffers).fix("cw doctor"),
            ExportError::NoManifest { .. } => told(Code::BytesMissing)
                .why("the chain holds the manifest's digest, and its bytes say what to export")
                .fix("get them from whoever published them into .counterweight/blobs"),
            ExportError::OtherFile { .. } => told(Code::ContentDiffers)
                .fix("restore the file, or publish it as a new version with cw dataset publish"),
            _ => Self::fault(with_causes(&error)),
        }
    }
}

//! Reading a log: proofs and the check of everything.

use std::{path::Path, time::Duration};

use counterweight_provenance::log::{
    fsck::{FolderSource, LogSource, Report, fsck as check},
    http::HttpPeer,
    note::VerifierKey,
};
use serde_json::json;

use super::{Place, parse_key};
use crate::{
    commands::Context,
    error::{CliError, Code, Status},
    output::Answer,
};

/// How long a server may take for one file.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Prints the proof of an entry.
pub(super) fn prove(index: u64, place: &Place) -> Result<Answer, CliError> {
    let reader = place.reader()?;
    let checkpoint = reader.checkpoint()?;
    let size = checkpoint.checkpoint().size;
    if index >= size {
        return Err(
            CliError::new(Code::UnknownName, format!("the log has no entry {index}"))
                .why(format!("it has {size} entries, counted from 0"))
                .fix("cw log prove with a smaller number"),
        );
    }
    let (entry, receipt) = reader.receipt(&checkpoint, index)?;
    let text = receipt.to_text();
    let mut answer = Answer::new("log-proof/1")
        .json("index", index)
        .json("size", size)
        .json("entry_bytes", entry.len())
        .json("proof", text.as_str());
    for line in text.lines() {
        answer = answer.line(line);
    }
    Ok(answer)
}

/// Checks all of a log, here or from afar.
pub(super) fn fsck(
    folder: Option<&Path>,
    url: Option<&str>,
    key: Option<&str>,
    context: &Context,
) -> Result<Answer, CliError> {
    let (source, key): (Box<dyn LogSource>, VerifierKey) = match (url, key) {
        (Some(url), Some(key)) => {
            let timeout = context.global.timeout.map_or(TIMEOUT, |seconds| seconds.0);
            let peer = HttpPeer::new(url, timeout).map_err(|error| unreadable(&error))?;
            (Box::new(peer), parse_key(key)?)
        }
        (_, key) => {
            let place = Place::find(folder, context)?;
            let key = match key {
                Some(key) => parse_key(key)?,
                None => place.key()?,
            };
            (Box::new(FolderSource(place.folder)), key)
        }
    };
    let report = check(source.as_ref(), &key).map_err(|error| unreadable(&error))?;
    Ok(told(&report, &key))
}

fn told(report: &Report, key: &VerifierKey) -> Answer {
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let size = report.checkpoint.as_ref().map(|signed| signed.checkpoint().size);
    let answer = Answer::new("log-fsck/1")
        .json("origin", key.name())
        .json("size", size)
        .json("files", report.files)
        .json("holds", findings.is_empty())
        .json("findings", json!(findings));
    if findings.is_empty() {
        let size = size.unwrap_or_default();
        return answer.line(format!(
            "yes  {}: {size} entries rebuilt from {} files, the signed root is theirs",
            key.name(),
            report.files
        ));
    }
    findings
        .iter()
        .fold(answer, |answer, finding| answer.line(format!("no   {finding}")))
        .status(Status::No)
}

fn unreadable(error: &std::io::Error) -> CliError {
    CliError::new(Code::FileUnreadable, "a file of the log cannot be read")
        .fact("system", error.to_string())
        .fix("check the folder's permissions, or the address and the network")
}

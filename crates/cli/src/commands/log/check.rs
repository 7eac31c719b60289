//! Reading a log: proofs and the check of everything.

use std::{path::Path, time::Duration};

use counterweight_provenance::log::{
    fsck::{FolderSource, LogSource, Report, fsck as check},
    http::HttpPeer,
    note::VerifierKey,
    policy::Policy,
    receipt::UncheckedReceipt,
};
use serde_json::json;

use super::{Place, parse_key, read};
use crate::{
    commands::Context,
    error::{CliError, Code, Status, with_causes},
    output::Answer,
};

/// How long a server may take for one file.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Prints the proof of an entry.
pub(in crate::commands) fn prove(index: u64, place: &Place) -> Result<Answer, CliError> {
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

/// Checks a proof under a policy, with nothing but these files.
pub(super) fn verify(proof: &Path, entry: &Path, policy: &Path) -> Result<Answer, CliError> {
    let text = |path| String::from_utf8(read(path)?).map_err(|_| not_text(path));
    let policy = Policy::parse(&text(policy)?).map_err(|error| {
        CliError::new(Code::BadValue, "this is no policy")
            .why(error.to_string())
            .fix("write it as C2SP tlog-policy says; see docs/spec/log.md")
    })?;
    let entry = read(entry)?;
    let checked =
        UncheckedReceipt::from_text(&text(proof)?).and_then(|receipt| receipt.verify_under(&entry, &policy));
    let answer = Answer::new("log-verify/1").json("holds", checked.is_ok());
    Ok(match checked {
        Ok((receipt, trusted)) => {
            let tree = receipt.checkpoint().checkpoint();
            let names: Vec<&str> = trusted
                .witnesses()
                .iter()
                .map(|(name, _)| name.as_str())
                .collect();
            answer
                .json("origin", tree.origin.as_str())
                .json("index", receipt.index())
                .json("size", tree.size)
                .json("witnesses", json!(names))
                .line(format!(
                    "yes  entry {} of {} in {}, cosigned by {}",
                    receipt.index(),
                    tree.size,
                    tree.origin,
                    if names.is_empty() {
                        "no witness".to_owned()
                    } else {
                        names.join(", ")
                    }
                ))
        }
        Err(error) => {
            let why = with_causes(&error);
            answer
                .json("reason", why.as_str())
                .line(format!("no   {why}"))
                .status(Status::No)
        }
    })
}

fn not_text(path: &Path) -> CliError {
    CliError::new(Code::BadValue, format!("{} is not text", path.display()))
        .fix("give the proof as cw log prove prints it, and the policy as text")
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

//! `cw doctor`: is everything needed there, and what is it needed for?

use std::time::{SystemTime, UNIX_EPOCH};

use counterweight_federated::ledger::StudyReader as _;
use counterweight_provenance::ledger::{AnchorReader as _, LogId};
use serde::Serialize;
use serde_json::Value;

use super::Context;
use crate::{
    error::{CliError, Code, Status, with_causes},
    output::{Answer, Cell, Table, Tone},
    project::Project,
    session::Session,
    training::{log_origin, log_owner, log_reader, member_key, read_holdout, read_local},
    user::UserFolder,
};

/// Seconds by which this machine's clock may differ from the chain's before rounds suffer.
const CLOCK_TOLERANCE: u64 = 5;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Ok,
    Warn,
    Fail,
    Skip,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    outcome: Outcome,
    check: &'static str,
    protects: &'static str,
    said: String,
    fix: Option<String>,
}

/// Looks at everything; exit status 1 if any check fails.
///
/// # Errors
/// None of its own: what goes wrong is a finding.
pub(crate) fn run(context: &Context) -> Result<Answer, CliError> {
    let mut findings = Vec::new();
    match Project::open_if_any(&context.global) {
        Ok(Some(project)) => {
            let study = &project.config.study;
            findings.push(ok(
                "project",
                "what is trained",
                format!("{}, {} datasets", study.study.name, study.datasets.len()),
            ));
            data(&project, &mut findings);
            match Session::open(&project, context) {
                Ok(session) => chain(&session, &mut findings),
                Err(error) if error.code() == Code::NothingYet => {
                    findings.push(skip(
                        "chain",
                        "the record of every run",
                        "not begun; the first cw train does it",
                    ));
                }
                Err(error) => findings.push(fail("chain", "the record of every run", &error)),
            }
        }
        Ok(None) => findings.push(skip("project", "what is trained", "none here; cw new makes one")),
        Err(error) => findings.push(fail("project", "what is trained", &error)),
    }
    keys(&mut findings);
    Ok(answer(&findings))
}

fn ok(check: &'static str, protects: &'static str, said: impl Into<String>) -> Finding {
    Finding {
        outcome: Outcome::Ok,
        check,
        protects,
        said: said.into(),
        fix: None,
    }
}

fn skip(check: &'static str, protects: &'static str, said: impl Into<String>) -> Finding {
    Finding {
        outcome: Outcome::Skip,
        ..ok(check, protects, said)
    }
}

fn warn(check: &'static str, protects: &'static str, said: impl Into<String>, fix: &str) -> Finding {
    Finding {
        outcome: Outcome::Warn,
        fix: Some(fix.to_owned()),
        ..ok(check, protects, said)
    }
}

fn fail(check: &'static str, protects: &'static str, error: &CliError) -> Finding {
    let fix = error.fix_text().map(str::to_owned);
    Finding {
        outcome: Outcome::Fail,
        fix,
        ..ok(check, protects, format!("[{}] {}", error.code(), error.message()))
    }
}

fn data(project: &Project, findings: &mut Vec<Finding>) {
    let holdout = match read_holdout(project) {
        Ok(holdout) => holdout,
        Err(error) => return findings.push(fail("data", "what members train on", &error)),
    };
    let mut rows = 0;
    for entry in &project.config.study.datasets {
        match read_local(project, entry, holdout.as_ref().map(|(rows, _)| rows)) {
            Ok(data) => rows += data.rows.train.len() + data.rows.test.len(),
            Err(error) => return findings.push(fail("data", "what members train on", &error)),
        }
    }
    let count = project.config.study.datasets.len();
    findings.push(ok(
        "data",
        "what members train on",
        format!("{count} files readable, {rows} rows"),
    ));
}

fn chain(session: &Session<'_>, findings: &mut Vec<Finding>) {
    let head = match session.network.head() {
        Ok(head) => head,
        Err(error) => return findings.push(fail("chain", "the record of every run", &error.into())),
    };
    let chain_id = session.network.chain_id();
    let said = format!(
        "{}, id {chain_id}, block {}",
        session.chosen.describe(),
        head.number
    );
    findings.push(ok("chain", "the record of every run", said));
    let contracts = match session.deployment() {
        Ok(None) => {
            return findings.push(skip(
                "contracts",
                "the rules",
                "not deployed; the first cw train does it",
            ));
        }
        Ok(Some(_)) => match session.contracts() {
            Ok(contracts) => contracts,
            Err(error) => return findings.push(fail("contracts", "the rules", &error)),
        },
        Err(error) => return findings.push(fail("contracts", "the rules", &error)),
    };
    findings.push(ok(
        "contracts",
        "the rules",
        "the code at every address is the one this program was built with",
    ));
    clock(session, &contracts, findings);
    blobs(session, findings);
    let protects = "who recorded what, and when";
    let reader = match log_reader(session) {
        Ok(Some(reader)) => reader,
        Ok(None) => return findings.push(skip("log", protects, "empty; the first cw train begins it")),
        Err(error) => return findings.push(fail("log", protects, &error)),
    };
    let checkpoint = match reader.audit() {
        Ok(checkpoint) => checkpoint,
        Err(error) => return findings.push(fail("log", protects, &error.into())),
    };
    let size = checkpoint.checkpoint().size;
    let anchored = match log_owner(session) {
        Some(owner) => contracts
            .reader
            .anchored_head(owner, LogId::of_origin(&log_origin(session)))
            .map_err(CliError::from),
        None => Ok(None),
    };
    findings.push(match anchored {
        Ok(Some(head)) if head.size == size => {
            ok("log", protects, format!("{size} entries, signed and anchored"))
        }
        Ok(head) => warn(
            "log",
            protects,
            format!("{size} entries, {} anchored", head.map_or(0, |head| head.size)),
            "the next cw train anchors the rest",
        ),
        Err(error) => fail("log", protects, &error),
    });
    for entry in &session.project.config.study.datasets {
        if let Err(error) = member_key(session, entry)
            && error.code() != Code::AnswerNeeded
        {
            findings.push(warn(
                "stewards",
                "who signs for a dataset",
                error.message(),
                "see cw key list",
            ));
        }
    }
}

fn clock(session: &Session<'_>, contracts: &crate::session::Contracts, findings: &mut Vec<Finding>) {
    let protects = "deadlines of rounds";
    let Ok(chain) = contracts.reader.now() else {
        return;
    };
    if session.embedded.is_some() {
        return findings.push(ok(
            "clock",
            protects,
            "the embedded chain goes by this machine's clock",
        ));
    }
    let here = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    findings.push(if chain.0 > here + CLOCK_TOLERANCE {
        let said = format!("{} s behind the chain; rounds close early", chain.0 - here);
        warn("clock", protects, said, "turn on time synchronisation")
    } else {
        // An idle chain's newest block may be old: that says nothing about the clock.
        ok("clock", protects, "not behind the chain")
    });
}

fn blobs(session: &Session<'_>, findings: &mut Vec<Finding>) {
    let protects = "what auditors recompute from";
    let list = match session.blobs.list() {
        Ok(list) => list,
        Err(error) => return findings.push(fail("blobs", protects, &error.into())),
    };
    let damaged = list.iter().find_map(|digest| session.blobs.check(digest).err());
    findings.push(match damaged {
        None => ok("blobs", protects, format!("{} match their digests", list.len())),
        Some(error) => fail(
            "blobs",
            protects,
            &CliError::new(Code::ContentDiffers, with_causes(&error)).fix("restore the file from a copy"),
        ),
    });
}

fn keys(findings: &mut Vec<Finding>) {
    let folder = UserFolder::of_environment();
    let protects = "what your accounts hold";
    findings.push(match folder.keystore().list() {
        Ok(keys) if keys.is_empty() => skip(
            "keys",
            protects,
            "none of your own; development accounts need none",
        ),
        Ok(keys) => ok(
            "keys",
            protects,
            format!("{} in {}, encrypted", keys.len(), folder.path().display()),
        ),
        Err(error) => fail("keys", protects, &error.into()),
    });
}

fn answer(findings: &[Finding]) -> Answer {
    let mut table = Table::new(["", "", "", ""]);
    for finding in findings {
        let (tone, word) = match finding.outcome {
            Outcome::Ok => (Tone::Good, "ok"),
            Outcome::Warn => (Tone::Warn, "warn"),
            Outcome::Fail => (Tone::Bad, "fail"),
            Outcome::Skip => (Tone::Faint, "skip"),
        };
        table.push([
            Cell::State(tone, word.to_owned()),
            Cell::text(finding.check),
            Cell::text(&finding.said),
            Cell::State(Tone::Faint, format!("for {}", finding.protects)),
        ]);
        if let Some(fix) = &finding.fix {
            table.push([
                Cell::text(""),
                Cell::text(""),
                Cell::State(Tone::Type, format!("fix: {fix}")),
                Cell::text(""),
            ]);
        }
    }
    let failed = findings.iter().any(|finding| finding.outcome == Outcome::Fail);
    Answer::new("doctor/1")
        .json("checks", serde_json::to_value(findings).unwrap_or(Value::Null))
        .table(table)
        .status(if failed { Status::No } else { Status::Yes })
}

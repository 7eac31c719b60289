//! `cw verify`: recompute a claim from public data and answer yes, no or unknown.

mod bundle;
mod checks;
mod consents;
mod content;
mod proof;
mod record_keeping;
mod signature;

use std::{fs, path::PathBuf};

use counterweight_federated::{audit::Verdict, ledger::StudyReader as _};
use counterweight_provenance::ledger::{AnchorReader as _, AssetKind, ConsentReader as _, LogId};
use serde::Serialize;
use serde_json::Value;

use super::{Context, train::wanted_run};
use crate::{
    arguments::ThingName,
    error::{CliError, Code, Status},
    output::{Answer, Cell, Table, Tone},
    project::Project,
    session::{Asset, Assets, Contracts, Session},
    training::{check_log, format_of, log_origin, log_owner, log_reader},
};

pub(crate) use bundle::{
    Trusted,
    decision::{
        Files as DecisionFiles, Named as NamedDecision, anchor as decision_anchor, model as decision_model,
    },
    exports::{of_decision as decision_exports, of_model as model_exports},
    name as bundle_name, verify as verify_bundle,
};
pub(crate) use checks::{Holdout, Sources, model_checks};
use checks::{bytes_check, dataset_checks, logged, manifest_check, study_checks};
use consents::{consent_checks, dataset_consent_checks};

/// What to verify.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// A model: its bytes, manifest, rounds, consent, lineage, payment and log entry
    Model {
        /// The model, `name` or `name@2`
        name: ThingName,
    },
    /// A run: every committed update, every aggregation, contributions and payments
    Run {
        /// The run's number [default: the newest]
        run: Option<u64>,
    },
    /// A dataset: its bytes, manifest and consent
    Dataset {
        /// The dataset
        name: ThingName,
    },
    /// The consent for a dataset: its signed entries, and whether every run that used it was allowed to
    Consent {
        /// The dataset
        name: ThingName,
    },
    /// A proof of an answer: whether it holds, and for which model
    Proof(proof::Arguments),
    /// A file or folder against its content digest
    Content(content::Arguments),
    /// A profile of decisions against Article 12 of the EU AI Act: what it keeps, and its gaps
    RecordKeeping(record_keeping::Arguments),
    /// A signature over a model's files, made here or by OpenSSF's tools
    Signature(signature::Arguments),
    /// A bundle of `cw audit bundle`: everything in it, with no chain and no network
    Bundle(bundle::Arguments),
    /// The project's log: every tile, the checkpoint's signature and its anchor
    Log,
}

/// One answered question.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    check: String,
    pub(crate) verdict: Verdict,
    sentence: String,
    pub(crate) findings: Vec<String>,
    #[serde(skip)]
    code: Code,
}

impl Check {
    pub(crate) fn new(check: &str, verdict: Verdict, code: Code, sentence: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            verdict,
            sentence: sentence.into(),
            findings: Vec::new(),
            code,
        }
    }
}

/// Checks and answers; exit status 0 only where every answer is yes.
///
/// # Errors
/// [`Code::UnknownName`] and those of the chain: what is checked must be known.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    if let Command::Proof(arguments) = command {
        return proof::run(arguments, context);
    }
    if let Command::Signature(arguments) = command {
        return signature::run(arguments, context);
    }
    if let Command::Content(arguments) = command {
        return content::run(arguments);
    }
    if let Command::RecordKeeping(arguments) = command {
        return record_keeping::run(arguments);
    }
    if let Command::Bundle(arguments) = command {
        return bundle::run(arguments);
    }
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let dataset = |name: &str| dataset_file(&session, name);
    let log = |owner, kind: &str, about| check_log(&session, &contracts, owner, kind, about);
    let sources = Sources {
        reader: &contracts.reader,
        blobs: &*session.blobs,
        holdout: read_holdout(&session),
        dataset: &dataset,
        log: &log,
    };
    let (subject, checks) = match command {
        Command::Model { name } => {
            let model = assets.find(AssetKind::Model, &name.0)?;
            (
                format!("model {}", model.full_name()),
                model_checks(&sources, &assets, model)?,
            )
        }
        Command::Run { run } => {
            let study = wanted_run(&contracts, *run)?;
            let mut checks = dataset_checks(&sources, &assets, study)?;
            let model = contracts
                .reader
                .study(study)?
                .model
                .and_then(|model| assets.by_id(model));
            checks.extend(study_checks(&sources, study, model)?);
            checks.extend(consent_checks(&sources, &assets, study, model)?);
            (format!("run {study}"), checks)
        }
        Command::Dataset { name } => {
            let dataset = assets.find(AssetKind::Dataset, &name.0)?;
            let mut checks = vec![
                bytes_check(&sources, dataset),
                manifest_check(&sources, "manifest", dataset),
            ];
            checks.push(consent_check(&contracts, dataset)?);
            let (owner, content) = (dataset.record.registered_to, dataset.record.asset.content);
            checks.push(logged(
                &sources,
                owner,
                "counterweight/dataset-published/v1",
                content,
            ));
            (format!("dataset {}", dataset.full_name()), checks)
        }
        Command::Consent { name } => {
            let dataset = assets.find(AssetKind::Dataset, &name.0)?;
            (
                format!("consent for {}", dataset.full_name()),
                dataset_consent_checks(&session, &sources, &assets, dataset)?,
            )
        }
        Command::Proof(_)
        | Command::Signature(_)
        | Command::RecordKeeping(_)
        | Command::Content(_)
        | Command::Bundle(_)
        | Command::Log => ("the log".to_owned(), vec![whole_log(&session, &contracts)?]),
    };
    Ok(answer(&subject, &checks, &[]))
}

/// The hold-out of a project, where its file is here.
pub(crate) fn read_holdout(session: &Session<'_>) -> Option<Holdout> {
    let holdout = session.project.config.study.holdout.as_ref()?;
    Some(Holdout {
        name: holdout.path.display().to_string(),
        bytes: fs::read(session.project.resolve(&holdout.path)).ok()?,
        format: format_of(&holdout.path, holdout.format),
    })
}

/// A dataset's file, where the project names one.
pub(crate) fn dataset_file(session: &Session<'_>, name: &str) -> Option<PathBuf> {
    let datasets = &session.project.config.study.datasets;
    let entry = datasets.iter().find(|entry| entry.name == name)?;
    Some(session.project.resolve(&entry.path))
}

/// The answer to all checks, given what is assumed besides.
pub(crate) fn answer(subject: &str, checks: &[Check], assumed: &[String]) -> Answer {
    let worst = checks
        .iter()
        .map(|check| check.verdict)
        .max()
        .unwrap_or(Verdict::Unknown);
    let mut table = Table::new(["", "", ""]);
    for check in checks {
        table.push([
            state(check.verdict),
            Cell::text(&check.check),
            Cell::text(&check.sentence),
        ]);
        for finding in &check.findings {
            table.push([Cell::text(""), Cell::text(""), Cell::text(format!("  {finding}"))]);
        }
    }
    for sentence in assumed {
        table.push([
            Cell::State(Tone::Warn, "assumed".to_owned()),
            Cell::text(""),
            Cell::text(sentence),
        ]);
    }
    let failed: Vec<&Check> = checks
        .iter()
        .filter(|check| check.verdict == Verdict::No)
        .collect();
    let open = checks
        .iter()
        .filter(|check| check.verdict == Verdict::Unknown)
        .count();
    let count = checks.len();
    let said = match (failed.first(), open) {
        (Some(first), _) => format!(
            "no: {} of {count} checks failed: cw explain {}",
            failed.len(),
            first.code
        ),
        (None, 0) if assumed.is_empty() => format!("yes: all {count} checks hold"),
        (None, 0) => format!("yes: all {count} checks hold, if what is assumed is so"),
        (None, open) => format!(
            "unknown: {open} of {count} checks could not be answered: cw explain {}",
            Code::CheckUnknown
        ),
    };
    let codes: Vec<&str> = failed.iter().map(|check| check.code.as_str()).collect();
    let status = if worst == Verdict::Yes {
        Status::Yes
    } else {
        Status::No
    };
    Answer::new("verify/1")
        .json("subject", subject)
        .json("verdict", serde_json::to_value(worst).unwrap_or(Value::Null))
        .json("codes", codes)
        .json("checks", serde_json::to_value(checks).unwrap_or(Value::Null))
        .json("assumed", assumed)
        .table(table)
        .line(said)
        .id(word(worst))
        .status(status)
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Yes => "yes",
        Verdict::Unknown => "unknown",
        Verdict::No => "no",
    }
}

fn state(verdict: Verdict) -> Cell {
    let tone = match verdict {
        Verdict::Yes => Tone::Good,
        Verdict::Unknown => Tone::Warn,
        Verdict::No => Tone::Bad,
    };
    Cell::State(tone, word(verdict).to_owned())
}

fn consent_check(contracts: &Contracts, asset: &Asset) -> Result<Check, CliError> {
    let history = contracts.reader.consent_history(asset.record.id)?;
    let consent = contracts.reader.consent(asset.record.id)?;
    let names = consent.purposes.names();
    let allowed = if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    };
    Ok(Check::new(
        "consent",
        Verdict::Yes,
        Code::ConsentBroken,
        format!(
            "allows {allowed} now; {} decisions are on the chain",
            history.len()
        ),
    ))
}

fn whole_log(session: &Session<'_>, contracts: &Contracts) -> Result<Check, CliError> {
    let Some(reader) = log_reader(session)? else {
        return Err(CliError::new(Code::NothingYet, "this project has no log yet").fix("cw train"));
    };
    let checkpoint = match reader.audit() {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            return Ok(Check::new(
                "log",
                Verdict::No,
                Code::LogDiffers,
                crate::error::with_causes(&error),
            ));
        }
    };
    let tree = checkpoint.checkpoint();
    let head = match log_owner(session) {
        Some(owner) => contracts
            .reader
            .anchored_head(owner, LogId::of_origin(&log_origin(session)))?,
        None => None,
    };
    Ok(match head {
        Some(head) if head.size == tree.size && head.root == tree.root => Check::new(
            "log",
            Verdict::Yes,
            Code::LogDiffers,
            format!(
                "{} entries, every tile matches, the root is anchored on the chain",
                tree.size
            ),
        ),
        Some(head) if head.size < tree.size => match reader.consistency(head.size, &head.root, &checkpoint) {
            Ok(_) => Check::new(
                "log",
                Verdict::Yes,
                Code::LogDiffers,
                format!(
                    "{} entries; it extends the {} anchored on the chain",
                    tree.size, head.size
                ),
            ),
            Err(error) => Check::new(
                "log",
                Verdict::No,
                Code::LogDiffers,
                crate::error::with_causes(&error),
            ),
        },
        Some(head) => Check::new(
            "log",
            Verdict::No,
            Code::LogDiffers,
            format!(
                "{} entries here, the chain holds a root of {}",
                tree.size, head.size
            ),
        ),
        None => Check::new(
            "log",
            Verdict::Unknown,
            Code::CheckUnknown,
            "no root is anchored on this chain",
        ),
    })
}

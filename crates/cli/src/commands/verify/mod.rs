//! `cw verify`: recompute a claim from public data and answer yes, no or unknown.

mod content;
mod proof;
mod record_keeping;
mod signature;

use std::{fs, path::Path};

use counterweight_federated::{
    audit::{Audit, CheckKind, HoldoutFile, PublishedModel, Verdict},
    ledger::StudyReader as _,
};
use counterweight_primitives::{ContentDigest, StudyId};
use counterweight_provenance::{
    blobs::BlobError,
    ledger::{AnchorReader as _, AssetKind, ConsentReader as _, LogId},
    manifest::{MANIFEST_BYTES, Manifest},
};
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

/// Largest model that is read.
const MODEL_BYTES: u64 = 65 << 20;

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
    /// A proof of an answer: whether it holds, and for which model
    Proof(proof::Arguments),
    /// A file or folder against its content digest
    Content(content::Arguments),
    /// A profile of decisions against Article 12 of the EU AI Act: what it keeps, and its gaps
    RecordKeeping(record_keeping::Arguments),
    /// A signature over a model's files, made here or by OpenSSF's tools
    Signature(signature::Arguments),
    /// The project's log: every tile, the checkpoint's signature and its anchor
    Log,
}

/// One answered question.
#[derive(Debug, Clone, Serialize)]
struct Check {
    check: String,
    verdict: Verdict,
    sentence: String,
    findings: Vec<String>,
    #[serde(skip)]
    code: Code,
}

impl Check {
    fn new(check: &str, verdict: Verdict, code: Code, sentence: impl Into<String>) -> Self {
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
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let (subject, checks) = match command {
        Command::Model { name } => {
            let model = assets.find(AssetKind::Model, &name.0)?;
            (
                format!("model {}", model.full_name()),
                model_checks(&session, &contracts, &assets, model)?,
            )
        }
        Command::Run { run } => {
            let study = wanted_run(&contracts, *run)?;
            let mut checks = dataset_checks(&session, &contracts, &assets, study)?;
            checks.extend(study_checks(&session, &contracts, study, None)?);
            (format!("run {study}"), checks)
        }
        Command::Dataset { name } => {
            let dataset = assets.find(AssetKind::Dataset, &name.0)?;
            let mut checks = vec![
                bytes_check(&session, dataset),
                manifest_check(&session, "manifest", dataset),
            ];
            checks.push(consent_check(&session, &contracts, dataset)?);
            let (owner, content) = (dataset.record.registered_to, dataset.record.asset.content);
            checks.push(logged(
                &session,
                &contracts,
                owner,
                "counterweight/dataset-published/v1",
                content,
            ));
            (format!("dataset {}", dataset.full_name()), checks)
        }
        Command::Proof(_)
        | Command::Signature(_)
        | Command::RecordKeeping(_)
        | Command::Content(_)
        | Command::Log => ("the log".to_owned(), vec![whole_log(&session, &contracts)?]),
    };
    Ok(answer(&subject, &checks))
}

fn answer(subject: &str, checks: &[Check]) -> Answer {
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
        (None, 0) => format!("yes: all {count} checks hold"),
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

fn model_checks(
    session: &Session<'_>,
    contracts: &Contracts,
    assets: &Assets,
    model: &Asset,
) -> Result<Vec<Check>, CliError> {
    let mut checks = vec![blob_check(
        session,
        "weights",
        model.record.asset.content,
        MODEL_BYTES,
    )];
    checks.push(manifest_check(session, "manifest", model));
    let study = (1..=contracts.reader.study_count()?)
        .rev()
        .map(StudyId)
        .map(|study| contracts.reader.study(study).map(|state| (study, state)))
        .find(|state| {
            state
                .as_ref()
                .map_or(true, |(_, state)| state.model == Some(model.record.id))
        })
        .transpose()?;
    let Some((study, _)) = study else {
        checks.push(Check::new(
            "run",
            Verdict::Unknown,
            Code::CheckUnknown,
            "no run on this chain published it",
        ));
        return Ok(checks);
    };
    if let Some(Manifest::Model(manifest)) = &model.manifest
        && let Some(run) = manifest.run
    {
        checks.push(run_manifest_check(session, run, study));
    }
    checks.extend(dataset_checks(session, contracts, assets, study)?);
    checks.extend(study_checks(session, contracts, study, Some(model))?);
    let owner = model.record.registered_to;
    checks.push(logged(
        session,
        contracts,
        owner,
        "counterweight/model-published/v1",
        model.record.asset.content,
    ));
    Ok(checks)
}

/// Bytes of the store against the digest that names them.
fn blob_check(session: &Session<'_>, what: &str, digest: ContentDigest, limit: u64) -> Check {
    match session.blobs.get(&digest, limit) {
        Ok(bytes) => Check::new(
            what,
            Verdict::Yes,
            Code::ContentDiffers,
            format!(
                "{} bytes match the registered digest {}",
                bytes.len(),
                digest.short()
            ),
        ),
        Err(error) => failed_blob(what, Code::ContentDiffers, &error),
    }
}

fn failed_blob(what: &str, code: Code, error: &BlobError) -> Check {
    match error {
        BlobError::Missing { .. } => {
            Check::new(what, Verdict::Unknown, Code::CheckUnknown, format!("{error}"))
        }
        _ => Check::new(what, Verdict::No, code, format!("{error}")),
    }
}

fn manifest_check(session: &Session<'_>, what: &str, asset: &Asset) -> Check {
    let digest = asset.record.asset.manifest;
    let bytes = match session.blobs.get(&digest, MANIFEST_BYTES as u64) {
        Ok(bytes) => bytes,
        Err(error) => return failed_blob(what, Code::ManifestDiffers, &error),
    };
    match Manifest::decode_expected(&bytes, &digest) {
        Err(error) => Check::new(
            what,
            Verdict::No,
            Code::ManifestDiffers,
            format!("{}: {error}", asset.full_name()),
        ),
        Ok(manifest) if manifest.asset_kind() != Some(asset.record.asset.kind) => Check::new(
            what,
            Verdict::No,
            Code::ManifestDiffers,
            "it describes another kind of asset".to_owned(),
        ),
        Ok(manifest) => {
            let content = match &manifest {
                Manifest::Dataset(manifest) => Some(manifest.content.digest),
                Manifest::Model(manifest) => Some(manifest.content.digest),
                _ => None,
            };
            if content.is_some_and(|content| content != asset.record.asset.content) {
                return Check::new(
                    what,
                    Verdict::No,
                    Code::ManifestDiffers,
                    "it names other bytes than were registered",
                );
            }
            Check::new(
                what,
                Verdict::Yes,
                Code::ManifestDiffers,
                format!("matches the registered digest {}", digest.short()),
            )
        }
    }
}

fn run_manifest_check(session: &Session<'_>, digest: ContentDigest, study: StudyId) -> Check {
    let bytes = match session.blobs.get(&digest, MANIFEST_BYTES as u64) {
        Ok(bytes) => bytes,
        Err(error) => return failed_blob("run manifest", Code::ManifestDiffers, &error),
    };
    match Manifest::decode_expected(&bytes, &digest) {
        Ok(Manifest::Run(run)) if run.study == study => Check::new(
            "run manifest",
            Verdict::Yes,
            Code::ManifestDiffers,
            format!(
                "run {study}: {} rounds, {} members",
                run.rounds.len(),
                run.members.len()
            ),
        ),
        Ok(_) => Check::new(
            "run manifest",
            Verdict::No,
            Code::ManifestDiffers,
            "it describes something else",
        ),
        Err(error) => Check::new(
            "run manifest",
            Verdict::No,
            Code::ManifestDiffers,
            error.to_string(),
        ),
    }
}

/// The datasets of a run: their manifests, and their files where they are at hand. A clinic's file stays with the
/// clinic, so one that is not here is no failure: its digest is on the chain for the clinic to be held to.
fn dataset_checks(
    session: &Session<'_>,
    contracts: &Contracts,
    assets: &Assets,
    study: StudyId,
) -> Result<Vec<Check>, CliError> {
    let state = contracts.reader.study(study)?;
    let mut sum = Check::new("datasets", Verdict::Yes, Code::ContentDiffers, String::new());
    let (mut compared, mut elsewhere) = (0, 0);
    for member in &state.members {
        let Some(asset) = assets.by_id(member.dataset) else {
            sum.verdict = Verdict::No;
            sum.findings
                .push(format!("asset {} is not registered", member.dataset));
            continue;
        };
        let manifest = manifest_check(session, "manifest", asset);
        if manifest.verdict > Verdict::Yes {
            sum.verdict = sum.verdict.max(manifest.verdict);
            sum.code = manifest.code;
            sum.findings.push(format!(
                "manifest of {}: {}",
                asset.full_name(),
                manifest.sentence
            ));
        }
        let bytes = bytes_check(session, asset);
        match bytes.verdict {
            Verdict::Yes => compared += 1,
            Verdict::Unknown => elsewhere += 1,
            Verdict::No => {
                sum.verdict = Verdict::No;
                sum.code = bytes.code;
                sum.findings
                    .push(format!("{}: {}", asset.full_name(), bytes.sentence));
            }
        }
    }
    sum.sentence = match (sum.verdict, elsewhere) {
        (Verdict::Yes, 0) => {
            format!("{compared} datasets and their manifests match their registered digests")
        }
        (Verdict::Yes, _) => format!(
            "{} manifests match; {compared} files match, {elsewhere} stay with their stewards",
            state.members.len()
        ),
        _ => "not every dataset is as registered".to_owned(),
    };
    Ok(vec![sum])
}

/// A dataset's file against its registered digest, where the file is configured here and is there.
fn bytes_check(session: &Session<'_>, asset: &Asset) -> Check {
    let registered = asset.record.asset.content;
    let entry = session
        .project
        .config
        .study
        .datasets
        .iter()
        .find(|entry| entry.name == asset.name());
    let file = entry.map(|entry| session.project.resolve(&entry.path));
    match file.as_deref().map(|file| (file, fs::read(file))) {
        Some((file, Ok(bytes))) => compare(file, &bytes, registered),
        _ => Check::new(
            "content",
            Verdict::Unknown,
            Code::CheckUnknown,
            "its file is not here",
        ),
    }
}

fn compare(file: &Path, bytes: &[u8], registered: ContentDigest) -> Check {
    let found = ContentDigest::of(bytes);
    if found == registered {
        return Check::new(
            "content",
            Verdict::Yes,
            Code::ContentDiffers,
            format!("{} matches {}", file.display(), registered.short()),
        );
    }
    Check::new(
        "content",
        Verdict::No,
        Code::ContentDiffers,
        format!(
            "{} has digest {found}, {registered} was registered",
            file.display()
        ),
    )
}

fn consent_check(session: &Session<'_>, contracts: &Contracts, asset: &Asset) -> Result<Check, CliError> {
    let history = contracts.reader.consent_history(asset.record.id)?;
    let consent = contracts.reader.consent(asset.record.id)?;
    let names = consent.purposes.names();
    let allowed = if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    };
    let _ = session;
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

/// Everything the audit recomputes.
fn study_checks(
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    model: Option<&Asset>,
) -> Result<Vec<Check>, CliError> {
    let holdout = session.project.config.study.holdout.as_ref();
    let file = holdout.and_then(|holdout| {
        let bytes = fs::read(session.project.resolve(&holdout.path)).ok()?;
        let format = format_of(&holdout.path, holdout.format);
        Some((holdout.path.display().to_string(), bytes, format))
    });
    let published = model.map(|model| PublishedModel {
        asset: model.record.id,
        content: model.record.asset.content,
        parents: model
            .record
            .parents
            .iter()
            .map(|parent| (parent.asset, parent.share))
            .collect(),
    });
    let report = Audit {
        study,
        ledger: &contracts.reader,
        consent: Some(&contracts.reader),
        blobs: &*session.blobs,
        holdout: file.as_ref().map(|(name, bytes, format)| HoldoutFile {
            name,
            bytes,
            format: *format,
        }),
        start: None,
        model: published.as_ref(),
    }
    .run();
    Ok(report
        .checks
        .into_iter()
        .map(|check| Check {
            check: kind_name(check.check).to_owned(),
            verdict: check.verdict,
            sentence: check.sentence,
            findings: check.findings.iter().map(describe).collect(),
            code: kind_code(check.check),
        })
        .collect())
}

fn describe(finding: &counterweight_federated::audit::Finding) -> String {
    let mut text = String::new();
    if let Some(round) = finding.round {
        text.push_str(&format!("round {round}: "));
    }
    if let Some(member) = finding.member {
        text.push_str(&format!("member {member}: "));
    }
    text.push_str(&finding.problem);
    if let Some(digest) = finding.digest
        && !finding.problem.contains(&digest.to_hex())
    {
        text.push_str(&format!(" ({digest})"));
    }
    text
}

fn kind_name(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Terms => "terms",
        CheckKind::Commitments => "commitments",
        CheckKind::Updates => "updates",
        CheckKind::Aggregation => "aggregation",
        CheckKind::Contributions => "contributions",
        CheckKind::Rewards => "payment",
        CheckKind::Consent => "consent",
        CheckKind::Results => "results",
        CheckKind::Model => "model",
        CheckKind::Lineage => "lineage",
        _ => "other",
    }
}

fn kind_code(kind: CheckKind) -> Code {
    match kind {
        CheckKind::Terms => Code::ManifestDiffers,
        CheckKind::Commitments | CheckKind::Updates => Code::UpdateDiffers,
        CheckKind::Aggregation | CheckKind::Results | CheckKind::Model => Code::ResultDiffers,
        CheckKind::Contributions | CheckKind::Rewards => Code::PaymentDiffers,
        CheckKind::Consent => Code::ConsentBroken,
        CheckKind::Lineage => Code::LineageDiffers,
        _ => Code::CheckUnknown,
    }
}

fn logged(
    session: &Session<'_>,
    contracts: &Contracts,
    owner: counterweight_primitives::Address,
    kind: &str,
    about: ContentDigest,
) -> Check {
    match check_log(session, contracts, owner, kind, about) {
        Err(error) => Check::new("log", Verdict::No, Code::LogDiffers, error.message()),
        Ok(found) => match (found.index, found.anchored) {
            (Some(index), true) => Check::new(
                "log",
                Verdict::Yes,
                Code::LogDiffers,
                format!(
                    "entry {index} of {}, under the root anchored on the chain",
                    found.size
                ),
            ),
            (Some(index), false) => Check::new(
                "log",
                Verdict::No,
                Code::LogDiffers,
                format!("entry {index} is not under the anchored root"),
            ),
            (None, _) if found.size == 0 => Check::new(
                "log",
                Verdict::Unknown,
                Code::CheckUnknown,
                "the publisher's log is not here",
            ),
            (None, _) => Check::new(
                "log",
                Verdict::No,
                Code::LogDiffers,
                "the log says nothing about it",
            ),
        },
    }
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

//! What can be said about a model, a run and a dataset, whoever gives the chain, the blobs and the log.

use std::{fs, path::Path, path::PathBuf};

use counterweight_chain::ledger::ContractReader;
use counterweight_federated::{
    audit::{Audit, CheckKind, HoldoutFile, PublishedModel, Verdict},
    blobs::Blobs,
    ledger::StudyReader as _,
    parameters::MODEL_BYTES_MAX,
    study::FileFormat,
};
use counterweight_primitives::{Address, ContentDigest, StudyId};
use counterweight_provenance::{
    blobs::BlobError,
    manifest::{MANIFEST_BYTES, Manifest},
};

use super::Check;
use crate::{
    error::{CliError, Code},
    session::{Asset, Assets},
    training::LogCheck,
};

/// Looks for the log's statement of a kind, by an account, about bytes.
pub(crate) type LogSource<'a> = dyn Fn(Address, &str, ContentDigest) -> Result<LogCheck, CliError> + 'a;

/// A hold-out that is at hand.
pub(crate) struct Holdout {
    /// What findings call it.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// How it is stored.
    pub(crate) format: FileFormat,
}

/// What a check works from: a project and its chain, or a bundle.
pub(crate) struct Sources<'a> {
    /// The contracts.
    pub(crate) reader: &'a ContractReader,
    /// Bytes by digest.
    pub(crate) blobs: &'a dyn Blobs,
    /// The hold-out, if it is at hand.
    pub(crate) holdout: Option<Holdout>,
    /// Where a dataset's file is, if it is here.
    pub(crate) dataset: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// The log of whoever published.
    pub(crate) log: &'a LogSource<'a>,
}

/// Everything that can be said about a model.
///
/// # Errors
/// Those of the chain.
pub(crate) fn model_checks(
    sources: &Sources<'_>,
    assets: &Assets,
    model: &Asset,
) -> Result<Vec<Check>, CliError> {
    let mut checks = vec![blob_check(
        sources,
        "weights",
        model.record.asset.content,
        MODEL_BYTES_MAX,
    )];
    checks.push(manifest_check(sources, "manifest", model));
    let study = (1..=sources.reader.study_count()?)
        .rev()
        .map(StudyId)
        .map(|study| sources.reader.study(study).map(|state| (study, state)))
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
        checks.push(run_manifest_check(sources, run, study));
    }
    checks.extend(dataset_checks(sources, assets, study)?);
    checks.extend(study_checks(sources, study, Some(model))?);
    checks.extend(super::consents::consent_checks(
        sources,
        assets,
        study,
        Some(model),
    )?);
    let owner = model.record.registered_to;
    checks.push(logged(
        sources,
        owner,
        "counterweight/model-published/v1",
        model.record.asset.content,
    ));
    Ok(checks)
}

/// Bytes of the store against the digest that names them.
fn blob_check(sources: &Sources<'_>, what: &str, digest: ContentDigest, limit: u64) -> Check {
    match sources.blobs.get(&digest, limit) {
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

pub(super) fn manifest_check(sources: &Sources<'_>, what: &str, asset: &Asset) -> Check {
    let digest = asset.record.asset.manifest;
    let bytes = match sources.blobs.get(&digest, MANIFEST_BYTES as u64) {
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

fn run_manifest_check(sources: &Sources<'_>, digest: ContentDigest, study: StudyId) -> Check {
    let bytes = match sources.blobs.get(&digest, MANIFEST_BYTES as u64) {
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
pub(super) fn dataset_checks(
    sources: &Sources<'_>,
    assets: &Assets,
    study: StudyId,
) -> Result<Vec<Check>, CliError> {
    let state = sources.reader.study(study)?;
    let mut sum = Check::new("datasets", Verdict::Yes, Code::ContentDiffers, String::new());
    let (mut compared, mut elsewhere) = (0, 0);
    for member in &state.members {
        let Some(asset) = assets.by_id(member.dataset) else {
            sum.verdict = Verdict::No;
            sum.findings
                .push(format!("asset {} is not registered", member.dataset));
            continue;
        };
        let manifest = manifest_check(sources, "manifest", asset);
        if manifest.verdict > Verdict::Yes {
            sum.verdict = sum.verdict.max(manifest.verdict);
            sum.code = manifest.code;
            sum.findings.push(format!(
                "manifest of {}: {}",
                asset.full_name(),
                manifest.sentence
            ));
        }
        let bytes = bytes_check(sources, asset);
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
pub(super) fn bytes_check(sources: &Sources<'_>, asset: &Asset) -> Check {
    let registered = asset.record.asset.content;
    let file = (sources.dataset)(&asset.name());
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

/// Everything the audit recomputes.
pub(super) fn study_checks(
    sources: &Sources<'_>,
    study: StudyId,
    model: Option<&Asset>,
) -> Result<Vec<Check>, CliError> {
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
        ledger: sources.reader,
        consent: Some(sources.reader),
        blobs: sources.blobs,
        holdout: sources.holdout.as_ref().map(|holdout| HoldoutFile {
            name: &holdout.name,
            bytes: &holdout.bytes,
            format: holdout.format,
        }),
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
        CheckKind::Masking => "masking",
        CheckKind::Aggregation => "aggregation",
        CheckKind::Contributions => "contributions",
        CheckKind::Standing => "standing",
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
        CheckKind::Masking => Code::MaskingDiffers,
        CheckKind::Standing => Code::StandingDiffers,
        CheckKind::Aggregation | CheckKind::Results | CheckKind::Model => Code::ResultDiffers,
        CheckKind::Contributions | CheckKind::Rewards => Code::PaymentDiffers,
        CheckKind::Consent => Code::ConsentBroken,
        CheckKind::Lineage => Code::LineageDiffers,
        _ => Code::CheckUnknown,
    }
}

pub(super) fn logged(sources: &Sources<'_>, owner: Address, kind: &str, about: ContentDigest) -> Check {
    match (sources.log)(owner, kind, about) {
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

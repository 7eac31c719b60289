//! What a run used and was allowed to use, against what it committed to.

use std::collections::BTreeMap;

use counterweight_federated::{audit::Verdict, ledger::StudyReader as _};
use counterweight_primitives::{AssetId, ContentDigest, PurposeIndex, StudyId};
use counterweight_provenance::{
    blobs::BlobError,
    consent::{
        CONSENT_SET_BYTES, ConsentEntry, ConsentSet, ConsentSetError, ConsentUse, Registry, used_consents,
    },
    ledger::{AssetKind, ConsentChange, ConsentEpoch},
    statement::UncheckedStatement,
};

use super::{Check, Sources};
use crate::{
    error::{CliError, Code, with_causes},
    session::{Asset, Assets},
    training::{logged_entries, registry},
};

/// Longest entry that is read.
const ENTRY_BYTES: u64 = 1 << 16;

/// What the chain recorded about consent.
struct Recorded {
    registry: Registry,
    histories: BTreeMap<AssetId, Vec<ConsentEpoch>>,
    uses: Vec<ConsentUse>,
    purpose: PurposeIndex,
}

impl Recorded {
    fn read(sources: &Sources<'_>, study: StudyId) -> Result<Self, CliError> {
        Ok(Self {
            registry: registry(sources.reader),
            histories: sources.reader.consent_histories()?,
            uses: sources.reader.consent_uses(study)?,
            purpose: sources.reader.study(study)?.purpose,
        })
    }
}

fn consents(verdict: Verdict, sentence: impl Into<String>) -> Check {
    let code = match verdict {
        Verdict::Unknown => Code::CheckUnknown,
        _ => Code::ConsentBroken,
    };
    Check::new("consents", verdict, code, sentence)
}

fn withdrawals(verdict: Verdict, sentence: impl Into<String>) -> Check {
    Check {
        check: "withdrawals".to_owned(),
        ..consents(verdict, sentence)
    }
}

/// The two checks of a run: what it committed to, and that nothing of it had been withdrawn. `model` is what it
/// published, if it did.
///
/// # Errors
/// Those of the chain.
pub(super) fn consent_checks(
    sources: &Sources<'_>,
    assets: &Assets,
    study: StudyId,
    model: Option<&Asset>,
) -> Result<Vec<Check>, CliError> {
    let recorded = Recorded::read(sources, study)?;
    let (used, refused) = used_consents(&recorded.histories, &recorded.uses, recorded.purpose);
    let mut checks = match committed(sources, model) {
        Ok(set) => compare(sources, &recorded, study, &set),
        Err((verdict, why)) => vec![
            consents(verdict, why),
            withdrawals(Verdict::Unknown, "there is no map to look into"),
        ],
    };
    if let Some(check) = checks.first_mut().filter(|_| !refused.is_empty()) {
        // Needs no set: the chain contradicts itself.
        *check = consents(
            Verdict::No,
            format!(
                "{} of {} uses were not allowed when they were made",
                refused.len(),
                recorded.uses.len()
            ),
        );
        check.findings = refused.iter().map(|refused| named(assets, refused)).collect();
    } else if let Some(check) = checks.first_mut().filter(|check| check.verdict == Verdict::Yes) {
        let datasets: Vec<String> = used
            .iter()
            .map(|used| dataset_name(assets, used.dataset))
            .collect();
        check.sentence = format!("{} of {}", check.sentence, datasets.join(", "));
    }
    Ok(checks)
}

/// What a use that was not allowed is called by people: the dataset by its name.
fn named(assets: &Assets, refused: &ConsentSetError) -> String {
    match refused {
        ConsentSetError::NotAllowed { used, .. } => {
            format!("{}: {}", dataset_name(assets, used.dataset), with_causes(refused))
        }
        _ => with_causes(refused),
    }
}

fn dataset_name(assets: &Assets, dataset: AssetId) -> String {
    let asset = assets.by_id(dataset);
    asset.map_or_else(|| format!("dataset {dataset}"), Asset::full_name)
}

/// The set that the model's publication commits to, or why there is none to look at.
fn committed(sources: &Sources<'_>, model: Option<&Asset>) -> Result<ConsentSet, (Verdict, String)> {
    let unknown = |why: &str| (Verdict::Unknown, why.to_owned());
    let model =
        model.ok_or_else(|| unknown("the run has published no model, so nothing commits to its consents"))?;
    let (owner, content) = (model.record.registered_to, model.record.asset.content);
    let found = (sources.log)(owner, "counterweight/model-published/v1", content)
        .map_err(|error| (Verdict::No, error.message().to_owned()))?;
    let said = found
        .said
        .ok_or_else(|| unknown("the statement that publishes the model is not at hand"))?;
    let digest: ContentDigest = said
        .get("consents")
        .and_then(|digest| serde_json::from_value(digest.clone()).ok())
        .ok_or_else(|| unknown("the model's publication commits to no set of consents"))?;
    let bytes = sources
        .blobs
        .get(&digest, CONSENT_SET_BYTES as u64)
        .map_err(|error| match error {
            BlobError::Missing { .. } => (Verdict::Unknown, error.to_string()),
            _ => (
                Verdict::No,
                format!("the set of consents: {}", with_causes(&error)),
            ),
        })?;
    ConsentSet::decode(&bytes).map_err(|error| (Verdict::No, with_causes(&error)))
}

fn compare(sources: &Sources<'_>, recorded: &Recorded, study: StudyId, set: &ConsentSet) -> Vec<Check> {
    let training = sources.reader.deployment().training_rounds;
    let mut wrong = set.check(&recorded.registry, (training, study, recorded.purpose));
    wrong.extend(set.check_against(
        &recorded.registry,
        recorded.purpose,
        &recorded.histories,
        &recorded.uses,
    ));
    let of_map = |error: &ConsentSetError| {
        matches!(
            error,
            ConsentSetError::Map { .. }
                | ConsentSetError::Proof { .. }
                | ConsentSetError::EndedBefore { .. }
                | ConsentSetError::TooEarly { .. }
        )
    };
    let (of_map, of_set): (Vec<_>, Vec<_>) = wrong.into_iter().partition(of_map);
    let signed = entries(sources, recorded, set);
    let mut first = match (of_set.is_empty(), &signed) {
        (true, Ok(Entries { missing, signed })) if missing.is_empty() => consents(
            Verdict::Yes,
            format!(
                "{} uses under {signed} signed and {} unsigned grants",
                recorded.uses.len(),
                set.consents.len() - signed
            ),
        ),
        (true, Ok(Entries { missing, .. })) => {
            let mut check = consents(Verdict::Unknown, "signed entries are named and not at hand");
            check.findings.clone_from(missing);
            check
        }
        (_, _) => consents(
            Verdict::No,
            "the published set of consents is not that of the run",
        ),
    };
    first
        .findings
        .extend(of_set.iter().map(|error| with_causes(error)));
    first.findings.extend(signed.err().into_iter().flatten());
    let mut second = if of_map.is_empty() {
        withdrawals(
            Verdict::Yes,
            format!(
                "none was withdrawn before its last use: proved in the map of {} ended consents up to block {}",
                set.ended.count, set.ended.block
            ),
        )
    } else {
        withdrawals(
            Verdict::No,
            "the published map of ended consents does not show it",
        )
    };
    second.findings = of_map.iter().map(|error| with_causes(error)).collect();
    vec![first, second]
}

struct Entries {
    signed: usize,
    missing: Vec<String>,
}

/// The entries that a set names: each signed by the steward of its epoch and saying what the epoch says.
fn entries(sources: &Sources<'_>, recorded: &Recorded, set: &ConsentSet) -> Result<Entries, Vec<String>> {
    let mut found = Entries {
        signed: 0,
        missing: Vec::new(),
    };
    let mut wrong = Vec::new();
    for used in &set.consents {
        let Some(digest) = used.entry else { continue };
        let bytes = match sources.blobs.get(&digest, ENTRY_BYTES) {
            Ok(bytes) => bytes,
            Err(BlobError::Missing { .. }) => {
                found
                    .missing
                    .push(format!("entry {digest} of dataset {}", used.dataset));
                continue;
            }
            Err(error) => {
                wrong.push(format!("entry of dataset {}: {error}", used.dataset));
                continue;
            }
        };
        let history = recorded
            .histories
            .get(&used.dataset)
            .map_or(&[][..], Vec::as_slice);
        let granted = |entry: &&ConsentEpoch| {
            entry.epoch == used.grant && matches!(entry.change, ConsentChange::Granted { .. })
        };
        match history.iter().find(granted) {
            Some(epoch) => match check_entry(&bytes, recorded.registry, used.dataset, epoch) {
                Ok(()) => found.signed += 1,
                Err(why) => wrong.push(format!("entry of dataset {}: {why}", used.dataset)),
            },
            None => wrong.push(format!("dataset {} has no grant {}", used.dataset, used.grant)),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

fn check_entry(
    bytes: &[u8],
    registry: Registry,
    dataset: AssetId,
    epoch: &ConsentEpoch,
) -> Result<(), String> {
    let statement = UncheckedStatement::decode(bytes, ENTRY_BYTES as usize)
        .and_then(UncheckedStatement::verify)
        .map_err(|error| with_causes(&error))?;
    let entry = ConsentEntry::read(statement.statement()).map_err(|error| with_causes(&error))?;
    entry
        .check(registry, dataset, epoch)
        .map_err(|error| with_causes(&error))
}

/// Everything about the consent for a dataset: its signed entries, and every run that used it.
///
/// # Errors
/// Those of chain and log.
pub(super) fn dataset_consent_checks(
    session: &crate::session::Session<'_>,
    sources: &Sources<'_>,
    assets: &Assets,
    dataset: &Asset,
) -> Result<Vec<Check>, CliError> {
    let registry = registry(sources.reader);
    let id = dataset.record.id;
    let mut histories = sources.reader.consent_histories()?;
    let history = histories.remove(&id).unwrap_or_default();
    let logged = logged_entries(session, registry)?;
    let mut checks = vec![entries_check(&logged, registry, id, &history)];
    for study in (1..=sources.reader.study_count()?).map(StudyId) {
        let recorded = Recorded::read(sources, study)?;
        if !recorded.uses.iter().any(|used| used.dataset == id) {
            continue;
        }
        let model = sources
            .reader
            .study(study)?
            .model
            .and_then(|model| assets.by_id(model));
        let model = model.filter(|model| model.record.asset.kind == AssetKind::Model);
        for mut check in consent_checks(sources, assets, study, model)? {
            check.check = format!("run {study}: {}", check.check);
            checks.push(check);
        }
    }
    Ok(checks)
}

fn entries_check(
    logged: &BTreeMap<(AssetId, u32), Vec<u8>>,
    registry: Registry,
    dataset: AssetId,
    history: &[ConsentEpoch],
) -> Check {
    let mut check = Check {
        check: "entries".to_owned(),
        ..consents(Verdict::Yes, String::new())
    };
    let decisions = history
        .iter()
        .filter(|epoch| epoch.change != ConsentChange::Transferred);
    let (mut signed, mut count) = (0, 0);
    for epoch in decisions {
        count += 1;
        match logged.get(&(dataset, epoch.epoch)) {
            None => {
                check.verdict = check.verdict.max(Verdict::Unknown);
                check.findings.push(format!(
                    "epoch {} has no signed entry in the log here",
                    epoch.epoch
                ));
            }
            Some(bytes) => match check_entry(bytes, registry, dataset, epoch) {
                Ok(()) => signed += 1,
                Err(why) => {
                    check.verdict = Verdict::No;
                    check.findings.push(format!("epoch {}: {why}", epoch.epoch));
                }
            },
        }
    }
    if check.verdict == Verdict::Unknown {
        check.code = Code::CheckUnknown;
    }
    check.sentence = format!("{signed} of {count} grants and withdrawals are signed entries of the log");
    check
}

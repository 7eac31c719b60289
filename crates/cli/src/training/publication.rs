//! Publishing the model of a finished study: manifests, statements, the asset.

use std::collections::BTreeMap;

use counterweight_chain::{
    keys::LocalKey,
    ledger::{CollectionPublication, ContractLedger, ModelPublication},
};
use counterweight_federated::{
    coordinator::StudyOutcome,
    ledger::{StudyReader as _, StudyState},
};
use counterweight_primitives::{AssetId, ContentDigest, Ppm};
use counterweight_provenance::{
    ledger::{AssetKind, Parent},
    manifest::{
        Architecture, CollectionManifest, ContentRef, Decimal, MOST_PARENTS, Manifest, Metric, ModelManifest,
        RunManifest, RunMember, RunRound, RunUpdate,
    },
    purpose::PurposeSet,
    statement::{Statement, Subject},
};
use serde_json::json;

use super::{Comparison, Membership, Opened, consents, statements};
use crate::{
    error::{CliError, Code},
    session::{Assets, Contracts, Session},
};

/// Members of a group that is published as one collection.
const GROUP: usize = 8;

/// Puts the model on the chain with its lineage, after the log holds the statements about it; its asset. Does
/// nothing twice.
///
/// # Errors
/// Those of chain, contracts and files.
#[expect(
    clippy::too_many_arguments,
    reason = "each is used once, and a struct for them would be made only here"
)]
pub(crate) fn publish(
    session: &Session<'_>,
    contracts: &Contracts,
    sponsor_key: &LocalKey,
    sponsor: &ContractLedger,
    opened: &Opened,
    outcome: &StudyOutcome,
    members: &[Membership],
    comparison: Option<&Comparison>,
) -> Result<AssetId, CliError> {
    let state = sponsor.study(opened.study)?;
    if let Some(model) = state.model {
        return Ok(model);
    }
    let assets = Assets::read(contracts, &session.blobs)?;
    let bytes = outcome.model.to_safetensors();
    let content = session.blobs.put(&bytes)?;
    let run = Manifest::Run(run_manifest(
        session, contracts, sponsor, opened, outcome, &state, &assets,
    )?);
    let run_digest = session.blobs.put(&run.encode()?)?;
    let parents = parents(session, sponsor, opened, &state, run_digest)?;
    let manifest = Manifest::Model(model_manifest(
        opened,
        outcome,
        bytes.len(),
        content,
        run_digest,
        parents,
        comparison,
    )?);
    let manifest_digest = session.blobs.put(&manifest.encode()?)?;
    let consents = consents::commit(session, contracts, opened.study, &state)?;
    let statements = say(
        sponsor,
        opened,
        (content, manifest_digest, run_digest, consents),
        outcome,
        members,
    )?;
    let statements = statements
        .into_iter()
        .map(|(statement, member)| (statement, member.map_or(sponsor_key, |member| &*member.key)))
        .collect();
    statements::record(session, sponsor_key, sponsor, statements)?;
    let name = &opened.terms.model;
    let previous = assets
        .newest(AssetKind::Model, sponsor.account(), name)
        .map(|asset| asset.record.id);
    let publication = ModelPublication {
        content,
        manifest: manifest_digest,
        previous,
        resale_royalty_bps: 0,
        uri: manifest_digest.to_string(),
    };
    Ok(sponsor.publish_model(opened.study, &publication)?)
}

fn run_manifest(
    session: &Session<'_>,
    contracts: &Contracts,
    sponsor: &ContractLedger,
    opened: &Opened,
    outcome: &StudyOutcome,
    state: &StudyState,
    assets: &Assets,
) -> Result<RunManifest, CliError> {
    let members = state.members.iter().map(|member| {
        let asset = assets.by_id(member.dataset).ok_or_else(|| {
            CliError::new(
                Code::Fault,
                format!("dataset {} of a member is not registered", member.dataset),
            )
        })?;
        Ok(RunMember {
            account: member.account,
            dataset: member.dataset,
            manifest: asset.record.asset.manifest,
            consent_epoch: member.consent_epoch,
            contribution: member.contribution,
        })
    });
    let members = members.collect::<Result<Vec<_>, CliError>>()?;
    let rounds = sponsor.rounds(opened.study)?.into_iter().filter_map(|round| {
        let closing = round.closed?;
        let mut updates: Vec<RunUpdate> = round
            .commitments
            .iter()
            .map(|(member, update)| RunUpdate {
                member: *member,
                update: *update,
                aggregated: closing.survivors >> member.0 & 1 == 1,
            })
            .collect();
        updates.sort_by_key(|update| update.member);
        Some(RunRound {
            round: round.round,
            base: round.base,
            updates,
            result: closing.result,
        })
    });
    Ok(RunManifest {
        chain: session.network.chain_id(),
        contract: contracts.reader.deployment().training_rounds,
        study: opened.study,
        terms: state.terms,
        members,
        rounds: rounds.collect(),
        evidence: outcome.evidence,
        result: outcome.result,
    })
}

/// What the contract will register as the model's parents; groups of members are registered first where there are
/// more contributors than an asset has room for.
fn parents(
    session: &Session<'_>,
    sponsor: &ContractLedger,
    opened: &Opened,
    state: &StudyState,
    run: ContentDigest,
) -> Result<Vec<Parent>, CliError> {
    let part = |contribution: u64| scaled(contribution, state.lineage_share);
    let contributors: Vec<(AssetId, u64, usize)> = state
        .members
        .iter()
        .enumerate()
        .filter(|(_, member)| member.contribution > Ppm::ZERO)
        .map(|(index, member)| (member.dataset, u64::from(member.contribution.millionths()), index))
        .collect();
    // As in the contract: the model it started from takes a place, and no share.
    let base = state.base_model.map(|asset| Parent {
        asset,
        share: Ppm::ZERO,
    });
    let mut parents = Vec::from_iter(base);
    if contributors.len() <= MOST_PARENTS - parents.len() {
        for (asset, contribution, _) in contributors {
            parents.push(Parent {
                asset,
                share: part(contribution)?,
            });
        }
    } else {
        let known: BTreeMap<u8, AssetId> = sponsor.collections(opened.study)?.into_iter().collect();
        let mut groups: BTreeMap<u8, Vec<(AssetId, u64)>> = BTreeMap::new();
        for (asset, contribution, index) in contributors {
            let group = u8::try_from(index / GROUP).unwrap_or(u8::MAX);
            groups.entry(group).or_default().push((asset, contribution));
        }
        for (group, held) in groups {
            let sum: u64 = held.iter().map(|(_, contribution)| contribution).sum();
            let asset = match known.get(&group) {
                Some(asset) => *asset,
                None => publish_group(session, sponsor, opened, group, &held, sum, run)?,
            };
            parents.push(Parent {
                asset,
                share: part(sum)?,
            });
        }
    }
    parents.sort_by_key(|parent| parent.asset);
    Ok(parents)
}

fn publish_group(
    session: &Session<'_>,
    sponsor: &ContractLedger,
    opened: &Opened,
    group: u8,
    held: &[(AssetId, u64)],
    sum: u64,
    run: ContentDigest,
) -> Result<AssetId, CliError> {
    let shares: Vec<u64> = held
        .iter()
        .map(|(_, contribution)| contribution * 1_000_000 / sum.max(1))
        .collect();
    // As in the contract: what rounding leaves goes to the first member.
    let left = 1_000_000 - shares.iter().sum::<u64>();
    let mut parents = held
        .iter()
        .zip(&shares)
        .enumerate()
        .map(|(place, ((asset, _), share))| {
            let share = share + if place == 0 { left } else { 0 };
            Ok(Parent {
                asset: *asset,
                share: ppm(share)?,
            })
        })
        .collect::<Result<Vec<_>, CliError>>()?;
    parents.sort_by_key(|parent| parent.asset);
    let manifest = Manifest::Collection(CollectionManifest {
        name: format!("{}-group-{}", opened.terms.study, group + 1),
        study: Some(opened.study),
        run: Some(run),
        parents,
    });
    let manifest = session.blobs.put(&manifest.encode()?)?;
    Ok(sponsor.publish_collection(
        opened.study,
        &CollectionPublication {
            group,
            manifest,
            uri: manifest.to_string(),
        },
    )?)
}

fn scaled(contribution: u64, share: Ppm) -> Result<Ppm, CliError> {
    ppm(contribution * u64::from(share.millionths()) / 1_000_000)
}

fn ppm(millionths: u64) -> Result<Ppm, CliError> {
    let small = u32::try_from(millionths)
        .ok()
        .and_then(|millionths| Ppm::new(millionths).ok());
    small.ok_or_else(|| {
        CliError::new(
            Code::Fault,
            format!("{millionths} millionths are more than the whole"),
        )
    })
}

/// Family and settings of a model, for its manifest.
fn described(
    shape: &counterweight_federated::architecture::Architecture,
) -> (&'static str, BTreeMap<String, String>) {
    let Ok(shape) = shape.built_in() else {
        let tensors = shape.tensors().len().to_string();
        return ("custom", BTreeMap::from([("tensors".to_owned(), tensors)]));
    };
    let mut settings = BTreeMap::from([
        ("inputs".to_owned(), shape.inputs.to_string()),
        ("outputs".to_owned(), shape.outputs.to_string()),
    ]);
    if !shape.hidden.is_empty() {
        let widths: Vec<String> = shape.hidden.iter().map(ToString::to_string).collect();
        settings.insert("hidden".to_owned(), widths.join(","));
        settings.insert(
            "activation".to_owned(),
            format!("{:?}", shape.activation).to_lowercase(),
        );
    }
    let family = match (shape.hidden.is_empty(), shape.outputs) {
        (true, 1) => "logistic-regression",
        (true, _) => "softmax-regression",
        _ => "multilayer-perceptron",
    };
    (family, settings)
}

fn model_manifest(
    opened: &Opened,
    outcome: &StudyOutcome,
    size: usize,
    content: ContentDigest,
    run: ContentDigest,
    parents: Vec<Parent>,
    comparison: Option<&Comparison>,
) -> Result<ModelManifest, CliError> {
    let (family, settings) = described(outcome.model.architecture());
    let decimal = |value: f64| {
        Decimal::rounded(value, 6).map_err(|error| CliError::new(Code::Fault, format!("a metric: {error}")))
    };
    // Only the public hold-out is measured in public: accuracy on a member's rows says something about them.
    let metrics = match comparison.and_then(|comparison| comparison.holdout) {
        Some((rows, loss, accuracy)) => [("accuracy", accuracy), ("loss", loss)]
            .into_iter()
            .map(|(name, value)| {
                Ok(Metric {
                    name: name.to_owned(),
                    data: "hold-out".to_owned(),
                    rows: rows as u64,
                    value: decimal(value)?,
                })
            })
            .collect::<Result<Vec<_>, CliError>>()?,
        None => Vec::new(),
    };
    Ok(ModelManifest {
        name: opened.terms.model.clone(),
        content: ContentRef {
            digest: content,
            size: size as u64,
        },
        architecture: Architecture {
            family: family.to_owned(),
            parameters: outcome.model.values().len() as u64,
            settings,
        },
        run: Some(run),
        parents,
        metrics,
        licence: "LicenseRef-study-terms".to_owned(),
        purposes: PurposeSet::from_names([opened.terms.purpose.as_str()])?,
        card: String::new(),
    })
}

fn subject(name: &str, digest: ContentDigest) -> Subject {
    Subject {
        name: name.to_owned(),
        digest,
        sha256: None,
    }
}

/// What a steward says about its dataset.
///
/// # Errors
/// Those of the chain, which tells the time.
pub(crate) fn dataset_statement(ledger: &ContractLedger, member: &Membership) -> Result<Statement, CliError> {
    let predicate = json!({
        "asset": member.asset,
        "chain": ledger.deployment().chain_id,
        "licence": member.entry.licence,
        "manifest": member.manifest,
    });
    let subjects = vec![subject(&member.entry.name, member.data.content)];
    let now = statements::now(ledger)?;
    Ok(Statement::new(
        member.key.account(),
        now,
        subjects,
        "counterweight/dataset-published/v1",
        predicate,
    ))
}

/// The statements about a run: each dataset by its steward, the run and its model by the sponsor.
fn say<'a>(
    sponsor: &ContractLedger,
    opened: &Opened,
    (content, manifest, run, consents): (ContentDigest, ContentDigest, ContentDigest, ContentDigest),
    outcome: &StudyOutcome,
    members: &'a [Membership],
) -> Result<Vec<(Statement, Option<&'a Membership>)>, CliError> {
    let now = statements::now(sponsor)?;
    let deployment = sponsor.deployment();
    let place = json!({
        "chain": deployment.chain_id,
        "contract": deployment.training_rounds,
        "study": opened.study,
    });
    let mut statements = Vec::new();
    for member in members {
        statements.push((dataset_statement(sponsor, member)?, Some(member)));
    }
    let contributions: Vec<u32> = outcome
        .contributions
        .iter()
        .map(|(share, _)| share.millionths())
        .collect();
    let finished = json!({
        "contributions-ppm": contributions,
        "evidence": outcome.evidence,
        "result": outcome.result,
        "run": place,
    });
    let issuer = sponsor.account();
    statements.push((
        Statement::new(
            issuer,
            now,
            vec![subject(&format!("run {}", opened.study), run)],
            "counterweight/run-finished/v1",
            finished,
        ),
        None,
    ));
    let published = json!({"consents": consents, "manifest": manifest, "run": run, "study": place});
    statements.push((
        Statement::new(
            issuer,
            now,
            vec![subject(&opened.terms.model, content)],
            "counterweight/model-published/v1",
            published,
        ),
        None,
    ));
    Ok(statements)
}

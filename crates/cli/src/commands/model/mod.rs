//! `cw model`: models trained here, and networks whose answers are proven.

mod attest;
mod export;
mod import;
mod inspect;
mod publish;
mod sign;

use counterweight_provenance::{ledger::AssetKind, lineage::Direction, manifest::Manifest};
use serde_json::{Value, json};

pub(super) use export::{pretty, told_where};
pub(super) use publish::inference_verifier;
pub(super) use sign::{KEY_BYTES, account_key, beside};

use super::Context;
use crate::{
    arguments::ThingName,
    error::CliError,
    output::{Answer, Cell, Table},
    project::Project,
    session::{Asset, Assets, Session},
};

/// What to do with models.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List models, every version
    List,
    /// Show one model in full
    Show {
        /// The model, `name` or `name@2`
        name: ThingName,
    },
    /// Import an ONNX network as integers, so that it gives the same answers everywhere and they can be proven
    Import(import::Arguments),
    /// Look into anybody's model: its tensors with their identities, and what its card claims
    Inspect(inspect::Arguments),
    /// Commit to a network's weights and register the commitment, so that its answers can be proven
    Publish(publish::Arguments),
    /// Sign the files of any model so that OpenSSF's tools can check them
    Sign(sign::Arguments),
    /// Attest a model for readers of the Ethereum Attestation Service; nothing is sent
    Attest(attest::Arguments),
    /// Write a model, or a description of it in a format of others
    Export(export::Arguments),
    /// Say where wallets and galleries find a model's metadata
    Link(super::link::Arguments),
}

/// Does it.
///
/// # Errors
/// [`Code::UnknownName`], and those of chain and files.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    match command {
        Command::Import(arguments) => return import::run(arguments, context),
        Command::Inspect(arguments) => return inspect::run(arguments, context),
        Command::Publish(arguments) => return publish::run(arguments, context),
        Command::Sign(arguments) => return sign::run(arguments, context),
        Command::Attest(arguments) => return attest::run(arguments, context),
        Command::Export(arguments) => return export::run(arguments, context),
        Command::Link(arguments) => return super::link::run(AssetKind::Model, arguments, context),
        Command::List | Command::Show { .. } => {}
    }
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    match command {
        Command::Show { name } => show(assets.find(AssetKind::Model, &name.0)?, &assets),
        _ => Ok(list(&assets)),
    }
}

fn metric(asset: &Asset) -> String {
    match &asset.manifest {
        Some(Manifest::Model(manifest)) => manifest
            .metrics
            .iter()
            .find(|metric| metric.name == "accuracy")
            .map_or_else(
                || "-".to_owned(),
                |metric| format!("{:.3} on {}", metric.value.to_f64(), metric.data),
            ),
        _ => "-".to_owned(),
    }
}

fn list(assets: &Assets) -> Answer {
    let mut table = Table::new(["model", "accuracy", "parents", "published", "digest"]);
    let mut rows = Vec::new();
    let mut answer = Answer::new("model-list/1");
    for asset in assets.of_kind(AssetKind::Model) {
        table.push([
            Cell::text(asset.full_name()),
            Cell::text(metric(asset)),
            Cell::number(asset.record.parents.len()),
            Cell::text(asset.record.registered_at.to_rfc3339()),
            Cell::Digest(asset.record.asset.content),
        ]);
        rows.push(summary(asset));
        answer = answer.id(asset.full_name());
    }
    if table.is_empty() {
        return answer.json("models", rows).line("No model yet.").next("cw train");
    }
    answer.json("models", rows).table(table)
}

fn summary(asset: &Asset) -> Value {
    json!({
        "name": asset.name(),
        "version": asset.record.asset.version,
        "asset": asset.record.id,
        "content": asset.record.asset.content,
        "manifest": asset.record.asset.manifest,
        "owner": asset.record.owner,
        "uri": asset.record.uri,
        "published_at": asset.record.registered_at.to_rfc3339(),
    })
}

fn show(asset: &Asset, assets: &Assets) -> Result<Answer, CliError> {
    let manifest = match &asset.manifest {
        Some(manifest) => serde_json::to_value(manifest).unwrap_or(Value::Null),
        None => Value::Null,
    };
    let mut fields = vec![
        ("model", Cell::text(asset.full_name())),
        ("content", Cell::Digest(asset.record.asset.content)),
        ("manifest", Cell::Digest(asset.record.asset.manifest)),
        ("owner", Cell::Account(asset.record.owner)),
        ("published", Cell::text(asset.record.registered_at.to_rfc3339())),
    ];
    if let Some(Manifest::Model(model)) = &asset.manifest {
        fields.push(("architecture", Cell::text(&model.architecture.family)));
        fields.push((
            "parameters",
            Cell::text(model.architecture.parameters.to_string()),
        ));
        fields.push(("purposes", Cell::text(model.purposes.names().join(", "))));
        for metric in &model.metrics {
            fields.push((
                "measured",
                Cell::text(format!(
                    "{} {} on {} ({} rows)",
                    metric.name, metric.value, metric.data, metric.rows
                )),
            ));
        }
    }
    let tree = assets.lineage()?.tree(asset.record.id, Direction::Ancestors, 8)?;
    let Value::Object(members) = summary(asset) else {
        return Err(CliError::fault("a summary is no object"));
    };
    let answer = members
        .into_iter()
        .fold(Answer::new("model/1"), |answer, (name, value)| {
            answer.json(&name, value)
        });
    Ok(answer
        .json("card", manifest)
        .json(
            "parents",
            serde_json::to_value(&asset.record.parents).unwrap_or(Value::Null),
        )
        .fields(fields)
        .heading("Came from, with the part of its income that flows there")
        .line(tree.to_text().trim_end())
        .id(asset.full_name())
        .next(format!("cw verify model {}", asset.full_name())))
}

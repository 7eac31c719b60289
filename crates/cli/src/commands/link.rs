//! `cw model link` and `cw dataset link`: where wallets and galleries find an asset's metadata.

use std::sync::Arc;

use counterweight_chain::keys::LocalKey;
use counterweight_provenance::ledger::AssetKind;

use super::Context;
use crate::{
    arguments::ThingName,
    error::{CliError, Code},
    output::Answer,
    project::Project,
    session::{Asset, Assets, Session},
    training::{member_key, sponsor_key},
};

/// Longest address that the registry keeps.
const LONGEST: usize = 1_024;

/// What wallets and galleries can fetch.
const SCHEMES: [&str; 4] = ["https://", "ipfs://", "ar://", "data:application/json"];

/// What to link.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The asset, `name` or `name@2`
    name: ThingName,
    /// Where its metadata is: https://…, ipfs://… or ar://…, at most 1,024 bytes
    #[arg(value_name = "URI")]
    uri: String,
}

/// Sends it.
///
/// # Errors
/// [`Code::BadValue`] for an address that nobody fetches, [`Code::UnknownName`], and those of chain and keys.
pub(super) fn run(kind: AssetKind, arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let uri = &arguments.uri;
    let fetched = SCHEMES.iter().any(|scheme| uri.starts_with(scheme));
    if !fetched || uri.len() > LONGEST || uri.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(
            CliError::new(Code::BadValue, "wallets and galleries do not fetch this address")
                .fact("begins with", SCHEMES.join(", "))
                .fact("at most", format!("{LONGEST} bytes"))
                .fix(format!(
                    "cw {} export {} --format nft, serve or pin the file, then give its address",
                    kind.name(),
                    arguments.name.0
                )),
        );
    }
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let asset = assets.find(kind, &arguments.name.0)?;
    let answer = Answer::new("asset-link/1")
        .json("name", asset.full_name())
        .json("asset", asset.record.id.0)
        .json("uri", uri.as_str());
    if context.global.dry_run {
        return Ok(answer.json("sent", false).line("Nothing was sent: --dry-run"));
    }
    let key = owner_key(&session, asset, context)?;
    contracts.acting_for(&key).set_uri(asset.record.id, uri)?;
    Ok(answer
        .json("sent", true)
        .line(format!("{} shows what is at {uri}", asset.full_name()))
        .id(asset.full_name()))
}

/// `--key`, else the steward's as configured for a dataset and the sponsor's for a model.
fn owner_key(session: &Session<'_>, asset: &Asset, context: &Context) -> Result<Arc<LocalKey>, CliError> {
    if context.global.key.is_none() && asset.record.asset.kind == AssetKind::Dataset {
        let datasets = &session.project.config.study.datasets;
        if let Some(entry) = datasets.iter().find(|entry| entry.name == asset.name()) {
            return member_key(session, entry);
        }
    }
    sponsor_key(session, context.global.key.as_ref())
}

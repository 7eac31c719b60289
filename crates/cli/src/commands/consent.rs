//! `cw consent`: what a dataset may be used for, and what became of it.

mod report;

use counterweight_primitives::{PurposeIndex, UnixSeconds};
use counterweight_provenance::{
    ledger::{AssetKind, ConsentLedger as _, ConsentReader as _},
    purpose::PurposeSet,
};
use serde_json::json;

use super::Context;
use crate::{
    arguments::ThingName,
    error::{CliError, Code},
    output::{Answer, Cell, Table, Tone},
    project::Project,
    session::{Asset, Assets, Contracts, Session},
    training::{Stewarded, log_key, member_key, purpose, record_consents},
};

/// What to do about consent.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Allow purposes for a dataset; replaces what was allowed before
    Grant {
        /// The dataset
        dataset: ThingName,
        /// A purpose to allow; may be given several times [default: those of counterweight.toml]
        #[arg(long, value_name = "NAME")]
        purpose: Vec<String>,
        /// Last day it is allowed, in UTC, 2027-12-31 [default: no end]
        #[arg(long, value_name = "DATE", value_parser = end_of_day)]
        until: Option<UnixSeconds>,
    },
    /// Withdraw purposes; stops the next run and never rewrites the past
    Revoke {
        /// The dataset
        dataset: ThingName,
        /// A purpose to withdraw; may be given several times [default: all that are allowed]
        #[arg(long, value_name = "NAME")]
        purpose: Vec<String>,
    },
    /// Show what each dataset may be used for
    List,
    /// Show who used a dataset, for what and when, in which runs and models, and what it earned
    Report {
        /// The dataset
        dataset: ThingName,
    },
}

/// Does it.
///
/// # Errors
/// Those of chain, contracts and keys.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    match command {
        Command::Grant {
            dataset,
            purpose,
            until,
        } => {
            let asset = assets.find(AssetKind::Dataset, &dataset.0)?;
            let configured = project
                .config
                .study
                .datasets
                .iter()
                .find(|entry| entry.name == asset.name());
            let names: Vec<&str> = match (purpose.is_empty(), configured) {
                (false, _) => purpose.iter().map(String::as_str).collect(),
                (true, Some(entry)) => entry.consent.iter().map(String::as_str).collect(),
                (true, None) => vec![project.config.study.study.purpose.as_str()],
            };
            let purposes = PurposeSet::from_names(names)?;
            change(
                &session,
                &contracts,
                asset,
                context,
                Change::Grant(purposes, *until),
            )
        }
        Command::Revoke { dataset, purpose } => {
            let asset = assets.find(AssetKind::Dataset, &dataset.0)?;
            let purposes = if purpose.is_empty() {
                contracts.reader.consent(asset.record.id)?.purposes
            } else {
                PurposeSet::from_names(purpose.iter().map(String::as_str))?
            };
            if purposes.is_empty() {
                return Err(CliError::new(
                    Code::NothingYet,
                    format!("nothing is allowed for {}", asset.name()),
                )
                .why("there is nothing to withdraw")
                .fix("cw consent list"));
            }
            change(&session, &contracts, asset, context, Change::Revoke(purposes))
        }
        Command::List => list(&project, &contracts, &assets),
        Command::Report { dataset } => {
            let dataset = assets.find(AssetKind::Dataset, &dataset.0)?;
            report::run(&session, &contracts, &assets, dataset)
        }
    }
}

enum Change {
    Grant(PurposeSet, Option<UnixSeconds>),
    Revoke(PurposeSet),
}

fn change(
    session: &Session<'_>,
    contracts: &Contracts,
    asset: &Asset,
    context: &Context,
    change: Change,
) -> Result<Answer, CliError> {
    let name = asset.name();
    let key = match &context.global.key {
        Some(key) => session.keys.open(&key.0)?,
        None => {
            let entry = session
                .project
                .config
                .study
                .datasets
                .iter()
                .find(|entry| entry.name == name);
            let entry = entry.ok_or_else(|| {
                CliError::new(
                    Code::UnknownName,
                    format!("the steward of {name} is not known here"),
                )
                .fact("owner", asset.record.owner.to_string())
                .fix("add --key NAME with the steward's key")
            })?;
            member_key(session, entry)?
        }
    };
    let ledger = contracts.acting_for(&key);
    let id = asset.record.id;
    let (verb, purposes) = match &change {
        Change::Grant(purposes, _) => ("grant", purposes),
        Change::Revoke(purposes) => ("revoke", purposes),
    };
    let names = purposes.names();
    let answer = Answer::new("consent/1")
        .json("dataset", asset.full_name())
        .json("asset", id.0)
        .json("change", verb)
        .json("purposes", names.clone())
        .json("steward", key.account().to_string());
    if context.global.dry_run {
        return Ok(answer.json("sent", false).line(format!(
            "{verb} {} for {} as {}; nothing was sent: --dry-run",
            names.join(", "),
            asset.full_name(),
            key.account()
        )));
    }
    let epoch = match change {
        Change::Grant(purposes, until) => ledger.grant(id, purposes, until)?,
        Change::Revoke(purposes) => ledger.revoke(id, purposes)?,
    };
    let said = if verb == "grant" {
        "may be used for"
    } else {
        "may no longer be used for"
    };
    // The chain has decided: that the log cannot be written now changes nothing about it.
    let entry = match log_key(session, std::slice::from_ref(&key))? {
        Some(owner) => {
            let stewarded = Stewarded {
                asset: id,
                name,
                content: asset.record.asset.content,
                key: std::sync::Arc::clone(&key),
            };
            let ledger = contracts.acting_for(&owner);
            record_consents(session, &owner, &ledger, &[stewarded])?
                .pop()
                .flatten()
        }
        None => {
            context
                .console
                .warn("the signed entry is not in a log yet: the key of the project's log is not at hand");
            context
                .console
                .note("cw dataset publish or cw train by the log's owner makes up for it");
            None
        }
    };
    Ok(answer
        .json("sent", true)
        .json("epoch", epoch)
        .json("entry", serde_json::to_value(entry).unwrap_or_default())
        .line(format!(
            "{} {said} {} (epoch {epoch})",
            asset.full_name(),
            names.join(", ")
        ))
        .id(asset.full_name()))
}

fn list(project: &Project, contracts: &Contracts, assets: &Assets) -> Result<Answer, CliError> {
    let wanted: PurposeIndex = purpose(project)?;
    let wanted_name = &project.config.study.study.purpose;
    let mut table = Table::new(["dataset", wanted_name, "allowed", "until", "epoch"]);
    let mut rows = Vec::new();
    let mut answer = Answer::new("consent-list/1");
    for asset in assets.of_kind(AssetKind::Dataset) {
        if contracts.replaced(asset.record.id)? {
            continue;
        }
        let consent = contracts.reader.consent(asset.record.id)?;
        let allowed = contracts.reader.is_allowed(asset.record.id, wanted)?;
        let names = consent.purposes.names();
        let until = consent.expiry.map(UnixSeconds::to_rfc3339);
        let (tone, word) = if allowed {
            (Tone::Good, "yes")
        } else {
            (Tone::Bad, "no")
        };
        table.push([
            Cell::text(asset.full_name()),
            Cell::State(tone, word.to_owned()),
            Cell::text(if names.is_empty() {
                "-".to_owned()
            } else {
                names.join(", ")
            }),
            Cell::text(until.clone().unwrap_or_else(|| "-".to_owned())),
            Cell::number(consent.epoch),
        ]);
        rows.push(json!({
            "dataset": asset.full_name(), "asset": asset.record.id, "purposes": names, "until": until,
            "epoch": consent.epoch, "allows_study": allowed,
        }));
        answer = answer.id(asset.full_name());
    }
    Ok(answer
        .json("purpose", wanted_name.as_str())
        .json("datasets", rows)
        .table(table))
}

/// The first second after a day.
fn end_of_day(text: &str) -> Result<UnixSeconds, String> {
    let refuse = || format!("\"{text}\" is no day: write 2027-12-31");
    let mut parts = text.split('-');
    let mut next = || parts.next().and_then(|part| part.parse::<u64>().ok());
    let (Some(year), Some(month), Some(day), None) = (next(), next(), next(), next()) else {
        return Err(refuse());
    };
    // Tried from the shortest possible number of days on: simple, and right for every leap year.
    let start = (year.checked_sub(1970).ok_or_else(refuse)?.min(10_000)) * 365;
    let wanted = format!("{year:04}-{month:02}-{day:02}");
    (start..start + 4_000)
        .map(|days| UnixSeconds(days * 86_400))
        .find(|second| second.to_rfc3339().starts_with(&wanted))
        .map(|second| UnixSeconds(second.0 + 86_400))
        .ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_when_the_next_begins() {
        assert_eq!(
            end_of_day("2027-12-31").unwrap().to_rfc3339(),
            "2028-01-01T00:00:00Z"
        );
        assert_eq!(
            end_of_day("2028-02-29").unwrap().to_rfc3339(),
            "2028-03-01T00:00:00Z"
        );
        for text in ["2027-02-29", "2027-13-01", "soon", "1969-01-01", "2027-01"] {
            assert!(end_of_day(text).is_err(), "{text}");
        }
    }
}

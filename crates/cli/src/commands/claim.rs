//! `cw claim`: collect what was earned.
//!
//! A reward is credited in the contract when a study ends, and nobody can take it back; it leaves the contract when
//! it is claimed, which anyone may do for a member. Income from a model's use is settled up the lineage first; a
//! dry run, which sends nothing, shows what was settled before.

use std::sync::Arc;

use counterweight_chain::keys::LocalKey;
use counterweight_federated::ledger::{Phase, StudyLedger as _, StudyReader as _};
use counterweight_primitives::{Amount, AssetId, MemberIndex, StudyId};
use counterweight_provenance::ledger::{AssetKind, RoyaltyLedger as _, RoyaltyReader as _};
use serde_json::json;

use super::Context;
use crate::{
    error::{CliError, Code},
    nearest::nearest,
    output::{Answer, Cell, Table},
    project::Project,
    session::{Assets, Contracts, Session},
    training::{amount, sponsor_key},
};

/// Whose earnings.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Members to pay, by the name of their dataset; without one, everybody
    #[arg(value_name = "DATASET")]
    members: Vec<String>,
}

/// Something that waits to be paid.
struct Due {
    to: String,
    for_what: String,
    source: Source,
    amount: Amount,
}

enum Source {
    /// Reward and bond of a member.
    Reward(StudyId, MemberIndex),
    /// Income of an asset.
    Royalty(AssetId),
}

/// Pays.
///
/// # Errors
/// [`Code::NothingToClaim`], [`Code::UnknownName`], and those of chain and contracts.
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let names: Vec<String> = assets
        .of_kind(AssetKind::Dataset)
        .map(|asset| asset.name())
        .collect();
    for wanted in &arguments.members {
        if !names.contains(wanted) {
            let error = CliError::new(Code::UnknownName, format!("no dataset is called \"{wanted}\""));
            let error = match nearest(wanted, names.iter().map(String::as_str)) {
                Some(near) => error.fact("nearest", near),
                None => error,
            };
            return Err(error.fix("cw dataset list"));
        }
    }
    let key = if context.global.dry_run {
        None
    } else {
        Some(sponsor_key(&session, context.global.key.as_ref())?)
    };
    if let Some(key) = &key {
        settle(&contracts, &assets, key)?;
    }
    let wanted =
        |name: &str| arguments.members.is_empty() || arguments.members.iter().any(|wanted| wanted == name);
    let due: Vec<Due> = due(&contracts, &assets)?
        .into_iter()
        .filter(|due| wanted(&due.to))
        .collect();
    if due.is_empty() {
        return Err(CliError::new(Code::NothingToClaim, "nothing waits to be claimed")
            .why("rewards come with a finished run, and each is paid once")
            .fix("cw run show"));
    }
    pay(&contracts, due, key.as_ref())
}

/// Moves income up the lineage, children before the parents they pay into.
fn settle(contracts: &Contracts, assets: &Assets, key: &Arc<LocalKey>) -> Result<(), CliError> {
    for id in assets.all().rev().map(|asset| asset.record.id) {
        if contracts.reader.pending(id, contracts.token)? > Amount::ZERO {
            contracts.acting_for(key).settle(id, contracts.token)?;
        }
    }
    Ok(())
}

fn due(contracts: &Contracts, assets: &Assets) -> Result<Vec<Due>, CliError> {
    let mut due = Vec::new();
    for study in (1..=contracts.reader.study_count()?).map(StudyId) {
        let state = contracts.reader.study(study)?;
        if state.token != contracts.token
            || !matches!(state.phase, Phase::Finished | Phase::Abandoned | Phase::Cancelled)
        {
            continue;
        }
        for (index, member) in state.members.iter().enumerate() {
            let total = Amount(member.reward.0 + state.bond.0);
            if member.claimed || total == Amount::ZERO {
                continue;
            }
            let index = MemberIndex(u8::try_from(index).unwrap_or(u8::MAX));
            due.push(Due {
                to: assets
                    .by_id(member.dataset)
                    .map_or_else(|| format!("asset-{}", member.dataset), |a| a.name()),
                for_what: format!("run {study}: reward and bond"),
                source: Source::Reward(study, index),
                amount: total,
            });
        }
    }
    for asset in assets.all() {
        let waiting = contracts.reader.claimable(asset.record.id, contracts.token)?;
        if waiting > Amount::ZERO {
            due.push(Due {
                to: asset.name(),
                for_what: format!("royalties of {}", asset.full_name()),
                source: Source::Royalty(asset.record.id),
                amount: waiting,
            });
        }
    }
    Ok(due)
}

fn pay(contracts: &Contracts, due: Vec<Due>, key: Option<&Arc<LocalKey>>) -> Result<Answer, CliError> {
    let symbol = &contracts.money.symbol;
    let mut table = Table::new(["to", "for", symbol]);
    let mut rows = Vec::new();
    let mut total = Amount::ZERO;
    let mut answer = Answer::new("claim/1");
    for item in due {
        let paid = match (key, &item.source) {
            (Some(key), Source::Reward(study, member)) => contracts.acting_for(key).claim(*study, *member)?,
            (Some(key), Source::Royalty(asset)) => {
                contracts.acting_for(key).claim_royalty(*asset, contracts.token)?
            }
            (None, _) => item.amount,
        };
        total = Amount(total.0.saturating_add(paid.0));
        table.push([
            Cell::text(&item.to),
            Cell::text(&item.for_what),
            Cell::number(amount(contracts, paid)),
        ]);
        rows.push(json!({"to": item.to, "for": item.for_what, "amount": paid, "paid": key.is_some()}));
        answer = answer.id(item.to);
    }
    let said = if key.is_some() {
        "paid out"
    } else {
        "waiting; nothing was sent: --dry-run"
    };
    Ok(answer
        .json("claims", rows)
        .json("total", total.to_string())
        .json(
            "token",
            json!({"address": contracts.token, "symbol": symbol, "decimals": contracts.money.decimals}),
        )
        .table(table)
        .gap()
        .line(format!("{} {symbol} {said}", amount(contracts, total))))
}

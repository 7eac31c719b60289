//! `cw consent report`: who used a dataset, for what, when, in which runs and models, and what it earned.
//!
//! Everything is from the chain's records: uses and rewards of studies, and payments up the lineage. Amounts are exact to the
//! token's last unit: a settlement of a child pays the dataset its share rounded down, as `RoyaltyVault` does.

use std::collections::{BTreeMap, BTreeSet};

use counterweight_federated::{
    ledger::{Phase, StudyReader as _, StudyState},
    study::terms::{MOST_BYTES, PublicTerms},
};
use counterweight_primitives::{Address, Amount, AssetId, PurposeIndex, StudyId};
use counterweight_provenance::{
    consent::{ConsentUse, granted_for},
    ledger::{
        AssetKind, ConsentChange, ConsentEpoch, ConsentReader as _, RoyaltyChange, RoyaltyEvent,
        RoyaltyReader as _,
    },
    lineage::LineageGraph,
    purpose::Purpose,
};
use serde_json::{Value, json};

use crate::{
    error::CliError,
    output::{Answer, Cell, Table, Tone},
    session::{Asset, Assets, Contracts, Session},
};

/// A run that used the dataset.
struct Run {
    study: StudyId,
    name: Option<String>,
    state: StudyState,
    uses: Vec<ConsentUse>,
    /// Uses that the dataset's own history does not allow.
    not_allowed: usize,
    model: Option<String>,
}

/// Income in one token.
#[derive(Default)]
struct Totals {
    /// Rewards of studies that ended.
    rewards: u128,
    /// Those of them that were paid out.
    rewards_paid: u128,
    /// Paid for the dataset itself.
    direct: u128,
    /// What settlements of its children brought, by child.
    through: BTreeMap<AssetId, Through>,
    /// Settled for its owner, paid out and not.
    kept: u128,
    /// Settled for its parents.
    passed_on: u128,
    /// Paid out to its owner.
    claimed: u128,
    /// What its owner may claim now.
    claimable: u128,
    /// Arrived and not split yet.
    pending: u128,
    /// What would arrive if everything made from it were settled now.
    on_its_way: u128,
}

#[derive(Default, Clone, Copy)]
struct Through {
    settlements: u64,
    amount: u128,
}

impl Totals {
    fn received(&self) -> u128 {
        self.direct + self.through.values().map(|through| through.amount).sum::<u128>()
    }

    /// What came in is what was split and what was not.
    fn balances(&self) -> bool {
        self.received() == self.kept + self.passed_on + self.pending
            && self.kept == self.claimed + self.claimable
    }
}

/// Gathers and shows.
///
/// # Errors
/// Those of the chain.
pub(super) fn run(
    session: &Session<'_>,
    contracts: &Contracts,
    assets: &Assets,
    dataset: &Asset,
) -> Result<Answer, CliError> {
    let id = dataset.record.id;
    let history = contracts.reader.consent_history(id)?;
    let runs = runs(session, contracts, assets, id, &history)?;
    let graph = assets.lineage()?;
    let totals = income(contracts, &graph, id, &runs)?;
    let models: Vec<&Asset> = graph
        .descendants(id)?
        .into_iter()
        .filter_map(|id| assets.by_id(id))
        .filter(|asset| asset.record.asset.kind == AssetKind::Model)
        .collect();
    let names: Vec<String> = models.iter().map(|model| model.full_name()).collect();

    let mut answer = Answer::new("consent-report/1")
        .json("dataset", dataset.full_name())
        .json("asset", id.0)
        .json("owner", dataset.record.owner.to_string())
        .json("consents", history.iter().map(epoch_json).collect::<Vec<_>>())
        .json("runs", runs.iter().map(run_json).collect::<Vec<_>>())
        .json("models", names.clone())
        .id(dataset.full_name())
        .heading(format!("Who used {}, and for what", dataset.full_name()));
    answer = if runs.is_empty() {
        answer.line("Nobody yet.")
    } else {
        answer.table(runs_table(contracts, &runs))
    };
    answer = answer.heading("What was made of it");
    answer = answer.line(if names.is_empty() {
        "Nothing that was published.".to_owned()
    } else {
        names.join(", ")
    });
    let mut documents = Vec::new();
    answer = answer.heading("What it earned");
    for (token, totals) in &totals {
        let money = money(contracts, *token)?;
        documents.push(totals_json(assets, *token, &money, totals));
        answer = answer.fields(totals_fields(assets, &money, totals));
    }
    if totals.is_empty() {
        answer = answer.line("Nothing yet.");
    }
    Ok(answer
        .json("income", documents)
        .next(format!("cw verify consent {}", dataset.full_name())))
}

fn runs(
    session: &Session<'_>,
    contracts: &Contracts,
    assets: &Assets,
    dataset: AssetId,
    history: &[ConsentEpoch],
) -> Result<Vec<Run>, CliError> {
    let reader = &contracts.reader;
    let mut runs = Vec::new();
    for study in (1..=reader.study_count()?).map(StudyId) {
        let state = reader.study(study)?;
        if !state.members.iter().any(|member| member.dataset == dataset) {
            continue;
        }
        let mut uses = reader.consent_uses(study)?;
        uses.retain(|used| used.dataset == dataset);
        let not_allowed = uses
            .iter()
            .filter(|used| granted_for(history, used, state.purpose).is_err())
            .count();
        let terms = session.blobs.get(&state.terms, MOST_BYTES as u64).ok();
        let terms = terms.and_then(|bytes| PublicTerms::from_bytes(&bytes).ok());
        runs.push(Run {
            study,
            name: terms.map(|terms| terms.study),
            model: state
                .model
                .and_then(|model| assets.by_id(model))
                .map(Asset::full_name),
            state,
            uses,
            not_allowed,
        });
    }
    Ok(runs)
}

/// Income by token: the rewards of runs, and what climbed up the lineage.
fn income(
    contracts: &Contracts,
    graph: &LineageGraph,
    dataset: AssetId,
    runs: &[Run],
) -> Result<BTreeMap<Address, Totals>, CliError> {
    let reader = &contracts.reader;
    let mut all: BTreeMap<Address, Totals> = BTreeMap::new();
    for run in runs {
        let members = run.state.members.iter();
        for member in members.filter(|member| member.dataset == dataset) {
            let totals = all.entry(run.state.token).or_default();
            totals.rewards += member.reward.0;
            totals.rewards_paid += if member.claimed { member.reward.0 } else { 0 };
        }
    }
    for event in reader.royalty_events(dataset)? {
        let totals = all.entry(event.token).or_default();
        match event.change {
            RoyaltyChange::Paid { amount, .. } => totals.direct += amount.0,
            RoyaltyChange::Settled(settlement) => {
                totals.kept += settlement.to_owner.0;
                totals.passed_on += settlement.to_parents.0;
            }
            RoyaltyChange::Claimed { amount, .. } => totals.claimed += amount.0,
        }
    }
    for child in &graph.node(dataset)?.children {
        let parents = &graph.node(*child)?.record.parents;
        let Some(parent) = parents.iter().find(|parent| parent.asset == dataset) else {
            continue;
        };
        for RoyaltyEvent { token, change, .. } in reader.royalty_events(*child)? {
            if let RoyaltyChange::Settled(settlement) = change {
                let settled = Amount(settlement.to_owner.0 + settlement.to_parents.0);
                let through = all.entry(token).or_default().through.entry(*child).or_default();
                through.settlements += 1;
                through.amount += parent.share.of(settled).0;
            }
        }
    }
    // Whatever could still arrive may be in a token that nothing has arrived in yet.
    let mut tokens: BTreeSet<Address> = all.keys().copied().collect();
    tokens.insert(contracts.token);
    for token in tokens {
        let on_its_way = on_its_way(contracts, graph, dataset, token)?;
        let (pending, claimable) = (reader.pending(dataset, token)?, reader.claimable(dataset, token)?);
        if on_its_way > 0 || all.contains_key(&token) {
            let totals = all.entry(token).or_default();
            (totals.pending, totals.claimable, totals.on_its_way) = (pending.0, claimable.0, on_its_way);
        }
    }
    Ok(all)
}

/// What the dataset would receive if everything made from it were settled now, children first, as `cw claim` does.
fn on_its_way(
    contracts: &Contracts,
    graph: &LineageGraph,
    dataset: AssetId,
    token: Address,
) -> Result<u128, CliError> {
    let mut arriving: BTreeMap<AssetId, u128> = BTreeMap::new();
    for child in graph.descendants(dataset)?.into_iter().rev() {
        let waiting = contracts.reader.pending(child, token)?.0;
        let income = Amount(waiting + arriving.get(&child).copied().unwrap_or_default());
        for parent in &graph.node(child)?.record.parents {
            *arriving.entry(parent.asset).or_default() += parent.share.of(income).0;
        }
    }
    Ok(arriving.get(&dataset).copied().unwrap_or_default())
}

/// What a token calls itself, and its decimals.
fn money(contracts: &Contracts, token: Address) -> Result<(String, u8), CliError> {
    let described = contracts.reader.token(token)?;
    Ok((described.symbol, described.decimals))
}

fn purpose_name(purpose: PurposeIndex) -> String {
    Purpose::by_index(purpose).map_or_else(|| format!("purpose-{purpose}"), |known| known.name.to_owned())
}

fn phase(state: &StudyState) -> (Tone, &'static str) {
    match state.phase {
        Phase::Enrolling => (Tone::Type, "enrolling"),
        Phase::Running => (Tone::Type, "running"),
        Phase::Finished => (Tone::Good, "finished"),
        Phase::Cancelled => (Tone::Warn, "cancelled"),
        Phase::Abandoned => (Tone::Warn, "abandoned"),
    }
}

fn of_dataset(run: &Run) -> Option<&counterweight_federated::ledger::MemberState> {
    let dataset = run.uses.first()?.dataset;
    run.state.members.iter().find(|member| member.dataset == dataset)
}

fn runs_table(contracts: &Contracts, runs: &[Run]) -> Table {
    let mut table = Table::new([
        "run",
        "by",
        "for",
        "from",
        "to",
        "rounds",
        "allowed",
        "phase",
        "model",
        "contributed",
        "reward",
    ]);
    for run in runs {
        let rounds = run.uses.iter().filter(|used| used.round.is_some()).count();
        let time = |used: Option<&ConsentUse>| used.map_or_else(String::new, |used| used.at.to_rfc3339());
        let (tone, word) = phase(&run.state);
        let member = of_dataset(run);
        let reward = member.map_or(Amount::ZERO, |member| member.reward);
        table.push([
            Cell::text(format!("{} {}", run.study, run.name.as_deref().unwrap_or("-"))),
            Cell::Account(run.state.sponsor),
            Cell::text(purpose_name(run.state.purpose)),
            Cell::text(time(run.uses.first())),
            Cell::text(time(run.uses.last())),
            Cell::number(rounds),
            match run.not_allowed {
                0 => Cell::State(Tone::Good, "yes".to_owned()),
                count => Cell::State(Tone::Bad, format!("no: {count}")),
            },
            Cell::State(tone, word.to_owned()),
            Cell::text(run.model.as_deref().unwrap_or("-")),
            Cell::number(member.map_or_else(String::new, |member| member.contribution.to_string())),
            Cell::number(if run.state.token == contracts.token {
                format!(
                    "{} {}",
                    reward.to_tokens(contracts.money.decimals),
                    contracts.money.symbol
                )
            } else {
                reward.to_string()
            }),
        ]);
    }
    table
}

fn totals_fields(
    assets: &Assets,
    (symbol, decimals): &(String, u8),
    totals: &Totals,
) -> Vec<(&'static str, Cell)> {
    let amount = |units: u128| format!("{} {symbol}", Amount(units).to_tokens(*decimals));
    let through: Vec<String> = totals
        .through
        .iter()
        .map(|(child, through)| {
            format!(
                "{} through {}",
                amount(through.amount),
                asset_name(assets, *child)
            )
        })
        .collect();
    let mut fields = vec![
        (
            "rewards",
            Cell::text(format!(
                "{}, {} paid out",
                amount(totals.rewards),
                amount(totals.rewards_paid)
            )),
        ),
        (
            "royalties",
            Cell::text(format!(
                "{}, {} paid out",
                amount(totals.received()),
                amount(totals.claimed)
            )),
        ),
    ];
    if !through.is_empty() {
        fields.push(("", Cell::text(through.join(", "))));
    }
    if totals.direct > 0 {
        fields.push((
            "",
            Cell::text(format!("{} paid for the dataset itself", amount(totals.direct))),
        ));
    }
    fields.push(("to claim", Cell::text(amount(totals.claimable))));
    fields.push((
        "to settle",
        Cell::text(amount(totals.pending + totals.on_its_way)),
    ));
    if !totals.balances() {
        // The contract keeps these equal: something that was read is not what happened.
        fields.push((
            "warning",
            Cell::State(Tone::Bad, "the records of the vault do not add up".to_owned()),
        ));
    }
    fields
}

fn asset_name(assets: &Assets, id: AssetId) -> String {
    assets
        .by_id(id)
        .map_or_else(|| format!("asset-{id}"), Asset::full_name)
}

fn totals_json(assets: &Assets, token: Address, (symbol, decimals): &(String, u8), totals: &Totals) -> Value {
    let text = |units: u128| Amount(units).to_string();
    let through: Vec<Value> = totals
        .through
        .iter()
        .map(|(child, through)| {
            json!({
                "asset": child,
                "name": asset_name(assets, *child),
                "settlements": through.settlements,
                "amount": text(through.amount),
            })
        })
        .collect();
    json!({
        "token": {"address": token, "symbol": symbol, "decimals": decimals},
        "rewards": text(totals.rewards),
        "rewards_paid": text(totals.rewards_paid),
        "royalties": text(totals.received()),
        "royalties_direct": text(totals.direct),
        "royalties_through": through,
        "royalties_paid": text(totals.claimed),
        "royalties_claimable": text(totals.claimable),
        "royalties_passed_on": text(totals.passed_on),
        "royalties_pending": text(totals.pending),
        "royalties_on_their_way": text(totals.on_its_way),
        "balances": totals.balances(),
    })
}

fn epoch_json(epoch: &ConsentEpoch) -> Value {
    let (change, purposes, until) = match epoch.change {
        ConsentChange::Granted { purposes, expiry } => ("granted", purposes.names(), expiry),
        ConsentChange::Revoked { purposes } => ("revoked", purposes.names(), None),
        ConsentChange::Transferred => ("transferred", Vec::new(), None),
    };
    json!({
        "epoch": epoch.epoch,
        "change": change,
        "purposes": purposes,
        "until": until.map(|until| until.to_rfc3339()),
        "steward": epoch.steward,
        "at": epoch.at.to_rfc3339(),
        "block": epoch.position.block,
    })
}

fn run_json(run: &Run) -> Value {
    let member = of_dataset(run);
    let uses: Vec<Value> = run
        .uses
        .iter()
        .map(|used| {
            json!({
                "round": used.round,
                "epoch": used.epoch,
                "at": used.at.to_rfc3339(),
                "block": used.position.block,
            })
        })
        .collect();
    json!({
        "run": run.study,
        "study": run.name,
        "phase": phase(&run.state).1,
        "sponsor": run.state.sponsor,
        "coordinator": run.state.coordinator,
        "purpose": purpose_name(run.state.purpose),
        "account": member.map(|member| member.account),
        "uses": uses,
        "not_allowed": run.not_allowed,
        "contribution_ppm": member.map(|member| member.contribution),
        "rounds_survived": member.map(|member| member.survived),
        "token": run.state.token,
        "reward": member.map(|member| member.reward),
        "reward_paid": member.is_some_and(|member| member.claimed),
        "model": run.model,
    })
}

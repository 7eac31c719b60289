//! `cw run dispute-sums`: the sums of masked rounds, recomputed and judged by the chain.
//!
//! A challenger recomputes each group's sum from public records. Where the coordinator posted another root, it demands blocks of
//! the posted sum until one is wrong, and refutes that one; each call does what can be done now. An honest coordinator
//! answers demands with `cw run guard`.

use std::{collections::BTreeMap, sync::Arc};

use counterweight_chain::{
    keys::LocalKey,
    ledger::{BlockDemand, ContractLedger},
};
use counterweight_federated::{
    blobs::Blobs,
    ledger::{
        StudyReader as _,
        masking::{MaskReader as _, MaskRound},
    },
    masked::{recompute::GroupRecords, turn::DrawnGroup},
    masking::{
        refutation::{NextStep, next_step, refute_block},
        roots::vector_root,
    },
};
use counterweight_primitives::{ContentDigest, MemberIndex, Sha256Digest, StudyId};
use serde_json::{Value, json};

use crate::{
    commands::Context,
    error::{CliError, Code},
    output::{Answer, Cell, Table},
    session::{Contracts, Session},
    training::{amount, sponsor_key},
};

/// A posted sum next to the one that its group's records give.
struct Posted<'a> {
    round: &'a MaskRound,
    group: DrawnGroup,
    records: GroupRecords,
    root: Sha256Digest,
    /// Demands for blocks of it, in order.
    demands: Vec<BlockDemand>,
}

/// What is to be said of a sum.
struct Outcome {
    round: u32,
    group: u8,
    verdict: &'static str,
    done: String,
}

/// Looks at every posted sum and takes the next step against each wrong one.
///
/// # Errors
/// [`Code::NothingYet`] for a run that masks nothing, and those of the chain.
pub(super) fn dispute(
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    context: &Context,
) -> Result<Answer, CliError> {
    let key = key(session, context)?;
    let ledger = key.as_ref().map(|key| contracts.acting_for(key));
    let outcomes = each_sum(session, contracts, study, |posted| {
        judge(contracts, ledger.as_ref(), study, posted)
    })?;
    Ok(said(study, &outcomes))
}

/// Nothing in a dry run.
fn key(session: &Session<'_>, context: &Context) -> Result<Option<Arc<LocalKey>>, CliError> {
    match context.global.dry_run {
        true => Ok(None),
        false => sponsor_key(session, context.global.key.as_ref()).map(Some),
    }
}

fn each_sum(
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    mut act: impl FnMut(&Posted<'_>) -> Result<(&'static str, String), CliError>,
) -> Result<Vec<Outcome>, CliError> {
    let reader = &contracts.reader;
    let Some(setting) = reader.mask_setting(study)? else {
        let error = CliError::new(Code::NothingYet, format!("run {study} masks nothing"));
        return Err(error
            .why("its updates are public, and so are its sums")
            .fix(format!("cw verify run {study}")));
    };
    let domain = reader.mask_domain()?;
    let rounds = reader.mask_rounds(study)?;
    let commitments: BTreeMap<u32, Vec<(MemberIndex, ContentDigest)>> = reader
        .rounds(study)?
        .into_iter()
        .map(|round| (round.round.0, round.commitments))
        .collect();
    let demands = reader.block_demands(study)?;
    let mut outcomes = Vec::new();
    for round in &rounds {
        let (Some(sums), Some(survivors)) = (&round.sums, round.survivors) else {
            continue;
        };
        let groups = DrawnGroup::of_round(study, round, &setting, &domain)
            .map_err(|error| CliError::new(Code::CheckUnknown, error.to_string()))?;
        let committed = commitments.get(&round.round.0).map_or(&[][..], Vec::as_slice);
        let blobs: &dyn Blobs = &*session.blobs;
        for group in groups {
            let root = sums.get(usize::from(group.index)).copied();
            let Some(root) = root.filter(|root| root.0 != [0; 32]) else {
                continue;
            };
            let records = GroupRecords::read(&group, round, committed, survivors, blobs);
            let of_this = |demand: &&BlockDemand| demand.round == round.round && demand.group == group.index;
            let posted = Posted {
                round,
                records,
                root,
                demands: demands.iter().filter(of_this).cloned().collect(),
                group,
            };
            let (verdict, done) = act(&posted)?;
            outcomes.push(Outcome {
                round: round.round.0,
                group: posted.group.index,
                verdict,
                done,
            });
        }
    }
    Ok(outcomes)
}

/// Says what a sum is, and takes the next step against a wrong one.
fn judge(
    contracts: &Contracts,
    ledger: Option<&ContractLedger>,
    study: StudyId,
    posted: &Posted<'_>,
) -> Result<(&'static str, String), CliError> {
    let index = usize::from(posted.group.index);
    let right = match posted.records.sum(&posted.group.group) {
        Ok(right) => right,
        Err(problem) => return Ok(("unknown", problem.to_string())),
    };
    if posted.round.refuted.contains(&posted.group.index) {
        return Ok(("wrong", "refuted".to_owned()));
    }
    if root_of(&right) == posted.root {
        return Ok(("right", "-".to_owned()));
    }
    if let Some(waiting) = posted.demands.iter().find(|demand| demand.open) {
        if contracts.reader.now()? <= waiting.answer_by {
            let until = waiting.answer_by.to_rfc3339();
            return Ok((
                "wrong",
                format!("waits for block {} until {until}", waiting.number),
            ));
        }
        if let Some(ledger) = ledger {
            ledger.settle_demand(study, waiting)?;
        }
        return Ok((
            "wrong",
            format!("refuted: block {} was not shown", waiting.number),
        ));
    }
    let shown = posted
        .demands
        .iter()
        .filter_map(|demand| Some((demand.number, demand.shown.clone()?)))
        .collect();
    match next_step(&right, &shown) {
        NextStep::Demand(number) => {
            let Some(ledger) = ledger else {
                return Ok(("wrong", format!("block {number} is to be demanded")));
            };
            let answer_by = ledger.demand_block(study, posted.round, index, number)?;
            Ok((
                "wrong",
                format!("demanded block {number} until {}", answer_by.to_rfc3339()),
            ))
        }
        NextStep::Refute {
            number,
            posted: block,
        } => {
            let records = &posted.records;
            let refutation = refute_block(
                &posted.group.group,
                &records.dealings,
                &records.masked,
                &records.unmaskings,
                number,
                block,
            );
            let refutation = match refutation {
                Ok(refutation) => refutation,
                Err(problem) => return Ok(("wrong", problem.to_string())),
            };
            let Some(ledger) = ledger else {
                return Ok(("wrong", format!("block {number} is to be refuted")));
            };
            let refuted = ledger.refute_sum(study, posted.round, index, &refutation)?;
            let paid = format!("{} {}", amount(contracts, refuted.reward), contracts.money.symbol);
            Ok(("wrong", format!("refuted at block {number}, paid {paid}")))
        }
        NextStep::Nothing => Ok(("right", "fills up its last block with other words".to_owned())),
    }
}

fn root_of(sum: &[i32]) -> Sha256Digest {
    let words: Vec<u32> = sum.iter().map(|word| *word as u32).collect();
    vector_root(&words)
}

fn said(study: StudyId, outcomes: &[Outcome]) -> Answer {
    let mut table = Table::new(["round", "group", "sum", "done"]);
    let mut rows: Vec<Value> = Vec::new();
    for outcome in outcomes {
        table.push([
            Cell::number(outcome.round),
            Cell::number(outcome.group),
            Cell::text(outcome.verdict),
            Cell::text(outcome.done.clone()),
        ]);
        rows.push(json!({
            "round": outcome.round,
            "group": outcome.group,
            "sum": outcome.verdict,
            "done": outcome.done,
        }));
    }
    let answer = Answer::new("run-dispute-sums/1")
        .json("run", study.0)
        .json("sums", rows);
    if outcomes.is_empty() {
        return answer.line(format!("Run {study} has no sums yet."));
    }
    answer.table(table)
}

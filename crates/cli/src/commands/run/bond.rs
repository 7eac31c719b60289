//! `cw run guard` and `cw run release-bond`: the coordinator's bond behind the sums of a masked run.
//!
//! While its sums can be disputed, any block of them may be demanded; whoever does not show it in time loses the bond. The guard
//! shows what is demanded and takes the bond back in the end. It keeps nothing of its own, so it may be killed and started again.

use std::{net::SocketAddr, thread};

use counterweight_chain::{
    guard::{GuardStep, SumGuard},
    ledger::{BondFate, SumBond},
};
use counterweight_federated::{
    clock::{Clock as _, SystemClock},
    ledger::StudyReader as _,
};
use counterweight_primitives::{StudyId, UnixSeconds};

use crate::{
    arguments::Seconds,
    commands::Context,
    error::{CliError, Code, Status},
    metrics::{MetricsAddress, StudyMetrics},
    output::{Answer, Cell},
    session::{Contracts, Session},
    training::{amount, guard_of, guard_said, sponsor_key},
};

/// How to guard.
#[derive(Debug, clap::Args)]
pub(crate) struct Guard {
    /// The run's number [default: the newest]
    run: Option<u64>,
    /// Look once and leave
    #[arg(long)]
    once: bool,
    /// Time between looks [default: an eighth of the time to answer, at most 12s]
    #[arg(long, value_name = "TIME")]
    every: Option<Seconds>,
    /// Serve the embedded chain there meanwhile, so that others can make demands
    #[arg(long, value_name = "ADDR")]
    rpc: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) metrics: MetricsAddress,
}

impl Guard {
    /// Which run.
    pub(super) fn run(&self) -> Option<u64> {
        self.run
    }
}

/// Shows what is demanded until the bond is back.
///
/// # Errors
/// [`Code::NoBond`], [`Code::BondLost`]; with `--once` [`Code::BlockNotShown`]. A chain that does not answer is an error at the first look
/// alone.
pub(super) fn guard(
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    arguments: &Guard,
    context: &Context,
) -> Result<Answer, CliError> {
    if context.global.dry_run {
        return plan(contracts, study);
    }
    let served = arguments.rpc.map(|address| session.serve(address)).transpose()?;
    if let Some(server) = served.as_ref().and_then(Option::as_ref) {
        context
            .console
            .did("Serving", format!("the chain at {}", server.url()));
    }
    let key = sponsor_key(session, context.global.key.as_ref())?;
    let guard = guard_of(session, &contracts.acting_for(&key), study);
    let mut watch = Watch {
        contracts,
        study,
        context,
        metrics: session.metrics.as_deref(),
        not_shown: Vec::new(),
        told: None,
    };
    let mut looked = false;
    loop {
        let pause = match watch.look(&guard) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if arguments.once => return watch.once(),
            Ok(None) => watch.told.as_ref().map(SumGuard::pause).unwrap_or_default(),
            // Before that, nobody knows whether there is anything to wait for.
            Err(error) if looked && !arguments.once && error.status() == Status::Missing => {
                context.console.warn(format!("{error}; trying again"));
                watch.told.as_ref().map(SumGuard::pause).unwrap_or_default()
            }
            Err(error) => return Err(error),
        };
        looked = true;
        thread::sleep(arguments.every.map_or(pause, |every| every.0));
    }
}

struct Watch<'a> {
    contracts: &'a Contracts,
    study: StudyId,
    context: &'a Context,
    metrics: Option<&'a StudyMetrics>,
    /// What could not be shown at the last look.
    not_shown: Vec<GuardStep>,
    /// The bond as it was said last.
    told: Option<SumBond>,
}

impl Watch<'_> {
    /// Looks once and says what changed; an answer once there is nothing left to do.
    fn look(&mut self, guard: &SumGuard) -> Result<Option<Answer>, CliError> {
        let looked = guard.look(SystemClock.now().seconds())?;
        if let Some(metrics) = self.metrics {
            metrics.guarded(&looked);
        }
        let mut not_shown = Vec::new();
        for step in looked.steps {
            match step {
                GuardStep::NotShown { .. } => {
                    if !self.not_shown.contains(&step) {
                        self.context.console.warn(guard_said(&step));
                    }
                    not_shown.push(step);
                }
                GuardStep::Shown { round, group, number } => self.context.emit(
                    &Answer::new("run-guard/1")
                        .json("run", self.study.0)
                        .json(
                            "shown",
                            serde_json::json!({"round": round, "group": group, "block": number}),
                        )
                        .line(guard_said(&step)),
                )?,
                // Said as the last word.
                GuardStep::Released { .. } => {}
            }
        }
        self.not_shown = not_shown;
        let bond = looked.bond;
        if self.told.as_ref() != Some(&bond) && bond.fate == BondFate::Held {
            self.context.console.note(held(self.contracts, &bond));
        }
        self.told = Some(bond);
        match bond.fate {
            BondFate::Held => Ok(None),
            BondFate::Released => Ok(Some(back("run-guard/1", self.contracts, self.study, &bond))),
            BondFate::Lost => Err(lost(self.contracts, self.study, &bond)),
        }
    }

    /// What a single look came to, with the bond still held.
    fn once(&self) -> Result<Answer, CliError> {
        if let Some(step) = self.not_shown.first() {
            let error = CliError::new(Code::BlockNotShown, guard_said(step));
            return Err(error
                .why("unless somebody shows it in time, the bond is lost")
                .fix("put the run's records back into .counterweight/blobs, then cw run guard again"));
        }
        let bond = self
            .told
            .as_ref()
            .ok_or_else(|| CliError::fault("a look without a bond"))?;
        Ok(standing("run-guard/1", self.contracts, self.study, bond))
    }
}

/// Takes the bond back, once.
///
/// # Errors
/// [`Code::BondHeld`] with the time left, [`Code::BondLost`], [`Code::NoBond`].
pub(super) fn release(
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    context: &Context,
) -> Result<Answer, CliError> {
    let bond = bond_of(contracts, study)?;
    match bond.fate {
        BondFate::Released => return Ok(back("run-release-bond/1", contracts, study, &bond)),
        BondFate::Lost => return Err(lost(contracts, study, &bond)),
        BondFate::Held => {}
    }
    let now = contracts.reader.now()?.max(SystemClock.now().seconds());
    if !bond.is_free(now) {
        return Err(still_held(contracts, study, &bond, now));
    }
    if context.global.dry_run {
        return Ok(
            standing("run-release-bond/1", contracts, study, &bond).line("Nothing was sent: --dry-run")
        );
    }
    let key = sponsor_key(session, context.global.key.as_ref())?;
    match contracts.acting_for(&key).release_mask_bond(study) {
        Ok(()) => {
            let bond = bond_of(contracts, study)?;
            Ok(back("run-release-bond/1", contracts, study, &bond))
        }
        // Its clock is behind this one, or a demand was faster.
        Err(counterweight_federated::ledger::LedgerError::Refused { name, .. }) if name == "BondHeld" => {
            let bond = bond_of(contracts, study)?;
            match bond.fate {
                BondFate::Released => Ok(back("run-release-bond/1", contracts, study, &bond)),
                _ => Err(still_held(contracts, study, &bond, contracts.reader.now()?)),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn bond_of(contracts: &Contracts, study: StudyId) -> Result<SumBond, CliError> {
    let bond = contracts.reader.sum_bond(study)?;
    bond.ok_or_else(|| counterweight_chain::guard::GuardError::NoBond { study }.into())
}

fn plan(contracts: &Contracts, study: StudyId) -> Result<Answer, CliError> {
    let bond = bond_of(contracts, study)?;
    let demands = contracts.reader.block_demands(study)?;
    let open = demands.iter().filter(|demand| demand.open);
    let answer = standing("run-guard/1", contracts, study, &bond);
    Ok(open
        .fold(answer, |answer, demand| {
            answer.line(format!(
                "block {} of the sum of round {}, group {}, is to be shown until {}",
                demand.number,
                demand.round,
                demand.group,
                demand.answer_by.to_rfc3339()
            ))
        })
        .line("Nothing was sent: --dry-run"))
}

/// The bond as it stands.
fn standing(schema: &'static str, contracts: &Contracts, study: StudyId, bond: &SumBond) -> Answer {
    let fate = match bond.fate {
        BondFate::Held => "held",
        BondFate::Released => "released",
        BondFate::Lost => "lost",
    };
    let until = bond.held_until.map(UnixSeconds::to_rfc3339);
    let answer = Answer::new(schema)
        .json("run", study.0)
        .json("bond", fate)
        .json("amount", bond.amount.0.to_string())
        .json("depositor", bond.depositor.to_string())
        .json("held_until", until.clone())
        .json("open_demands", bond.open_demands);
    let mut fields = vec![
        ("run", Cell::text(study.to_string())),
        ("bond", Cell::text(format!("{}, {fate}", money(contracts, bond)))),
        ("posted by", Cell::text(bond.depositor.to_string())),
    ];
    if bond.fate == BondFate::Held {
        fields.push(("open demands", Cell::text(bond.open_demands.to_string())));
        fields.push((
            "until",
            Cell::text(until.unwrap_or_else(|| "the study ends".to_owned())),
        ));
    }
    answer.fields(fields)
}

fn back(schema: &'static str, contracts: &Contracts, study: StudyId, bond: &SumBond) -> Answer {
    standing(schema, contracts, study, bond).id(study.to_string())
}

fn money(contracts: &Contracts, bond: &SumBond) -> String {
    format!("{} {}", amount(contracts, bond.amount), contracts.money.symbol)
}

/// Where a held bond stands, in a line.
fn held(contracts: &Contracts, bond: &SumBond) -> String {
    let until = match (bond.study_over, bond.held_until) {
        (false, _) => "while the study runs".to_owned(),
        (true, Some(until)) => format!("until {}", until.to_rfc3339()),
        (true, None) => "and free".to_owned(),
    };
    let demands = match bond.open_demands {
        0 => String::new(),
        1 => ", 1 demand waits".to_owned(),
        more => format!(", {more} demands wait"),
    };
    format!("bond      {}, held {until}{demands}", money(contracts, bond))
}

fn still_held(contracts: &Contracts, study: StudyId, bond: &SumBond, now: UnixSeconds) -> CliError {
    let error = CliError::new(Code::BondHeld, format!("the bond of run {study} is still held"))
        .fact("bond", money(contracts, bond));
    if !bond.study_over {
        return error
            .why("the study runs, and what it sums can be disputed")
            .fix(format!("cw run show {study}; take it back after the study's end"));
    }
    if bond.open_demands > 0 {
        return error
            .fact("open demands", bond.open_demands.to_string())
            .why("blocks of its sums are demanded and not shown yet")
            .fix(format!("cw run guard {study}"));
    }
    let until = bond.held_until.unwrap_or(now);
    error
        .fact("held until", until.to_rfc3339())
        .fact("time left", span(until.0.saturating_sub(now.0).saturating_add(1)))
        .why("so long its last sums can be disputed, by the chain's clock")
        .fix(format!(
            "cw run guard {study}, which waits, answers demands and takes it back"
        ))
}

fn lost(contracts: &Contracts, study: StudyId, bond: &SumBond) -> CliError {
    CliError::new(Code::BondLost, format!("the bond of run {study} is lost"))
        .fact("bond", money(contracts, bond))
        .fact("posted by", bond.depositor.to_string())
        .why("a sum was refuted: one of its blocks was wrong, or was not shown in time")
        .fix(format!("cw run dispute-sums {study} --dry-run says which sum"))
}

/// A span of time in its two largest units.
fn span(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let parts = parts.iter().skip_while(|(count, _)| *count == 0).take(2);
    let parts: Vec<String> = parts.map(|(count, unit)| format!("{count} {unit}")).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_said_in_its_two_largest_units() {
        for (seconds, said) in [
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3_599, "59 min 59 s"),
            (7_260, "2 h 1 min"),
            (604_800, "7 d 0 h"),
        ] {
            assert_eq!(span(seconds), said);
        }
    }
}

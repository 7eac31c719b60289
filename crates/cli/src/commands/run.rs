//! `cw run`: training runs.

use std::{thread, time::Duration};

use counterweight_federated::ledger::StudyReader as _;
use counterweight_primitives::StudyId;
use serde_json::{Value, json};

use super::{
    Context,
    train::{is_over, wanted_run},
};
use crate::{
    error::CliError,
    output::{Answer, Cell, Table},
    project::Project,
    session::{Assets, Contracts, Session},
    training::{RunSummary, amount},
};

/// How often a run is looked at while it is watched.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// What to do with runs.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List runs
    List,
    /// Show one run: its rounds, members, contributions and payments
    Show {
        /// The run's number [default: the newest]
        run: Option<u64>,
    },
    /// Follow a run until it ends
    Watch {
        /// The run's number [default: the newest]
        run: Option<u64>,
    },
}

/// Does it.
///
/// # Errors
/// Those of the chain.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    match command {
        Command::List => list(&session, &contracts),
        Command::Show { run } => show(&session, &contracts, wanted_run(&contracts, *run)?),
        Command::Watch { run } => watch(&session, &contracts, wanted_run(&contracts, *run)?, context),
    }
}

fn list(session: &Session<'_>, contracts: &Contracts) -> Result<Answer, CliError> {
    let assets = Assets::read(contracts, &session.blobs)?;
    let mut table = Table::new(["run", "study", "phase", "rounds", "members", "model"]);
    let mut rows = Vec::new();
    let mut answer = Answer::new("run-list/1");
    for study in (1..=contracts.reader.study_count()?).map(StudyId) {
        let run = RunSummary::read(session, contracts, &assets, study)?;
        table.push([
            Cell::number(study),
            Cell::text(run.name()),
            run.phase_cell(),
            Cell::number(format!("{} of {}", run.state.closed_rounds, run.state.rounds)),
            Cell::number(run.members.len()),
            Cell::text(run.model.clone().unwrap_or_else(|| "-".to_owned())),
        ]);
        rows.push(run.json(contracts));
        answer = answer.id(study.to_string());
    }
    if table.is_empty() {
        return Ok(answer.json("runs", rows).line("No run yet.").next("cw train"));
    }
    Ok(answer.json("runs", rows).table(table))
}

fn show(session: &Session<'_>, contracts: &Contracts, study: StudyId) -> Result<Answer, CliError> {
    let assets = Assets::read(contracts, &session.blobs)?;
    let run = RunSummary::read(session, contracts, &assets, study)?;
    let mut table = Table::new(["round", "opened", "updates", "counted", "result"]);
    let mut rounds: Vec<Value> = Vec::new();
    for round in contracts.reader.rounds(study)? {
        let counted = round
            .closed
            .as_ref()
            .map_or(0, |closed| closed.survivors.count_ones());
        table.push([
            Cell::number(round.round),
            Cell::text(round.opened_at.to_rfc3339()),
            Cell::number(round.commitments.len()),
            Cell::number(counted),
            round
                .closed
                .as_ref()
                .map_or_else(|| Cell::text("open"), |closed| Cell::Digest(closed.result)),
        ]);
        let commitments: Vec<Value> = round
            .commitments
            .iter()
            .map(|(member, update)| json!({"member": member, "update": update}))
            .collect();
        rounds.push(json!({
            "round": round.round,
            "base": round.base,
            "opened_at": round.opened_at.to_rfc3339(),
            "commitments": commitments,
            "survivors": round.closed.as_ref().map(|closed| (0..64_u8).filter(|bit| closed.survivors >> bit & 1 == 1).collect::<Vec<_>>()),
            "result": round.closed.as_ref().map(|closed| closed.result),
        }));
    }
    let budget = format!(
        "{} {}",
        amount(contracts, run.state.budget),
        contracts.money.symbol
    );
    let bond = format!("{} {}", amount(contracts, run.state.bond), contracts.money.symbol);
    Ok(run
        .show(Answer::new("run/1"), contracts)
        .json("round_records", rounds)
        .fields([
            ("run", Cell::text(study.to_string())),
            ("study", Cell::text(run.name())),
            ("phase", run.phase_cell()),
            ("terms", Cell::Digest(run.state.terms)),
            ("budget", Cell::text(budget)),
            ("bond", Cell::text(bond)),
            (
                "model",
                Cell::text(run.model.clone().unwrap_or_else(|| "-".to_owned())),
            ),
        ])
        .heading("Members")
        .table(run.table(contracts))
        .heading("Rounds")
        .table(table))
}

fn watch(
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    context: &Context,
) -> Result<Answer, CliError> {
    let mut seen = None;
    loop {
        let state = contracts.reader.study(study)?;
        let now = (
            state.phase,
            state.round,
            state.round_open,
            state.committed.count_ones(),
            state.closed_rounds,
        );
        if seen != Some(now) {
            seen = Some(now);
            let assets = Assets::read(contracts, &session.blobs)?;
            let run = RunSummary::read(session, contracts, &assets, study)?;
            let line = format!(
                "run {study}  {}  round {} of {}  {} of {} members have committed",
                run.phase(),
                state.round,
                state.rounds,
                state.committed.count_ones(),
                state.members.len()
            );
            context.emit(&run.show(Answer::new("run-watch/1"), contracts).line(line))?;
        }
        if is_over(state.phase) {
            return Ok(Answer::new("run-watch/1"));
        }
        thread::sleep(WATCH_EVERY);
    }
}

//! `cw run`: training runs.

mod bond;
mod compare;
pub(crate) mod standing;
mod sums;
mod watch;

use std::path::PathBuf;

use counterweight_federated::ledger::StudyReader as _;
use counterweight_primitives::StudyId;
use serde_json::{Value, json};

use super::{Context, train::wanted_run};
use crate::{
    error::CliError,
    output::{Answer, Cell, Table, chart},
    project::Project,
    session::{Assets, Contracts, Session},
    training::{Judge, Point, RunSummary, amount},
};

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
    /// Recompute the sums of a masked run, and take the next step against each wrong one on the chain
    DisputeSums {
        /// The run's number [default: the newest]
        run: Option<u64>,
    },
    /// As the coordinator of a masked run, show every block that is demanded, until the bond is back
    Guard(bond::Guard),
    /// As the coordinator of a masked run, take the bond behind its sums back
    ReleaseBond {
        /// The run's number [default: the newest]
        run: Option<u64>,
    },
    /// Show where each member stands: its value, and whether it is proposed for exclusion or excluded
    Standing {
        /// The run's number [default: the newest]
        run: Option<u64>,
    },
    /// As a member that is proposed for exclusion, appeal to the arbiter
    Appeal {
        /// The run's number [default: the newest]
        run: Option<u64>,
        /// The member, by its dataset or its number
        #[arg(long, value_name = "NAME")]
        member: String,
        /// The member's reason, a text for the arbiter to read
        #[arg(long, value_name = "FILE")]
        reason_file: PathBuf,
    },
    /// As the arbiter of a run, decide a member's appeal
    #[command(group = clap::ArgGroup::new("decision").required(true))]
    Decide {
        /// The run's number [default: the newest]
        run: Option<u64>,
        /// The member, by its dataset or its number
        #[arg(long, value_name = "NAME")]
        member: String,
        /// The member stays
        #[arg(long, group = "decision")]
        uphold: bool,
        /// The member is excluded from now on
        #[arg(long, group = "decision")]
        reject: bool,
    },
    /// Follow a run until it ends, with its curves
    Watch {
        /// The run's number [default: the newest]
        run: Option<u64>,
    },
    /// Put runs side by side: what came of them, and what differs in their terms
    Compare {
        /// Numbers of the runs
        #[arg(required = true, num_args = 2..=16, value_name = "RUN")]
        runs: Vec<u64>,
    },
}

/// Does it.
///
/// # Errors
/// Those of the chain.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let mut session = Session::open(&project, context)?;
    if let Command::Guard(arguments) = command {
        arguments.metrics.watch(&mut session, context)?;
    }
    let contracts = session.contracts()?;
    match command {
        Command::List => list(&session, &contracts),
        Command::Show { run } => show(&project, &session, &contracts, wanted_run(&contracts, *run)?),
        Command::DisputeSums { run } => {
            sums::dispute(&session, &contracts, wanted_run(&contracts, *run)?, context)
        }
        Command::Guard(arguments) => {
            let run = wanted_run(&contracts, arguments.run())?;
            bond::guard(&session, &contracts, run, arguments, context)
        }
        Command::ReleaseBond { run } => {
            bond::release(&session, &contracts, wanted_run(&contracts, *run)?, context)
        }
        Command::Standing { run } => standing::show(&session, &contracts, wanted_run(&contracts, *run)?),
        Command::Appeal {
            run,
            member,
            reason_file,
        } => {
            let run = wanted_run(&contracts, *run)?;
            let case = (member.as_str(), reason_file.as_path());
            standing::appeal(&project, &session, &contracts, run, case, context)
        }
        Command::Decide {
            run, member, uphold, ..
        } => {
            let run = wanted_run(&contracts, *run)?;
            standing::decide(&session, &contracts, run, (member, *uphold), context)
        }
        Command::Watch { run } => {
            let run = wanted_run(&contracts, *run)?;
            watch::watch(&project, &session, &contracts, run, context)
        }
        Command::Compare { runs } => {
            let wanted = runs.iter().map(|run| wanted_run(&contracts, Some(*run)));
            let runs = wanted.collect::<Result<Vec<_>, _>>()?;
            compare::compare(&project, &session, &contracts, &runs)
        }
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

fn show(
    project: &Project,
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
) -> Result<Answer, CliError> {
    let assets = Assets::read(contracts, &session.blobs)?;
    let run = RunSummary::read(session, contracts, &assets, study)?;
    let mut table = Table::new([
        "round", "opened", "updates", "counted", "loss", "accuracy", "result",
    ]);
    let mut rounds: Vec<Value> = Vec::new();
    let records = contracts.reader.rounds(study)?;
    let curve = Judge::of(project).curve(session, run.terms.as_ref(), &records);
    for round in records {
        let judged = curve.iter().find(|point| point.round == round.round.0);
        let figure = |value: Option<f64>| Cell::number(value.map_or("-".to_owned(), |it| format!("{it:.4}")));
        let counted = round
            .closed
            .as_ref()
            .map_or(0, |closed| closed.survivors.count_ones());
        table.push([
            Cell::number(round.round),
            Cell::text(round.opened_at.to_rfc3339()),
            Cell::number(round.commitments.len()),
            Cell::number(counted),
            figure(judged.map(|point| point.loss)),
            figure(judged.map(|point| point.accuracy)),
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
            "spent_micro_epsilon": run.state.epsilon_budget.and(round.closed.as_ref()).map(|closed| closed.spent),
            "holdout": judged.map(Point::json),
        }));
    }
    let budget = format!(
        "{} {}",
        amount(contracts, run.state.budget),
        contracts.money.symbol
    );
    let bond = format!("{} {}", amount(contracts, run.state.bond), contracts.money.symbol);
    let starts_from = match (&run.base, run.start()) {
        (Some(base), _) => Cell::text(base.clone()),
        (None, Some(start)) => Cell::Digest(start),
        (None, None) => Cell::text("seeded numbers"),
    };
    let loss: Vec<_> = curve.iter().map(|point| (point.round, point.loss)).collect();
    let answer = run
        .show(Answer::new("run/1"), contracts)
        .json("round_records", rounds)
        .fields([
            ("run", Cell::text(study.to_string())),
            ("study", Cell::text(run.name())),
            ("phase", run.phase_cell()),
            ("terms", Cell::Digest(run.state.terms)),
            ("starts from", starts_from),
            ("budget", Cell::text(budget)),
            ("bond", Cell::text(bond)),
            (
                "privacy",
                Cell::text(run.privacy().unwrap_or_else(|| "none promised".to_owned())),
            ),
            (
                "model",
                Cell::text(run.model.clone().unwrap_or_else(|| "-".to_owned())),
            ),
        ])
        .heading("Members")
        .table(run.table(contracts))
        .heading("Rounds")
        .table(table)
        .gap();
    Ok(chart("loss on the hold-out", &loss)
        .into_iter()
        .fold(answer, Answer::line))
}

//! `cw run watch`: a run as it goes on, drawn again whenever something changes.

use std::{thread, time::Duration};

use counterweight_federated::ledger::StudyReader as _;
use counterweight_primitives::StudyId;

use crate::{
    commands::{Context, train::is_over},
    error::CliError,
    output::{Answer, Cell, Form, Table, Tone, chart},
    project::Project,
    session::{Assets, Contracts, Session},
    training::{Judge, Point, RunSummary},
};

/// How often the chain is asked.
const EVERY: Duration = Duration::from_millis(500);

/// Follows a run until it ends: a picture in place on a terminal, a line for each change elsewhere.
///
/// # Errors
/// Those of the chain.
pub(super) fn watch(
    project: &Project,
    session: &Session<'_>,
    contracts: &Contracts,
    study: StudyId,
    context: &Context,
) -> Result<Answer, CliError> {
    let in_place = context.form == Form::Text && context.surface.terminal;
    let mut judge = Judge::of(project);
    let mut seen = None;
    let mut drawn = 0;
    loop {
        let state = contracts.reader.study(study)?;
        let now = (
            state.phase,
            state.round,
            state.round_open,
            state.committed,
            state.closed_rounds,
        );
        if seen != Some(now) {
            seen = Some(now);
            let assets = Assets::read(contracts, &session.blobs)?;
            let run = RunSummary::read(session, contracts, &assets, study)?;
            let rounds = contracts.reader.rounds(study)?;
            let curve = judge.curve(session, run.terms.as_ref(), &rounds);
            let points: Vec<_> = curve.iter().map(Point::json).collect();
            let answer = run
                .show(Answer::new("run-watch/1"), contracts)
                .json("curve", points);
            if in_place {
                drawn = context.redraw(&picture(answer, &run, &curve), drawn)?;
            } else {
                context.emit(&answer.line(line(&run, &curve)))?;
            }
        }
        if is_over(state.phase) {
            return Ok(Answer::new("run-watch/1"));
        }
        thread::sleep(EVERY);
    }
}

/// Where a run stands, on a line.
fn line(run: &RunSummary, curve: &[Point]) -> String {
    let state = &run.state;
    let mut line = format!(
        "run {}  {}  round {} of {}  {} of {} members have committed",
        run.study,
        run.phase(),
        state.round,
        state.rounds,
        state.committed.count_ones(),
        state.members.len()
    );
    if let Some(privacy) = run.privacy() {
        line.push_str(&format!("  {privacy}"));
    }
    if let Some(point) = curve.last() {
        line.push_str(&format!(
            "  after round {}: loss {:.4}, accuracy {:.4}",
            point.round, point.loss, point.accuracy
        ));
    }
    line
}

/// The same with its curves and its members.
fn picture(answer: Answer, run: &RunSummary, curve: &[Point]) -> Answer {
    let mut answer = answer.line(line(run, &[])).gap();
    let (loss, accuracy): (Vec<_>, Vec<_>) = curve
        .iter()
        .map(|point| ((point.round, point.loss), (point.round, point.accuracy)))
        .unzip();
    for (title, points) in [
        ("loss on the hold-out", loss),
        ("accuracy on the hold-out", accuracy),
    ] {
        answer = chart(title, &points).into_iter().fold(answer, Answer::line);
    }
    let mut table = Table::new(["member", "rounds counted", "this round"]);
    for (index, member) in run.members.iter().enumerate() {
        let committed = run.state.round_open && run.state.committed >> index & 1 == 1;
        table.push([
            Cell::text(&member.name),
            Cell::number(format!("{} of {}", member.survived, run.state.closed_rounds)),
            match (committed, run.state.round_open) {
                (true, _) => Cell::State(Tone::Good, "committed".to_owned()),
                (false, true) => Cell::State(Tone::Faint, "waited for".to_owned()),
                (false, false) => Cell::text("-"),
            },
        ]);
    }
    answer.gap().table(table)
}

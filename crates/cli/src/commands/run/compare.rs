//! `cw run compare`: what two or more runs did differently, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use counterweight_federated::ledger::StudyReader as _;
use counterweight_primitives::StudyId;
use serde_json::{Value, json};

use crate::{
    error::CliError,
    output::{Answer, Cell, Table, chart},
    project::Project,
    session::{Assets, Contracts, Session},
    training::{Judge, Point, RunSummary},
};

/// Puts runs side by side.
///
/// # Errors
/// Those of the chain.
pub(super) fn compare(
    project: &Project,
    session: &Session<'_>,
    contracts: &Contracts,
    studies: &[StudyId],
) -> Result<Answer, CliError> {
    let assets = Assets::read(contracts, &session.blobs)?;
    let mut judge = Judge::of(project);
    let mut runs = Vec::new();
    for study in studies {
        let run = RunSummary::read(session, contracts, &assets, *study)?;
        let curve = judge.curve(session, run.terms.as_ref(), &contracts.reader.rounds(*study)?);
        runs.push((run, curve));
    }
    let mut table = Table::new([
        "run",
        "study",
        "phase",
        "rounds",
        "members",
        "loss",
        "accuracy",
        "best loss",
        "in round",
    ]);
    let mut documents = Vec::new();
    let mut answer = Answer::new("run-compare/1");
    for (run, curve) in &runs {
        let best = curve.iter().min_by(|one, other| one.loss.total_cmp(&other.loss));
        let figure = |value: Option<f64>| match value {
            Some(value) => Cell::number(format!("{value:.4}")),
            None => Cell::number("-"),
        };
        table.push([
            Cell::number(run.study),
            Cell::text(run.name()),
            run.phase_cell(),
            Cell::number(format!("{} of {}", run.state.closed_rounds, run.state.rounds)),
            Cell::number(run.members.len()),
            figure(curve.last().map(|point| point.loss)),
            figure(curve.last().map(|point| point.accuracy)),
            figure(best.map(|point| point.loss)),
            Cell::number(best.map_or_else(|| "-".to_owned(), |point| point.round.to_string())),
        ]);
        let mut document = run.json(contracts);
        document["curve"] = curve.iter().map(Point::json).collect();
        documents.push(document);
        answer = answer.id(run.study.to_string());
    }
    let summaries: Vec<&RunSummary> = runs.iter().map(|(run, _)| run).collect();
    let differences = differences(&summaries);
    let mut settings = Table::new(["setting", "run", "value"]);
    for (name, values) in &differences {
        for (run, value) in summaries.iter().zip(values) {
            settings.push([
                Cell::text(name),
                Cell::number(run.study),
                Cell::text(value.as_deref().unwrap_or("-")),
            ]);
        }
    }
    let told: Vec<Value> = differences
        .iter()
        .map(|(setting, values)| json!({"setting": setting, "values": values}))
        .collect();
    answer = answer
        .json("runs", documents)
        .json("differences", told)
        .table(table);
    for (run, curve) in &runs {
        let points: Vec<_> = curve.iter().map(|point| (point.round, point.loss)).collect();
        let title = format!("run {}: loss on the hold-out", run.study);
        answer = chart(&title, &points)
            .into_iter()
            .fold(answer.gap(), Answer::line);
    }
    answer = answer.heading("What differs in their terms");
    Ok(match settings.is_empty() {
        true => answer.line("Nothing."),
        false => answer.table(settings),
    })
}

/// Settings in which runs differ, each with its value in every run; all settings of a run whose terms are not here are absent.
fn differences(runs: &[&RunSummary]) -> BTreeMap<String, Vec<Option<String>>> {
    let flat: Vec<BTreeMap<String, String>> = runs
        .iter()
        .map(|run| {
            let mut settings = BTreeMap::new();
            let terms = run
                .terms
                .as_ref()
                .and_then(|terms| serde_json::to_value(terms).ok());
            flatten("", &terms.unwrap_or_default(), &mut settings);
            settings
        })
        .collect();
    let names: BTreeSet<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    names
        .into_iter()
        .map(|name| {
            (
                name.clone(),
                flat.iter().map(|run| run.get(name).cloned()).collect::<Vec<_>>(),
            )
        })
        .filter(|(_, values)| values.iter().any(|value| *value != values[0]))
        .collect()
}

/// Every value of a document under its path, `local.lr`.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Null => {}
        Value::Object(members) => members
            .iter()
            .for_each(|(name, value)| flatten(&below(name), value, into)),
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&below(&index.to_string()), value, into);
            }
        }
        Value::String(text) => drop(into.insert(path.to_owned(), text.clone())),
        other => drop(into.insert(path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_by_its_paths() {
        let mut settings = BTreeMap::new();
        flatten(
            "",
            &json!({"local": {"lr": "0.1", "steps": 5}, "rounds": 3, "holdout": null, "hidden": [8, 4]}),
            &mut settings,
        );
        let expected = [
            ("hidden.0", "8"),
            ("hidden.1", "4"),
            ("local.lr", "0.1"),
            ("local.steps", "5"),
            ("rounds", "3"),
        ];
        assert_eq!(
            settings.into_iter().collect::<Vec<_>>(),
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}

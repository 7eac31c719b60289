//! `cw status`: where the project stands.

use counterweight_federated::ledger::StudyReader as _;
use counterweight_primitives::StudyId;
use counterweight_provenance::ledger::{AssetKind, ConsentReader as _};
use serde_json::json;

use super::Context;
use crate::{
    error::{CliError, Code},
    output::{Answer, Cell, Table, Tone},
    project::Project,
    session::{Asset, Assets, Session, choose},
    training::{RunSummary, purpose},
};

/// Without a command: where things stand and what to do next.
///
/// # Errors
/// As [`run`].
pub(crate) fn overview(context: &Context) -> Result<Answer, CliError> {
    match Project::open_if_any(&context.global)? {
        Some(project) => of(&project, context),
        None => Ok(Answer::new("status/1")
            .json("project", serde_json::Value::Null)
            .line("There is no project here.")
            .next("cw new my-study")
            .next("cw doctor")
            .next("cw help")),
    }
}

/// Shows where the project stands.
///
/// # Errors
/// [`Code::NoProject`] and those of the chain.
pub(crate) fn run(context: &Context) -> Result<Answer, CliError> {
    of(&Project::open(&context.global)?, context)
}

fn of(project: &Project, context: &Context) -> Result<Answer, CliError> {
    let study = &project.config.study;
    let chosen = choose(&context.global, Some(project))?;
    let answer = Answer::new("status/1")
        .json("project", study.study.name.as_str())
        .json("purpose", study.study.purpose.as_str())
        .json(
            "network",
            json!({"name": chosen.name, "endpoint": chosen.endpoint, "chosen_by": chosen.by}),
        );
    let mut fields = vec![
        (
            "study",
            Cell::text(format!("{}, for {}", study.study.name, study.study.purpose)),
        ),
        (
            "network",
            Cell::text(format!("{} ({})", chosen.describe(), chosen.by)),
        ),
    ];
    let session = match Session::open(project, context) {
        Ok(session) => session,
        Err(error) if error.code() == Code::NothingYet => {
            return Ok(answer
                .json("chain", serde_json::Value::Null)
                .fields(fields)
                .line("Nothing has been trained yet.")
                .next("cw train")
                .next("cw dataset list")
                .next("cw doctor"));
        }
        Err(error) => return Err(error),
    };
    let head = session.network.head()?;
    fields.push((
        "chain",
        Cell::text(format!(
            "id {}, block {}",
            session.network.chain_id(),
            head.number
        )),
    ));
    let answer = answer.json(
        "chain",
        json!({"id": session.network.chain_id(), "block": head.number}),
    );
    if session.deployment()?.is_none() {
        return Ok(answer
            .fields(fields)
            .line("Our contracts are not on this network yet.")
            .next("cw train")
            .next("cw network list")
            .next("cw doctor"));
    }
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let count = contracts.reader.study_count()?;
    let latest = (count > 0)
        .then(|| RunSummary::read(&session, &contracts, &assets, StudyId(count)))
        .transpose()?;
    if let Some(run) = &latest {
        let state = &run.state;
        fields.push((
            "last run",
            Cell::text(format!(
                "{}, {}, {} of {} rounds",
                run.study,
                run.phase(),
                state.closed_rounds,
                state.rounds
            )),
        ));
        if state.round_open {
            let now = contracts.reader.now()?;
            let left = state.commit_by.0.saturating_sub(now.0);
            fields.push((
                "open round",
                Cell::text(format!(
                    "{}, {} of {} have committed, {left} s left",
                    state.round,
                    state.committed.count_ones(),
                    state.members.len()
                )),
            ));
        }
    }
    let model = assets.of_kind(AssetKind::Model).next_back();
    if let Some(model) = model {
        fields.push(("last model", Cell::text(model.full_name())));
    }
    let wanted = purpose(project)?;
    let mut table = Table::new(["member", "registered", "ready", "why"]);
    let mut members = Vec::new();
    for entry in &study.datasets {
        let asset = assets
            .of_kind(AssetKind::Dataset)
            .rfind(|asset| asset.name() == entry.name);
        let (ready, why) = match asset {
            None => (true, "not registered yet; the next run does it".to_owned()),
            Some(asset) if contracts.reader.is_allowed(asset.record.id, wanted)? => (true, String::new()),
            Some(_) => (false, format!("consent does not cover {}", study.study.purpose)),
        };
        let state = if ready {
            Cell::State(Tone::Good, "yes".to_owned())
        } else {
            Cell::State(Tone::Bad, "no".to_owned())
        };
        let registered = asset.map_or_else(|| "-".to_owned(), Asset::full_name);
        members.push(json!({"name": entry.name, "asset": asset.map(|asset| asset.record.id), "ready": ready, "why": why}));
        table.push([
            Cell::text(&entry.name),
            Cell::text(registered),
            state,
            Cell::text(why),
        ]);
    }
    let answer = answer
        .json(
            "run",
            latest
                .as_ref()
                .map_or(serde_json::Value::Null, |run| run.json(&contracts)),
        )
        .json(
            "model",
            model.map_or(serde_json::Value::Null, |model| json!(model.full_name())),
        )
        .json("members", members)
        .fields(fields);
    let answer = if table.is_empty() {
        answer
    } else {
        answer.gap().table(table)
    };
    let answer = match model {
        Some(model) => answer.next(format!("cw verify model {}", model.full_name())),
        None => answer,
    };
    Ok(answer.next("cw train").next("cw run show"))
}

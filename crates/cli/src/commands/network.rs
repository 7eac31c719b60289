//! `cw network`: the chain to work on.

use std::fs;

use serde_json::json;

use super::Context;
use crate::{
    arguments::NetworkName,
    error::{CliError, Code},
    output::{Answer, Cell, Table, Tone},
    project::{NetworkKind, Project},
    session::{choose, known_networks},
};

/// What to do with networks.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the networks known here
    List,
    /// Make a network the one that this project uses without --network
    Use {
        /// Its name
        name: NetworkName,
    },
}

/// Does it.
///
/// # Errors
/// [`Code::UnknownName`], [`Code::NoProject`], [`Code::FileUnreadable`].
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    match command {
        Command::List => list(context),
        Command::Use { name } => choose_network(name, context),
    }
}

fn list(context: &Context) -> Result<Answer, CliError> {
    let project = Project::open_if_any(&context.global)?;
    let used = choose(&context.global, project.as_ref()).ok();
    let mut table = Table::new(["network", "where", "chain id", "from", "used"]);
    let mut networks = Vec::new();
    let mut answer = Answer::new("network-list/1");
    for (name, (entry, from)) in known_networks(project.as_ref())? {
        let is_used = used.as_ref().is_some_and(|used| used.name == name);
        let place = match &entry.kind {
            NetworkKind::Embedded => "in the project's folder".to_owned(),
            NetworkKind::Remote(rpc) => rpc.clone(),
        };
        table.push([
            Cell::text(&name),
            Cell::text(&place),
            Cell::number(entry.chain_id.map_or_else(|| "-".to_owned(), |id| id.to_string())),
            Cell::text(from),
            if is_used {
                Cell::State(Tone::Good, "used".to_owned())
            } else {
                Cell::text("")
            },
        ]);
        networks.push(json!({
            "name": name, "where": place, "chain_id": entry.chain_id, "from": from, "used": is_used,
        }));
        answer = answer.id(name);
    }
    Ok(answer.json("networks", networks).table(table))
}

fn choose_network(name: &NetworkName, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let mut global = context.global.clone();
    global.network = Some(name.clone());
    let chosen = choose(&global, Some(&project))?;
    let folders = project.folders();
    if !context.global.dry_run {
        folders.create()?;
        fs::write(folders.chosen_network(), format!("{}\n", name.0)).map_err(|error| {
            CliError::new(Code::FileUnreadable, "the choice cannot be written")
                .fact("system", error.to_string())
                .fix("check the folder's permissions and the disk's free space")
        })?;
    }
    Ok(Answer::new("network-use/1")
        .json("network", name.0.as_str())
        .json("described", chosen.describe())
        .line(chosen.describe())
        .id(name.0.as_str()))
}

//! Which network is meant.

use std::{collections::BTreeMap, fs};

use crate::{
    arguments::Global,
    error::{CliError, Code},
    nearest::nearest,
    project::{NetworkEntry, Project, read_config, read_networks},
    user::UserFolder,
};

/// Name of the network that every project has.
pub(crate) const EMBEDDED: &str = "local";

/// The network that is used.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    /// Its name; files about it go by this.
    pub(crate) name: String,
    /// As configured.
    pub(crate) entry: NetworkEntry,
    /// Address of the node; nothing for the embedded chain.
    pub(crate) endpoint: Option<String>,
    /// Who said so: an option, a file, or nobody.
    pub(crate) by: &'static str,
}

impl Chosen {
    /// For people: name and address.
    pub(crate) fn describe(&self) -> String {
        match &self.endpoint {
            Some(endpoint) if *endpoint != self.name => format!("{} at {endpoint}", self.name),
            Some(endpoint) => endpoint.clone(),
            None => format!("{}, embedded", self.name),
        }
    }

    /// Whether the node is reached without leaving this machine.
    pub(crate) fn is_on_this_machine(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| {
            let host = endpoint
                .split_once("://")
                .map_or(endpoint.as_str(), |(_, host)| host);
            ["127.", "localhost", "[::1]"]
                .iter()
                .any(|local| host.starts_with(local))
        })
    }
}

/// Every network known here, with where it is known from: the project's file before a person's own.
///
/// # Errors
/// Those of reading a person's own configuration.
pub(crate) fn known_networks(
    project: Option<&Project>,
) -> Result<BTreeMap<String, (NetworkEntry, &'static str)>, CliError> {
    let mut known = BTreeMap::from([(EMBEDDED.to_owned(), (NetworkEntry::embedded(), "built in"))]);
    let file = UserFolder::of_environment().config_file();
    if file.exists() {
        let name = file.display().to_string();
        for (name, entry) in read_networks(&read_config(&file)?, &name)? {
            known.insert(name, (entry, "your own config.toml"));
        }
    }
    for (name, entry) in project.into_iter().flat_map(|project| &project.config.networks) {
        known.insert(name.clone(), (entry.clone(), "counterweight.toml"));
    }
    Ok(known)
}

/// The network: `--network`, else what `cw network use` chose, else the embedded chain.
///
/// # Errors
/// [`Code::UnknownName`], [`Code::VariableMissing`].
pub(crate) fn choose(global: &Global, project: Option<&Project>) -> Result<Chosen, CliError> {
    let (name, by) = match &global.network {
        Some(name) => (name.0.clone(), "--network"),
        None => match project.and_then(|project| fs::read_to_string(project.folders().chosen_network()).ok())
        {
            Some(name) if !name.trim().is_empty() => (name.trim().to_owned(), "cw network use"),
            _ => (EMBEDDED.to_owned(), "default"),
        },
    };
    if name.contains("://") {
        let endpoint = name.trim_end_matches('/').to_owned();
        let file_name = endpoint
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '.' {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        let entry = NetworkEntry::at(endpoint.clone());
        return Ok(Chosen {
            name: file_name,
            entry,
            endpoint: Some(endpoint),
            by,
        });
    }
    let mut known = known_networks(project)?;
    let Some((entry, _)) = known.remove(&name) else {
        let error = CliError::new(Code::UnknownName, format!("there is no network \"{name}\""));
        let error = match nearest(&name, known.keys().map(String::as_str)) {
            Some(near) => error.fact("nearest", near),
            None => error.fact("known", known.keys().cloned().collect::<Vec<_>>().join(", ")),
        };
        return Err(error.fix(format!(
            "cw network list, or add [network.{name}] to counterweight.toml"
        )));
    };
    let endpoint = entry.endpoint()?;
    Ok(Chosen {
        name,
        entry,
        endpoint,
        by,
    })
}

//! The configuration of a project: the file, under a profile, the environment and options.

use std::{collections::BTreeMap, fmt};

use counterweight_federated::study::{StudyConfig, keys::known_keys};
use serde::Deserialize;
use toml::de::{DeTable, Deserializer};

use super::{Document, Keys, NetworkEntry, network};
use crate::{
    error::{CliError, Code},
    nearest::nearest,
};

/// Tables whose keys may be overridden from the environment: `CW_TRAINING_ROUNDS` sets `rounds` of `[training]`.
const OVERRIDABLE: [&str; 4] = ["study", "model", "training", "holdout"];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A line of a file.
    File {
        /// The file.
        name: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// An option of the command line.
    Option(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Option(name) => write!(f, "option {name}"),
        }
    }
}

/// `[log]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct LogSection {
    origin: Option<String>,
}

/// A project's configuration after everything that overrides the file.
#[derive(Debug, Clone)]
pub(crate) struct ProjectConfig {
    /// What the study is.
    pub(crate) study: StudyConfig,
    /// `[network.NAME]`.
    pub(crate) networks: BTreeMap<String, NetworkEntry>,
    /// Name of the project's log, its first line.
    pub(crate) log_origin: String,
    origins: BTreeMap<String, Origin>,
}

/// What options say about the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    /// `--profile`.
    pub(crate) profile: Option<&'a str>,
    /// `--seed`.
    pub(crate) seed: Option<u64>,
    /// `--rounds`.
    pub(crate) rounds: Option<u32>,
}

/// A value that comes from elsewhere than the file.
struct Override {
    table: &'static str,
    key: &'static str,
    text: String,
    origin: Origin,
}

impl ProjectConfig {
    /// Reads the configuration `text` of a file called `name`. Precedence: option, environment, profile, file.
    ///
    /// # Errors
    /// [`Code::TomlSyntax`], [`Code::UnknownKey`], [`Code::BadValue`], [`Code::UnknownName`] for the profile.
    pub(crate) fn read(
        text: &str,
        name: &str,
        wanted: &Wanted<'_>,
        variables: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, CliError> {
        let overrides = overrides(wanted, variables);
        let mut document = Document::parse(name, text)?;
        for table in [
            "study", "model", "training", "data", "holdout", "network", "profile", "log",
        ] {
            if let Some(line) = document.misplaced(table) {
                return Err(
                    CliError::new(Code::BadValue, format!("{name}:{line}: {table} is a table"))
                        .fix(format!("write [{table}] on a line of its own and its keys below")),
                );
            }
        }
        let profiles = document.names_under("profile");
        let profile = take_profile(&mut document, wanted.profile, &profiles)?;
        document.check_keys(&known_in_project)?;
        if let Some(profile) = profile {
            document.overlay(profile);
            document.check_keys(&known_in_project)?;
        }
        for value in &overrides {
            document.set(value.table, value.key, &value.text, value.origin.clone());
        }
        let origins = document.origins();
        let networks = network::take_networks(&mut document, name)?;
        let log: LogSection = match document.take("log") {
            Some(table) => read_table(table, name, "log")?,
            None => LogSection::default(),
        };
        let study: StudyConfig = document.read()?;
        study.check().map_err(|error| {
            let origin = origins
                .get(&error.key)
                .map_or_else(|| name.to_owned(), ToString::to_string);
            CliError::new(
                Code::BadValue,
                format!("{origin}: {}: {}", error.key, error.problem),
            )
            .fix(format!("correct {} at {origin}", error.key))
        })?;
        let log_origin = log
            .origin
            .unwrap_or_else(|| format!("counterweight.local/{}", study.study.name));
        Ok(Self {
            study,
            networks,
            log_origin,
            origins,
        })
    }

    /// Where a value came from, by its path, `training.rounds`.
    pub(crate) fn origin(&self, path: &str) -> Option<&Origin> {
        self.origins.get(path)
    }
}

fn overrides(wanted: &Wanted<'_>, variables: &dyn Fn(&str) -> Option<String>) -> Vec<Override> {
    let mut overrides = Vec::new();
    for table in OVERRIDABLE {
        for key in known_keys(table).unwrap_or_default() {
            let variable = format!("CW_{table}_{key}").to_uppercase().replace('-', "_");
            if let Some(text) = variables(&variable) {
                overrides.push(Override {
                    table,
                    key,
                    text,
                    origin: Origin::Variable(variable),
                });
            }
        }
    }
    let mut option = |table, key, name, text: Option<String>| {
        overrides.extend(text.map(|text| Override {
            table,
            key,
            text,
            origin: Origin::Option(name),
        }));
    };
    option(
        "training",
        "seed",
        "--seed",
        wanted.seed.map(|seed| seed.to_string()),
    );
    option(
        "training",
        "rounds",
        "--rounds",
        wanted.rounds.map(|rounds| rounds.to_string()),
    );
    overrides
}

fn take_profile<'i>(
    document: &mut Document<'i>,
    wanted: Option<&str>,
    names: &[String],
) -> Result<Option<DeTable<'i>>, CliError> {
    let profiles = document.take("profile");
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let found = profiles
        .and_then(|mut table| table.remove(wanted))
        .map(|value| value.into_inner());
    match found {
        Some(toml::de::DeValue::Table(table)) => Ok(Some(table)),
        _ => {
            let error = CliError::new(Code::UnknownName, format!("there is no profile \"{wanted}\""));
            let error = match nearest(wanted, names.iter().map(String::as_str)) {
                Some(near) => error.fact("nearest", near),
                None => error,
            };
            Err(error.fix(format!(
                "add [profile.{wanted}.training] to counterweight.toml, or leave --profile out"
            )))
        }
    }
}

/// Keys of each table of a project's file: the study's, and ours.
fn known_in_project(table: &str) -> Option<Keys> {
    match table {
        "" => {
            let ours = ["network", "profile", "log"];
            known_keys("").map(|keys| Keys::These(keys.iter().copied().chain(ours).collect()))
        }
        "log" => Some(Keys::These(vec!["origin"])),
        table => network::known(table).or_else(|| known_keys(table).map(|keys| Keys::These(keys.to_vec()))),
    }
}

pub(super) fn read_table<T: for<'de> Deserialize<'de>>(
    table: DeTable<'_>,
    name: &str,
    path: &str,
) -> Result<T, CliError> {
    let whole = toml::Spanned::new(0..0, table);
    T::deserialize(Deserializer::from(whole)).map_err(|error| {
        CliError::new(Code::BadValue, format!("{name}: [{path}]: {}", error.message()))
            .fix(format!("correct [{path}] in {name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
[study]
name = "breast-cancer"
purpose = "research"
budget = 1000

[model]
name = "tumour"
architecture = "logistic"

[training]
rounds = 15
lr = 0.05
local-steps = 10

[data]
columns = ["mean_radius"]
label = "diagnosis = malignant"

[[dataset]]
name = "clinic-a"
path = "a.csv"
licence = "CC-BY-4.0"
consent = ["research"]

[network.anvil]
rpc = "http://127.0.0.1:8545"

[profile.ci.training]
rounds = 2
"#;

    fn read(text: &str, wanted: &Wanted<'_>, variables: &[(&str, &str)]) -> Result<ProjectConfig, CliError> {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        };
        ProjectConfig::read(text, "counterweight.toml", wanted, &find)
    }

    fn rounds(wanted: &Wanted<'_>, variables: &[(&str, &str)]) -> (u32, String) {
        let config = read(FILE, wanted, variables).unwrap();
        let origin = config.origin("training.rounds").unwrap().to_string();
        (config.study.training.rounds, origin)
    }

    #[test]
    fn option_beats_environment_beats_profile_beats_file() {
        let none = Wanted::default();
        let ci = Wanted {
            profile: Some("ci"),
            ..none
        };
        let option = Wanted {
            rounds: Some(7),
            ..ci
        };
        let variable = [("CW_TRAINING_ROUNDS", "5")];
        assert_eq!(rounds(&none, &[]), (15, "counterweight.toml:12".to_owned()));
        assert_eq!(rounds(&ci, &[]), (2, "counterweight.toml:30".to_owned()));
        assert_eq!(
            rounds(&ci, &variable),
            (5, "environment variable CW_TRAINING_ROUNDS".to_owned())
        );
        assert_eq!(rounds(&option, &variable), (7, "option --rounds".to_owned()));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_key() {
        for (good, bad, nearest, line) in [
            ("rounds = 15", "ruonds = 15", "rounds", 12),
            ("[training]", "[trainin]", "training", 11),
            ("licence =", "license =", "licence", 23),
            ("rounds = 2", "round = 2", "rounds", 30),
        ] {
            let error = read(
                &FILE.replace(good, bad),
                &Wanted {
                    profile: Some("ci"),
                    ..Wanted::default()
                },
                &[],
            )
            .unwrap_err();
            assert_eq!(error.code(), Code::UnknownKey, "{bad}");
            assert_eq!(error.to_json()["error"]["facts"]["nearest"], nearest);
            assert!(
                error.message().contains(&format!("counterweight.toml:{line}")),
                "{}",
                error.message()
            );
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_where_it_came_from() {
        let error = read(
            &FILE.replace("rounds = 15", "rounds = \"many\""),
            &Wanted::default(),
            &[],
        )
        .unwrap_err();
        assert_eq!(error.code(), Code::BadValue);
        assert!(
            error.message().starts_with("counterweight.toml:12: "),
            "{}",
            error.message()
        );
        let error = read(FILE, &Wanted::default(), &[("CW_TRAINING_ROUNDS", "many")]).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("environment variable CW_TRAINING_ROUNDS: "),
            "{}",
            error.message()
        );
    }

    #[test]
    fn what_is_no_toml_is_refused_with_its_line() {
        let error = read(&FILE.replace("rounds = 15", "rounds 15"), &Wanted::default(), &[]).unwrap_err();
        assert_eq!(error.code(), Code::TomlSyntax);
        assert!(
            error.message().contains("counterweight.toml:12"),
            "{}",
            error.message()
        );
    }

    #[test]
    fn an_unknown_profile_gets_a_guess() {
        let error = read(
            FILE,
            &Wanted {
                profile: Some("cii"),
                ..Wanted::default()
            },
            &[],
        )
        .unwrap_err();
        assert_eq!(error.code(), Code::UnknownName);
        assert_eq!(error.to_json()["error"]["facts"]["nearest"], "ci");
    }
}

//! `[network.NAME]`, in a project's file or a person's own.

use std::{collections::BTreeMap, env, path::PathBuf};

use counterweight_primitives::Address;
use serde::Deserialize;

use super::{Document, Keys, config::read_table};
use crate::error::{CliError, Code};

/// Keys of a network's table.
const KEYS: [&str; 6] = ["kind", "rpc", "chain-id", "confirmations", "token", "deployment"];

/// Where a chain is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NetworkKind {
    /// In the project's folder, run by cw itself.
    Embedded,
    /// A node that answers JSON-RPC there.
    Remote(String),
}

/// A network as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkEntry {
    /// Where the chain is. `${NAME}` in an address stands for an environment variable.
    pub(crate) kind: NetworkKind,
    /// The chain's id, where it is to be checked.
    pub(crate) chain_id: Option<u64>,
    /// Blocks on top of a transaction before it counts.
    pub(crate) confirmations: u64,
    /// ERC-20 of budgets and bonds; the development token if absent.
    pub(crate) token: Option<Address>,
    /// Where the contracts are, if others deployed them.
    pub(crate) deployment: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Section {
    kind: Option<Kind>,
    rpc: Option<String>,
    chain_id: Option<u64>,
    #[serde(default)]
    confirmations: u64,
    token: Option<Address>,
    deployment: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Embedded,
    Remote,
}

impl NetworkEntry {
    /// The chain in the project's folder.
    pub(crate) fn embedded() -> Self {
        Self {
            kind: NetworkKind::Embedded,
            chain_id: None,
            confirmations: 0,
            token: None,
            deployment: None,
        }
    }

    /// A node at an address that was given by itself.
    pub(crate) fn at(rpc: String) -> Self {
        Self {
            kind: NetworkKind::Remote(rpc),
            ..Self::embedded()
        }
    }

    /// The node's address with variables put in; [`None`] for the embedded chain.
    ///
    /// # Errors
    /// [`Code::VariableMissing`].
    pub(crate) fn endpoint(&self) -> Result<Option<String>, CliError> {
        match &self.kind {
            NetworkKind::Embedded => Ok(None),
            NetworkKind::Remote(rpc) => expand(rpc, &|name| env::var(name).ok()).map(Some),
        }
    }
}

/// Keys of `network` and the tables in it.
pub(super) fn known(table: &str) -> Option<Keys> {
    match table.strip_prefix("network")? {
        "" => Some(Keys::Names),
        inner if inner.starts_with('.') && !inner[1..].contains('.') => Some(Keys::These(KEYS.to_vec())),
        _ => None,
    }
}

/// Takes the networks out of a document.
///
/// # Errors
/// [`Code::BadValue`].
pub(super) fn take_networks(
    document: &mut Document<'_>,
    file: &str,
) -> Result<BTreeMap<String, NetworkEntry>, CliError> {
    let mut networks = BTreeMap::new();
    for (name, value) in document.take("network").unwrap_or_default() {
        let name = name.into_inner().into_owned();
        let path = format!("network.{name}");
        let toml::de::DeValue::Table(table) = value.into_inner() else {
            return Err(
                CliError::new(Code::BadValue, format!("{file}: {path} is a table"))
                    .fix(format!("write [{path}] on a line of its own and its keys below")),
            );
        };
        let section: Section = read_table(table, file, &path)?;
        let kind = match (section.kind, section.rpc) {
            (Some(Kind::Remote) | None, Some(rpc)) => NetworkKind::Remote(rpc),
            (Some(Kind::Embedded), None) => NetworkKind::Embedded,
            (Some(Kind::Embedded), Some(_)) => {
                return Err(CliError::new(
                    Code::BadValue,
                    format!("{file}: [{path}] is embedded and has an address"),
                )
                .fix("remove either kind or rpc"));
            }
            (_, None) => {
                return Err(
                    CliError::new(Code::BadValue, format!("{file}: [{path}] has no address"))
                        .fix("add rpc = \"http://127.0.0.1:8545\", or kind = \"embedded\""),
                );
            }
        };
        let Section {
            chain_id,
            confirmations,
            token,
            deployment,
            ..
        } = section;
        networks.insert(
            name,
            NetworkEntry {
                kind,
                chain_id,
                confirmations,
                token,
                deployment,
            },
        );
    }
    Ok(networks)
}

/// The networks of a person's own configuration file.
///
/// # Errors
/// As reading a project's.
pub(crate) fn read_networks(text: &str, file: &str) -> Result<BTreeMap<String, NetworkEntry>, CliError> {
    let mut document = Document::parse(file, text)?;
    document.check_keys(&|table| {
        if table.is_empty() {
            Some(Keys::These(vec!["network"]))
        } else {
            known(table)
        }
    })?;
    take_networks(&mut document, file)
}

/// Puts environment variables in the place of `${NAME}`.
fn expand(text: &str, variables: &dyn Fn(&str) -> Option<String>) -> Result<String, CliError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(end) = rest[start..].find('}') else {
            break;
        };
        let name = &rest[start + 2..start + end];
        let value = variables(name).ok_or_else(|| {
            CliError::new(
                Code::VariableMissing,
                format!("the environment variable {name} is not set"),
            )
            .why(format!("the configuration takes a value from it: {text}"))
            .fix(format!("export {name}=…"))
        })?;
        out.push_str(&rest[..start]);
        out.push_str(&value);
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_and_a_missing_one_is_named() {
        let variables = |name: &str| (name == "KEY").then(|| "abc".to_owned());
        assert_eq!(
            expand("https://x/${KEY}/v1", &variables).unwrap(),
            "https://x/abc/v1"
        );
        let error = expand("https://x/${NOPE}", &variables).unwrap_err();
        assert_eq!(error.code(), Code::VariableMissing);
        assert!(error.message().contains("NOPE"));
    }

    #[test]
    fn networks_are_read_and_slips_named() {
        let networks = read_networks(
            "[network.anvil]\nrpc = \"http://127.0.0.1:8545\"\nchain-id = 31337\n",
            "f",
        )
        .unwrap();
        assert_eq!(networks["anvil"].chain_id, Some(31337));
        let error = read_networks("[network.anvil]\nrcp = \"http://127.0.0.1:8545\"\n", "f").unwrap_err();
        assert_eq!(error.code(), Code::UnknownKey);
        assert_eq!(error.to_json()["error"]["facts"]["nearest"], "rpc");
        assert!(error.message().contains("f:2"));
        let error = read_networks("[network.anvil]\nchain-id = 31337\n", "f").unwrap_err();
        assert_eq!(error.code(), Code::BadValue);
    }
}

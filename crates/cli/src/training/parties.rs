//! Who signs for what.

use std::sync::Arc;

use counterweight_chain::{embedded::DEVELOPMENT_ACCOUNTS, keys::LocalKey};
use counterweight_federated::study::DatasetEntry;

use crate::{
    arguments::KeyName,
    error::{CliError, Code},
    session::Session,
};

/// The key that sponsors and coordinates: `--key`, else the first development account.
///
/// # Errors
/// [`Code::DevelopmentKey`] where there is no development account and no key is named.
pub(crate) fn sponsor_key(session: &Session<'_>, named: Option<&KeyName>) -> Result<Arc<LocalKey>, CliError> {
    match named {
        Some(name) => session.keys.open(&name.0),
        None if session.is_development() => session.keys.development(0),
        None => Err(
            CliError::new(Code::DevelopmentKey, "this network needs a key of your own")
                .fact("chain id", session.network.chain_id().to_string())
                .why("development accounts are used on chain id 31337 only")
                .fix("cw key new NAME, fund its account, then add --key NAME"),
        ),
    }
}

/// The key of a dataset's steward: as configured, else the development account after the sponsor's with the
/// dataset's place in the configuration.
///
/// # Errors
/// [`Code::DevelopmentKey`], [`Code::BadValue`] beyond the development accounts, and those of opening a key.
pub(crate) fn member_key(session: &Session<'_>, entry: &DatasetEntry) -> Result<Arc<LocalKey>, CliError> {
    if let Some(name) = &entry.steward {
        return session.keys.open(name);
    }
    if !session.is_development() {
        return Err(CliError::new(
            Code::DevelopmentKey,
            format!("the steward of {} needs a key", entry.name),
        )
        .why("development accounts are used on chain id 31337 only")
        .fix(format!(
            "cw key new {0}, fund its account, then add steward = \"{0}\" to its [[dataset]]",
            entry.name
        )));
    }
    let place = session
        .project
        .config
        .study
        .datasets
        .iter()
        .position(|other| other.name == entry.name);
    let index = u32::try_from(place.unwrap_or_default())
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    if index >= DEVELOPMENT_ACCOUNTS {
        return Err(CliError::new(
            Code::BadValue,
            format!("there is no development account for {}", entry.name),
        )
        .fact("development accounts", DEVELOPMENT_ACCOUNTS.to_string())
        .why("each dataset needs an account of its own, beside the sponsor's")
        .fix(format!(
            "cw key new {0}, then add steward = \"{0}\" to its [[dataset]]",
            entry.name
        )));
    }
    session.keys.development(index)
}

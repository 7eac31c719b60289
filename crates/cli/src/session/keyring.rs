//! Keys by their names, each opened once.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use counterweight_chain::{
    embedded::DEVELOPMENT_ACCOUNTS,
    keys::{KeyError, LocalKey, development_key},
};

use crate::{
    error::CliError,
    nearest::nearest,
    user::{Asked, PasswordSource, UserFolder},
};

/// What a development account is called on the command line.
pub(crate) fn development_name(index: u32) -> String {
    format!("dev-{index}")
}

/// Keys for one chain.
#[derive(Debug)]
pub(crate) struct Keyring {
    chain_id: u64,
    open: RefCell<BTreeMap<String, Arc<LocalKey>>>,
}

impl Keyring {
    /// Keys that sign for a chain.
    pub(crate) fn new(chain_id: u64) -> Self {
        Self {
            chain_id,
            open: RefCell::default(),
        }
    }

    /// The key with a name: `dev-0` to `dev-9` are the development accounts, others are in the keystore.
    ///
    /// # Errors
    /// Where there is no such key, its password is wrong or it may not be used here.
    pub(crate) fn open(&self, name: &str) -> Result<Arc<LocalKey>, CliError> {
        if let Some(key) = self.open.borrow().get(name) {
            return Ok(Arc::clone(key));
        }
        let key = match name.strip_prefix("dev-").and_then(|index| index.parse().ok()) {
            Some(index) => development_key(index, self.chain_id)?,
            None => unlock(name)?,
        };
        let key = Arc::new(key);
        self.open.borrow_mut().insert(name.to_owned(), Arc::clone(&key));
        Ok(key)
    }

    /// The development key with a number, where the chain is a development chain.
    ///
    /// # Errors
    /// Beyond the last one, and on another chain.
    pub(crate) fn development(&self, index: u32) -> Result<Arc<LocalKey>, CliError> {
        self.open(&development_name(index))
    }
}

fn unlock(name: &str) -> Result<LocalKey, CliError> {
    let store = UserFolder::of_environment().keystore();
    let names: Vec<String> = store.list()?.into_iter().map(|entry| entry.name).collect();
    if !names.iter().any(|known| known == name) {
        let error = CliError::from(KeyError::NotFound {
            name: name.to_owned(),
        });
        let development: Vec<String> = (0..DEVELOPMENT_ACCOUNTS).map(development_name).collect();
        return Err(
            match nearest(name, names.iter().chain(&development).map(String::as_str)) {
                Some(near) => error.fact("nearest", near),
                None => error,
            },
        );
    }
    let password = PasswordSource::default().read(name, Asked::ToOpen)?;
    Ok(store.unlock(name, &password)?)
}

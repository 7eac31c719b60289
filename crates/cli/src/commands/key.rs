//! `cw key`: keys, kept encrypted.

use std::{
    fs,
    io::{IsTerminal, Read as _, stdin},
    path::{Path, PathBuf},
};

use counterweight_chain::{
    embedded::DEVELOPMENT_ACCOUNTS,
    keys::{KeyEntry, LocalKey, PasswordCost, development_key},
};
use serde_json::json;

use super::Context;
use crate::{
    error::{CliError, Code},
    output::{Answer, Cell, Table},
    session::development_name,
    user::{Asked, PasswordSource, UserFolder},
};

/// Longest key file that is read: an encrypted key is well under 1 KiB.
const LONGEST_KEY_FILE: u64 = 16 << 10;

/// What to do with keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key
    New {
        /// What to call it
        name: String,
        /// File whose first line is the password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// List keys
    List,
    /// Store a key that exists; it is read from standard input, never from the command line
    Import {
        /// What to call it
        name: String,
        /// Read it from this file instead: 64 hexadecimal digits
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// File whose first line is the password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

/// Does it.
///
/// # Errors
/// [`Code::AlreadyThere`], [`Code::BadValue`], [`Code::AnswerNeeded`], [`Code::FileUnreadable`].
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    let folder = UserFolder::of_environment();
    match command {
        Command::New { name, password_file } => store(
            &folder,
            name,
            || Ok(LocalKey::generate()),
            password_file.as_deref(),
            context,
        ),
        Command::Import {
            name,
            file,
            password_file,
        } => store(
            &folder,
            name,
            || read_secret(file.as_deref()),
            password_file.as_deref(),
            context,
        ),
        Command::List => list(&folder),
    }
}

fn store(
    folder: &UserFolder,
    name: &str,
    key: impl FnOnce() -> Result<LocalKey, CliError>,
    password_file: Option<&Path>,
    context: &Context,
) -> Result<Answer, CliError> {
    let store = folder.keystore();
    // Before a password is asked for, so that nobody types one in vain.
    if store.list()?.iter().any(|entry| entry.name == name) {
        return Err(CliError::new(
            Code::AlreadyThere,
            format!("a key called \"{name}\" exists already"),
        )
        .fact("folder", folder.keys().display().to_string())
        .why("replacing a key would lose what its account holds")
        .fix("choose another name, or see cw key list"));
    }
    let key = key()?;
    let source = PasswordSource {
        file: password_file.map(Path::to_owned),
    };
    let password = source.read(name, Asked::ToClose)?;
    if context.global.dry_run {
        context.console.note("Nothing was stored: --dry-run");
        return Ok(shown(&KeyEntry {
            name: name.to_owned(),
            account: key.account(),
        }));
    }
    let entry = store.store(name, &key, &password, PasswordCost::Standard)?;
    context.console.did(
        "Stored",
        format!("key {name}, encrypted, in {}", folder.keys().display()),
    );
    Ok(shown(&entry))
}

fn shown(entry: &KeyEntry) -> Answer {
    Answer::new("key/1")
        .json("name", entry.name.as_str())
        .json("account", entry.account.to_string())
        .line(entry.account.to_string())
        .id(entry.name.as_str())
}

fn list(folder: &UserFolder) -> Result<Answer, CliError> {
    let mut table = Table::new(["name", "account", "kept"]);
    let mut keys = Vec::new();
    let mut answer = Answer::new("key-list/1");
    for entry in folder.keystore().list()? {
        keys.push(json!({"name": entry.name, "account": entry.account, "development": false}));
        table.push([
            Cell::text(&entry.name),
            Cell::text(entry.account.to_string()),
            Cell::text("encrypted"),
        ]);
        answer = answer.id(entry.name);
    }
    for index in 0..DEVELOPMENT_ACCOUNTS {
        let key = development_key(index, counterweight_chain::embedded::DEVELOPMENT_CHAIN_ID)?;
        let name = development_name(index);
        keys.push(json!({"name": name, "account": key.account(), "development": true}));
        table.push([
            Cell::text(&name),
            Cell::text(key.account().to_string()),
            Cell::text("known to everyone, chain 31337 only"),
        ]);
        answer = answer.id(name);
    }
    Ok(answer.json("keys", keys).table(table))
}

fn read_secret(file: Option<&Path>) -> Result<LocalKey, CliError> {
    let mut text = String::new();
    let read = match file {
        Some(path) => {
            fs::File::open(path).and_then(|file| file.take(LONGEST_KEY_FILE).read_to_string(&mut text))
        }
        None if stdin().is_terminal() => {
            let terminal = console::Term::stderr();
            terminal
                .write_str("Private key, 64 hexadecimal digits (not shown): ")
                .and_then(|()| terminal.read_secure_line())
                .map(|line| text.push_str(&line))
                .map(|()| 0)
        }
        None => stdin().take(LONGEST_KEY_FILE).read_to_string(&mut text),
    };
    read.map_err(|error| {
        CliError::new(Code::FileUnreadable, "the key to import cannot be read")
            .fact("system", error.to_string())
            .fix("cw key import NAME --file FILE")
    })?;
    Ok(LocalKey::from_hex(text.trim())?)
}

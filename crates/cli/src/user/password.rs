//! Passwords: from a file, the environment or a person.

use std::{
    env, fs,
    io::{IsTerminal, stdin},
    path::{Path, PathBuf},
};

use console::Term;

use crate::error::{CliError, Code};

/// Where a password comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct PasswordSource {
    /// File whose first line it is.
    pub(crate) file: Option<PathBuf>,
}

/// What a password is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To open a key: asked once.
    ToOpen,
    /// To close a new key: asked twice on a terminal, and not empty.
    ToClose,
}

impl PasswordSource {
    /// The password for the key called `name`: from the file, else `CW_PASSWORD`, else asked on the terminal.
    ///
    /// # Errors
    /// [`Code::AnswerNeeded`] without a terminal, [`Code::FileUnreadable`], [`Code::KeyLocked`].
    pub(crate) fn read(&self, name: &str, asked: Asked) -> Result<String, CliError> {
        let password = if let Some(file) = &self.file {
            first_line(file)?
        } else if let Some(password) = env::var("CW_PASSWORD")
            .ok()
            .filter(|password| !password.is_empty())
        {
            password
        } else if stdin().is_terminal() && Term::stderr().is_term() {
            ask(name, asked)?
        } else {
            return Err(CliError::new(
                Code::AnswerNeeded,
                format!("the key \"{name}\" needs its password"),
            )
            .why("standard input is not a terminal, so nobody can be asked")
            .fix("set CW_PASSWORD, or give --password-file FILE"));
        };
        if password.is_empty() && asked == Asked::ToClose {
            return Err(CliError::new(Code::BadValue, "the password is empty")
                .why("an empty password leaves the key open to whoever reads its file")
                .fix("choose a password of several words"));
        }
        Ok(password)
    }
}

fn first_line(file: &Path) -> Result<String, CliError> {
    let text = fs::read_to_string(file).map_err(|error| {
        CliError::new(
            Code::FileUnreadable,
            format!("the password file {} cannot be read", file.display()),
        )
        .fact("system", error.to_string())
        .fix("check the path given to --password-file")
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn ask(name: &str, asked: Asked) -> Result<String, CliError> {
    let terminal = Term::stderr();
    let read = |prompt: &str| {
        terminal.write_str(prompt)?;
        terminal.read_secure_line()
    };
    let unreadable = |error: std::io::Error| {
        CliError::new(Code::AnswerNeeded, "the terminal gave no password")
            .fact("system", error.to_string())
            .fix("set CW_PASSWORD, or give --password-file FILE")
    };
    let password = read(&format!("Password of key {name}: ")).map_err(unreadable)?;
    if asked == Asked::ToClose && read("Again: ").map_err(unreadable)? != password {
        return Err(
            CliError::new(Code::KeyLocked, "the two passwords differ").fix(format!("cw key new {name}"))
        );
    }
    Ok(password)
}

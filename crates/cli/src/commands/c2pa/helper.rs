//! The program beside `cw` that reads and writes manifests.
//!
//! It is asked over its standard input, not its arguments: a private key in an argument would show in the list of processes.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::error::{CliError, Code};

/// What it is called.
const NAME: &str = "cw-c2pa";

/// Longest answer that is read: manifests may hold anything.
const MOST_ANSWER: u64 = 256 << 20;

/// A credential for tries, in PEM.
#[derive(Deserialize)]
pub(super) struct Credential {
    pub(super) authority: String,
    pub(super) certificates: String,
    pub(super) key: String,
}

/// A file that was signed.
#[derive(Deserialize)]
pub(super) struct Signed {
    pub(super) format: String,
    pub(super) manifest_bytes: u64,
    pub(super) bytes: u64,
    pub(super) algorithm: String,
}

/// How far a manifest holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Absent,
    Unreadable,
    Invalid,
    Valid,
    Trusted,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Unreadable => "unreadable",
            Self::Invalid => "invalid",
            Self::Valid => "valid",
            Self::Trusted => "trusted",
        }
    }
}

/// What a file's manifest says.
#[derive(Deserialize)]
pub(super) struct Found {
    pub(super) format: String,
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) is_bound: bool,
    pub(super) failures: Vec<Status>,
    pub(super) remarks: Vec<Status>,
    pub(super) signer: Option<Signer>,
    pub(super) certificates: String,
    pub(super) actions: Vec<Action>,
    pub(super) assertion: Option<Value>,
    pub(super) assertions: usize,
    pub(super) ingredients: Vec<Ingredient>,
    pub(super) report: Value,
}

/// A validation status of C2PA.
#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) code: String,
    pub(super) explanation: Option<String>,
}

/// Who signed.
#[derive(Deserialize)]
pub(super) struct Signer {
    pub(super) organisation: Option<String>,
    pub(super) name: Option<String>,
}

/// Something done to make a file.
#[derive(Deserialize)]
pub(super) struct Action {
    pub(super) action: String,
    pub(super) source: Option<String>,
}

/// What a file was made from.
#[derive(Deserialize)]
pub(super) struct Ingredient {
    pub(super) title: Option<String>,
    pub(super) has_manifest: bool,
}

#[derive(Deserialize)]
struct Failure {
    kind: String,
    message: String,
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Reads a file's manifest.
///
/// # Errors
/// [`Code::HelperMissing`], [`Code::MediaUnsignable`] for what is no media.
pub(super) fn read(file: &Path, trust: Option<&str>) -> Result<Found, CliError> {
    ask("read", json!({"input": file, "trust": trust}))
}

/// Asks it one thing. The answer has the question's name, or is an error.
///
/// # Errors
/// [`Code::HelperMissing`], and its own refusals.
pub(super) fn ask<T: DeserializeOwned>(what: &str, about: Value) -> Result<T, CliError> {
    let program = program();
    let silent = |reason: String| {
        CliError::new(Code::HelperMissing, format!("{NAME} gives no answer"))
            .fact("program", program.display().to_string())
            .why(reason)
            .fix("cargo install --locked --path crates/c2pa")
    };
    let mut child = Command::new(&program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| {
            CliError::new(
                Code::HelperMissing,
                format!("{NAME} is neither beside cw nor on PATH"),
            )
            .fact("system", error.to_string())
            .why("C2PA manifests are read and written by a program of its own, which few need and which takes minutes to compile")
            .fix("cargo install --locked --path crates/c2pa")
        })?;
    let request = json!({ what: about }).to_string();
    if let Some(mut input) = child.stdin.take() {
        // It reads everything before it writes anything, so neither waits for the other.
        input
            .write_all(request.as_bytes())
            .map_err(|error| silent(error.to_string()))?;
    }
    let mut answer = Vec::new();
    if let Some(output) = child.stdout.take() {
        output
            .take(MOST_ANSWER)
            .read_to_end(&mut answer)
            .map_err(|error| silent(error.to_string()))?;
    }
    let status = child.wait().map_err(|error| silent(error.to_string()))?;
    if !status.success() {
        // A file that makes it break off has not been checked.
        return Err(silent(format!("it ended with {status}")));
    }
    let mut document: Value = serde_json::from_slice(&answer).map_err(|error| silent(error.to_string()))?;
    // A request for `sign` is answered with `signed`.
    let name = if what == "sign" { "signed" } else { what };
    if let Some(part) = document.get_mut(name) {
        return serde_json::from_value(part.take()).map_err(|error| silent(error.to_string()));
    }
    let failure = document.get_mut("error").map(Value::take).unwrap_or_default();
    let failure: Failure = serde_json::from_value(failure).map_err(|error| silent(error.to_string()))?;
    Err(refused(failure))
}

fn refused(Failure { kind, message }: Failure) -> CliError {
    match kind.as_str() {
        "file" => CliError::new(Code::FileUnreadable, message)
            .fix("check the name, and that the file is there and belongs to you"),
        "media" => CliError::new(Code::MediaUnsignable, message).fix("give a PNG, JPEG, WAV, MP3 or MP4"),
        "credential" => CliError::new(Code::MediaUnsignable, message)
            .fix("docs/spec/c2pa-assertion.md says what a credential needs; cw c2pa credential DIR makes one for tries"),
        "request" => CliError::new(Code::BadValue, message).fix("cw c2pa --help"),
        _ => CliError::new(Code::HelperMissing, message)
            .why("the reader of manifests broke off: the file was not checked")
            .fix("keep the file and report it; until then take it for unchecked"),
    }
}

/// Beside `cw`, else wherever the system looks.
fn program() -> PathBuf {
    let name = format!("{NAME}{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(&name));
    beside
        .filter(|file| file.is_file())
        .unwrap_or_else(|| PathBuf::from(NAME))
}

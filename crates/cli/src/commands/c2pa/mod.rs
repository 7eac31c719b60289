//! `cw c2pa`: mark generated media with the model that made it, and check such marks.

mod helper;
mod sign;
mod verify;

use std::path::{Path, PathBuf};

use counterweight_provenance::content::{Hashes, digest_file};
use counterweight_standards::c2pa::Original;
use serde_json::json;

use super::Context;
use crate::{
    error::{CliError, Code, with_causes},
    inference::{read_file, write_file},
    output::{Answer, Cell},
};
use helper::{Credential, ask};

/// Largest file of certificates, keys, prompts.
const TEXT_BYTES: u64 = 512 << 10;

/// What to do with marks.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Put a signed manifest into a picture, sound or film: which model made it, and on whose word
    Sign(Box<sign::Arguments>),
    /// Check a file's manifest: yes, no or unknown
    Verify(verify::Arguments),
    /// Print all that a file's manifests say, checked or not
    Show {
        /// The file
        file: PathBuf,
    },
    /// Make a credential for tries, which nobody else trusts
    Credential {
        /// Folder to put it into
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Whom it names
        #[arg(long, value_name = "NAME", default_value = "Somebody who tries")]
        name: String,
    },
}

/// Does it.
///
/// # Errors
/// [`Code::HelperMissing`], [`Code::MediaUnsignable`], those of chain, decisions and files.
pub(super) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    match command {
        Command::Sign(arguments) => sign::run(arguments, context),
        Command::Verify(arguments) => verify::run(arguments, context),
        Command::Show { file } => show(file),
        Command::Credential { folder, name } => credential(folder, name, context),
    }
}

fn show(file: &Path) -> Result<Answer, CliError> {
    let found = helper::read(file, None)?;
    let report = serde_json::to_string_pretty(&found.report).unwrap_or_default();
    let answer = Answer::new("c2pa-show/1")
        .json("format", found.format.as_str())
        .json("state", found.state.word())
        .json("manifests", found.report.clone());
    Ok(match found.reason {
        Some(reason) => answer.json("reason", reason.as_str()).line(reason),
        None => answer.line(report),
    })
}

fn credential(folder: &Path, name: &str, context: &Context) -> Result<Answer, CliError> {
    let files = [
        folder.join("authority.pem"),
        folder.join("certificates.pem"),
        folder.join("key.pem"),
    ];
    if let Some(there) = files.iter().find(|file| file.exists()) {
        // Never replaced, whatever was answered: a key that is gone cannot be had again.
        return Err(
            CliError::new(Code::AlreadyThere, format!("{} exists already", there.display()))
                .fix("choose another folder"),
        );
    }
    let made: Credential = ask("credential", json!({"name": name, "now": helper::now()}))?;
    let [authority, certificates, key] = &files;
    if !context.global.dry_run {
        write_file(authority, made.authority.as_bytes())?;
        write_file(certificates, made.certificates.as_bytes())?;
        crate::inference::write_secret(key, made.key.as_bytes())?;
    }
    context
        .console
        .warn("nobody vouches for this credential: readers will say that its signatures are not trusted");
    let shown = |file: &PathBuf| file.display().to_string();
    Ok(Answer::new("c2pa-credential/1")
        .json("authority", shown(authority))
        .json("certificates", shown(certificates))
        .json("key", shown(key))
        .fields([
            ("authority", Cell::text(shown(authority))),
            ("certificates", Cell::text(shown(certificates))),
            ("key", Cell::text(shown(key))),
        ])
        .id(folder.display().to_string())
        .next(format!(
            "cw c2pa sign FILE --output OUT --model NAME --certificates {} --key-file {}",
            shown(certificates),
            shown(key)
        )))
}

/// Digest and length of media, which may be long.
fn original(file: &Path) -> Result<Original, CliError> {
    let found = digest_file(file, Hashes::Content).map_err(|error| {
        CliError::new(Code::FileUnreadable, with_causes(&error))
            .fix("check the name, and that the file is there and belongs to you")
    })?;
    Ok(Original::new(found.digest, found.size))
}

/// Reads a small text file.
fn text(file: &Path) -> Result<String, CliError> {
    String::from_utf8(read_file(file, TEXT_BYTES)?).map_err(|_| {
        CliError::new(Code::BadValue, format!("{} is not text", file.display()))
            .fix("give the file in PEM, or as it was written")
    })
}

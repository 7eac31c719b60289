//! Parsing, with slips turned into our own errors.

use std::ffi::OsString;

use clap::{
    FromArgMatches as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{Arguments, command, value::refuse_secrets};
use crate::error::{CliError, Code};

/// What the command line asks for.
pub(crate) enum Parsed {
    /// A command to run.
    Run(Box<Arguments>),
    /// Help or version that was asked for.
    Print(String),
    /// Help that was not asked for: a verb is missing.
    Hint(String),
}

/// Reads the command line.
///
/// # Errors
/// [`Code::Usage`], [`Code::BadValue`] and [`Code::SecretPasted`].
pub(crate) fn parse(arguments: Vec<OsString>, color: bool) -> Result<Parsed, CliError> {
    let readable: Vec<String> = arguments
        .iter()
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    refuse_secrets(&readable)?;
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return from_clap(&error, color),
    };
    match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => Ok(Parsed::Run(Box::new(arguments))),
        Err(error) => from_clap(&error, color),
    }
}

fn from_clap(error: &clap::Error, color: bool) -> Result<Parsed, CliError> {
    let text = |kind| error.get(kind).and_then(words);
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let usage = text(ContextKind::Usage).map(|usage| usage.trim_start_matches("Usage: ").to_owned());
    let rendered = || {
        let text = error.render();
        if color {
            text.ansi().to_string()
        } else {
            text.to_string()
        }
    };
    let plain = |message: String| CliError::new(Code::Usage, message);
    let told = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return Ok(Parsed::Print(rendered())),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => return Ok(Parsed::Hint(rendered())),
        ErrorKind::InvalidSubcommand => {
            let name = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let told = plain(format!("there is no command \"{name}\""));
            match text(ContextKind::SuggestedSubcommand) {
                Some(near) => told.fact("nearest", near),
                None => told,
            }
        }
        ErrorKind::UnknownArgument => {
            let told = plain(format!("\"{argument}\" is not known here"));
            match text(ContextKind::SuggestedArg) {
                Some(near) => told.fact("nearest", near),
                None => told,
            }
        }
        ErrorKind::MissingRequiredArgument => plain(format!("something is missing: {argument}")),
        ErrorKind::MissingSubcommand => plain("the command needs one of its verbs".to_owned()),
        ErrorKind::ArgumentConflict => {
            let prior = text(ContextKind::PriorArg).unwrap_or_default();
            plain(format!("{argument} and {prior} exclude each other"))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation if !argument.is_empty() => {
            let value = text(ContextKind::InvalidValue).unwrap_or_default();
            let told = if value.is_empty() {
                CliError::new(Code::BadValue, format!("{argument} needs a value"))
            } else {
                CliError::new(Code::BadValue, format!("\"{value}\" is no value for {argument}"))
            };
            let told = match text(ContextKind::ValidValue) {
                Some(valid) => told.fact("allowed", valid),
                None => told,
            };
            match std::error::Error::source(error) {
                Some(cause) => told.why(cause.to_string()),
                None => told,
            }
        }
        _ => {
            let text = error.render().to_string();
            let line = text
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ")
                .to_owned();
            plain(line)
        }
    };
    Err(match usage {
        // The usage of `cw` itself says nothing.
        Some(usage) if !usage.starts_with("cw COMMAND") => told.fix(usage),
        _ => told.fix("cw help"),
    })
}

fn words(value: &ContextValue) -> Option<String> {
    match value {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) if !texts.is_empty() => Some(texts.join(", ")),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> CliError {
        match parse(line.split(' ').map(OsString::from).collect(), false) {
            Err(error) => error,
            Ok(_) => panic!("{line} is understood"),
        }
    }

    fn fact(line: &str, name: &str) -> String {
        error(line).to_json()["error"]["facts"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    #[test]
    fn a_slip_gets_a_guess() {
        assert_eq!(fact("cw trian", "nearest"), "train");
        assert_eq!(fact("cw train --rouns 3", "nearest"), "--rounds");
        assert_eq!(
            fact("cw status --color sometimes", "allowed"),
            "auto, always, never"
        );
    }

    #[test]
    fn a_value_of_the_wrong_kind_says_why() {
        let error = error("cw status --timeout 30");
        assert_eq!(error.code(), Code::BadValue);
        assert!(error.to_json()["error"]["why"].as_str().unwrap().contains("30s"));
    }

    #[test]
    fn help_is_no_error() {
        assert!(matches!(
            parse(vec!["cw".into(), "--help".into()], false),
            Ok(Parsed::Print(text)) if text.contains("Lend data:")
        ));
    }
}

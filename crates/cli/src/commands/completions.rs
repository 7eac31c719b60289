//! `cw completions`: the completion script of a shell.

use clap_complete::Shell;

use crate::{
    arguments,
    error::{CliError, Code},
    output::Answer,
};

/// Which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// A fault of ours where the script is no text.
pub(crate) fn run(arguments: &Arguments) -> Result<Answer, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut arguments::command(), "cw", &mut script);
    let script = String::from_utf8(script)
        .map_err(|_| CliError::new(Code::Fault, "the completion script is not text"))?;
    Ok(Answer::new("completions/1")
        .json("shell", arguments.shell.to_string())
        .json("script", script.as_str())
        .line(script.trim_end()))
}

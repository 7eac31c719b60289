//! One module for each command.

pub(crate) mod audit;
pub(crate) mod c2pa;
pub(crate) mod claim;
pub(crate) mod completions;
pub(crate) mod consent;
pub(crate) mod dataset;
pub(crate) mod decision;
pub(crate) mod dispute;
pub(crate) mod doctor;
pub(crate) mod explain;
mod export;
pub(crate) mod infer;
pub(crate) mod key;
mod link;
pub(crate) mod log;
pub(crate) mod member;
pub(crate) mod model;
pub(crate) mod network;
pub(crate) mod new;
pub(crate) mod node;
pub(crate) mod proof;
pub(crate) mod prove;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod train;
pub(crate) mod verify;

use std::io::{Write as _, stdout};

use crate::{
    arguments::{Command, Global},
    error::{CliError, Code},
    output::{Answer, Console, Form, Surface},
};

/// What every command has: the global options and standard error.
#[derive(Debug)]
pub(crate) struct Context {
    /// Options that mean the same everywhere.
    pub(crate) global: Global,
    /// Where progress and remarks go.
    pub(crate) console: Console,
    /// How results are asked for.
    pub(crate) form: Form,
    /// Where results go.
    pub(crate) surface: Surface,
}

impl Context {
    /// Writes a result now, where a command has several: one document a line in JSON.
    ///
    /// # Errors
    /// [`Code::FileUnreadable`] where nobody reads any more.
    pub(crate) fn emit(&self, answer: &Answer) -> Result<(), CliError> {
        let mut out = stdout().lock();
        let written = match self.form {
            Form::Json => answer.write_line(&mut out),
            form => answer.write(&mut out, form, self.surface),
        };
        written.and_then(|()| out.flush()).map_err(unwritten)
    }

    /// Writes a result in the place of the one before it, which took `lines` on a terminal; how many this one takes.
    ///
    /// # Errors
    /// As [`Context::emit`].
    pub(crate) fn redraw(&self, answer: &Answer, lines: usize) -> Result<usize, CliError> {
        let mut text = Vec::new();
        if lines > 0 {
            // Up to its first line, and nothing below.
            text.extend_from_slice(format!("\x1b[{lines}A\x1b[0J").as_bytes());
        }
        let head = text.len();
        let mut out = stdout().lock();
        let written = answer
            .write(&mut text, Form::Text, self.surface)
            .and_then(|()| out.write_all(&text))
            .and_then(|()| out.flush());
        written.map_err(unwritten)?;
        Ok(text[head..].iter().filter(|byte| **byte == b'\n').count())
    }
}

fn unwritten(error: std::io::Error) -> CliError {
    CliError::new(Code::FileUnreadable, "standard output cannot be written")
        .fact("system", error.to_string())
        .fix("keep the reader of this command's output running")
}

/// Runs a command; without one, shows where things stand.
///
/// # Errors
/// Whatever the command cannot do.
pub(crate) fn run(command: Option<&Command>, context: &Context) -> Result<Answer, CliError> {
    match command {
        None => status::overview(context),
        Some(Command::New(arguments)) => new::run(arguments, context),
        Some(Command::Train(arguments)) => train::run(arguments, context),
        Some(Command::Run(command)) => run::run(command, context),
        Some(Command::Model(command)) => model::run(command, context),
        Some(Command::Dataset(command)) => dataset::run(command, context),
        Some(Command::Consent(command)) => consent::run(command, context),
        Some(Command::Member(command)) => member::run(command, context),
        Some(Command::Claim(arguments)) => claim::run(arguments, context),
        Some(Command::Infer(arguments)) => infer::run(arguments, context),
        Some(Command::Prove(arguments)) => prove::run(arguments, context),
        Some(Command::Proof(command)) => proof::run(command, context),
        Some(Command::Dispute(command)) => dispute::run(command, context),
        Some(Command::Verify(command)) => verify::run(command, context),
        Some(Command::Audit(command)) => audit::run(command, context),
        Some(Command::Status) => status::run(context),
        Some(Command::Doctor) => doctor::run(context),
        Some(Command::Decision(command)) => decision::run(command, context),
        Some(Command::Log(command)) => log::run(command, context),
        Some(Command::C2pa(command)) => c2pa::run(command, context),
        Some(Command::Explain(arguments)) => explain::run(arguments),
        Some(Command::Node(command)) => node::run(command, context),
        Some(Command::Network(command)) => network::run(command, context),
        Some(Command::Key(command)) => key::run(command, context),
        Some(Command::Completions(arguments)) => completions::run(arguments),
    }
}

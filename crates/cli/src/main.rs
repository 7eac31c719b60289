//! The `cw` command.

#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod error;
mod inference;
mod metrics;
mod nearest;
mod output;
mod project;
mod session;
mod training;
mod user;

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use arguments::{Arguments, Parsed, parse};
use commands::Context;
use error::{CliError, Status};
use output::{ColorChoice, Console, Form, Loudness, Surface};

fn main() -> ExitCode {
    let surface = Surface::stdout(ColorChoice::Auto);
    let words: Vec<_> = env::args_os().collect();
    // Before the line is understood its options are not known, but an error in it must still come in the form asked for.
    let json = words.iter().any(|word| word == "--json");
    match parse(words, surface.color) {
        Ok(Parsed::Print(text)) => {
            let written = io::stdout().write_all(text.as_bytes());
            ExitCode::from(if written.is_ok() { 0 } else { 1 })
        }
        Ok(Parsed::Hint(text)) => {
            // The exit status says it where standard error cannot be written.
            let _ = io::stderr().write_all(text.as_bytes());
            ExitCode::from(Status::Unusable.number())
        }
        Ok(Parsed::Run(arguments)) => run(*arguments),
        Err(error) => report(&error, json, Surface::stderr(ColorChoice::Auto)),
    }
}

fn run(Arguments { global, command }: Arguments) -> ExitCode {
    let form = match (global.json, global.quiet) {
        (true, _) => Form::Json,
        (_, true) => Form::Ids,
        _ => Form::Text,
    };
    let loudness = match (global.quiet, global.verbose) {
        (true, _) => Loudness::Quiet,
        (_, true) => Loudness::Verbose,
        _ => Loudness::Normal,
    };
    let surface = Surface::stdout(global.color);
    let console = Console::new(Surface::stderr(global.color), loudness);
    let context = Context {
        global,
        console,
        form,
        surface,
    };
    let answer = match commands::run(command.as_ref(), &context) {
        Ok(answer) => answer,
        Err(error) => return report(&error, form == Form::Json, context.console.surface()),
    };
    let mut out = io::stdout().lock();
    // A command that wrote its result itself has nothing left to say.
    let written = if answer.is_empty() {
        Ok(())
    } else {
        answer.write(&mut out, form, surface).and_then(|()| out.flush())
    };
    if form == Form::Text {
        context.console.next(answer.next_commands());
    }
    match written {
        // A reader that has seen enough (`cw run list | head -1`) is no error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let error = CliError::new(error::Code::FileUnreadable, "standard output cannot be written")
                .fact("system", error.to_string());
            report(&error, false, context.console.surface())
        }
        _ => ExitCode::from(answer.exit_status().number()),
    }
}

fn report(error: &CliError, json: bool, surface: Surface) -> ExitCode {
    // Nothing can be done where even the error cannot be written; the exit status still says it.
    let _ = if json {
        writeln!(io::stdout().lock(), "{:#}", error.to_json())
    } else {
        error.write_text(&mut io::stderr().lock(), surface)
    };
    ExitCode::from(error.status().number())
}

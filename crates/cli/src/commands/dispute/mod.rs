//! `cw dispute`: claim an answer with a bond, challenge one, play either side of a challenge.
//!
//! Formats, moves and money are docs/spec/dispute.md. Which move is due is the players' business; here they are told what the
//! chain logged, and what they answer is sent.

mod claim;
mod court;
mod hidden;
mod look;
mod play;
mod watch;

use std::path::PathBuf;

use super::Context;
use crate::{arguments::ThingName, error::CliError, output::Answer};

/// What to do with disputes.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say with a bond what a network answers, for anyone to challenge
    Claim(claim::Arguments),
    /// List claims
    List,
    /// Show a claim, recomputed, and its challenges
    Show(About),
    /// Challenge a claim at the first layer that is wrong, or ask for its proof
    Open(play::Opening),
    /// Make every move that this account owes in a claim's challenges
    Answer(play::Answering),
    /// End what is over its clock, and withdraw what this account is owed
    Settle(About),
    /// Follow claims and recompute each
    Watch(watch::Arguments),
}

/// Which claim.
#[derive(Debug, clap::Args)]
pub(crate) struct About {
    /// The claim, or the first six or more digits of it
    claim: ThingName,
    /// The row it is about, where it is too long to be on the chain
    #[arg(long, short, value_name = "FILE")]
    input: Option<PathBuf>,
}

/// Does it.
///
/// # Errors
/// Those of each, of the chain and of files.
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    match command {
        Command::Claim(arguments) => claim::run(arguments, context),
        Command::List => look::list(context),
        Command::Show(about) => look::show(about, context),
        Command::Open(opening) => play::open(opening, context),
        Command::Answer(answering) => play::answer(answering, context),
        Command::Settle(about) => play::settle(about, context),
        Command::Watch(arguments) => watch::run(arguments, context),
    }
}

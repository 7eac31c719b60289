//! `cw dispute watch`: follow claims, recompute each, and play for this account.

use std::{collections::BTreeMap, thread};

use counterweight_chain::ledger::disputes::{ClaimStatus, Disputes, Lane, LoggedClaim};

use super::{
    court::{Case, Court, claim_id, claim_name, refused},
    hidden,
    look::status_name,
    play::{Outcome, end_overdue, take_turns},
};
use crate::{
    arguments::Seconds,
    commands::Context,
    error::{CliError, Code, Status},
    output::Answer,
    project::Project,
    session::Session,
    training::sponsor_key,
};

/// How to watch.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Challenge what is false with this account's coins, and make every move it owes
    #[arg(long)]
    answer: bool,
    /// Look once and leave; the exit status is 1 where a claim that may be challenged is false
    #[arg(long)]
    once: bool,
    /// Time between looks
    #[arg(long, value_name = "TIME", default_value = "12s")]
    every: Seconds,
}

/// What was said of a claim, so that it is said once.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    status: ClaimStatus,
    holds: Option<bool>,
}

struct Watcher<'a> {
    court: &'a Court,
    party: Option<Disputes>,
    context: &'a Context,
    seen: BTreeMap<[u8; 32], Seen>,
}

/// Watches until it is stopped, or once.
///
/// # Errors
/// Those of the chain at the first look; later ones are warned of and tried again.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let court = Court::open(&session)?;
    let party = if arguments.answer && !context.global.dry_run {
        Some(court.acting_for(&sponsor_key(&session, context.global.key.as_ref())?))
    } else {
        None
    };
    let mut watcher = Watcher {
        court: &court,
        party,
        context,
        seen: BTreeMap::new(),
    };
    let all_hold = watcher.look()?;
    if arguments.once {
        let status = if all_hold { Status::Yes } else { Status::No };
        return Ok(Answer::new("dispute-watch/1").status(status));
    }
    loop {
        thread::sleep(arguments.every.0);
        match watcher.look() {
            // Whoever reads the lines has left.
            Err(error) if error.code() == Code::FileUnreadable => return Err(error),
            Err(error) => context.console.warn(format!("{error}; trying again")),
            Ok(_) => {}
        }
    }
}

impl Watcher<'_> {
    /// Looks at every claim; whether none that may be challenged is false.
    fn look(&mut self) -> Result<bool, CliError> {
        let mut all_hold = true;
        for claim in self.court.reader.claims(None).map_err(refused)? {
            let status = self.court.reader.status(claim.id).map_err(refused)?;
            let before = self.seen.get(&claim.id).cloned();
            if before.as_ref().is_some_and(|seen| seen.status == status) && status != ClaimStatus::Pending {
                continue;
            }
            let case = match status {
                ClaimStatus::Pending if self.must_recompute(&claim, before.as_ref()) => {
                    self.recompute(&claim, before.is_none())?
                }
                _ => None,
            };
            let holds = match &case {
                Some(case) => Some(case.first_difference().is_none()),
                None => before.as_ref().and_then(|seen| seen.holds),
            };
            let seen = Seen { status, holds };
            if before.as_ref() != Some(&seen) {
                self.say(&claim, &seen, &describe(&seen))?;
            }
            all_hold &= status != ClaimStatus::Pending || holds != Some(false);
            self.seen.insert(claim.id, seen);
            if status == ClaimStatus::Pending {
                self.play(&claim, case.as_ref())?;
            }
        }
        Ok(all_hold)
    }

    /// Once is enough, unless this account has moves to make. What is hidden cannot be recomputed.
    fn must_recompute(&self, claim: &LoggedClaim, before: Option<&Seen>) -> bool {
        let known = before.and_then(|seen| seen.holds);
        let moves = |party: &Disputes| party.account() == claim.claimant || known == Some(false);
        claim.lane() == Lane::Open && (known.is_none() || self.party.as_ref().is_some_and(moves))
    }

    /// Our own run of a claim's network, where it can be made here.
    fn recompute<'c>(&self, claim: &'c LoggedClaim, first: bool) -> Result<Option<Case<'c>>, CliError>
    where
        Self: 'c,
    {
        match self.court.recompute(claim, None) {
            Ok(case) => Ok(Some(case)),
            Err(error) => {
                if first {
                    self.context.console.warn(error.to_string());
                }
                Ok(None)
            }
        }
    }

    fn say(&self, claim: &LoggedClaim, seen: &Seen, what: &str) -> Result<(), CliError> {
        self.context.emit(
            &Answer::new("dispute-watch/1")
                .json("claim", claim_id(claim))
                .json("status", status_name(seen.status))
                .json("holds", seen.holds)
                .json("what", what)
                .line(format!("{}  {what}", claim_name(claim)))
                .id(claim_id(claim)),
        )
    }

    /// Does what is this account's to do. What the contract refuses, somebody else did first: it is looked at again.
    fn play(&self, claim: &LoggedClaim, case: Option<&Case<'_>>) -> Result<(), CliError> {
        let Some(party) = &self.party else {
            return Ok(());
        };
        match self.moves(claim, case, party) {
            Err(error) if error.status() == Status::Refused => {
                self.context
                    .console
                    .warn(format!("{}: {error}", claim_name(claim)));
                Ok(())
            }
            other => other,
        }
    }

    fn moves(&self, claim: &LoggedClaim, case: Option<&Case<'_>>, party: &Disputes) -> Result<(), CliError> {
        let court = self.court;
        let challengers = court.reader.challenges(claim.id).map_err(refused)?;
        let ours = challengers.iter().any(|(_, who)| *who == party.account());
        if let Some(case) = case {
            let open = court.head()? <= claim.window_ends();
            if let Some(layer) = case.first_difference()
                && open
                && !ours
                && claim.claimant != party.account()
            {
                let index = party
                    .challenge(claim, &case.known.committed, layer)
                    .map_err(refused)?;
                self.tell(claim, &format!("challenge {index} opened at layer {layer}"))?;
            }
            for turn in take_turns(court, case, party, true)? {
                if matches!(turn.outcome, Outcome::Made(_)) {
                    self.tell(claim, &format!("challenge {}: {}", turn.index, turn.said()))?;
                }
            }
        }
        if let Some(step) = hidden::answer_if_asked(court, claim, party)? {
            self.tell(claim, step)?;
        }
        if ours || claim.claimant == party.account() {
            for step in end_overdue(court, claim, party, true)? {
                self.tell(claim, &step)?;
            }
        }
        Ok(())
    }

    fn tell(&self, claim: &LoggedClaim, what: &str) -> Result<(), CliError> {
        let status = self.court.reader.status(claim.id).map_err(refused)?;
        let holds = self.seen.get(&claim.id).and_then(|seen| seen.holds);
        self.say(claim, &Seen { status, holds }, what)
    }
}

fn describe(seen: &Seen) -> String {
    let recomputed = match seen.holds {
        Some(true) => "recomputed, it is true",
        Some(false) => "recomputed, it is FALSE",
        None => "not recomputed",
    };
    format!("{}; {recomputed}", status_name(seen.status))
}

//! `cw dispute open`, `answer` and `settle`: what an account does in challenges.

use std::path::PathBuf;

use counterweight_chain::ledger::disputes::{ClaimStatus, Disputes, Lane, LoggedClaim};
use counterweight_inference::dispute::{Action, Move, Side};
use counterweight_primitives::UnixSeconds;
use serde_json::{Value, json};

use super::{
    About,
    court::{Case, Court, claim_id, claim_name, refused},
    hidden,
    look::{describe, status_name},
};
use crate::{
    arguments::{Coins, ThingName},
    commands::Context,
    error::{CliError, Code},
    output::Answer,
    project::Project,
    session::Session,
    training::sponsor_key,
};

/// What to challenge.
#[derive(Debug, clap::Args)]
pub(crate) struct Opening {
    /// The claim, or the first six or more digits of it
    claim: ThingName,
    /// The row it is about, where it is too long to be on the chain
    #[arg(long, short, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Layer to challenge, counted from 0 [default: the first that is not as claimed]
    #[arg(long, value_name = "N")]
    layer: Option<usize>,
}

/// What to answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Answering {
    #[command(flatten)]
    about: About,
    /// The proof of a claim about hidden weights, if it is not kept in this project
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    proof: Option<PathBuf>,
}

/// What came of one challenge.
pub(super) struct Turn {
    /// The challenge.
    pub(super) index: u64,
    /// What came of it.
    pub(super) outcome: Outcome,
}

/// What a side did.
pub(super) enum Outcome {
    /// Made this move.
    Made(&'static str),
    /// The other side is to move, until then.
    Waits(String, UnixSeconds),
    /// It was this account's move, and its time is over.
    Overdue(String),
    /// No true move is left.
    Conceded(String),
}

/// Challenges a claim.
///
/// # Errors
/// [`Code::ClaimHolds`], [`Code::TooLate`], [`Code::NoMove`], [`Code::NetworkMissing`], those of the chain.
pub(super) fn open(opening: &Opening, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let court = Court::open(&session)?;
    let claim = court.find(&opening.claim.0)?;
    expect_pending(&court, &claim)?;
    if court.head()? > claim.window_ends() {
        return Err(CliError::new(
            Code::TooLate,
            format!("the window of {} has passed", claim_name(&claim)),
        )
        .fact("ended", claim.window_ends().to_rfc3339())
        .fix(format!("cw dispute settle {}", claim_name(&claim))));
    }
    if claim.lane() != Lane::Open {
        let party = court.acting_for(&sponsor_key(&session, context.global.key.as_ref())?);
        return hidden::ask(&claim, &party, context);
    }
    let layer = match opening.layer {
        Some(layer) => layer,
        None => first_wrong(&court.recompute(&claim, opening.input.as_deref())?)?,
    };
    let known = court.network_of(&claim)?;
    let count = known.committed.network().architecture().steps().len();
    if layer >= count {
        return Err(
            CliError::new(Code::BadValue, format!("there is no layer {layer}"))
                .why(format!("{} has {count} layers, counted from 0", known.name))
                .fix("leave --layer out to challenge the first that is wrong"),
        );
    }
    let party = court.acting_for(&sponsor_key(&session, context.global.key.as_ref())?);
    let bond = Coins(claim.challenge_bond_wei());
    let answer = Answer::new("dispute-open/1")
        .json("claim", claim_id(&claim))
        .json("layer", layer)
        .json("challenger", party.account().to_string())
        .json("bond_wei", bond.0.to_string());
    if context.global.dry_run {
        return Ok(answer.line(format!(
            "{} would challenge layer {layer} with {bond}; nothing was sent: --dry-run",
            party.account()
        )));
    }
    let index = party
        .challenge(&claim, &known.committed, layer)
        .map_err(refused)?;
    Ok(answer
        .json("challenge", index)
        .line(format!(
            "Challenge {index} of {} at layer {layer}, with {bond}.",
            claim_name(&claim)
        ))
        .id(format!("{}/{index}", claim_id(&claim)))
        .next(format!("cw dispute answer {}", claim_name(&claim))))
}

fn first_wrong(case: &Case<'_>) -> Result<usize, CliError> {
    case.first_difference().ok_or_else(|| {
        CliError::new(Code::ClaimHolds, format!("{} is true", claim_name(case.claim)))
            .fact("network", &case.known.name)
            .why("recomputed, every layer is as claimed: a challenge would lose its bond")
            .fix("leave it, or name a layer with --layer to challenge all the same")
    })
}

fn expect_pending(court: &Court, claim: &LoggedClaim) -> Result<(), CliError> {
    match court.reader.status(claim.id).map_err(refused)? {
        ClaimStatus::Pending => Ok(()),
        ended => Err(CliError::new(
            Code::NoMove,
            format!("{} is {} already", claim_name(claim), status_name(ended)),
        )
        .fix(format!("cw dispute show {}", claim_name(claim)))),
    }
}

/// Makes the moves that are owed.
///
/// # Errors
/// [`Code::NoMove`], [`Code::TooLate`], [`Code::NetworkMissing`], [`Code::InputMissing`], those of the chain.
pub(super) fn answer(answering: &Answering, context: &Context) -> Result<Answer, CliError> {
    let about = &answering.about;
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let court = Court::open(&session)?;
    let claim = court.find(&about.claim.0)?;
    if claim.lane() != Lane::Open {
        expect_pending(&court, &claim)?;
        let party = court.acting_for(&sponsor_key(&session, context.global.key.as_ref())?);
        return hidden::answer(&court, &claim, answering.proof.as_deref(), &party, context);
    }
    let case = court.recompute(&claim, about.input.as_deref())?;
    let party = court.acting_for(&sponsor_key(&session, context.global.key.as_ref())?);
    let turns = take_turns(&court, &case, &party, !context.global.dry_run)?;
    if !turns.iter().any(|turn| matches!(turn.outcome, Outcome::Made(_))) {
        return Err(no_move(&claim, &party, &turns));
    }
    let status = court.reader.status(claim.id).map_err(refused)?;
    let rows: Vec<Value> = turns.iter().map(Turn::to_json).collect();
    let mut answer = Answer::new("dispute-answer/1")
        .json("claim", claim_id(&claim))
        .json("status", status_name(status))
        .json("turns", rows);
    for turn in &turns {
        answer = answer.line(turn.to_string());
    }
    if context.global.dry_run {
        answer = answer.line("nothing was sent: --dry-run");
    }
    Ok(answer
        .id(claim_id(&claim))
        .next(format!("cw dispute show {}", claim_name(&claim))))
}

fn no_move(claim: &LoggedClaim, party: &Disputes, turns: &[Turn]) -> CliError {
    let code = if turns
        .iter()
        .any(|turn| matches!(turn.outcome, Outcome::Overdue(_)))
    {
        Code::TooLate
    } else {
        Code::NoMove
    };
    let mut error = CliError::new(code, format!("there is no move to make in {}", claim_name(claim)))
        .fact("account", party.account().to_string());
    for turn in turns {
        error = error.fact(format!("challenge {}", turn.index), turn.said());
    }
    if turns.is_empty() {
        error = error.why("this account is in no challenge of it that goes on");
    }
    error.fix(format!("cw dispute show {}", claim_name(claim)))
}

/// In each challenge that goes on and that the account is in: makes its move if it owes one.
///
/// # Errors
/// Those of the chain.
pub(super) fn take_turns(
    court: &Court,
    case: &Case<'_>,
    party: &Disputes,
    send: bool,
) -> Result<Vec<Turn>, CliError> {
    let claim = case.claim;
    let mut turns = Vec::new();
    for (index, challenger) in court.reader.challenges(claim.id).map_err(refused)? {
        let sides = [
            (Side::Claimant, claim.claimant == party.account()),
            (Side::Challenger, challenger == party.account()),
        ];
        for side in sides.into_iter().filter(|(_, ours)| *ours).map(|(side, _)| side) {
            if court.reader.end(claim.id, index).map_err(refused)?.is_some() {
                continue;
            }
            let outcome = turn(court, case, party, (index, side), send)?;
            turns.push(Turn { index, outcome });
        }
    }
    Ok(turns)
}

fn turn(
    court: &Court,
    case: &Case<'_>,
    party: &Disputes,
    (index, side): (u64, Side),
    send: bool,
) -> Result<Outcome, CliError> {
    // Whether our own move is too late goes by what the chain has seen; whether the other side was silent, by the clock.
    let (situation, mut action) = court.action(case, side, index, court.head()?)?;
    if matches!(action, Action::WaitUntil(_)) {
        action = court.action(case, side, index, court.now()?)?.1;
    }
    let due = situation.as_ref().map(describe).unwrap_or_default();
    let is_lie = side == Side::Claimant && case.first_difference().is_some();
    Ok(match action {
        Action::Make(made, _) if is_lie && !matches!(made, Move::Settle) => {
            Outcome::Conceded(format!("{due}, but the network does not give what was claimed"))
        }
        Action::Make(made, _) => {
            let name = move_name(&made);
            if send {
                party
                    .make(case.claim, &case.known.committed, index, made)
                    .map_err(refused)?;
            }
            Outcome::Made(name)
        }
        Action::WaitUntil(from) => Outcome::Waits(due, from),
        Action::Overdue => Outcome::Overdue(due),
        Action::Concede => Outcome::Conceded(format!("{due}, but nothing there is wrong")),
        Action::Done => Outcome::Conceded("it is over".to_owned()),
    })
}

fn move_name(made: &Move) -> &'static str {
    match made {
        Move::Publish { .. } => "published the block",
        Move::Name { .. } => "named the first wrong layer",
        Move::Split { .. } => "split the layer",
        Move::Pick { .. } => "picked a wrong block",
        Move::Reveal { .. } => "revealed the layer",
        Move::Step { .. } => "showed that an element is wrong",
        Move::Point { .. } => "pointed at a wrong element",
        Move::Sum { .. } => "said what each tile sums to",
        Move::Tile { .. } => "showed that a sum is wrong",
        Move::Settle => "ended it, as the other side was silent",
    }
}

impl Turn {
    /// What came of it, in words.
    pub(super) fn said(&self) -> String {
        match &self.outcome {
            Outcome::Made(what) => (*what).to_owned(),
            Outcome::Waits(due, from) => format!("{due}, or be silent until {}", from.to_rfc3339()),
            Outcome::Overdue(due) => format!("{due}, and is too late"),
            Outcome::Conceded(why) => why.clone(),
        }
    }

    /// For programs.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "challenge": self.index,
            "moved": matches!(self.outcome, Outcome::Made(_)),
            "said": self.said(),
        })
    }
}

impl std::fmt::Display for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Challenge {}: {}.", self.index, self.said())
    }
}

/// Ends what is over its clock, and withdraws.
///
/// # Errors
/// [`Code::NoMove`] where nothing is over its clock and nothing is owed, those of the chain.
pub(super) fn settle(about: &About, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let court = Court::open(&session)?;
    let claim = court.find(&about.claim.0)?;
    let party = court.acting_for(&sponsor_key(&session, context.global.key.as_ref())?);
    let send = !context.global.dry_run;
    let mut steps = end_overdue(&court, &claim, &party, send)?;
    let owed = party.credit_wei(party.account()).map_err(refused)?;
    if owed > 0 {
        if send {
            party.withdraw().map_err(refused)?;
        }
        steps.push(format!("withdrew {} to {}", Coins(owed), party.account()));
    }
    let status = court.reader.status(claim.id).map_err(refused)?;
    if steps.is_empty() {
        return Err(CliError::new(
            Code::NoMove,
            format!("nothing of {} can be settled now", claim_name(&claim)),
        )
        .fact("status", status_name(status))
        .fact("challengeable until", claim.window_ends().to_rfc3339())
        .why("no clock has run out, and this account is owed nothing")
        .fix(format!("cw dispute show {}", claim_name(&claim))));
    }
    let mut answer = Answer::new("dispute-settle/1")
        .json("claim", claim_id(&claim))
        .json("status", status_name(status))
        .json("withdrawn_wei", owed.to_string())
        .json("steps", steps.clone());
    for step in steps {
        answer = answer.line(format!("{}: {step}.", claim_name(&claim)));
    }
    if !send {
        answer = answer.line("nothing was sent: --dry-run");
    }
    Ok(answer
        .line(format!("It is {}.", status_name(status)))
        .id(claim_id(&claim)))
}

/// Ends every challenge in which the clock has run out, and accepts the claim if nothing is open after its window.
///
/// # Errors
/// Those of the chain.
pub(super) fn end_overdue(
    court: &Court,
    claim: &LoggedClaim,
    party: &Disputes,
    send: bool,
) -> Result<Vec<String>, CliError> {
    let now = court.now()?;
    let mut steps: Vec<String> = hidden::draw(court, claim, party, send)?.into_iter().collect();
    let mut open = 0;
    for (index, _) in court.reader.challenges(claim.id).map_err(refused)? {
        if court.reader.end(claim.id, index).map_err(refused)?.is_some() {
            continue;
        }
        let is_pending = court.reader.status(claim.id).map_err(refused)? == ClaimStatus::Pending;
        if is_pending && court.reader.deadline(claim.id, index).map_err(refused)? >= now {
            open += 1;
            continue;
        }
        if send {
            party.settle(claim, index).map_err(refused)?;
        }
        steps.push(format!("ended challenge {index}"));
    }
    let is_pending = court.reader.status(claim.id).map_err(refused)? == ClaimStatus::Pending;
    // Without having sent anything it cannot be known how the challenges end.
    if is_pending && open == 0 && claim.window_ends() < now && (send || steps.is_empty()) {
        if send {
            party.finalise(claim).map_err(refused)?;
        }
        steps.push("accepted it: nobody showed a fault in its window".to_owned());
    }
    Ok(steps)
}

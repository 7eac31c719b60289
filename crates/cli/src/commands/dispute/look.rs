//! `cw dispute list` and `show`.

use counterweight_chain::ledger::disputes::{ChallengeEnd, ClaimStatus, Lane, LoggedClaim};
use counterweight_inference::{
    Answer as Given,
    dispute::{Event, Phase, Situation, Target},
};
use counterweight_primitives::UnixSeconds;
use serde_json::{Value, json};

use super::{
    About,
    court::{Court, claim_id, claim_name, model_name, refused},
};
use crate::{
    arguments::Coins,
    commands::{Context, infer},
    error::{CliError, Code},
    inference::hex_word,
    output::{Answer, Cell, Table, Tone},
    project::Project,
    session::Session,
};

/// Lists claims, in the order in which they were made.
///
/// # Errors
/// Those of the chain.
pub(super) fn list(context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let court = Court::open(&session)?;
    let mut table = Table::new([
        "claim",
        "network",
        "claimant",
        "status",
        "challengeable until",
        "challenges",
    ]);
    let mut rows = Vec::new();
    let mut answer = Answer::new("dispute-list/1");
    for claim in court.reader.claims(None).map_err(refused)? {
        let status = court.reader.status(claim.id).map_err(refused)?;
        let challenges = court.reader.challenges(claim.id).map_err(refused)?.len();
        let network = match claim.lane() {
            Lane::Open => court.network_of(&claim).ok().map(|known| known.name.clone()),
            _ => court.store.with_id(&claim.model()).map(|(name, _)| name),
        };
        table.push([
            Cell::text(claim_name(&claim)),
            Cell::text(network.as_deref().unwrap_or("-")),
            Cell::Account(claim.claimant),
            status_cell(status),
            Cell::text(claim.window_ends().to_rfc3339()),
            Cell::number(challenges),
        ]);
        let mut row = summary(&claim, status);
        row["challenges"] = json!(challenges);
        rows.push(row);
        answer = answer.id(claim_id(&claim));
    }
    if table.is_empty() {
        return Ok(answer
            .json("claims", rows)
            .line("No claim yet.")
            .next("cw dispute claim NETWORK --input row.json"));
    }
    Ok(answer.json("claims", rows).table(table))
}

/// Shows a claim, recomputed.
///
/// # Errors
/// [`Code::UnknownName`], [`Code::InputUnfit`], those of the chain.
pub(super) fn show(about: &About, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let court = Court::open(&session)?;
    let claim = court.find(&about.claim.0)?;
    let status = court.reader.status(claim.id).map_err(refused)?;
    let mut answer = Answer::new("dispute/1");
    if let Value::Object(members) = summary(&claim, status) {
        answer = members
            .into_iter()
            .fold(answer, |answer, (name, value)| answer.json(&name, value));
    }
    if let Ok(known) = court.network_of(&claim)
        && let Ok(given) = Given::from_bytes(known.model.network().architecture(), &claim.output)
    {
        answer = infer::show(answer, known.model.metadata(), &given);
    }
    let (holds, said) = match court.recompute(&claim, about.input.as_deref()) {
        Ok(case) => match case.first_difference() {
            None => (
                Some(true),
                Cell::State(Tone::Good, "every layer is as claimed".to_owned()),
            ),
            Some(layer) => {
                answer = answer.json("first_difference", layer);
                (
                    Some(false),
                    Cell::State(Tone::Bad, format!("layer {layer} is not as claimed")),
                )
            }
        },
        // What cannot be recomputed here is unknown, never good; a row that was given and does not fit is an error.
        Err(error) if matches!(error.code(), Code::NetworkMissing | Code::InputMissing) => {
            (None, Cell::text(format!("unknown: {}", error.message())))
        }
        Err(error) => return Err(error),
    };
    answer = answer
        .json("holds", holds)
        .fields([
            ("claim", Cell::text(claim_id(&claim))),
            ("status", status_cell(status)),
            ("recomputed", said),
            ("claimant", Cell::Account(claim.claimant)),
            ("staked", Cell::text(Coins(claim.claim_bond_wei()).to_string())),
            (
                "to challenge",
                Cell::text(Coins(claim.challenge_bond_wei()).to_string()),
            ),
            ("made", Cell::text(claim.made_at.to_rfc3339())),
            (
                "challengeable",
                Cell::text(format!("until {}", claim.window_ends().to_rfc3339())),
            ),
        ])
        .id(claim_id(&claim));
    answer = challenges(&court, &claim, answer)?;
    let name = claim_name(&claim);
    Ok(match (status, holds) {
        (ClaimStatus::Pending, Some(false)) => answer.next(format!("cw dispute open {name}")),
        (ClaimStatus::Pending, _) => answer.next(format!("cw dispute settle {name}")),
        _ => answer,
    })
}

fn challenges(court: &Court, claim: &LoggedClaim, answer: Answer) -> Result<Answer, CliError> {
    let mut table = Table::new(["challenge", "challenger", "state", "due until"]);
    let mut rows = Vec::new();
    for (index, challenger) in court.reader.challenges(claim.id).map_err(refused)? {
        let end = court.reader.end(claim.id, index).map_err(refused)?;
        let (state, tone, until) = match end {
            Some(end) => (end_name(end).to_owned(), Tone::Strong, None),
            None => {
                let deadline = court.reader.deadline(claim.id, index).map_err(refused)?;
                (due(court, claim, index)?, Tone::Warn, Some(deadline))
            }
        };
        let until = until.map(UnixSeconds::to_rfc3339);
        table.push([
            Cell::number(index),
            Cell::Account(challenger),
            Cell::State(tone, state.clone()),
            Cell::text(until.as_deref().unwrap_or("-")),
        ]);
        rows.push(json!({
            "index": index,
            "challenger": challenger.to_string(),
            "ended": end.is_some(),
            "state": state,
            "due_until": until,
        }));
    }
    let answer = answer.json("challenges", rows);
    Ok(if table.is_empty() {
        answer
    } else {
        answer.heading("Challenges").table(table)
    })
}

/// What is due in a challenge that goes on.
fn due(court: &Court, claim: &LoggedClaim, index: u64) -> Result<String, CliError> {
    if claim.lane() != Lane::Open {
        return Ok("the claimant's proof is due".to_owned());
    }
    let history = court.reader.history(claim.id, index).map_err(refused)?;
    let last = history.iter().rev().find_map(|event| match event {
        Event::Due(situation) => Some(describe(situation)),
        _ => None,
    });
    Ok(last.unwrap_or_else(|| "begun".to_owned()))
}

/// Whose move is due, and which.
pub(super) fn describe(situation: &Situation) -> String {
    let about = match situation.target {
        Target::Input => "the input".to_owned(),
        Target::Layer(layer) => format!("layer {layer}"),
    };
    let part = situation.part;
    match situation.phase {
        Phase::Publish => format!("the claimant is to publish block {part} of {about}"),
        Phase::Name => "the challenger is to name a layer".to_owned(),
        Phase::Split => format!("the claimant is to split {about} into blocks"),
        Phase::Pick => format!("the challenger is to pick a block of {about}"),
        Phase::Reveal => format!("the claimant is to reveal {about}, block {part}"),
        Phase::Point => format!("the challenger is to show what is wrong in {about}"),
        Phase::Sum => format!("the claimant is to say what the tiles sum to in {about}"),
        Phase::Tile => format!("the challenger is to show which sum is wrong in {about}"),
    }
}

/// How a challenge ended.
fn end_name(end: ChallengeEnd) -> &'static str {
    match end {
        ChallengeEnd::ChallengerWon => "the challenger won",
        ChallengeEnd::ClaimantWon => "the claimant won",
        ChallengeEnd::Returned => "another challenge ended the claim",
    }
}

fn lane_name(lane: Lane) -> &'static str {
    match lane {
        Lane::Open => "open",
        Lane::Sealed => "sealed",
        Lane::Private => "private",
    }
}

/// A status as a word.
pub(super) fn status_name(status: ClaimStatus) -> &'static str {
    match status {
        ClaimStatus::Unknown => "unknown",
        ClaimStatus::Pending => "pending",
        ClaimStatus::Accepted => "accepted",
        ClaimStatus::Rejected => "rejected",
    }
}

fn status_cell(status: ClaimStatus) -> Cell {
    let tone = match status {
        ClaimStatus::Accepted => Tone::Good,
        ClaimStatus::Rejected => Tone::Bad,
        ClaimStatus::Pending | ClaimStatus::Unknown => Tone::Warn,
    };
    Cell::State(tone, status_name(status).to_owned())
}

fn summary(claim: &LoggedClaim, status: ClaimStatus) -> Value {
    json!({
        "claim": claim_id(claim),
        "model_id": model_name(&claim.model()),
        "lane": lane_name(claim.lane()),
        "claimant": claim.claimant.to_string(),
        "status": status_name(status),
        "context": hex_word(&claim.context),
        "bond_wei": claim.claim_bond_wei().to_string(),
        "challenge_bond_wei": claim.challenge_bond_wei().to_string(),
        "made_at": claim.made_at.to_rfc3339(),
        "window_ends": claim.window_ends().to_rfc3339(),
    })
}

//! Claims about hidden weights: the proof behind one is kept back until somebody asks for it, or lots do.

use std::path::Path;

use counterweight_chain::ledger::disputes::{ClaimStatus, Disputes, HiddenInput, Lane, LoggedClaim, Terms};
use counterweight_inference::{Answer as Given, Card, dispute::ByteTree};
use counterweight_zkml_verifier::file::{ProvenAnswer, ProvenInput};

use super::{
    claim::made,
    court::{Court, claim_id, claim_name, model_name, refused},
    look::status_name,
};
use crate::{
    arguments::Coins,
    commands::{Context, infer::show, proof::read_proof},
    error::{CliError, Code, with_causes},
    inference::{Store, development_warning, hex_word, verifier_setup},
    output::Answer,
    project::Project,
    session::Session,
    training::sponsor_key,
};

/// Claims what a proof shows, and keeps the proof.
///
/// # Errors
/// [`Code::ProofRefused`], [`Code::NothingYet`] where the model is not registered, those of the chain and of files.
pub(super) fn claim(file: &Path, terms: Terms, context: &Context) -> Result<Answer, CliError> {
    let proven = read_proof(file)?;
    let srs = verifier_setup(proven.srs)?;
    development_warning(&srs, context);
    proven.verify(&srs).map_err(|error| {
        CliError::new(Code::ProofRefused, format!("{} does not hold", file.display()))
            .why(with_causes(&error))
            .fix("cw prove NETWORK --input row.json makes one that does")
    })?;
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let court = Court::with(&session, Vec::new())?;
    let model = proven.model_id();
    if !court.has_hidden_model(model)? {
        return Err(CliError::new(
            Code::NothingYet,
            format!("model {} is not registered on this network", model_name(&model)),
        )
        .fix("cw model publish NETWORK"));
    }
    let key = sponsor_key(&session, context.global.key.as_ref())?;
    let party = court.acting_for(&key);
    let mut answer = Answer::new("dispute-claim/1")
        .json("model_id", model_name(&model))
        .json("context", hex_word(&proven.context))
        .json("claimant", party.account().to_string())
        .json("bond_wei", terms.claim_bond_wei.to_string())
        .json("challenge_bond_wei", terms.challenge_bond_wei.to_string());
    if let Some((name, key)) = Store::of(&project).with_id(&model)
        && let Ok(card) = Card::from_bytes(&key.card)
        && let Ok(given) = Given::from_bytes(&proven.model.architecture, &proven.output)
    {
        answer = show(answer.json("network", name.as_str()), card.metadata(), &given);
    }
    if context.global.dry_run {
        let bond = Coins(terms.claim_bond_wei);
        return Ok(answer.line(format!(
            "{} would stake {bond} on it; nothing was sent: --dry-run",
            party.account()
        )));
    }
    let bytes = input_bytes(&proven);
    let input = match &proven.input {
        ProvenInput::Public(_) => HiddenInput::Bytes(&bytes),
        ProvenInput::Committed(commitment) => HiddenInput::Committed(*commitment),
    };
    let claim = party
        .claim_sealed(model, input, &proven.output, proven.context, terms)
        .map_err(refused)?;
    court.store.keep_proof(&claim.id, &proven)?;
    Ok(made(answer, &claim))
}

/// The input as a call shows it: nothing of a committed one.
fn input_bytes(proven: &ProvenAnswer) -> Vec<u8> {
    match &proven.input {
        ProvenInput::Public(values) => values.iter().map(|value| value.cast_unsigned()).collect(),
        ProvenInput::Committed(_) => Vec::new(),
    }
}

/// Asks for a claim's proof.
///
/// # Errors
/// Those of the chain.
pub(super) fn ask(claim: &LoggedClaim, party: &Disputes, context: &Context) -> Result<Answer, CliError> {
    let bond = Coins(claim.challenge_bond_wei());
    context.console.warn(format!(
        "the weights of {} are hidden, so nobody here can tell whether it is true; if it is proven, {bond} are lost",
        claim_name(claim)
    ));
    let answer = Answer::new("dispute-open/1")
        .json("claim", claim_id(claim))
        .json("challenger", party.account().to_string())
        .json("bond_wei", bond.0.to_string());
    if context.global.dry_run {
        return Ok(answer.line(format!(
            "{} would ask for the proof with {bond}; nothing was sent: --dry-run",
            party.account()
        )));
    }
    party.challenge_sealed(claim).map_err(refused)?;
    Ok(answer
        .json("challenge", 0)
        .line(format!(
            "Challenge 0 of {}: its proof is due, with {bond}.",
            claim_name(claim)
        ))
        .id(format!("{}/0", claim_id(claim)))
        .next(format!("cw dispute settle {}", claim_name(claim))))
}

/// Proves a claim that somebody asked about; with a proof that was given, unasked as well.
///
/// # Errors
/// [`Code::NoMove`], [`Code::ProofMissing`], [`Code::ProofRefused`] for a proof of something else, those of the chain.
pub(super) fn answer(
    court: &Court,
    claim: &LoggedClaim,
    given: Option<&Path>,
    party: &Disputes,
    context: &Context,
) -> Result<Answer, CliError> {
    if given.is_none() && !is_asked(court, claim)? {
        return Err(CliError::new(
            Code::NoMove,
            format!("nobody asks for the proof of {}", claim_name(claim)),
        )
        .why("unasked, a proof costs its gas and ends the window")
        .fix("add --proof FILE to prove it all the same"));
    }
    let proven = match given {
        Some(file) => read_proof(file)?,
        None => kept(court, claim)?,
    };
    let send = !context.global.dry_run;
    prove(claim, &proven, party, send)?;
    let status = court.reader.status(claim.id).map_err(refused)?;
    let mut answer = Answer::new("dispute-answer/1")
        .json("claim", claim_id(claim))
        .json("status", status_name(status))
        .json("proof_bytes", proven.proof.len())
        .line(format!("{}: proven.", claim_name(claim)));
    if !send {
        answer = answer.line("nothing was sent: --dry-run");
    }
    Ok(answer
        .id(claim_id(claim))
        .next(format!("cw dispute settle {}", claim_name(claim))))
}

/// Proves a claim if it is asked about and its proof is kept here, whoever made it; says so if it did.
///
/// # Errors
/// As [`answer`].
pub(super) fn answer_if_asked(
    court: &Court,
    claim: &LoggedClaim,
    party: &Disputes,
) -> Result<Option<&'static str>, CliError> {
    let can = claim.lane() != Lane::Open && court.store.kept_proof(&claim.id).is_some();
    if !can || !is_asked(court, claim)? {
        return Ok(None);
    }
    prove(claim, &kept(court, claim)?, party, true)?;
    Ok(Some("proven"))
}

/// Whether a claim's proof is due.
fn is_asked(court: &Court, claim: &LoggedClaim) -> Result<bool, CliError> {
    let asked = !court.reader.challenges(claim.id).map_err(refused)?.is_empty();
    Ok(asked && court.reader.end(claim.id, 0).map_err(refused)?.is_none())
}

fn kept(court: &Court, claim: &LoggedClaim) -> Result<ProvenAnswer, CliError> {
    match court.store.kept_proof(&claim.id) {
        Some(file) => read_proof(&file),
        None => Err(CliError::new(
            Code::ProofMissing,
            format!("the proof of {} is not in this project", claim_name(claim)),
        )
        .fix("add --proof FILE; see cw explain CW4205")),
    }
}

fn prove(claim: &LoggedClaim, proven: &ProvenAnswer, party: &Disputes, send: bool) -> Result<(), CliError> {
    let input = input_bytes(proven);
    let committed = match &proven.input {
        ProvenInput::Public(_) => ByteTree::new(input.clone()).map(|tree| tree.root().0),
        ProvenInput::Committed(commitment) => Some(*commitment),
    };
    for (what, is_same) in [
        ("model", proven.model_id() == claim.model()),
        ("context", proven.context == claim.context),
        ("input", committed == Some(claim.input_commitment())),
        ("output", proven.output == claim.output),
    ] {
        if !is_same {
            return Err(CliError::new(
                Code::ProofRefused,
                format!("the proof is not that of {}", claim_name(claim)),
            )
            .why(format!("it is about another {what}"))
            .fix("cw proof show FILE says what it is about"));
        }
    }
    if send {
        party.prove(claim, &input, &proven.proof).map_err(refused)?;
    }
    Ok(())
}

/// Draws lots over a claim that is subject to them, as soon as that can be done; says what they said.
///
/// # Errors
/// Those of the chain.
pub(super) fn draw(
    court: &Court,
    claim: &LoggedClaim,
    party: &Disputes,
    send: bool,
) -> Result<Option<String>, CliError> {
    let is_due = claim.audit_ppm() > 0
        && court.reader.status(claim.id).map_err(refused)? == ClaimStatus::Pending
        && court.reader.challenges(claim.id).map_err(refused)?.is_empty()
        && court.reader.audit(claim.id).map_err(refused)?.is_none()
        && court.block()? >= claim.lots_from();
    if !is_due {
        return Ok(None);
    }
    if !send {
        return Ok(Some("drew lots".to_owned()));
    }
    let audited = party.draw(claim).map_err(refused)?;
    let said = if audited {
        "it must be proven"
    } else {
        "it need not be proven"
    };
    Ok(Some(format!("drew lots: {said}")))
}

//! `cw proof`: look at proofs and at what they rest on.

use std::path::{Path, PathBuf};

use counterweight_inference::{Answer as Given, Card};
use counterweight_zkml_verifier::{
    Scheme,
    file::{MOST_FILE_BYTES, ProvenAnswer, ProvenInput},
    srs::SrsOrigin,
};
use serde_json::json;

use super::{Context, infer::show};
use crate::{
    error::{CliError, Code, with_causes},
    inference::{Store, hex_word, read_file, verifier_setup},
    output::{Answer, Cell},
    project::Project,
};

/// What to do with proofs.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show what a proof says, without checking it
    Show {
        /// The proof's file
        file: PathBuf,
    },
    /// Show the set-up that proofs made here rest on
    Setup,
}

/// Does it.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::ProofUnreadable`].
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    match command {
        Command::Show { file } => show_proof(file, context),
        Command::Setup => setup(),
    }
}

/// Reads a proof's file.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::ProofUnreadable`].
pub(super) fn read_proof(file: &Path) -> Result<ProvenAnswer, CliError> {
    ProvenAnswer::from_bytes(&read_file(file, MOST_FILE_BYTES as u64)?).map_err(|error| {
        CliError::new(Code::ProofUnreadable, format!("{} is no proof", file.display()))
            .why(with_causes(&error))
            .fix("ask for it again; docs/spec/proof-file.md says what it looks like")
    })
}

fn show_proof(file: &Path, context: &Context) -> Result<Answer, CliError> {
    let proven = read_proof(file)?;
    let id = proven.model_id();
    let here = Project::open_if_any(&context.global)?.and_then(|project| Store::of(&project).with_id(&id));
    let architecture = &proven.model.architecture;
    let (kind, input) = match &proven.input {
        ProvenInput::Public(values) => (
            "public",
            format!("{} values, part of the proof's claim", values.len()),
        ),
        ProvenInput::Committed(commitment) => {
            ("committed", format!("hidden behind {}", hex_word(commitment)))
        }
    };
    let scheme = match proven.model.commitment.scheme {
        Scheme::Mercury => "Mercury",
        Scheme::HyperKzg => "HyperKZG",
    };
    let known = here
        .as_ref()
        .map_or("not of this project", |(name, _)| name.as_str())
        .to_owned();
    let mut answer = Answer::new("proof-show/1")
        .json("file", file.display().to_string())
        .json("model_id", hex_word(&id))
        .json("model", here.as_ref().map(|(name, _)| name.clone()))
        .json("context", hex_word(&proven.context))
        .json("setup", proven.srs.to_string())
        .json("input", json!({"kind": kind}))
        .json("output", hex::encode(&proven.output))
        .json("proof_bytes", proven.proof.len())
        .fields([
            ("model id", Cell::text(hex_word(&id))),
            ("model", Cell::text(known)),
            ("layers", Cell::number(architecture.steps().len())),
            (
                "weights",
                Cell::text(format!("{}, hidden", architecture.weights())),
            ),
            ("input", Cell::text(input)),
            ("context", Cell::text(hex_word(&proven.context))),
            ("set-up", Cell::text(proven.srs.to_string())),
            ("opening", Cell::text(scheme)),
            ("proof", Cell::text(format!("{} bytes", proven.proof.len()))),
        ])
        .line("Shown, not checked.")
        .id(hex_word(&id))
        .next(format!("cw verify proof {}", file.display()));
    if let Some((_, key)) = &here
        && let Ok(card) = Card::from_bytes(&key.card)
        && let Ok(given) = Given::from_bytes(architecture, &proven.output)
    {
        answer = show(
            answer.heading("What it says was answered"),
            card.metadata(),
            &given,
        );
    }
    Ok(answer)
}

fn setup() -> Result<Answer, CliError> {
    let srs = verifier_setup(counterweight_zkml_verifier::srs::DEVELOPMENT_SRS_ID)?;
    let is_insecure = srs.origin() == SrsOrigin::Development;
    Ok(Answer::new("proof-setup/1")
        .json("setup", srs.id().to_string())
        .json("insecure", is_insecure)
        .fields([
            ("set-up", Cell::text(srs.id().to_string())),
            ("what it is", Cell::text(srs.origin().to_string())),
        ])
        .id(srs.id().to_string()))
}

//! `cw proof`: look at proofs and at what they rest on.

use std::path::{Path, PathBuf};

use counterweight_inference::{Answer as Given, Card};
use counterweight_standards::attest::erc7007::add_aigc_data;
use counterweight_zkml_verifier::{
    Scheme,
    file::{MOST_FILE_BYTES, ProvenAnswer, ProvenInput},
    srs::{DEVELOPMENT_SRS_ID, SrsOrigin},
};
use serde_json::json;

use super::{Context, infer::show};
use crate::{
    error::{CliError, Code, with_causes},
    inference::{Store, ceremonies, hex_word, read_file, take_ceremony, verifier_setup},
    output::{Answer, Cell, Table},
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
    /// Write a proven answer as the call that binds it to a token: ERC-7007
    Export {
        /// The proof's file
        file: PathBuf,
        /// The token
        #[arg(long, value_name = "ID")]
        token: u64,
    },
    /// Show the set-ups that proofs rest on, or take one from a ceremony
    Setup {
        /// A powers-of-tau file (.ptau) of a public ceremony; models are committed to under it from then on
        #[arg(long, value_name = "FILE", requires = "row_bits")]
        powers_of_tau: Option<PathBuf>,
        /// For rows of this many bits, 11 to 18: `cw model publish` says which a model takes
        #[arg(long, value_name = "BITS", requires = "powers_of_tau", value_parser = clap::value_parser!(u8).range(11..=18))]
        row_bits: Option<u8>,
    },
}

/// Does it.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::ProofUnreadable`].
pub(crate) fn run(command: &Command, context: &Context) -> Result<Answer, CliError> {
    match command {
        Command::Show { file } => show_proof(file, context),
        Command::Export { file, token } => export(file, *token),
        Command::Setup {
            powers_of_tau,
            row_bits,
        } => match (powers_of_tau, row_bits) {
            (Some(file), Some(bits)) => take(file, usize::from(*bits)),
            _ => setups(),
        },
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

/// The prompt is on the chain for good, so it is the context alone: nothing of the input.
fn export(file: &Path, token: u64) -> Result<Answer, CliError> {
    let proven = read_proof(file)?;
    let bytes = read_file(file, MOST_FILE_BYTES as u64)?;
    let call = add_aigc_data(token, &proven.context, &proven.output, &bytes);
    let data = format!("0x{}", hex::encode(call));
    Ok(Answer::new("proof-export/1")
        .json("function", "addAigcData(uint256,bytes,bytes,bytes)")
        .json("token", token)
        .json("prompt", hex_word(&proven.context))
        .json("data", data.as_str())
        .line(data))
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

fn take(file: &Path, row_bits: usize) -> Result<Answer, CliError> {
    let (srs, digest) = take_ceremony(file, row_bits)?;
    Ok(Answer::new("proof-setup/1")
        .json("setup", srs.id().to_string())
        .json("file_digest", digest.to_string())
        .json("row_bits", row_bits)
        .fields([
            ("set-up", Cell::text(srs.id().to_string())),
            ("rows", Cell::text(format!("2^{row_bits} cells"))),
            ("file", Cell::text(digest.to_string())),
        ])
        .line("Compare the file's digest with the one that the ceremony published: whoever made the file alone can forge.")
        .id(srs.id().to_string()))
}

fn setups() -> Result<Answer, CliError> {
    let development = verifier_setup(DEVELOPMENT_SRS_ID)?;
    let mut table = Table::new(["rows", "set-up", "what it is"]);
    let mut rows = Vec::new();
    let mut answer = Answer::new("proof-setup/1");
    let ceremonies: Vec<_> = ceremonies().collect();
    let known = ceremonies
        .iter()
        .map(|srs| (format!("2^{} cells", srs.variables()), srs.verifier()))
        .chain([("any".to_owned(), &development)]);
    for (length, srs) in known {
        table.push([
            Cell::text(length),
            Cell::text(srs.id().to_string()),
            Cell::text(srs.origin().to_string()),
        ]);
        rows.push(json!({"setup": srs.id().to_string(), "insecure": srs.origin() == SrsOrigin::Development}));
        answer = answer.id(srs.id().to_string());
    }
    Ok(answer.json("setups", rows).table(table))
}

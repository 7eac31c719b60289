//! `cw prove`: ask a network and prove that the answer is its own.

use std::{path::PathBuf, time::Instant};

use counterweight_inference::Answer as Given;
use counterweight_zkml::{Input, InputCommitment};
use counterweight_zkml_verifier::file::{ProvenAnswer, ProvenInput};
use serde_json::json;

use super::{
    Context,
    infer::{show, warn_of_clamped},
};
use crate::{
    arguments::ThingName,
    error::{CliError, Code, with_causes},
    inference::{Store, development_warning, hex_word, randomness, read_row, setup_of, write_file},
    output::Answer,
    project::Project,
};

/// What to prove.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The network
    name: ThingName,
    /// The row, a JSON list or object; `-` for standard input
    #[arg(long, short, value_name = "FILE")]
    input: PathBuf,
    /// The proof's file [default: answer.cwp]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show only a commitment to the row
    #[arg(long)]
    private: bool,
    /// What the proof is good for, 32 bytes as context:HEX, such as a job's hash: it is refused anywhere else
    #[arg(long, value_name = "context:HEX", value_parser = read_context)]
    context: Option<[u8; 32]>,
}

/// 32 bytes, with a name in front so that nothing here looks like a private key.
pub(super) fn read_context(text: &str) -> Result<[u8; 32], String> {
    let digits = text
        .strip_prefix("context:")
        .ok_or("a context is written context:HEX, with 64 digits")?;
    let mut word = [0; 32];
    hex::decode_to_slice(digits, &mut word).map_err(|_| "a context has 64 hexadecimal digits".to_owned())?;
    Ok(word)
}

/// Answers and proves.
///
/// # Errors
/// [`Code::UnknownName`], [`Code::NothingYet`], [`Code::InputUnfit`], [`Code::AlreadyThere`].
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let store = Store::of(&project);
    let name = &arguments.name.0;
    let file = arguments
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from("answer.cwp"));
    if arguments.output.is_none() && file.exists() && !context.global.yes {
        return Err(
            CliError::new(Code::AlreadyThere, format!("{} exists already", file.display()))
                .fix("choose another name with --output, or add --yes to replace it"),
        );
    }
    let model = store.model(name)?;
    let secret = store.secret(name)?;
    let row = read_row(&arguments.input, model.card())?;
    warn_of_clamped(&row, context);
    let srs = setup_of(secret.key().model.commitment.row_bits, secret.key().srs)?;
    development_warning(srs.verifier(), context);
    let refused = |error: &dyn std::error::Error| {
        CliError::new(Code::NetworkUnusable, format!("{name} cannot be proven"))
            .why(with_causes(error))
            .fix("cw model publish commits to it anew")
    };

    let mut random = randomness(context.global.seed)?;
    let bound_to = arguments.context.unwrap_or_default();
    let committed = arguments
        .private
        .then(|| InputCommitment::commit(&srs, model.network().architecture(), &row.values, &mut random))
        .transpose()
        .map_err(|error| refused(&error))?;
    let (input, proven_input) = match &committed {
        Some(commitment) => (
            Input::Private(commitment),
            ProvenInput::Committed(commitment.hash()),
        ),
        None => (
            Input::Public(&row.values),
            ProvenInput::Public(row.values.clone()),
        ),
    };
    let start = Instant::now();
    let mut phases: Vec<(&'static str, f64)> = Vec::new();
    let mut before = 0.0;
    let proven = secret
        .prove_observed(&srs, input, bound_to, &mut random, &mut |phase| {
            let now = start.elapsed().as_secs_f64();
            phases.push((phase.name(), now - before));
            before = now;
        })
        .map_err(|error| refused(&error))?;
    let seconds = start.elapsed().as_secs_f64();

    let given = Given::from_bytes(model.network().architecture(), &proven.output)
        .map_err(|error| CliError::fault(error.to_string()))?;
    let key = secret.key();
    let answered = ProvenAnswer {
        srs: key.srs,
        model: key.model.clone(),
        context: bound_to,
        input: proven_input,
        output: proven.output,
        proof: proven.proof,
    };
    if !context.global.dry_run {
        write_file(&file, &answered.to_bytes())?;
    }
    for (phase, seconds) in &phases {
        context
            .console
            .detail(format!("{phase}: {:.1} ms", 1e3 * seconds));
    }
    let answer = Answer::new("proof/1")
        .json("model", name.as_str())
        .json("model_id", hex_word(&key.id()))
        .json("context", hex_word(&bound_to))
        .json("file", file.display().to_string())
        .json("proof_bytes", answered.proof.len())
        .json("seconds", seconds)
        .json(
            "phases",
            phases
                .iter()
                .map(|(phase, seconds)| json!({"phase": phase, "seconds": seconds}))
                .collect::<Vec<_>>(),
        );
    Ok(show(answer, model.metadata(), &given)
        .line(format!(
            "Proof written to {}: {:.1} kB, {seconds:.2} s.",
            file.display(),
            answered.proof.len() as f64 / 1000.0
        ))
        .id(file.display().to_string())
        .next(format!("cw verify proof {}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_says_what_it_is() {
        let digits = "ab".repeat(32);
        assert_eq!(read_context(&format!("context:{digits}")), Ok([0xab; 32]));
        assert!(read_context(&digits).unwrap_err().contains("context:HEX"));
        assert!(read_context("context:abcd").unwrap_err().contains("64"));
    }
}

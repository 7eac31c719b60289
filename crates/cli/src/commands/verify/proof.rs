//! `cw verify proof`: does a proof hold, offline or by the contract?

use std::path::PathBuf;

use counterweight_federated::audit::Verdict;
use counterweight_inference::{Answer as Given, Card};
use counterweight_zkml_verifier::{
    VerifyError,
    file::{ModelKey, ProvenAnswer, ProvenInput},
};

use super::{Check, answer as summarise};
use crate::{
    commands::{Context, infer::show, model::inference_verifier, proof::read_proof},
    error::{CliError, Code, with_causes},
    inference::{Store, development_warning, hex_word, read_key, verifier_setup},
    output::Answer,
    project::Project,
    session::Session,
};

/// What to check it against.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The proof's file
    pub(super) file: PathBuf,
    /// The key of the model that is meant [default: a model of this project]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Ask the contract, too
    #[arg(long)]
    on_chain: bool,
}

/// Checks and answers; exit status 0 only where every answer is yes.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::ProofUnreadable`], [`Code::OtherSetup`], those of the chain.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let proven = read_proof(&arguments.file)?;
    let srs = verifier_setup(proven.srs)?;
    development_warning(&srs, context);
    let project = Project::open_if_any(&context.global)?;
    let key = match &arguments.key_file {
        Some(file) => Some((file.display().to_string(), read_key(file)?)),
        None => project
            .as_ref()
            .and_then(|project| Store::of(project).with_id(&proven.model_id())),
    };
    let mut checks = vec![holds(&proven, &srs)];
    let mut asked_gas = None;
    // The contract registers no model before it has checked the same.
    if key.is_some() || !arguments.on_chain {
        checks.push(model_check(&proven, key.as_ref(), &srs));
    }
    if arguments.on_chain {
        let project = Project::open(&context.global)?;
        let (check, gas) = on_chain(&proven, &Session::open(&project, context)?)?;
        checks.push(check);
        asked_gas = gas;
    }
    let mut answer = summarise(&format!("proof {}", arguments.file.display()), &checks, &[])
        .json("model_id", hex_word(&proven.model_id()))
        .json("context", hex_word(&proven.context));
    if let Some(gas) = asked_gas {
        answer = answer.json("gas", gas);
    }
    if let Some((_, key)) = &key
        && key.id() == proven.model_id()
        && let Ok(card) = Card::from_bytes(&key.card)
        && let Ok(given) = Given::from_bytes(&proven.model.architecture, &proven.output)
    {
        answer = show(answer, card.metadata(), &given);
    }
    Ok(answer)
}

fn holds(proven: &ProvenAnswer, srs: &counterweight_zkml_verifier::VerifierSrs) -> Check {
    let about = match &proven.input {
        ProvenInput::Public(_) => "this input",
        ProvenInput::Committed(_) => "the committed input",
    };
    match proven.verify(srs) {
        Ok(()) => Check::new(
            "proof",
            Verdict::Yes,
            Code::ProofRefused,
            format!("the committed weights give this output on {about}, for this context"),
        ),
        Err(error) => Check::new("proof", Verdict::No, Code::ProofRefused, refusal(&error)),
    }
}

fn refusal(error: &VerifyError) -> String {
    with_causes(error)
}

fn model_check(
    proven: &ProvenAnswer,
    key: Option<&(String, ModelKey)>,
    srs: &counterweight_zkml_verifier::VerifierSrs,
) -> Check {
    let check = |verdict, code, sentence: String| Check::new("model", verdict, code, sentence);
    let Some((name, key)) = key else {
        return check(
            Verdict::Unknown,
            Code::OtherModel,
            format!(
                "nobody here knows model {}: name its key with --key-file, or ask the chain with --on-chain",
                hex_word(&proven.model_id())
            ),
        );
    };
    if key.id() != proven.model_id() {
        return check(
            Verdict::No,
            Code::OtherModel,
            format!(
                "the proof is about model {}, {name} is {}",
                hex_word(&proven.model_id()),
                hex_word(&key.id())
            ),
        );
    }
    match key.verify(srs) {
        Ok(()) => check(
            Verdict::Yes,
            Code::OtherModel,
            format!("it is {name}, and all its committed weights are int8"),
        ),
        Err(error) => check(
            Verdict::No,
            Code::OtherModel,
            format!(
                "it is {name}, but its weights are not shown to be int8: {}",
                with_causes(&error)
            ),
        ),
    }
}

/// What the contract says, and the gas it takes to ask it in a transaction.
fn on_chain(proven: &ProvenAnswer, session: &Session<'_>) -> Result<(Check, Option<u64>), CliError> {
    let contracts = session.contracts()?;
    let verifier = inference_verifier(&contracts)?;
    let id = proven.model_id();
    if !contracts.reader.is_inference_model(id)? {
        let check = Check::new(
            "contract",
            Verdict::No,
            Code::OtherModel,
            format!("model {} is not registered with {verifier}", hex_word(&id)),
        );
        return Ok((check, None));
    }
    let answer = match &proven.input {
        ProvenInput::Public(values) => {
            let input: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
            contracts
                .reader
                .verify_inference(id, proven.context, &input, &proven.output, &proven.proof)?
        }
        ProvenInput::Committed(commitment) => contracts.reader.verify_committed_inference(
            id,
            proven.context,
            *commitment,
            &proven.output,
            &proven.proof,
        )?,
    };
    let (verdict, word) = if answer.holds {
        (Verdict::Yes, "accepts")
    } else {
        (Verdict::No, "refuses")
    };
    let check = Check::new(
        "contract",
        verdict,
        Code::ProofRefused,
        format!("{verifier} {word} it, for {} gas as a transaction", answer.gas),
    );
    Ok((check, Some(answer.gas)))
}

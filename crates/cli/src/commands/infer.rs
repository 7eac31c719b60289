//! `cw infer`: ask a network.

use std::path::PathBuf;

use counterweight_inference::{Answer as Given, Metadata, QuantisedRow};

use super::Context;
use crate::{
    arguments::ThingName,
    error::{CliError, Code},
    inference::{Store, read_row},
    output::{Answer, Cell},
    project::Project,
};

/// What to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The network
    name: ThingName,
    /// The row, a JSON list or object; `-` for standard input
    #[arg(long, short, value_name = "FILE")]
    input: PathBuf,
}

/// Answers.
///
/// # Errors
/// [`Code::UnknownName`], [`Code::InputUnfit`].
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let model = Store::of(&project).model(&arguments.name.0)?;
    let row = read_row(&arguments.input, model.card())?;
    warn_of_clamped(&row, context);
    let given = model
        .network()
        .run(&row.values)
        .map_err(|error| CliError::new(Code::InputUnfit, error.to_string()).fix("correct the row"))?;
    Ok(show(
        Answer::new("inference/1").json("model", arguments.name.0.as_str()),
        model.metadata(),
        &given,
    )
    .next(format!(
        "cw prove {} --input {}",
        arguments.name,
        arguments.input.display()
    )))
}

/// Says where a row left the range that the network was calibrated for.
pub(super) fn warn_of_clamped(row: &QuantisedRow, context: &Context) {
    if row.clamped > 0 {
        context.console.warn(format!(
            "{} of {} values lie outside the range the network was calibrated for and were clamped to it",
            row.clamped,
            row.values.len()
        ));
    }
}

/// Adds an answer in its own words.
pub(super) fn show(answer: Answer, metadata: &Metadata, given: &Given) -> Answer {
    let values = metadata.values(given);
    let mut answer = answer.json("raw", given.values()).json("values", values.clone());
    let Some(label) = metadata.label(given) else {
        let text: Vec<String> = values.iter().map(|value| format!("{value:.6}")).collect();
        return answer.line(text.join(" "));
    };
    answer = answer.json("label", label.as_str()).json("class", given.class());
    if let Some(probabilities) = metadata.probabilities(given) {
        answer = answer.json("probabilities", probabilities.clone());
        let chance = probabilities.get(given.class()).copied().unwrap_or_default();
        return answer.fields([
            ("answer", Cell::text(&label)),
            ("probability", Cell::text(format!("{chance:.4}"))),
        ]);
    }
    answer.fields([("answer", Cell::text(&label))])
}

//! What a trainer answers.

use serde::{Deserialize, Serialize};

use super::{CONTRACT, MOST_LINE_BYTES};
use crate::{
    member::trainer::{Evaluated, Metrics},
    update::MOST_EXAMPLES,
};

/// Most characters of a trainer's own words that are passed on.
const MOST_WORDS: usize = 500;

/// An answer's line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    contract: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    examples: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss: Option<f64>,
    #[serde(default)]
    metrics: Metrics,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Answer {
    /// Reads a line; what is wrong with it comes in words that follow the trainer's name.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        if line.len() > MOST_LINE_BYTES {
            return Err(format!(
                "answered with a line of more than {MOST_LINE_BYTES} bytes"
            ));
        }
        let shown = || quoted(line);
        let answer: Self = serde_json::from_slice(line)
            .map_err(|error| format!("answered {}, which is no answer: {error}", shown()))?;
        if answer.contract != CONTRACT {
            return Err(format!(
                "answered by the contract \"{}\", asked was {CONTRACT}",
                words(&answer.contract)
            ));
        }
        match answer.error {
            Some(error) => Err(format!("says: {}", words(&error))),
            None => Ok(answer),
        }
    }

    /// As a line, to be kept.
    pub(super) fn line(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers that were read from JSON")
    }

    /// Rows and metrics of a model that was trained.
    pub(super) fn trained(self) -> Result<(u32, Metrics), String> {
        let examples = self.examples.unwrap_or(0);
        match u32::try_from(examples) {
            Ok(count @ 1..=MOST_EXAMPLES) => Ok((count, self.metrics)),
            _ => Err(format!(
                "trained on {examples} examples, from 1 to {MOST_EXAMPLES} are allowed"
            )),
        }
    }

    /// How the model does; nothing where no rows are kept for that.
    pub(super) fn evaluated(self) -> Result<Option<Evaluated>, String> {
        let examples = self.examples.unwrap_or(0);
        if examples == 0 {
            return Ok(None);
        }
        let loss = self.loss.ok_or("judged a model without saying its loss")?;
        Ok(Some(Evaluated {
            loss,
            examples: u32::try_from(examples).unwrap_or(u32::MAX),
            metrics: self.metrics,
        }))
    }
}

/// The first of a trainer's words, on one line, without what would move a terminal's cursor.
pub(super) fn words(text: &str) -> String {
    let line = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(MOST_WORDS).collect()
}

/// The beginning of a line that is no answer.
pub(super) fn quoted(line: &[u8]) -> String {
    let start = &line[..line.len().min(80)];
    format!("\"{}\"", words(&String::from_utf8_lossy(start)))
}

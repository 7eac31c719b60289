//! How good the model was after each round: its parameters judged again on the hold-out.

use std::collections::BTreeMap;

use counterweight_federated::{
    ledger::RoundRecord,
    parameters::{MODEL_BYTES_MAX, Parameters},
    study::terms::PublicTerms,
    table::{Dataset, HoldoutRows},
    training::evaluate,
};
use counterweight_primitives::ContentDigest;
use serde_json::{Value, json};

use crate::{project::Project, session::Session};

use super::read_holdout;

/// Judges results of rounds, each once.
pub(crate) struct Judge {
    holdout: Option<(HoldoutRows, ContentDigest)>,
    known: BTreeMap<ContentDigest, Option<(f64, f64)>>,
}

/// A round's result on the hold-out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// The round.
    pub(crate) round: u32,
    /// Mean cross-entropy in nats.
    pub(crate) loss: f64,
    /// Part of rows that are right.
    pub(crate) accuracy: f64,
}

impl Judge {
    /// With the project's hold-out, where its file is here.
    pub(crate) fn of(project: &Project) -> Self {
        Self {
            holdout: read_holdout(project).ok().flatten(),
            known: BTreeMap::new(),
        }
    }

    /// The closed rounds whose parameters are here, of a study that is judged on this hold-out; none of another study.
    pub(crate) fn curve(
        &mut self,
        session: &Session<'_>,
        terms: Option<&PublicTerms>,
        rounds: &[RoundRecord],
    ) -> Vec<Point> {
        let Some((rows, digest)) = &self.holdout else {
            return Vec::new();
        };
        if terms.and_then(|terms| terms.holdout) != Some(*digest) {
            return Vec::new();
        }
        let closed = rounds
            .iter()
            .filter_map(|round| Some((round.round.0, round.closed.as_ref()?.result)));
        closed
            .filter_map(|(round, result)| {
                let judged = self
                    .known
                    .entry(result)
                    .or_insert_with(|| judge(session, &result, &rows.rows));
                judged.map(|(loss, accuracy)| Point {
                    round,
                    loss,
                    accuracy,
                })
            })
            .collect()
    }
}

fn judge(session: &Session<'_>, result: &ContentDigest, rows: &Dataset) -> Option<(f64, f64)> {
    let bytes = session.blobs.get(result, MODEL_BYTES_MAX).ok()?;
    let model = Parameters::from_safetensors(&bytes).ok()?;
    let metrics = evaluate(&model, rows).ok()?;
    Some((metrics.loss, metrics.accuracy))
}

impl Point {
    /// Its JSON form.
    pub(crate) fn json(&self) -> Value {
        json!({"round": self.round, "loss": self.loss, "accuracy": self.accuracy})
    }
}
